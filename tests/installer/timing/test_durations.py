"""Durations, times of day and “… ago” as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from installer.timing import durations

NOW = 1_790_000_000.0
DAY = 86_400.0


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0 s"), (45, "45 s"), (120, "2 min"), (90, "1 min 30 s")])
def test_minutes_and_seconds(seconds: float, text: str) -> None:
    assert durations.minutes_and_seconds(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [("45.50", "45.5 s"), ("960", "16 min"), ("22560", "6 h 16 min")])
def test_hours_and_minutes(seconds: str, text: str) -> None:
    assert durations.hours_and_minutes(Decimal(seconds)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.44, "0.4 s"), (12.2, "12 s"), (65, "1:05 min"), (7800, "2:10 h")],
)
def test_compact_durations(seconds: float | None, text: str) -> None:
    assert durations.compact_duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(None, ""), (7.9, "0:07"), (3750, "62:30")])
def test_stopwatch(seconds: float | None, text: str) -> None:
    assert durations.stopwatch(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (DAY, "1 day ago"),
        (-9, "just now"),
    ],
)
def test_how_long_ago(seconds: float, words: str) -> None:
    assert durations.time_ago(NOW - seconds, NOW) == words
    assert durations.time_ago(None, NOW) == "never"


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0, "just now"), (5, "5 min ago"), (60, "1 h ago"), (1500, "yesterday"), (5000, "3 days ago"), (-5, "just now")],
)
def test_how_long_ago_in_short(minutes: int, words: str) -> None:
    now = datetime(2026, 11, 25, 8, 0, 4, tzinfo=UTC)
    assert durations.short_time_ago(now - timedelta(minutes=minutes), now) == words


def test_local_times(in_berlin: None) -> None:
    when = datetime(2026, 11, 25, 7, 0, 4, tzinfo=UTC)
    assert durations.local_time(when) == "2026-11-25 08:00"
    assert durations.local_time_of_iso("2026-11-25T07:00:04+00:00", seconds=True) == "2026-11-25 08:00:04"
    assert durations.local_time_of_iso("no time\x1b") == "no time\ufffd"
    assert durations.local_time_of_iso(None) == ""


def test_a_timestamp_out_of_range_gives_the_nearest_time() -> None:
    assert durations.of_timestamp(-5.0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert durations.of_timestamp(1e30) == datetime.fromtimestamp(4e9, UTC)
