"""One stored value, and the natural key by which it is never stored twice: pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from installer.measurement import Measurement
from installer.measurements import units

CLOUD, BLUETOOTH = "cloud", "bluetooth"
Origin = Literal["device", "person"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One value that was measured.

    `source`: where this program has it from (`cloud`, `bluetooth`). `device`: the cloud's id of the device or its
    Bluetooth address; empty where nobody tells. `model`: id in the catalogue, or empty. `kind`: what was measured
    (`installer.measurements.units`). `value`, `unit`: exact, in the canonical unit; `measured`, `measured_unit`: as it
    came. `taken`: when, with a time zone; for a night or a day its beginning, and `ended` its end. `user`: the cloud's
    user id, or the number of the user on the device. `account`: the name of the account here. `group`: what belongs to
    one act of measuring has the same. `origin`: whether a device measured it or a person typed it. `period`: for
    what grows (a day, a night) or can be corrected (a group of the cloud) which one it is; a newer one (`modified`,
    unix seconds) takes its place.
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
    key: str = field(init=False, repr=False, compare=False, default="")

    def __post_init__(self) -> None:
        if self.taken.tzinfo is None:
            raise ValueError("the time of a measurement needs a time zone")
        object.__setattr__(self, "taken", self.taken.astimezone(UTC))
        if self.ended is not None:
            object.__setattr__(self, "ended", self.ended.astimezone(UTC))
        own = self.period or [self.taken.isoformat(), f"{units.plain(self.value):f}", self.unit]
        text = json.dumps([self.source, self.device, self.kind, self.user, own])
        object.__setattr__(self, "key", hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())

    def plain(self) -> dict[str, Any]:
        """As JSON has it: numbers that stay exact are texts, times are ISO 8601 in UTC."""
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
        }

    def of(self, **changes: Any) -> Row:
        """The same with other fields."""
        return replace(self, **changes)


def row(*, source: str, device: str, kind: str, measured: Decimal, unit: str, taken: datetime, **more: Any) -> Row:
    """A row of a value in any unit; `more` as in `Row`."""
    value, canonical = units.canonical(measured, unit)
    return Row(
        source=source,
        device=device,
        kind=kind,
        value=value,
        unit=canonical,
        measured=units.plain(measured),
        measured_unit=unit,
        taken=taken,
        **more,
    )


def of_measurement(
    measurement: Measurement, *, source: str, device: str, received: datetime, **more: Any
) -> Iterator[Row]:
    """The rows of one act of measuring; `received` stands in where the device knows no time. `more` as in `Row`.

    The device's number of the user is the user, unless `more` names another.
    """
    if measurement.user is not None:
        more = {"user": str(measurement.user), **more}
    for reading in measurement.readings:
        yield row(
            source=source,
            device=device,
            kind=reading.quantity.value,
            measured=reading.value,
            unit=reading.unit,
            taken=measurement.taken or received,
            **more,
        )
