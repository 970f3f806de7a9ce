"""Measurements of lab devices: their values, their bytes in the standard GATT characteristics, their cloud form.

Layouts from the SIG's documents, shared with nothing in the installer: Weight Scale Service 1.0 (0x2A9D, 0x2A9E),
Blood Pressure Service 1.1 (0x2A35, 0x2A49), Health Thermometer Service 1.0 (0x2A1C), Heart Rate Service 1.0 (0x2A37),
SFLOAT/FLOAT of IEEE 11073-20601, Date Time 0x2A08 (local time). Step Counter Activity Summary Data (0x2B40) of the
Physical Activity Monitor Service 1.0: header u8 (bit 0 first segment, bit 1 last segment), flags u8 (0x01 normal
walking steps, 0x02 intensity steps, 0x04 floor steps, 0x08 distance, 0x10 worn duration), session u16, sub-session
u16, relative timestamp u32 (s), sequence number u32, then u24 for each flag: as the public Python package
bluetooth-sig gives it (an older version of it has another layout, which does not fit the service's document).
"""

from __future__ import annotations

import random
import struct
import time
from dataclasses import dataclass, field
from typing import Any

from installer.lab.kinds import Kind, Profile

INDICATE, NOTIFY, READ = "indicate", "notify", "read"


@dataclass(frozen=True)
class ProfileLayout:
    """A GATT service: its measurement characteristic with how it is sent, and what can be read of it."""

    service: int
    measurement: int
    sends: str
    reads: dict[int, bytes] = field(default_factory=dict)


LAYOUTS: dict[Profile, ProfileLayout] = {
    # Features: timestamp supported; weight resolution 0.005 kg (7 in bits 3 to 6).
    "weight": ProfileLayout(0x181D, 0x2A9D, INDICATE, {0x2A9E: struct.pack("<I", 0x01 | 7 << 3)}),
    "blood-pressure": ProfileLayout(0x1810, 0x2A35, INDICATE, {0x2A49: struct.pack("<H", 0)}),
    # Temperature type: body (general).
    "temperature": ProfileLayout(0x1809, 0x2A1C, INDICATE, {0x2A1D: b"\x02"}),
    "heart-rate": ProfileLayout(0x180D, 0x2A37, NOTIFY, {0x2A38: b"\x02"}),
    "steps": ProfileLayout(0x183E, 0x2B40, INDICATE, {0x2B3B: struct.pack("<I", 1 << 4)}),
}


@dataclass(frozen=True)
class Measurement:
    """One act of measuring. `taken`: unix seconds, whole. `values`: weight (kg), fat_ratio (%), systolic and
    diastolic (mmHg), pulse (1/min), temperature (°C), steps, distance (m), asleep (s)."""

    number: int
    taken: int
    values: dict[str, float]

    def describe(self) -> dict[str, Any]:
        """What `/lab/state` shows."""
        return {"number": self.number, "taken": self.taken, **self.values}


def measure(kind: Kind, seed: str, number: int, taken: float) -> Measurement:
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
    return Measurement(number, int(taken), values)


def encode(profile: Profile, measurement: Measurement) -> bytes:
    """The value of the profile's measurement characteristic."""
    values, when = measurement.values, date_time(measurement.taken)
    if profile == "weight":
        return struct.pack("<BH", 0x02, round(values["weight"] / 0.005)) + when
    if profile == "blood-pressure":
        systolic, diastolic = int(values["systolic"]), int(values["diastolic"])
        mean = diastolic + (systolic - diastolic) // 3
        pressures = sfloat(systolic) + sfloat(diastolic) + sfloat(mean)
        return b"\x06" + pressures + when + sfloat(int(values["pulse"]))
    if profile == "temperature":
        return b"\x06" + float32(round(values["temperature"] * 10), -1) + when + b"\x02"
    if profile == "heart-rate":
        return bytes((0x00, int(values["pulse"])))
    steps, distance = int(values["steps"]), int(values["distance"])
    head = struct.pack("<BBHHII", 0x03, 0x01 | 0x08, 1, 1, 0, measurement.number)
    return head + steps.to_bytes(3, "little") + distance.to_bytes(3, "little")


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


def date_time(unix: int) -> bytes:
    """Date Time (0x2A08) in local time."""
    t = time.localtime(unix)
    return struct.pack("<HBBBBB", t.tm_year, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, min(t.tm_sec, 59))


def sfloat(mantissa: int, exponent: int = 0) -> bytes:
    """IEEE 11073 SFLOAT: 12 bits of mantissa, 4 bits of exponent to the base of ten."""
    return struct.pack("<H", mantissa & 0x0FFF | (exponent & 0x0F) << 12)


def float32(mantissa: int, exponent: int) -> bytes:
    """IEEE 11073 FLOAT: 24 bits of mantissa, 8 bits of exponent to the base of ten."""
    return struct.pack("<I", mantissa & 0xFFFFFF | (exponent & 0xFF) << 24)
