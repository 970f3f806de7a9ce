"""The bytes of a lab device's measurements in the standard GATT characteristics, and what else their services tell.

Layouts from the SIG's documents, shared with nothing in the installer: Weight Scale Service 1.0 (0x2A9D, 0x2A9E),
Body Composition Service 1.0.1 (0x2A9C, 0x2A9B), Blood Pressure Service 1.1 (0x2A35, 0x2A49), Health Thermometer Service
1.0 (0x2A1C), Heart Rate Service 1.0 (0x2A37), Current Time Service 1.1 (0x2A2B), SFLOAT/FLOAT of IEEE 11073-20601,
Date Time 0x2A08 (local time). Step Counter Activity Summary Data (0x2B40) of the
Physical Activity Monitor Service 1.0: header u8 (bit 0 first segment, bit 1 last segment), flags u8 (0x01 normal
walking steps, 0x02 intensity steps, 0x04 floor steps, 0x08 distance, 0x10 worn duration), session u16, sub-session
u16, relative timestamp u32 (s), sequence number u32, then u24 for each flag: as the public Python package
bluetooth-sig gives it (an older version of it has another layout, which does not fit the service's document).
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

from installer.lab.measured_values import KILOGRAMS_OF_A_POUND, MERCURY_OF_A_KILOPASCAL, Measurement
from installer.lab.models import Profile

INDICATE, NOTIFY, READ = "indicate", "notify", "read"
CURRENT_TIME_SERVICE, CURRENT_TIME = 0x1805, 0x2A2B


@dataclass(frozen=True)
class ProfileLayout:
    """A GATT service: its measurement characteristic, and how it is sent."""

    service: int
    measurement: int
    sends: str


LAYOUTS: dict[Profile, ProfileLayout] = {
    "weight": ProfileLayout(0x181D, 0x2A9D, INDICATE),
    "body-composition": ProfileLayout(0x181B, 0x2A9C, INDICATE),
    "blood-pressure": ProfileLayout(0x1810, 0x2A35, INDICATE),
    "temperature": ProfileLayout(0x1809, 0x2A1C, INDICATE),
    "heart-rate": ProfileLayout(0x180D, 0x2A37, NOTIFY),
    "steps": ProfileLayout(0x183E, 0x2B40, INDICATE),
}


def features(profile: Profile, users: bool) -> dict[int, bytes]:
    """What can be read of the profile's service. `users`: whether the device tells its users apart."""
    several = 0x02 if users else 0
    if profile == "weight":
        # Time stamps, body mass index; steps of 0.005 kg (7 in bits 3 to 6) and of 0.001 m (3 in those above).
        return {0x2A9E: struct.pack("<I", 0x01 | several | 0x04 | 7 << 3 | 3 << 7)}
    if profile == "body-composition":
        # Time stamps, basal metabolism, muscle mass, fat free mass, water, impedance; masses in steps of 0.005 kg.
        return {0x2A9B: struct.pack("<I", 0x01 | several | 0x04 | 0x10 | 0x20 | 0x80 | 0x100 | 7 << 11)}
    if profile == "blood-pressure":
        return {0x2A49: struct.pack("<H", 0)}
    if profile == "temperature":
        return {0x2A1D: b"\x02"}  # the body, wherever
    if profile == "heart-rate":
        return {0x2A38: b"\x02"}  # the wrist
    return {0x2B3B: struct.pack("<I", 1 << 4)}


def encode(profile: Profile, measurement: Measurement, wrong: float = 0, room: int = 512) -> list[bytes]:
    """The values of the profile's characteristic that tell this measurement: mostly one, two where it is too long.

    `wrong`: by how many seconds the device's clock is ahead. `room`: how many bytes one packet carries.
    """
    values, when = measurement.values, date_time(measurement.taken + wrong)
    user = b"" if measurement.user is None else bytes((measurement.user,))
    named = 0x04 if user else 0
    if profile == "weight":
        imperial = measurement.unit == "lb"
        size = b"" if measurement.height is None else _size(values["weight"], measurement.height, imperial)
        flags = 0x02 | named | imperial | (0x08 if size else 0)
        return [struct.pack("<BH", flags, _mass(values["weight"], imperial)) + when + user + size]
    if profile == "body-composition":
        return _composition(measurement, when, user, room)
    if profile == "blood-pressure":
        return [_pressure(measurement, when, user)]
    if profile == "temperature":
        shown = values["temperature"] * 9 / 5 + 32 if measurement.unit == "°F" else values["temperature"]
        flags = 0x06 | (measurement.unit == "°F")
        return [bytes((flags,)) + float32(round(shown * 10), -1) + when + b"\x02"]
    if profile == "heart-rate":
        return [bytes((0x00, int(values["pulse"])))]
    steps, distance = int(values["steps"]), int(values["distance"])
    head = struct.pack("<BBHHII", 0x03, 0x01 | 0x08, 1, 1, 0, measurement.number)
    return [head + steps.to_bytes(3, "little") + distance.to_bytes(3, "little")]


