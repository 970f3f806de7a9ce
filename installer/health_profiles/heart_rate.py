"""Heart rate: Heart Rate Measurement (0x2A37) and the site of the sensor, Body Sensor Location (0x2A38).

Pure functions. Source: the SIG's GATT Specification Supplement.
"""

from __future__ import annotations

from decimal import Decimal

from installer.health_profiles.characteristic_fields import CodecError, FieldReader, NoValue, make_readings
from installer.measurement import Measurement, Quantity

_SENSOR_LOCATIONS = {1: "chest", 2: "wrist", 3: "finger", 4: "hand", 5: "ear lobe", 6: "foot"}


def decode_heart_rate(fields: FieldReader) -> Measurement:
    """A Heart Rate Measurement. Raises CodecError, NoValue."""
    flags = fields.number(1)
    pulse = fields.number(2 if flags & 0x01 else 1)
    energy = Decimal(fields.number(2)) if flags & 0x08 else None
    intervals: tuple[Decimal, ...] = ()
    if flags & 0x10:
        if fields.remaining % 2:
            raise CodecError("an interval between heartbeats is incomplete")
        intervals = tuple(Decimal(fields.number(2)) / 1024 for _ in range(fields.remaining // 2))
    fields.end(flags & 0xE0)
    if flags & 0x06 == 0x04 or pulse == 0:
        raise NoValue("the sensor has no contact to the skin")
    return Measurement(
        readings=make_readings((Quantity.PULSE, Decimal(pulse), "1/min"), (Quantity.ENERGY, energy, "kJ")),
        intervals=intervals,
    )


def sensor_location(body_sensor_location: bytes) -> str:
    """The site of the sensor, of a Body Sensor Location (0x2A38); empty if unknown. Raises CodecError."""
    return _SENSOR_LOCATIONS.get(FieldReader(body_sensor_location).number(1), "")
