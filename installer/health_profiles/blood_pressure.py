"""Blood pressure: Blood Pressure Measurement (0x2A35), its status bits, and Blood Pressure Feature (0x2A49).

Pure functions. Source: the SIG's GATT Specification Supplement; Blood Pressure Service 1.1.
"""

from __future__ import annotations

from decimal import Decimal

from installer.health_profiles.characteristic_fields import FieldReader, NoValue, make_readings
from installer.measurement import Measurement, Quantity, Reading

# Measurement Status: mask, value, text, and the bit of Blood Pressure Feature that says whether the device supports it.
_STATUS_BITS = (
    (0x0001, 0x0001, "body movement", 0x0001),
    (0x0002, 0x0002, "cuff too loose", 0x0002),
    (0x0004, 0x0004, "irregular pulse", 0x0004),
    (0x0018, 0x0008, "pulse too high", 0x0008),
    (0x0018, 0x0010, "pulse too low", 0x0008),
    (0x0020, 0x0020, "wrong position", 0x0010),
)


def decode_blood_pressure(fields: FieldReader) -> Measurement:
    """A Blood Pressure Measurement. Raises CodecError, NoValue."""
    flags = fields.number(1)
    unit = "kPa" if flags & 0x01 else "mmHg"
    pressures = tuple(fields.sfloat() for _ in range(3))
    device_time = fields.date_time() if flags & 0x02 else None
    pulse = fields.sfloat() if flags & 0x04 else None
    user = fields.user_index() if flags & 0x08 else None
    status = fields.number(2) if flags & 0x10 else 0
    fields.end(flags & 0xE0)
    return Measurement(
        readings=pressure_readings(pressures, pulse, unit),
        device_time=device_time,
        user=user,
        status=status_texts(status),
    )


def pressure_readings(pressures: tuple[Decimal | None, ...], pulse: Decimal | None, unit: str) -> tuple[Reading, ...]:
    """The readings of systolic, diastolic and mean pressure, and of the pulse. Raises NoValue, CodecError."""
    systolic, diastolic, mean = pressures
    if systolic is None or diastolic is None:
        raise NoValue("the monitor reports that the measurement failed")
    return make_readings(
        (Quantity.SYSTOLIC, systolic, unit),
        (Quantity.DIASTOLIC, diastolic, unit),
        (Quantity.PULSE, pulse, "1/min"),
        (Quantity.MEAN_PRESSURE, mean, unit),
    )


def status_texts(status: int) -> tuple[str, ...]:
    """What the bits of a Measurement Status say."""
    return tuple(text for mask, value, text, _ in _STATUS_BITS if status & mask == value)


def supported_status(feature: bytes) -> frozenset[str]:
    """The status texts that the device supports, of its Blood Pressure Feature (0x2A49). Raises CodecError."""
    bits = FieldReader(feature).number(2)
    return frozenset(text for _, _, text, feature_bit in _STATUS_BITS if bits & feature_bit)
