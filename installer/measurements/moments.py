"""Points in time as a person writes them, and as a table shows them: pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from installer.errors import ErrorCode, InstallerError
from installer.measurements.row import Row

_AGO = re.compile(r"([0-9]{1,5})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse(text: str | None, option: str, *, end: bool = False) -> datetime | None:
    """A date (from its midnight here on; with `end`, up to its end), a time in ISO 8601, or 12h, 7d, 4w ago.

    A time without a zone is this computer's. Raises USAGE.
    """
    if text is None:
        return None
    given = text.strip()
    try:
        if ago := _AGO.fullmatch(given):
            return datetime.now(UTC) - int(ago[1]) * _UNITS[ago[2]]
        # Of a time without a zone this takes the local one, with its summer time.
        found = datetime.fromisoformat(given).astimezone(UTC)
        if end and _DAY.fullmatch(given):
            found = (datetime.fromisoformat(given) + timedelta(days=1)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise InstallerError(
            ErrorCode.USAGE,
            f"{option} does not say a time.",
            "Write a date (2026-11-24), a time (2026-11-24T08:30, or with a zone 2026-11-24T08:30+01:00), "
            "or how long ago: 12h, 7d, 4w.",
        ) from None
    return found


def shown(row: Row) -> str:
    """When a value was measured, in the time of this computer; a day by its date, a night by its end."""
    if row.period.startswith("day "):
        return row.period.removeprefix("day ")
    return f"{(row.ended or row.taken).astimezone():%Y-%m-%d %H:%M}"
