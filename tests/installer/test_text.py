"""Texts for people out of texts for programs."""

from __future__ import annotations

import pytest

from installer.text import without_score


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("the name “Body 1A” fits Body (+20, openScale 897)", "the name “Body 1A” fits Body"),
        ("another maker's company number (-30)", "another maker's company number"),
        ("its name starts with PROV_ (as in the example)", "its name starts with PROV_ (as in the example)"),
    ],
)
def test_a_reason_is_told_without_its_score(reason: str, words: str) -> None:
    assert without_score(reason) == words
