"""A measurement as the program shows and compares it, wherever it came from."""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict


class Quantity(enum.StrEnum):
    """What was measured. The unit belongs to the reading."""

    WEIGHT = "weight"
    FAT_RATIO = "fat ratio"
    SYSTOLIC = "systolic pressure"
    DIASTOLIC = "diastolic pressure"
    PULSE = "pulse"
    TEMPERATURE = "temperature"
    STEPS = "steps"
    SLEEP = "time asleep"
    OTHER = "other"


class Reading(BaseModel):
    """One number with its unit (`kg`, `lb`, `mmHg`, `kPa`, `°C`, `°F`, `1/min`, `%`, `steps`, `s`)."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    quantity: Quantity
    value: Decimal
    unit: str

    def __str__(self) -> str:
        return f"{self.quantity} {self.value.normalize():f} {self.unit}".replace("steps", "", 1).strip()


class Measurement(BaseModel):
    """All readings of one act of measuring. `taken`: when, if the device knows the time.

    `user`: which of the device's users, by the device's own number; None if it does not say.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    readings: tuple[Reading, ...]
    taken: datetime | None = None
    user: int | None = None

    def __str__(self) -> str:
        return ", ".join(str(r) for r in self.readings)
