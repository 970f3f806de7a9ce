"""`without_score` removes the score from the reason of a detection."""

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
def test_the_score_is_removed_from_a_reason(reason: str, words: str) -> None:
    assert without_score(reason) == words
