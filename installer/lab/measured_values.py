"""What lab devices measure: the values, in words, and their form in the cloud.

The bytes in which they tell it over Bluetooth are in `health_bytes`.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

from installer.lab.models import UNITS, Kind, Unit

KILOGRAMS_OF_A_POUND = 0.45359237
MERCURY_OF_A_KILOPASCAL = 1000 / 133.322387415


@dataclass(frozen=True)
class Measurement:
    """One act of measuring.

    `taken`: unix seconds, whole. `values`: weight, muscle_mass, fat_free_mass, water_mass (kg), fat_ratio (%),
    impedance (ohm), basal (kJ), systolic and diastolic (mmHg), pulse (1/min), temperature (°C), steps, distance (m),
    asleep (s). `unit`: what the device shows instead of the first of these. `user`: its number, where the device
    tells its users apart. `height` (m): where a scale was told it.
    """

    number: int
    taken: int
    values: dict[str, float]
    unit: Unit | None = None
    user: int | None = None
    height: float | None = None

    def describe(self) -> dict[str, Any]:
        """What `/lab/state` shows."""
        return {
            "number": self.number,
            "taken": self.taken,
            "user": self.user,
            "unit": self.unit,
            "text": self.words(),
            **self.values,
        }

    def words(self) -> str:
        """What stands on the device's display."""
        values = self.values
        parts = []
        if "weight" in values:
            pounds = self.unit == "lb"
            weight = values["weight"] / KILOGRAMS_OF_A_POUND if pounds else values["weight"]
            parts.append(f"{weight:.1f} lb" if pounds else f"{weight:.2f} kg")
        if "fat_ratio" in values:
            parts.append(f"{values['fat_ratio']:.1f} % fat")
        if "systolic" in values:
            factor, digits, unit = (MERCURY_OF_A_KILOPASCAL, 1, "kPa") if self.unit == "kPa" else (1, 0, "mmHg")
            parts.append(f"{values['systolic'] / factor:.{digits}f}/{values['diastolic'] / factor:.{digits}f} {unit}")
        if "temperature" in values:
            warm = values["temperature"]
            parts.append(f"{warm * 9 / 5 + 32:.1f} °F" if self.unit == "°F" else f"{warm:.1f} °C")
        if "steps" in values:
            parts.append(f"{values['steps']:.0f} steps")
        if "asleep" in values:
            parts.append(f"{values['asleep'] // 3600:.0f} h {values['asleep'] % 3600 // 60:.0f} min asleep")
        if "pulse" in values:
            parts.append(f"pulse {values['pulse']:.0f}")
        return ", ".join(parts) + (f" (user {self.user})" if self.user is not None else "")


def measure(
    kind: Kind, seed: str, number: int, taken: float, unit: Unit | None = None, user: int | None = None
) -> Measurement:
    """The measurement with this number: the same values in every run with the same seed."""
    dice = random.Random(f"{seed}:{number}")
    values: dict[str, float] = {}
    if "weight" in kind.measures:
        # In steps of 0.05 kg, which the characteristic (0.005 kg) and the cloud (g) can both hold.
        values["weight"] = round(60 + dice.randrange(600) * 0.05, 2)
        if kind.body_fat:
            values["fat_ratio"] = round(15 + dice.randrange(150) * 0.1, 1)
    if "blood-pressure" in kind.measures:
        values["systolic"] = 105 + dice.randrange(30)
        values["diastolic"] = 65 + dice.randrange(20)
        values["pulse"] = 55 + dice.randrange(35)
    if "temperature" in kind.measures:
        values["temperature"] = round(36 + dice.randrange(15) * 0.1, 1)
    if "heart-rate" in kind.measures:
        values["pulse"] = 52 + dice.randrange(40)
    if "steps" in kind.measures:
        values["steps"] = 800 * number + dice.randrange(800)
        values["distance"] = round(values["steps"] * 0.7)
    if kind.service == "getsummary":
        values["asleep"] = 6 * 3600 + dice.randrange(120) * 60
    if user is not None and "weight" in values:
        # Each of a scale's users has a weight of their own, which varies a little.
        own = 45 + random.Random(f"{seed}:user {user}").randrange(60)
        values["weight"] = round(own + (values["weight"] - 60) / 30, 2)
    _as_shown(values, unit)
    if "body-composition" in kind.measures:
        lean = values["weight"] * (1 - values["fat_ratio"] / 100)
        values["fat_free_mass"] = round(lean / 0.005) * 0.005
        values["muscle_mass"] = round(lean * 0.94 / 0.005) * 0.005
        values["water_mass"] = round(lean * 0.73 / 0.005) * 0.005
        values["impedance"] = 420 + dice.randrange(1600) * 0.1
        values["basal"] = round(lean * 110)
    return Measurement(number, int(taken), values, unit, user)


def _as_shown(values: dict[str, float], unit: Unit | None) -> None:
    """Round the values as a display in this unit does: a tenth of it is what the device measures."""
    if unit == "lb":
        values["weight"] = round(values["weight"] / KILOGRAMS_OF_A_POUND, 1) * KILOGRAMS_OF_A_POUND
    if unit == "°F":
        values["temperature"] = (round(values["temperature"] * 9 / 5 + 32, 1) - 32) * 5 / 9
    if unit == "kPa":
        for name in ("systolic", "diastolic"):
            values[name] = round(values[name] / MERCURY_OF_A_KILOPASCAL, 1) * MERCURY_OF_A_KILOPASCAL


def units(kind: Kind) -> tuple[Unit, ...]:
    """The units between which the owner of such a device can choose."""
    return tuple(unit for profile in kind.measures for unit in UNITS.get(profile, ()))


def sample(kind: Kind, measurement: Measurement) -> dict[str, Any] | None:
    """The measurement as the cloud stores it (`facts/withings-cloud.md` §4); None for a model without a cloud."""
    if kind.cloud is None:
        return None
    values = measurement.values
    if kind.service == "getsummary":
        asleep = int(values["asleep"])
        data = {"total_sleep_time": asleep, "hr_average": int(values["pulse"]), "sleep_score": 80}
        return {"startdate": measurement.taken - asleep, "enddate": measurement.taken, "data": data}
    if kind.service == "getactivity":
        day = time.strftime("%Y-%m-%d", time.localtime(measurement.taken))
        return {"date": day, "steps": int(values["steps"]), "distance": int(values["distance"])}
    measures = [
        {"type": number, "value": round(values[name] * 10**-unit), "unit": unit}
        for name, number, unit in (
            ("weight", 1, -3),
            ("fat_ratio", 6, -1),
            ("systolic", 10, 0),
            ("diastolic", 9, 0),
            ("pulse", 11, 0),
            ("temperature", 71, -1),
        )
        if name in values
    ]
    return {"measures": measures}
