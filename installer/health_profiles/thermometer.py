"""Thermometer: Temperature Measurement (0x2A1C) and the site on the body, Temperature Type (0x2A1D).

Pure functions. Source: the SIG's GATT Specification Supplement.
"""

from __future__ import annotations

from installer.health_profiles.characteristic_fields import FieldReader, NoValue, make_readings
from installer.measurement import Measurement, Quantity

_TEMPERATURE_TYPES = {
    1: "armpit",
    2: "body",
    3: "ear",
    4: "finger",
    5: "gastro-intestinal tract",
    6: "mouth",
    7: "rectum",
    8: "toe",
    9: "eardrum",
}


def decode_temperature(fields: FieldReader) -> Measurement:
    """A Temperature Measurement. Raises CodecError, NoValue."""
    flags = fields.number(1)
    value = fields.float32()
    device_time = fields.date_time() if flags & 0x02 else None
    site = _TEMPERATURE_TYPES.get(fields.number(1), "") if flags & 0x04 else ""
    fields.end(flags & 0xF8)
    if value is None:
        raise NoValue("the thermometer reports that the measurement failed")
    unit = "°F" if flags & 0x01 else "°C"
    readings = make_readings((Quantity.TEMPERATURE, value, unit))
    return Measurement(readings=readings, device_time=device_time, site=site)


def temperature_site(temperature_type: bytes) -> str:
    """The site of all measurements, of a Temperature Type (0x2A1D); empty if unknown. Raises CodecError."""
    return _TEMPERATURE_TYPES.get(FieldReader(temperature_type).number(1), "")
