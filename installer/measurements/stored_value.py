"""One stored value, with a key so that it is never stored twice. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from installer.measurement import Measurement
from installer.measurements import units
from installer.timing.zones import known_zone, offset_name

CLOUD, BLUETOOTH = "cloud", "bluetooth"
Origin = Literal["device", "person"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One value that was measured.

    `source`: `cloud` or `bluetooth`. `device`: the cloud's device id or the Bluetooth address; empty if not known.
    `model`: id in the catalogue, or empty. `kind`: what was measured (`installer.measurements.units`). `value`, `unit`:
    exact, in the canonical unit; `measured`, `measured_unit`: as received. `taken`: when, with a time zone; for a night
    or a day its start, and `ended` its end. `user`: the cloud's user id, or the device's number of the user.
    `account`: the account's name here. `group`: the same for all values of one measurement. `origin`: measured by a
    device or typed by a person. `period`: the day, the night or the cloud's group, whose values can change; a newer one
    (`modified`, unix seconds) replaces the older one. `zone`: the person's time zone as the cloud named it; over
    Bluetooth this computer's offset then (`UTC+02:00`); None if an earlier version stored the row, which kept no zone.
    `zone_known`: whether this program knew the zone; if not, a day has the hours of the UTC day. `day`: the person's
    own day (YYYY-MM-DD; of a night the one of waking up), empty if not known.
    """

    source: str
    device: str
    kind: str
    value: Decimal
    unit: str
    measured: Decimal
    measured_unit: str
    taken: datetime
    ended: datetime | None = None
    user: str = ""
    account: str = ""
    model: str = ""
    group: str = ""
    origin: Origin = "device"
    period: str = ""
    modified: int = 0
    zone: str | None = ""
    zone_known: bool = False
    day: str = ""
    key: str = field(init=False, repr=False, compare=False, default="")

    def __post_init__(self) -> None:
        if self.taken.tzinfo is None:
            raise ValueError("the time of a measurement needs a time zone")
        object.__setattr__(self, "taken", self.taken.astimezone(UTC))
        if self.ended is not None:
            object.__setattr__(self, "ended", self.ended.astimezone(UTC))
        identity = self.period or [self.taken.isoformat(), f"{units.plain_decimal(self.value):f}", self.unit]
        text = json.dumps([self.source, self.device, self.kind, self.user, identity])
        object.__setattr__(self, "key", hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())

    def local(self, when: datetime) -> datetime | None:
        """A time of this row on the person's own clock, with its offset; None if the zone is not known."""
        zone = known_zone(self.zone) if self.zone else None
        try:
            return when.astimezone(zone) if zone is not None else None
        except OverflowError:
            return None

    def as_json(self) -> dict[str, Any]:
        """The fields for JSON: exact numbers as texts, times as ISO 8601 in UTC and on the person's own clock."""
        times = {"taken": self.taken, "ended": self.ended}
        local = {name: self.local(when) if when is not None else None for name, when in times.items()}
        return {
            "source": self.source,
            "account": self.account,
            "user": self.user,
            "device": self.device,
            "model": self.model,
            "kind": self.kind,
            "value": f"{self.value:f}",
            "unit": self.unit,
            "measured": f"{self.measured:f}",
            "measured_unit": self.measured_unit,
            "taken": self.taken.isoformat(),
            "ended": self.ended.isoformat() if self.ended is not None else None,
            "group": self.group,
            "origin": self.origin,
            "period": self.period,
            "modified": self.modified,
            "day": self.day,
            "zone": self.zone or "",
            "zone_known": self.zone_known,
            **{f"{name}_local": when.isoformat() if when is not None else None for name, when in local.items()},
        }


def row(*, source: str, device: str, kind: str, measured: Decimal, unit: str, taken: datetime, **more: Any) -> Row:
    """A row for a value in any unit; `more` as in `Row`."""
    value, canonical = units.canonical(measured, unit)
    return Row(
        source=source,
        device=device,
        kind=kind,
        value=value,
        unit=canonical,
        measured=units.plain_decimal(measured),
        measured_unit=unit,
        taken=taken,
        **more,
    )


def of_measurement(
    measurement: Measurement, *, source: str, device: str, received: datetime, **more: Any
) -> Iterator[Row]:
    """The rows of one measurement. `received` is used if the device gave no time. `more` as in `Row`.

    `user` is the device's number of the user, unless `more` has one. A device gives no time zone. It is near this
    computer, so the times have this computer's offset.
    """
    taken = measurement.taken or received
    if measurement.user is not None:
        more = {"user": str(measurement.user), **more}
    for reading in measurement.readings:
        yield row(
            source=source,
            device=device,
            kind=reading.quantity.value,
            measured=reading.value,
            unit=reading.unit,
            taken=taken,
            zone=offset_name(taken),
            zone_known=True,
            day=taken.date().isoformat(),
            **more,
        )
