"""Field types of the health characteristics: IEEE 11073 SFLOAT and FLOAT, Date Time, User Index, integers.

Pure functions. Sources: the SIG's GATT Specification Supplement (Date Time 0x2A08, User Index 0x2A9A); IEEE 11073-20601
for SFLOAT and FLOAT. All numbers are little-endian.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from installer.measurement import Quantity, Reading

# Special values of the IEEE 11073 types: not a number, not at this resolution, ± infinity, reserved.
SFLOAT_SPECIAL_VALUES = frozenset({0x07FF, 0x0800, 0x07FE, 0x0802, 0x0801})
FLOAT_SPECIAL_VALUES = frozenset({0x007FFFFF, 0x00800000, 0x007FFFFE, 0x00800002, 0x00800001})
UNKNOWN_USER = 0xFF
# Date Time supports the Gregorian calendar only.
FIRST_YEAR, LAST_YEAR = 1582, 9999
MIN_READING, MAX_READING = Decimal("1e-9"), Decimal("1e9")


class CodecError(Exception):
    """Bytes that violate the layout of their characteristic."""


class NoValue(CodecError):
    """A well-formed message without a measurement, for example after a failed measurement."""


def sfloat(raw: int) -> Decimal | None:
    """A 16-bit SFLOAT: 12-bit mantissa, 4-bit exponent to base ten. None for the special values."""
    if raw in SFLOAT_SPECIAL_VALUES:
        return None
    return _scaled(raw & 0x0FFF, 12, raw >> 12, 4)


def float32(raw: int) -> Decimal | None:
    """A 32-bit FLOAT: 24-bit mantissa, 8-bit exponent to base ten. None for the special values."""
    if raw in FLOAT_SPECIAL_VALUES:
        return None
    return _scaled(raw & 0xFFFFFF, 24, raw >> 24, 8)


def _scaled(mantissa: int, mantissa_bits: int, exponent: int, exponent_bits: int) -> Decimal:
    return Decimal(_signed(mantissa, mantissa_bits)).scaleb(_signed(exponent, exponent_bits))


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def make_readings(*fields: tuple[Quantity, Decimal | None, str]) -> tuple[Reading, ...]:
    """The readings of the fields (quantity, value, unit) that have a value. Raises CodecError for an absurd value."""
    for _, value, _ in fields:
        # The exponent of a FLOAT reaches ±128; storing or showing so many digits would fail.
        if value and not MIN_READING <= abs(value) < MAX_READING:
            raise CodecError("a number that no device measures")
    return tuple(Reading(quantity=q, value=v, unit=u) for q, v, u in fields if v is not None)


class FieldReader:
    """Reads the fields of a message from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def number(self, size: int) -> int:
        """The next unsigned number of `size` bytes. Raises CodecError at the end of the message."""
        end = self._position + size
        if end > len(self._data):
            raise CodecError(f"a message of {len(self._data)} bytes is too short")
        value = int.from_bytes(self._data[self._position : end], "little")
        self._position = end
        return value

    def sfloat(self) -> Decimal | None:
        """The next SFLOAT."""
        return sfloat(self.number(2))

    def float32(self) -> Decimal | None:
        """The next FLOAT."""
        return float32(self.number(4))

    def user_index(self) -> int | None:
        """The next User Index; None for the unknown user."""
        number = self.number(1)
        return None if number == UNKNOWN_USER else number

    def date_time(self) -> datetime | None:
        """The next Date Time: the device's local time, without a time zone. None if the device does not know it.

        Raises CodecError for an impossible time.
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
            raise CodecError("a timestamp is not a possible time") from None

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._position

    def end(self, reserved_flags: int) -> None:
        """Raise CodecError if bytes are left. With a reserved flag set, they may be its fields."""
        if self.remaining and not reserved_flags:
            raise CodecError(f"{self.remaining} more bytes follow, but no flag announces them")
