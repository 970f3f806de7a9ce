"""Which entry of the cloud proves that this device delivers data, and what it measured (`withings-cloud.md` §4): pure.

The first-data rule of §4.1: real (category 1), not typed by the person (attrib 2 and 4), from this very device,
and with what its model measures. What a person types when signing up would otherwise pass for a measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from installer.catalogue.catalogue import DataService, Model
from installer.cloud.api_models import Day, Group, Night, entries
from installer.measurement import Measurement, Quantity, Reading

TYPED = (2, 4)
SLEEP_MAT = 32

# meastype: quantity and unit, in the order in which they are shown.
_QUANTITIES: dict[int, tuple[Quantity, str]] = {
    1: (Quantity.WEIGHT, "kg"),
    6: (Quantity.FAT_RATIO, "%"),
    10: (Quantity.SYSTOLIC, "mmHg"),
    9: (Quantity.DIASTOLIC, "mmHg"),
    11: (Quantity.PULSE, "1/min"),
    71: (Quantity.TEMPERATURE, "°C"),
    12: (Quantity.TEMPERATURE, "°C"),
}
# One pressure without the other is no blood pressure.
_TOGETHER: dict[int, frozenset[int]] = {9: frozenset({9, 10}), 10: frozenset({9, 10})}

# Where each kind of data is: service, action, and the fields asked for.
CALLS: dict[DataService, tuple[str, str, Mapping[str, str]]] = {
    DataService.MEASURES: ("/measure", "getmeas", {"category": "1"}),
    DataService.SLEEP: ("/v2/sleep", "getsummary", {"data_fields": "total_sleep_time,total_timeinbed"}),
    DataService.ACTIVITY: ("/v2/measure", "getactivity", {"data_fields": "steps,distance,calories"}),
}


def first(model: Model, device_id: str, since: float, body: Mapping[str, Any]) -> Measurement | None:
    """The earliest proof in one answer of the model's data service, or None. `since`: unix seconds, the cloud's."""
    match model.cloud.data:
        case DataService.MEASURES:
            return _earliest(_groups(model, device_id, since, entries(Group, body, "measuregrps")))
        case DataService.SLEEP:
            return _earliest(_nights(device_id, since, entries(Night, body, "series")))
        case DataService.ACTIVITY:
            return _earliest(_days(device_id, since, entries(Day, body, "activities")))
        case None:
            return None


Proof = tuple[float, Measurement]


def _earliest(proofs: Iterable[Proof]) -> Measurement | None:
    found = sorted(proofs, key=lambda proof: proof[0])
    return found[0][1] if found else None


def _groups(model: Model, device_id: str, since: float, groups: Iterable[Group]) -> Iterable[Proof]:
    types = model.cloud.measure_types
    needed = _TOGETHER.get(types[0], frozenset(types[:1])) if types else frozenset[int]()
    for group in groups:
        if group.category != 1 or group.attrib in TYPED or group.device_id != device_id:
            continue
        # `date` may be earlier: a reading that the device had stored. An old group that was changed is not new.
        arrived = group.created if group.created is not None else group.modified
        if arrived is not None and arrived < since:
            continue
        values = {m.type: m.real for m in group.measures}
        if not values or not needed <= set(values):
            continue
        yield arrived or 0, Measurement(readings=_readings(values, types), taken=moment(group.date))


def _readings(values: Mapping[int, Decimal], types: Sequence[int]) -> tuple[Reading, ...]:
    readings: dict[Quantity, Reading] = {}
    for kind, (quantity, unit) in _QUANTITIES.items():
        if kind in values and quantity not in readings:
            readings[quantity] = Reading(quantity=quantity, value=values[kind], unit=unit)
    if readings:
        return tuple(readings.values())
    shown = next((t for t in types if t in values), next(iter(values)))
    return (Reading(quantity=Quantity.OTHER, value=values[shown], unit=""),)


def _nights(device_id: str, since: float, nights: Iterable[Night]) -> Iterable[Proof]:
    for night in nights:
        if night.model != SLEEP_MAT or night.device_id not in ("", device_id):
            continue
        arrived = night.created if night.created is not None else night.modified
        if (arrived is not None and arrived < since) or night.asleep is None or night.asleep < 0:
            continue
        reading = Reading(quantity=Quantity.SLEEP, value=Decimal(night.asleep), unit="s")
        yield arrived or 0, Measurement(readings=(reading,), taken=moment(night.enddate))


def _days(device_id: str, since: float, days: Iterable[Day]) -> Iterable[Proof]:
    for day in days:
        if not day.is_tracker or day.device_id != device_id or day.steps is None or day.steps < 0:
            continue
        if day.modified is not None and day.modified < since:
            continue
        reading = Reading(quantity=Quantity.STEPS, value=Decimal(day.steps), unit="steps")
        yield day.modified or 0, Measurement(readings=(reading,), taken=moment(day.modified))


def moment(seconds: int | None) -> datetime | None:
    """The cloud's unix seconds as a time, or None for a number that is none."""
    # Beyond these the calendar ends; such a number is no time.
    if seconds is None or not 0 < seconds < 253_402_300_800:
        return None
    return datetime.fromtimestamp(seconds, UTC)
