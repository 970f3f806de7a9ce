"""No text of a CSV file becomes a formula."""

from __future__ import annotations

import pytest

from installer.storage.csv_cells import text_cell


@pytest.mark.parametrize("prefix", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(prefix: str) -> None:
    assert text_cell(f"{prefix}1+1") == f"'{prefix}1+1"


@pytest.mark.parametrize("text", ["", "Scale", "%", "|", "1=1", "a\n=1", "'=1"])
def test_other_texts_stay(text: str) -> None:
    assert text_cell(text) == text


def test_white_space_before_a_formula_hides_nothing() -> None:
    assert text_cell(" \u00a0=1+1") == "' \u00a0=1+1"
