"""The lab's encoders for the standard GATT health characteristics, and the other values of their services.

Layouts from the SIG's documents; no code is shared with the installer: Weight Scale Service 1.0 (0x2A9D, 0x2A9E),
Body Composition Service 1.0.1 (0x2A9C, 0x2A9B), Blood Pressure Service 1.1 (0x2A35, 0x2A49), Health Thermometer Service
1.0 (0x2A1C), Heart Rate Service 1.0 (0x2A37), Current Time Service 1.1 (0x2A2B), SFLOAT/FLOAT of IEEE 11073-20601,
Date Time 0x2A08 (local time). Step Counter Activity Summary Data (0x2B40) of the
Physical Activity Monitor Service 1.0: header u8 (bit 0 first segment, bit 1 last segment), flags u8 (0x01 normal
walking steps, 0x02 intensity steps, 0x04 floor steps, 0x08 distance, 0x10 worn duration), session u16, sub-session
u16, relative timestamp u32 (s), sequence number u32, then u24 for each flag: as in the public Python package
bluetooth-sig (an older version of it has another layout, which contradicts the service's document).
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

from installer.lab.display_units import KILOGRAMS_PER_POUND, MMHG_PER_KILOPASCAL
from installer.lab.made_up_measurements import Measurement
from installer.lab.models import Profile

INDICATE, NOTIFY = "indicate", "notify"
CURRENT_TIME_SERVICE, CURRENT_TIME = 0x1805, 0x2A2B


@dataclass(frozen=True)
class ProfileLayout:
    """A GATT service, its measurement characteristic, and how the value is delivered."""

    service: int
    measurement: int
    delivery: str


PROFILE_LAYOUTS: dict[Profile, ProfileLayout] = {
    "weight": ProfileLayout(0x181D, 0x2A9D, INDICATE),
    "body-composition": ProfileLayout(0x181B, 0x2A9C, INDICATE),
    "blood-pressure": ProfileLayout(0x1810, 0x2A35, INDICATE),
    "temperature": ProfileLayout(0x1809, 0x2A1C, INDICATE),
    "heart-rate": ProfileLayout(0x180D, 0x2A37, NOTIFY),
    "steps": ProfileLayout(0x183E, 0x2B40, INDICATE),
}


def readable_values(profile: Profile, users: bool) -> dict[int, bytes]:
    """The readable characteristics of the profile's service. `users`: whether the device tells its users apart."""
    multiple_users = 0x02 if users else 0
    if profile == "weight":
        # Timestamps, body mass index; steps of 0.005 kg (7 in bits 3 to 6) and of 0.001 m (3 in those above).
        return {0x2A9E: struct.pack("<I", 0x01 | multiple_users | 0x04 | 7 << 3 | 3 << 7)}
    if profile == "body-composition":
        # Timestamps, basal metabolism, muscle mass, fat free mass, water, impedance; masses in steps of 0.005 kg.
        return {0x2A9B: struct.pack("<I", 0x01 | multiple_users | 0x04 | 0x10 | 0x20 | 0x80 | 0x100 | 7 << 11)}
    if profile == "blood-pressure":
        return {0x2A49: struct.pack("<H", 0)}
    if profile == "temperature":
        return {0x2A1D: b"\x02"}  # the body in general
    if profile == "heart-rate":
        return {0x2A38: b"\x02"}  # the wrist
    return {0x2B3B: struct.pack("<I", 1 << 4)}


def encode(profile: Profile, measurement: Measurement, max_bytes: int = 512) -> list[bytes]:
    """The messages of the profile's characteristic for this measurement: one, or two if it is too long for a packet.

    `max_bytes`: of one packet.
    """
    values, timestamp = measurement.values, date_time(measurement.taken + measurement.clock)
    user = b"" if measurement.user is None else bytes((measurement.user,))
    user_flag = 0x04 if user else 0
    if profile == "weight":
        imperial = measurement.unit == "lb"
        bmi = b"" if measurement.height is None else _bmi_and_height(values["weight"], measurement.height, imperial)
        flags = 0x02 | user_flag | imperial | (0x08 if bmi else 0)
        return [struct.pack("<BH", flags, _mass(values["weight"], imperial)) + timestamp + user + bmi]
    if profile == "body-composition":
        return _body_composition(measurement, timestamp, user, max_bytes)
    if profile == "blood-pressure":
        return [_blood_pressure(measurement, timestamp, user)]
    if profile == "temperature":
        shown = values["temperature"] * 9 / 5 + 32 if measurement.unit == "°F" else values["temperature"]
        flags = 0x06 | (measurement.unit == "°F")
        return [bytes((flags,)) + float32(round(shown * 10), -1) + timestamp + b"\x02"]
    if profile == "heart-rate":
        return [bytes((0x00, int(values["pulse"])))]
    steps, distance = int(values["steps"]), int(values["distance"])
    head = struct.pack("<BBHHII", 0x03, 0x01 | 0x08, 1, 1, 0, measurement.number)
    return [head + steps.to_bytes(3, "little") + distance.to_bytes(3, "little")]


