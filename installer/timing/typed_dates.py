"""Dates, times and ages that a person types: `2026-11-25`, `2026-11-25T08:00`, `12h`, `90d`, `8w`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from installer.errors import ErrorCode, InstallerError
from installer.text import printable
from installer.timing.zones import local_moment

_AGE = re.compile(r"([0-9]{1,5})\s*([hdw])", re.IGNORECASE)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def typed_age(text: str, option: str) -> timedelta:
    """The age in `90d`, `12h` or `8w`; `option`: the option that it was given for. Raises USAGE."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise InstallerError(
            ErrorCode.USAGE, f"“{printable(text, 64)}” after {option} is not an age.", "Give one like 12h, 90d or 8w."
        )
    return int(found[1]) * _UNITS[found[2].lower()]


def typed_day(text: str) -> date | None:
    """The date in `2026-11-25`; None for a time, an age, or anything else (`typed_time` says what is wrong with it)."""
    try:
        return date.fromisoformat(text.strip()) if _DAY.fullmatch(text.strip()) else None
    except ValueError:
        return None


def typed_time(text: str, option: str, *, end: bool = False, now: datetime | None = None) -> datetime:
    """The UTC time of a date (its first moment, with `end` its last), a time in ISO 8601, or an age before `now`.

    A time without a zone is in this computer's time zone. Raises USAGE.
    """
    given = text.strip()
    try:
        if _AGE.fullmatch(given):
            return (now or datetime.now(UTC)) - typed_age(given, option)
        if _DAY.fullmatch(given):
            # A day can have 23 or 25 hours.
            day = date.fromisoformat(given) + timedelta(days=end)
            return local_moment(datetime.combine(day, time())).astimezone(UTC)
        when = datetime.fromisoformat(given)
        return (when if when.tzinfo is not None else local_moment(when)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise InstallerError(
            ErrorCode.USAGE,
            f"“{printable(text, 64)}” after {option} is not a date, a time or an age.",
            "Give a date (2026-11-25), a time (2026-11-25T08:00, or with a zone 2026-11-25T08:00+01:00), "
            "or an age (12h, 90d, 8w).",
        ) from None
