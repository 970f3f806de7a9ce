"""A measurement as text."""

from __future__ import annotations

from decimal import Decimal

import pytest

from installer.measurement import Reading


@pytest.mark.parametrize(
    ("seconds", "words"),
    [("45.5", "45.5 s"), ("60", "1 min"), ("3599", "59 min"), ("22560", "6 h 16 min"), ("3900", "1 h 05 min")],
)
def test_a_duration_reads_as_people_say_it(seconds: str, words: str) -> None:
    assert str(Reading(quantity="time asleep", value=Decimal(seconds), unit="s")) == f"time asleep {words}"
