"""Converts the cloud's entries to rows of the store. Numbers stay exact, and the time zone stays as the cloud named it.

Source: `withings-cloud.md` §4. An unusable entry gives no row. A group, a night and a day are each one `period`: when
the cloud corrects or extends it, the newer values replace the older ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from installer.catalogue.catalogue_file import Catalogue
from installer.cloud import measure_types
from installer.cloud.api_models import Day, Group, Measure, Night, to_datetime
from installer.measurements import own_day
from installer.measurements.stored_value import CLOUD, Origin, Row, row

MAX_NUMBER = 10**15
SMALLEST_NUMBER = 1e-15
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


@dataclass(frozen=True)
class Owner:
    """The owner of the data: the account's name here, the cloud's user id; and the catalogue of known models."""

    account: str
    userid: str
    catalogue: Catalogue

    def model(self, number: int | None) -> str:
        """The catalogue's model id for the cloud's model number, or an empty text."""
        if number is None:
            return ""
        return next((m.id for m in self.catalogue.models if number in m.cloud.model_ids), "")


def rows(entry: Group | Night | Day, owner: Owner, zone: str = "") -> Iterator[Row]:
    """The rows of one entry of the Data API. `zone`: the name of the person's time zone, as the page has it."""
    if isinstance(entry, Group):
        return _group(entry, owner, zone)
    return _night(entry, owner, zone) if isinstance(entry, Night) else _day(entry, owner, zone)


def _group(group: Group, owner: Owner, zone: str) -> Iterator[Row]:
    taken = to_datetime(group.date) or to_datetime(group.created) or to_datetime(group.modified)
    # Category 2 are goals that the user set, not measurements.
    if taken is None or group.category not in (None, measure_types.REAL_CATEGORY):
        return
    origin: Origin = "person" if group.attrib in measure_types.TYPED_ATTRIBS else "device"
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
            **own_day.of_moment(taken, zone),
        )


def _kind(measure: Measure) -> tuple[str, str]:
    kind, unit = measure_types.MEASURE_TYPES.get(measure.type, (f"type {measure.type}", ""))
    return (kind if measure.position is None else f"{kind}, position {measure.position}"), unit


def _night(night: Night, owner: Owner, zone: str) -> Iterator[Row]:
    start, end = to_datetime(night.startdate), to_datetime(night.enddate)
    if start is None:
        return
    ended = end if end is not None and end >= start else None
    place = own_day.of_moment(ended or start, night.timezone or zone, night.date)
    for field, value in night.data.items():
        number = _decimal(value)
        if number is None:
            continue
        kind, unit = measure_types.NIGHT_FIELDS.get(field, (field.replace("_", " ")[:100], ""))
        yield row(
            source=CLOUD,
            device=night.device_id,
            kind=kind,
            measured=number,
            unit=unit,
            taken=start,
            ended=ended,
            user=owner.userid,
            account=owner.account,
            model=owner.model(night.model_id),
            group=night.id,
            period=f"night {night.id or start.isoformat()}",
            modified=night.modified or night.created or 0,
            **place,
        )


def _day(day: Day, owner: Owner, zone: str) -> Iterator[Row]:
    # Steps that a phone counted are left out (§4.3).
    if not day.is_tracker and not day.device_id:
        return
    place = own_day.of_day(day.date, day.timezone or zone)
    if place is None:
        return
    for field, (kind, unit) in measure_types.DAY_FIELDS.items():
        number = _decimal(day.values.get(field))
        if number is None:
            continue
        yield row(
            source=CLOUD,
            device=day.device_id,
            kind=kind,
            measured=number,
            unit=unit,
            user=owner.userid,
            account=owner.account,
            model=owner.model(day.model_id),
            group=f"day {day.date}",
            period=f"{own_day.DAY_PERIOD}{day.date}",
            modified=day.modified or 0,
            **place,
        )


def _decimal(value: Any) -> Decimal | None:
    """A number with the digits it was written with (at most 15, as JSON numbers are read); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    if not -MAX_NUMBER < value < MAX_NUMBER:  # also false for NaN
        return None
    # Smaller values are rounding errors.
    return Decimal(repr(value)) if value == 0 or abs(value) >= SMALLEST_NUMBER else Decimal(0)
