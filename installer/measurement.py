"""A measurement from any source (device or cloud), with its quantities and units."""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from installer.timing.durations import hours_and_minutes

# Units.
KILOGRAM, PERCENT, MERCURY, PER_MINUTE, CELSIUS = "kg", "%", "mmHg", "1/min", "°C"
SECOND, METRE, STEPS, KILOCALORIE = "s", "m", "steps", "kcal"
MILLISECOND, YEAR = "ms", "years"


class Quantity(enum.StrEnum):
    """What was measured. The unit belongs to the reading."""

    WEIGHT = "weight"
    HEIGHT = "height"
    BODY_MASS_INDEX = "body mass index"
    FAT_RATIO = "fat ratio"
    FAT_FREE_MASS = "fat-free mass"
    MUSCLE_MASS = "muscle mass"
    MUSCLE_RATIO = "muscle ratio"
    SOFT_LEAN_MASS = "soft lean mass"
    WATER_MASS = "hydration"
    IMPEDANCE = "impedance"
    BASAL_METABOLISM = "basal metabolic rate"
    SYSTOLIC = "systolic pressure"
    DIASTOLIC = "diastolic pressure"
    MEAN_PRESSURE = "mean pressure"
    PULSE = "pulse"
    ENERGY = "active energy"
    TEMPERATURE = "temperature"
    STEPS = "steps"
    DISTANCE = "distance"
    WORN = "time worn"
    SLEEP = "time asleep"
    OTHER = "other"


class Reading(BaseModel):
    """One number with its unit.

    Units: `kg`, `lb`, `m`, `in`, `kg/m²`, `%`, `ohm`, `mmHg`, `kPa`, `1/min`, `°C`, `°F`, `kJ`, `kcal`, `steps`, `s`.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    quantity: Quantity
    value: Decimal
    unit: str

    def __str__(self) -> str:
        amount = hours_and_minutes(self.value) if self.unit == "s" else f"{self.value.normalize():f} {self.unit}"
        return f"{self.quantity} {amount}".replace("steps", "", 1).strip()


class Measurement(BaseModel):
    """All readings of one act of measuring.

    `taken`: when, as well as this program knows it, with a time zone; None if the device does not say.
    `device_time`: what the device's clock showed then, without a time zone; `received`: when it reached this program.
    `user`: which of the device's users, by the device's own number; None if it does not say.
    `status`: what the device finds remarkable ("irregular pulse"); `site`: where on the body ("ear").
    `intervals`: between heartbeats, in seconds. `sequence`: the device's own count, where it counts.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    readings: tuple[Reading, ...]
    taken: datetime | None = None
    user: int | None = None
    device_time: datetime | None = None
    received: datetime | None = None
    status: tuple[str, ...] = ()
    site: str = ""
    intervals: tuple[Decimal, ...] = ()
    sequence: int | None = None

    def __str__(self) -> str:
        status = f" ({', '.join(self.status)})" if self.status else ""
        return ", ".join(str(r) for r in self.readings) + status
