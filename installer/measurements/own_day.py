"""Puts a value on the person's own day, by the person's time zone; marks a zone that is not known. Pure.

A day of the cloud (`withings-cloud.md` §4.3) is a date and the name of a zone. Its hours follow from both. With a zone
that this computer does not know, it keeps the date and gets the hours of the UTC day until the zone is known (`moved`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from installer.timing import zones

DAY_PERIOD = "day "

# The fields of a row that this module computes: `zone`, `zone_known`, `day`, and for a whole day `taken` and `ended`.
Place = dict[str, Any]


def of_moment(when: datetime, zone_name: str, date_of_cloud: str = "") -> Place:
    """The day of a moment. `date_of_cloud`: the day that the cloud gave it, which counts if it is a date."""
    zone = zones.known_zone(zone_name)
    computed = zones.day_of(when, zone) if zone is not None else ""
    return {"zone": zone_name, "zone_known": zone is not None, "day": _date(date_of_cloud) or computed}


def of_day(text: str, zone_name: str) -> Place | None:
    """A whole day (YYYY-MM-DD): with `taken` and `ended`, its first moment and that of the next day. None: no date."""
    zone = zones.known_zone(zone_name)
    try:
        day = date.fromisoformat(text)
        first, next_first = zones.day_bounds(day, zone if zone is not None else UTC)
    except (ValueError, OverflowError):
        return None
    bounds = {"taken": first, "ended": next_first}
    return {"zone": zone_name, "zone_known": zone is not None, "day": day.isoformat(), **bounds}


def moved(period: str, taken: datetime, ended: datetime | None, day: str, zone_name: str) -> Place:
    """What changes in a stored row now that its zone is known."""
    if period.startswith(DAY_PERIOD):
        place = of_day(period.removeprefix(DAY_PERIOD), zone_name)
        if place is not None:
            return place
    return of_moment(ended or taken, zone_name, day)


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return ""
