"""Time zones by name: which are known here, the hours of a day, the day of a moment.

The names are those of the IANA database, or an offset such as `UTC+02:00`. The database is the system's, or else that
of the package tzdata. Only `local_moment` uses this computer's own zone.
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

# Names that systems have beside the zones begin with a small letter, and `localtime` is the zone of this computer.
# A small letter would also let some file systems find `europe/paris`, and others not.
_NAME = re.compile(r"(?!Factory\b)[A-Z][A-Za-z0-9+_-]*(/[A-Za-z0-9+_-]+){0,3}")
_OFFSET = re.compile(r"UTC([+-])([01][0-9]|2[0-3]):([0-5][0-9])")


@lru_cache(maxsize=512)
def known_zone(name: str) -> tzinfo | None:
    """The time zone of this name; None if this computer does not know it. The name may be any text."""
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        size = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(size if offset[1] == "+" else -size)
    if _NAME.fullmatch(name) is None:
        return None
    try:
        return ZoneInfo(name)
    # A folder, a file that cannot be read, is damaged or has a name that is too long; or no database at all.
    except (LookupError, ValueError, OSError, ImportError, struct.error):
        return None


def day_bounds(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """The first moment of a day and of the next one, in UTC: 23, 24 or 25 hours apart, or others.

    If the clocks skip midnight, the day begins when they go on. If midnight comes twice, it begins with the first one.
    A day that a zone left out (it moved over the date line) has no hours. Raises OverflowError.
    """
    first, next_first = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
    return first.astimezone(UTC), next_first.astimezone(UTC)


def day_of(when: datetime, zone: tzinfo) -> str:
    """The date (YYYY-MM-DD) of this moment in the zone; empty outside the calendar."""
    try:
        return when.astimezone(zone).date().isoformat()
    except OverflowError:
        return ""


def is_repeated(local: datetime) -> bool:
    """Whether clocks show this local time twice, because they go back. `local`: with its zone."""
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset() and _exists(local)


def _exists(local: datetime) -> bool:
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None)


def offset_name(when: datetime) -> str:
    """The offset of a time that has one, as the name of a zone: `UTC+02:00`. Seconds are cut off."""
    minutes = round((when.utcoffset() or timedelta()).total_seconds()) // 60
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def local_moment(shown: datetime) -> datetime:
    """A time of this computer's clock, which has no zone, with its offset. Raises ValueError, OverflowError, OSError.

    Of a time that comes twice, `fold` chooses. A time that the clocks leave out counts on from before the change, as
    PEP 495 says; `astimezone` of older versions of Python counts back (python/cpython issue 83861).
    """
    return datetime.fromtimestamp(shown.timestamp(), UTC).astimezone()
