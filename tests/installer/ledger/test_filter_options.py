"""The options that choose records."""

from __future__ import annotations

from installer.ledger.filter_options import filter_from_options


def test_outcomes_in_any_spelling() -> None:
    assert filter_from_options(outcome=["To-Be-Linked", "to be linked", "FAILED"]).outcome == (
        "to_be_linked",
        "to_be_linked",
        "failed",
    )
    assert filter_from_options() == filter_from_options(text=None)