def _mass(kilograms: float, imperial: bool) -> int:
    return round(kilograms / KILOGRAMS_PER_POUND / 0.01) if imperial else round(kilograms / 0.005)


def _bmi_and_height(kilograms: float, height: float, imperial: bool) -> bytes:
    """Body mass index and height: one flag stands for both fields."""
    index = round(kilograms / height**2 / 0.1)
    return struct.pack("<HH", index, round(height / 0.0254 / 0.1) if imperial else round(height / 0.001))


def _body_composition(measurement: Measurement, timestamp: bytes, user: bytes, max_bytes: int) -> list[bytes]:
    values, imperial = measurement.values, measurement.unit == "lb"
    fat = struct.pack("<H", round(values["fat_ratio"] / 0.1))
    fields = (
        (0x0008, round(values["basal"])),
        (0x0020, _mass(values["muscle_mass"], imperial)),
        (0x0040, _mass(values["fat_free_mass"], imperial)),
        (0x0100, _mass(values["water_mass"], imperial)),
        (0x0200, round(values["impedance"] / 0.1)),
    )

    def packet(flags: int, head: bytes, fields: tuple[tuple[int, int], ...]) -> bytes:
        flags |= imperial | sum(flag for flag, _ in fields)
        return struct.pack("<H", flags) + fat + head + b"".join(struct.pack("<H", number) for _, number in fields)

    flags = 0x0002 | (0x0004 if user else 0)
    whole = packet(flags, timestamp + user, fields)
    if len(whole) <= max_bytes:
        return [whole]
    # The second packet repeats the fat ratio, and has neither timestamp nor user.
    return [packet(flags | 0x1000, timestamp + user, fields[:2]), packet(0x1000, b"", fields[2:])]


def _blood_pressure(measurement: Measurement, timestamp: bytes, user: bytes) -> bytes:
    values, kilopascal = measurement.values, measurement.unit == "kPa"
    systolic, diastolic = values["systolic"], values["diastolic"]

    def encoded(mmhg: float) -> bytes:
        return sfloat(round(mmhg / MMHG_PER_KILOPASCAL * 10), -1) if kilopascal else sfloat(int(mmhg))

    pressures = encoded(systolic) + encoded(diastolic) + encoded(diastolic + (systolic - diastolic) // 3)
    flags = 0x06 | kilopascal | (0x08 if user else 0)
    return bytes((flags,)) + pressures + timestamp + sfloat(int(values["pulse"])) + user


def current_time(unix: float) -> bytes:
    """Current Time (0x2A2B): Date Time, day of the week (1 is Monday), 1/256 seconds, no adjust reason."""
    day = time.localtime(unix).tm_wday + 1
    return date_time(unix) + bytes((day, int(unix % 1 * 256), 0))


def date_time(unix: float) -> bytes:
    """Date Time (0x2A08) in local time."""
    t = time.localtime(unix)
    return struct.pack("<HBBBBB", t.tm_year, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, min(t.tm_sec, 59))


def sfloat(mantissa: int, exponent: int = 0) -> bytes:
    """IEEE 11073 SFLOAT: 12-bit mantissa, 4-bit exponent to base ten."""
    return struct.pack("<H", mantissa & 0x0FFF | (exponent & 0x0F) << 12)


def float32(mantissa: int, exponent: int) -> bytes:
    """IEEE 11073 FLOAT: 24-bit mantissa, 8-bit exponent to base ten."""
    return struct.pack("<I", mantissa & 0xFFFFFF | (exponent & 0xFF) << 24)
