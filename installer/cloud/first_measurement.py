"""The first measurement: which entry of the cloud proves that a device delivers data (`withings-cloud.md` §4). Pure.

The rule of §4.1: a real value (category 1), not typed by a person (attrib 2 and 4), from this device, with what its
model measures. Without the rule, the values that a person types when signing up would count as a measurement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from installer.catalogue.model import DataService, Model
from installer.cloud.api_models import Day, Group, Night, to_datetime
from installer.cloud.data_api import parse_entries
from installer.cloud.measure_types import (
    MEASURE_TYPES,
    READING_TYPES,
    REAL_CATEGORY,
    REQUIRED_TOGETHER,
    TYPED_ATTRIBS,
)
from installer.measurement import SECOND, STEPS, Measurement, Quantity, Reading

SLEEP_MAT = 32

# The fields to ask for.
REQUEST_FIELDS: dict[DataService, Mapping[str, str]] = {
    DataService.MEASURES: {"category": str(REAL_CATEGORY)},
    DataService.SLEEP: {"data_fields": "total_sleep_time,total_timeinbed"},
    DataService.ACTIVITY: {"data_fields": "steps,distance,calories"},
}

# When it reached the cloud (unix seconds, 0: unknown), and what was measured.
Arrival = tuple[float, Measurement]


def first_measurement(model: Model, device_id: str, since: float, body: Mapping[str, Any]) -> Measurement | None:
    """The earliest measurement in one answer of the model's data service, or None.

    `since`: unix seconds of the cloud's clock.
    """
    service = model.cloud.data
    arrivals: list[Arrival] = []
    for entry in parse_entries(service, body) if service is not None else ():
        match entry:
            case Group():
                found = _from_group(model, device_id, since, entry)
            case Night():
                found = _from_night(device_id, since, entry)
            case Day():
                found = _from_day(device_id, since, entry)
        if found is not None:
            arrivals.append(found)
    return min(arrivals, key=lambda arrival: arrival[0])[1] if arrivals else None


def _from_group(model: Model, device_id: str, since: float, group: Group) -> Arrival | None:
    types = model.cloud.measure_types
    needed = REQUIRED_TOGETHER.get(types[0], frozenset(types[:1])) if types else frozenset[int]()
    if group.category != REAL_CATEGORY or group.attrib in TYPED_ATTRIBS or group.device_id != device_id:
        return None
    # `date` may be earlier: the device had stored the measurement. An old group that was changed is not new.
    arrived = group.created if group.created is not None else group.modified
    if arrived is not None and arrived < since:
        return None
    values = {m.type: m.real for m in group.measures}
    if not values or not needed <= set(values):
        return None
    return arrived or 0, Measurement(readings=_readings(values, types), taken=to_datetime(group.date))


def _readings(values: Mapping[int, Decimal], types: Sequence[int]) -> tuple[Reading, ...]:
    readings: dict[Quantity, Reading] = {}
    for number, quantity in READING_TYPES.items():
        if number in values and quantity not in readings:
            readings[quantity] = Reading(quantity=quantity, value=values[number], unit=MEASURE_TYPES[number][1])
    if readings:
        return tuple(readings.values())
    shown = next((t for t in types if t in values), next(iter(values)))
    return (Reading(quantity=Quantity.OTHER, value=values[shown], unit=""),)


def _from_night(device_id: str, since: float, night: Night) -> Arrival | None:
    if night.model != SLEEP_MAT or night.device_id not in ("", device_id):
        return None
    arrived = night.created if night.created is not None else night.modified
    if (arrived is not None and arrived < since) or night.asleep is None or night.asleep < 0:
        return None
    reading = Reading(quantity=Quantity.SLEEP, value=Decimal(night.asleep), unit=SECOND)
    return arrived or 0, Measurement(readings=(reading,), taken=to_datetime(night.enddate))


def _from_day(device_id: str, since: float, day: Day) -> Arrival | None:
    if not day.is_tracker or day.device_id != device_id or day.steps is None or day.steps < 0:
        return None
    if day.modified is not None and day.modified < since:
        return None
    reading = Reading(quantity=Quantity.STEPS, value=Decimal(day.steps), unit=STEPS)
    return day.modified or 0, Measurement(readings=(reading,), taken=to_datetime(day.modified))
