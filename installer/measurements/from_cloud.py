"""What the cloud says, as rows of the store: exact numbers, times with their zone, device or person: pure.

Sources: `withings-cloud.md` §4. An entry that no row can be made of gives none. Everything that the cloud numbers (a
group, a night, a day) is one `period`: when it is corrected or grows, its newer values take the place of the older.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from installer.catalogue.catalogue import Catalogue
from installer.cloud.api_models import Day, Group, Measure, Night
from installer.cloud.first_measurement import TYPED, moment
from installer.measurements import units
from installer.measurements.row import CLOUD, Origin, Row, row

REAL = 1
MAX_NUMBER = 10**15
SMALLEST = 1e-15
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


@dataclass(frozen=True)
class Owner:
    """Whose data it is: the name of the account here, and the cloud's user id; and the models that are known."""

    account: str
    userid: str
    catalogue: Catalogue

    def model(self, number: int | None) -> str:
        """The id in the catalogue of the cloud's model number, or an empty text."""
        if number is None:
            return ""
        return next((m.id for m in self.catalogue.models if number in m.cloud.model_ids), "")


def rows(entry: Group | Night | Day, owner: Owner) -> Iterator[Row]:
    """The rows of one entry of the Data API."""
    if isinstance(entry, Group):
        return _group(entry, owner)
    return _night(entry, owner) if isinstance(entry, Night) else _day(entry, owner)


def _group(group: Group, owner: Owner) -> Iterator[Row]:
    taken = moment(group.date) or moment(group.created) or moment(group.modified)
    # Category 2 are wishes of the person, not measurements.
    if taken is None or group.category not in (None, REAL):
        return
    origin: Origin = "person" if group.attrib in TYPED else "device"
    model = owner.model(group.model_id)
    seen: Counter[str] = Counter()
    for measure in group.measures:
        kind, unit = _kind(measure)
        seen[kind] += 1
        again = f" {seen[kind]}" if seen[kind] > 1 else ""
        yield row(
            source=CLOUD,
            device=group.device_id,
            kind=kind,
            measured=measure.real,
            unit=unit,
            taken=taken,
            user=owner.userid,
            account=owner.account,
            model=model,
            group=group.group_id,
            origin=origin,
            period=f"group {group.group_id}{again}" if group.group_id else "",
            modified=group.modified or group.created or 0,
        )


def _kind(measure: Measure) -> tuple[str, str]:
    kind, unit = units.MEASURE_TYPES.get(measure.type, (f"type {measure.type}", ""))
    return (kind if measure.position is None else f"{kind}, position {measure.position}"), unit


def _night(night: Night, owner: Owner) -> Iterator[Row]:
    start, end = moment(night.startdate), moment(night.enddate)
    if start is None:
        return
    for field, value in night.data.items():
        number = _decimal(value)
        if number is None:
            continue
        kind, unit = units.NIGHT_FIELDS.get(field, (field.replace("_", " ")[:100], ""))
        yield row(
            source=CLOUD,
            device=night.device_id,
            kind=kind,
            measured=number,
            unit=unit,
            taken=start,
            ended=end if end is not None and end >= start else None,
            user=owner.userid,
            account=owner.account,
            model=owner.model(night.model_id),
            group=night.id,
            period=f"night {night.id or start.isoformat()}",
            modified=night.modified or night.created or 0,
        )


def _day(day: Day, owner: Owner) -> Iterator[Row]:
    # A phone that counts steps too would pass for a device otherwise (§4.3).
    if not day.is_tracker and not day.device_id:
        return
    when = _stretch(day.date, day.timezone)
    if when is None:
        return
    for field, (kind, unit) in units.DAY_FIELDS.items():
        number = _decimal(day.values.get(field))
        if number is None:
            continue
        yield row(
            source=CLOUD,
            device=day.device_id,
            kind=kind,
            measured=number,
            unit=unit,
            taken=when[0],
            ended=when[1],
            user=owner.userid,
            account=owner.account,
            model=owner.model(day.model_id),
            group=f"day {day.date}",
            period=f"day {day.date}",
            modified=day.modified or 0,
        )


def _stretch(text: str, zone: str) -> tuple[datetime, datetime] | None:
    """Midnight to midnight of a date (YYYY-MM-DD) there, which are not always 24 hours apart."""
    try:
        first = date.fromisoformat(text)
        there = _zone(zone)
        midnights = [datetime.combine(day, time(), there).astimezone(UTC) for day in (first, first + timedelta(days=1))]
    except (ValueError, OverflowError):
        return None
    return midnights[0], midnights[1]


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _decimal(value: Any) -> Decimal | None:
    """A number as it was written (up to the 15 digits that JSON's numbers are read with), or None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    if not -MAX_NUMBER < value < MAX_NUMBER:  # also false for what is not a number
        return None
    # Smaller than this is the noise of a calculation.
    return Decimal(repr(value)) if value == 0 or abs(value) >= SMALLEST else Decimal(0)
