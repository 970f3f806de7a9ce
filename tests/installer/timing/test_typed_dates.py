"""Dates, times and ages as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.timing.typed_dates import typed_age, typed_time

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "end", "meant"),
    [
        ("2026-11-25", False, "2026-11-24T23:00:00+00:00"),
        ("2026-11-25", True, "2026-11-25T23:00:00+00:00"),
        # The night in which the clocks change: the day has 25 hours.
        ("2026-10-25", False, "2026-10-24T22:00:00+00:00"),
        ("2026-10-25", True, "2026-10-25T23:00:00+00:00"),
        # An hour that the clocks leave out, and one that comes twice.
        ("2026-03-29T02:30", False, "2026-03-29T01:30:00+00:00"),
        ("2026-10-25T02:30", False, "2026-10-25T00:30:00+00:00"),
        ("2026-11-25T08:00", False, "2026-11-25T07:00:00+00:00"),
        ("2026-11-25T08:00+00:00", True, "2026-11-25T08:00:00+00:00"),
        ("2026-11-24T14:00+02:00", True, "2026-11-24T12:00:00+00:00"),
        (" 2026-11-24T12:00Z ", False, "2026-11-24T12:00:00+00:00"),
        ("2026-12-31", True, "2026-12-31T23:00:00+00:00"),
        (" 12h ", False, "2026-11-25T00:00:00+00:00"),
        ("7D", True, "2026-11-18T12:00:00+00:00"),
        ("2 w", False, "2026-11-11T12:00:00+00:00"),
    ],
)
def test_times(in_berlin: None, text: str, end: bool, meant: str) -> None:
    found = typed_time(text, "--since", end=end, now=NOW)
    assert found == datetime.fromisoformat(meant)
    assert found.utcoffset() == timedelta(0)


def test_an_age_counts_from_now() -> None:
    found = typed_time("2w", "--since")
    assert timedelta(0) <= datetime.now(UTC) - timedelta(weeks=2) - found < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        *((text, True) for text in ("", "yesterday", "2026-02-30", "90", "-7d", "7 d d", "9999-12-31")),
        *((text, False) for text in ("", "yesterday", "7", "7y", "2026-13-01", "999999w", "0001-01-01")),
    ],
)
def test_what_is_no_time_is_an_error_of_usage(in_berlin: None, text: str, end: bool) -> None:
    with pytest.raises(InstallerError) as caught:
        typed_time(text, "--until", end=end, now=NOW)
    assert caught.value.code is ErrorCode.USAGE
    assert caught.value.what == f"“{text}” after --until is not a date, a time or an age."


def test_control_characters_stay_out_of_the_error() -> None:
    with pytest.raises(InstallerError) as caught:
        typed_time("\x1b[2J", "--since")
    assert "\x1b" not in caught.value.what


def test_ages() -> None:
    assert typed_age("8w", "--older-than") == timedelta(weeks=8)
    assert typed_age("12 H", "--older-than") == timedelta(hours=12)
    with pytest.raises(InstallerError) as caught:
        typed_age("2026-11-25", "--older-than")
    assert caught.value.code is ErrorCode.USAGE
    assert "--older-than" in caught.value.what
