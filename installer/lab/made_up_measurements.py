"""Made-up measurements of the lab devices: random values, the same in every run with the same seed.

Their bytes for Bluetooth are in `health_characteristics`, their form in the cloud in `measurement_delivery`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from installer.lab.display_units import display_text, round_as_displayed
from installer.lab.models import LabModel, Unit


@dataclass(frozen=True)
class Measurement:
    """One measurement of a lab device.

    `taken`: unix seconds, whole. `values`: weight, muscle_mass, fat_free_mass, water_mass (kg), fat_ratio (%),
    impedance (ohm), basal (kJ), systolic and diastolic (mmHg), pulse (1/min), temperature (°C), steps, distance (m),
    asleep (s). `unit`: the display's unit for the first of these. `user`: the device's user number, if it tells users
    apart. `height` (m): if the scale knows it. `clock`: how many seconds the device's clock was ahead.
    """

    number: int
    taken: int
    values: dict[str, float]
    unit: Unit | None = None
    user: int | None = None
    height: float | None = None
    clock: float = 0.0

    def describe(self) -> dict[str, Any]:
        """The entry in `/lab/state`."""
        return {
            "number": self.number,
            "taken": self.taken,
            "user": self.user,
            "unit": self.unit,
            "text": display_text(self.values, self.unit, self.user),
            **self.values,
        }


def make_up_measurement(
    kind: LabModel, seed: str, number: int, taken: float, unit: Unit | None = None, user: int | None = None
) -> Measurement:
    """The measurement with this number: the same values in every run with the same seed."""
    generator = random.Random(f"{seed}:{number}")
    values: dict[str, float] = {}
    if "weight" in kind.measures:
        # In steps of 0.05 kg: both the characteristic (0.005 kg) and the cloud (g) can store it exactly.
        values["weight"] = round(60 + generator.randrange(600) * 0.05, 2)
        if kind.body_fat:
            values["fat_ratio"] = round(15 + generator.randrange(150) * 0.1, 1)
    if "blood-pressure" in kind.measures:
        values["systolic"] = 105 + generator.randrange(30)
        values["diastolic"] = 65 + generator.randrange(20)
        values["pulse"] = 55 + generator.randrange(35)
    if "temperature" in kind.measures:
        values["temperature"] = round(36 + generator.randrange(15) * 0.1, 1)
    if "heart-rate" in kind.measures:
        values["pulse"] = 52 + generator.randrange(40)
    if "steps" in kind.measures:
        values["steps"] = 800 * number + generator.randrange(800)
        values["distance"] = round(values["steps"] * 0.7)
    if kind.service == "getsummary":
        values["asleep"] = 6 * 3600 + generator.randrange(120) * 60
    if user is not None and "weight" in values:
        # Each user of a scale has a different weight, which varies a little.
        typical = 45 + random.Random(f"{seed}:user {user}").randrange(60)
        values["weight"] = round(typical + (values["weight"] - 60) / 30, 2)
    round_as_displayed(values, unit)
    if "body-composition" in kind.measures:
        lean = values["weight"] * (1 - values["fat_ratio"] / 100)
        values["fat_free_mass"] = round(lean / 0.005) * 0.005
        values["muscle_mass"] = round(lean * 0.94 / 0.005) * 0.005
        values["water_mass"] = round(lean * 0.73 / 0.005) * 0.005
        values["impedance"] = 420 + generator.randrange(1600) * 0.1
        values["basal"] = round(lean * 110)
    return Measurement(number, int(taken), values, unit, user)