def _mass(kilograms: float, imperial: bool) -> int:
    return round(kilograms / KILOGRAMS_OF_A_POUND / 0.01) if imperial else round(kilograms / 0.005)


def _size(kilograms: float, height: float, imperial: bool) -> bytes:
    """Body mass index and height, which stand together."""
    index = round(kilograms / height**2 / 0.1)
    return struct.pack("<HH", index, round(height / 0.0254 / 0.1) if imperial else round(height / 0.001))


def _composition(measurement: Measurement, when: bytes, user: bytes, room: int) -> list[bytes]:
    values, imperial = measurement.values, measurement.unit == "lb"
    fat = struct.pack("<H", round(values["fat_ratio"] / 0.1))
    fields = (
        (0x0008, round(values["basal"])),
        (0x0020, _mass(values["muscle_mass"], imperial)),
        (0x0040, _mass(values["fat_free_mass"], imperial)),
        (0x0100, _mass(values["water_mass"], imperial)),
        (0x0200, round(values["impedance"] / 0.1)),
    )

    def packet(flags: int, head: bytes, told: tuple[tuple[int, int], ...]) -> bytes:
        flags |= imperial | sum(flag for flag, _ in told)
        return struct.pack("<H", flags) + fat + head + b"".join(struct.pack("<H", number) for _, number in told)

    flags = 0x0002 | (0x0004 if user else 0)
    whole = packet(flags, when + user, fields)
    if len(whole) <= room:
        return [whole]
    # The second packet has the fat ratio again, and neither time nor user.
    return [packet(flags | 0x1000, when + user, fields[:2]), packet(0x1000, b"", fields[2:])]


def _pressure(measurement: Measurement, when: bytes, user: bytes) -> bytes:
    values, kilopascal = measurement.values, measurement.unit == "kPa"
    systolic, diastolic = values["systolic"], values["diastolic"]

    def shown(mercury: float) -> bytes:
        return sfloat(round(mercury / MERCURY_OF_A_KILOPASCAL * 10), -1) if kilopascal else sfloat(int(mercury))

    pressures = shown(systolic) + shown(diastolic) + shown(diastolic + (systolic - diastolic) // 3)
    flags = 0x06 | kilopascal | (0x08 if user else 0)
    return bytes((flags,)) + pressures + when + sfloat(int(values["pulse"])) + user


def current_time(unix: float) -> bytes:
    """Current Time (0x2A2B): Date Time, day of the week (1 is Monday), 1/256 seconds, no reason of an adjustment."""
    day = time.localtime(unix).tm_wday + 1
    return date_time(unix) + bytes((day, int(unix % 1 * 256), 0))


def date_time(unix: float) -> bytes:
    """Date Time (0x2A08) in local time."""
    t = time.localtime(unix)
    return struct.pack("<HBBBBB", t.tm_year, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, min(t.tm_sec, 59))


def sfloat(mantissa: int, exponent: int = 0) -> bytes:
    """IEEE 11073 SFLOAT: 12 bits of mantissa, 4 bits of exponent to the base of ten."""
    return struct.pack("<H", mantissa & 0x0FFF | (exponent & 0x0F) << 12)


def float32(mantissa: int, exponent: int) -> bytes:
    """IEEE 11073 FLOAT: 24 bits of mantissa, 8 bits of exponent to the base of ten."""
    return struct.pack("<I", mantissa & 0xFFFFFF | (exponent & 0xFF) << 24)
