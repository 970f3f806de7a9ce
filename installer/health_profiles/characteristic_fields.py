"""The building blocks of the health characteristics: numbers, IEEE 11073 floats, time stamps, user numbers: pure.

Sources: the SIG's GATT Specification Supplement (Date Time 0x2A08, User Index 0x2A9A); IEEE 11073-20601 for SFLOAT and
FLOAT. All numbers are little-endian.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

# Special values of the IEEE 11073 types: not a number, not at this resolution, ± infinity, reserved.
SFLOAT_SPECIAL = frozenset({0x07FF, 0x0800, 0x07FE, 0x0802, 0x0801})
FLOAT_SPECIAL = frozenset({0x007FFFFF, 0x00800000, 0x007FFFFE, 0x00800002, 0x00800001})
UNKNOWN_USER = 0xFF
# The Gregorian calendar begins; Date Time knows no earlier year.
FIRST_YEAR, LAST_YEAR = 1582, 9999


class CodecError(Exception):
    """Bytes that break the layout of their characteristic."""


class NoValue(CodecError):
    """A well-formed message without a measurement, for example of a measurement that failed."""


def sfloat(raw: int) -> Decimal | None:
    """A 16-bit SFLOAT: 12 bits of mantissa, 4 bits of exponent to the base of ten; None for the special values."""
    if raw in SFLOAT_SPECIAL:
        return None
    return _scaled(raw & 0x0FFF, 12, raw >> 12, 4)


def float32(raw: int) -> Decimal | None:
    """A 32-bit FLOAT: 24 bits of mantissa, 8 bits of exponent to the base of ten; None for the special values."""
    if raw in FLOAT_SPECIAL:
        return None
    return _scaled(raw & 0xFFFFFF, 24, raw >> 24, 8)


def _scaled(mantissa: int, mantissa_bits: int, exponent: int, exponent_bits: int) -> Decimal:
    return Decimal(_signed(mantissa, mantissa_bits)).scaleb(_signed(exponent, exponent_bits))


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


class Fields:
    """Takes the fields off the front of a message."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def number(self, size: int) -> int:
        """The next unsigned number of `size` bytes. Raises CodecError when the message is over."""
        end = self._position + size
        if end > len(self._data):
            raise CodecError(f"a message of {len(self._data)} bytes is cut short")
        value = int.from_bytes(self._data[self._position : end], "little")
        self._position = end
        return value

    def scaled(self, size: int, resolution: str) -> Decimal:
        """The next unsigned number times its resolution, exactly."""
        return self.number(size) * Decimal(resolution)

    def sfloat(self) -> Decimal | None:
        """The next SFLOAT."""
        return sfloat(self.number(2))

    def float32(self) -> Decimal | None:
        """The next FLOAT."""
        return float32(self.number(4))

    def user(self) -> int | None:
        """The next User ID; None for the unknown user."""
        number = self.number(1)
        return None if number == UNKNOWN_USER else number

    def moment(self) -> datetime | None:
        """The next Date Time, as the device's clock shows it, without a time zone; None if the device does not know it.

        Raises CodecError for a time that no clock shows.
        """
        year = self.number(2)
        month, day, hour, minute, second = (self.number(1) for _ in range(5))
        if 0 in (year, month, day):
            return None
        try:
            if not FIRST_YEAR <= year <= LAST_YEAR:
                raise ValueError(year)
            return datetime(year, month, day, hour, minute, second)
        except ValueError:
            raise CodecError("a time stamp is no possible time") from None

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._position

    def end(self, reserved_flags: int) -> None:
        """Raise CodecError unless all is read; what follows a flag that has no meaning yet may stay."""
        if self.left and not reserved_flags:
            raise CodecError(f"{self.left} bytes follow that no flag announces")
