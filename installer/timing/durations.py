"""Durations, times of day and “… ago” as text for people. Durations are in seconds, timestamps are unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from installer.text import printable

# The range of timestamps that every system can show; a wrong clock may give others.
_LATEST = 4e9


def minutes_and_seconds(seconds: float) -> str:
    """`45 s`, `2 min`, `1 min 30 s`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def hours_and_minutes(seconds: Decimal) -> str:
    """`45 s`, `16 min`, `6 h 16 min`."""
    if seconds < 60:
        return f"{seconds.normalize():f} s"
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def compact_duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `1:05 min`, `2:10 h`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def stopwatch(seconds: float | None) -> str:
    """`0:07`, `12:30`; empty for None."""
    return "" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def time_ago(when: float | None, now: float) -> str:
    """`just now`, `3 minutes ago`, `1 day ago`, or `never` for None."""
    if when is None:
        return "never"
    seconds = max(0.0, now - when)
    for size, word in ((86_400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' if count != 1 else ''} ago"
    return "just now"


def short_time_ago(when: datetime, now: datetime) -> str:
    """`just now`, `5 min ago`, `1 h ago`, `yesterday`, `3 days ago`."""
    minutes = int((now - when).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    if minutes < 1440:
        return f"{minutes // 60} h ago"
    return "yesterday" if minutes < 2880 else f"{minutes // 1440} days ago"


def local_time(when: datetime, *, seconds: bool = False) -> str:
    """`2026-11-25 08:00` in this computer's time zone; with `seconds` `2026-11-25 08:00:59`. Raises OverflowError."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M" + (":%S" if seconds else ""))


def local_time_of_iso(text: str | None, *, seconds: bool = False) -> str:
    """The same for a time in ISO 8601; a text that is none stays, and None gives an empty text."""
    try:
        return local_time(datetime.fromisoformat(text or ""), seconds=seconds)
    except (ValueError, OverflowError):
        return printable(text or "", 19)


def of_timestamp(when: float) -> datetime:
    """Unix seconds as a time in UTC; a value that is out of range gives the nearest time."""
    return datetime.fromtimestamp(min(max(when, 0.0), _LATEST), UTC)
