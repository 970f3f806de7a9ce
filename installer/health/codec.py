"""Bytes of the standard health characteristics to measurements. Pure functions, no input or output.

Sources: the SIG's GATT Specification Supplement for 0x2A9D, 0x2A35, 0x2A1C, 0x2A37, 0x2B40;
IEEE 11073-20601 for SFLOAT and FLOAT. All numbers are little-endian.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from installer.catalog import Profile
from installer.measurement import Measurement, Quantity, Reading

# Special values of the IEEE 11073 types: not a number, not at this resolution, ± infinity, reserved.
_SFLOAT_SPECIAL = {0x07FF, 0x0800, 0x07FE, 0x0802, 0x0801}
_FLOAT_SPECIAL = {0x007FFFFF, 0x00800000, 0x007FFFFE, 0x00800002, 0x00800001}
_WEIGHT_FAILED = 0xFFFF
_UNKNOWN_24 = 0xFFFFFF


class CodecError(Exception):
    """Bytes that break the layout of their characteristic."""


class NoValue(CodecError):
    """A well-formed message without a measurement, for example of a measurement that failed."""


@dataclass(frozen=True)
class Characteristic:
    """Where a profile's measurements come from: service and characteristic (16-bit numbers)."""

    service: str
    uuid: str


CHARACTERISTICS = {
    Profile.WEIGHT: Characteristic("181d", "2a9d"),
    Profile.BLOOD_PRESSURE: Characteristic("1810", "2a35"),
    Profile.TEMPERATURE: Characteristic("1809", "2a1c"),
    Profile.HEART_RATE: Characteristic("180d", "2a37"),
    Profile.STEPS: Characteristic("183e", "2b40"),
}


def decode(profile: Profile, data: bytes) -> Measurement:
    """The measurement in one notification or indication. Raises CodecError; NoValue where there is none."""
    return _DECODERS[profile](_Reader(data))


def sfloat(raw: int) -> Decimal | None:
    """A 16-bit SFLOAT: 12 bits of mantissa, 4 bits of exponent to the base of ten; None for not a number."""
    if raw in _SFLOAT_SPECIAL:
        return None
    return _scaled(raw & 0x0FFF, 12, raw >> 12, 4)


def float32(raw: int) -> Decimal | None:
    """A 32-bit FLOAT: 24 bits of mantissa, 8 bits of exponent to the base of ten; None for not a number."""
    if raw in _FLOAT_SPECIAL:
        return None
    return _scaled(raw & 0xFFFFFF, 24, raw >> 24, 8)


def _scaled(mantissa: int, mantissa_bits: int, exponent: int, exponent_bits: int) -> Decimal:
    return Decimal(_signed(mantissa, mantissa_bits)).scaleb(_signed(exponent, exponent_bits))


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


class _Reader:
    """Takes numbers off the front of a message."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def number(self, size: int) -> int:
        """The next unsigned number of `size` bytes."""
        end = self._position + size
        if end > len(self._data):
            raise CodecError(f"a message of {len(self._data)} bytes is cut short")
        value = int.from_bytes(self._data[self._position : end], "little")
        self._position = end
        return value

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._position

    def end(self, reserved_flags: int) -> None:
        """Raise unless all is read; what follows a flag that has no meaning yet may stay."""
        if self.left and not reserved_flags:
            raise CodecError(f"{self.left} bytes follow that no flag announces")

    def moment(self) -> datetime | None:
        """A Date Time (0x2A08), which is in the device's local time; None if the device does not know it."""
        year = self.number(2)
        month, day, hour, minute, second = (self.number(1) for _ in range(5))
        if 0 in (year, month, day):
            return None
        try:
            return datetime(year, month, day, hour, minute, second).astimezone()
        except (ValueError, OverflowError, OSError):
            raise CodecError("a time stamp is no possible time") from None


def _weight(reader: _Reader) -> Measurement:
    flags = reader.number(1)
    raw = reader.number(2)
    taken = reader.moment() if flags & 0x02 else None
    if flags & 0x04:
        reader.number(1)
    if flags & 0x08:
        reader.number(4)
    reader.end(flags & 0xF0)
    if raw == _WEIGHT_FAILED:
        raise NoValue("the scale reports that the measurement failed")
    value, unit = (Decimal(raw) * Decimal("0.01"), "lb") if flags & 0x01 else (Decimal(raw) * Decimal("0.005"), "kg")
    return _made(taken, (Quantity.WEIGHT, value, unit))


def _blood_pressure(reader: _Reader) -> Measurement:
    flags = reader.number(1)
    unit = "kPa" if flags & 0x01 else "mmHg"
    systolic, diastolic, _mean = (sfloat(reader.number(2)) for _ in range(3))
    taken = reader.moment() if flags & 0x02 else None
    pulse = sfloat(reader.number(2)) if flags & 0x04 else None
    if flags & 0x08:
        reader.number(1)
    if flags & 0x10:
        reader.number(2)
    reader.end(flags & 0xE0)
    if systolic is None or diastolic is None:
        raise NoValue("the monitor reports that the measurement failed")
    return _made(
        taken,
        (Quantity.SYSTOLIC, systolic, unit),
        (Quantity.DIASTOLIC, diastolic, unit),
        (Quantity.PULSE, pulse, "1/min"),
    )


def _temperature(reader: _Reader) -> Measurement:
    flags = reader.number(1)
    value = float32(reader.number(4))
    taken = reader.moment() if flags & 0x02 else None
    if flags & 0x04:
        reader.number(1)
    reader.end(flags & 0xF8)
    if value is None:
        raise NoValue("the thermometer reports that the measurement failed")
    return _made(taken, (Quantity.TEMPERATURE, value, "°F" if flags & 0x01 else "°C"))


def _heart_rate(reader: _Reader) -> Measurement:
    flags = reader.number(1)
    value = reader.number(2 if flags & 0x01 else 1)
    if flags & 0x08:
        reader.number(2)
    if flags & 0x10:
        if reader.left % 2:
            raise CodecError("half an interval between heartbeats")
        reader.number(reader.left)
    reader.end(flags & 0xE0)
    if flags & 0x06 == 0x04 or value == 0:
        raise NoValue("the sensor has no contact to the skin")
    return _made(None, (Quantity.PULSE, Decimal(value), "1/min"))


def _steps(reader: _Reader) -> Measurement:
    header, flags = reader.number(1), reader.number(1)
    if header & 0x03 != 0x03:
        raise CodecError("a summary of steps in several parts is not supported")
    reader.number(2 + 2 + 4 + 4)  # session, sub-session, relative time, sequence number
    kinds = [reader.number(3) for bit in (0x01, 0x02, 0x04) if flags & bit]
    for bit in (0x08, 0x10):  # distance, worn duration
        if flags & bit:
            reader.number(3)
    reader.end(flags & 0xE0)
    known = [count for count in kinds if count != _UNKNOWN_24]
    if not known:
        raise NoValue("the summary counts no steps")
    return _made(None, (Quantity.STEPS, Decimal(sum(known)), "steps"))


def _made(taken: datetime | None, *readings: tuple[Quantity, Decimal | None, str]) -> Measurement:
    made = [Reading(quantity=q, value=v, unit=u) for q, v, u in readings if v is not None and math.isfinite(v)]
    return Measurement(readings=tuple(made), taken=taken)


_DECODERS: dict[Profile, Callable[[_Reader], Measurement]] = {
    Profile.WEIGHT: _weight,
    Profile.BLOOD_PRESSURE: _blood_pressure,
    Profile.TEMPERATURE: _temperature,
    Profile.HEART_RATE: _heart_rate,
    Profile.STEPS: _steps,
}
