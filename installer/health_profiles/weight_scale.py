"""Scales: Weight Measurement (0x2A9D) and Body Composition Measurement (0x2A9C), with the scale's user index.

Pure functions. Sources: the SIG's GATT Specification Supplement; Weight Scale Service 1.0; Body Composition Service
1.0.1 §3.2, which splits a measurement that is too long for one packet into two: both packets have the Multiple Packet
bit and the fat ratio; only the first has the timestamp and the user index.
"""

from __future__ import annotations

from decimal import Decimal

from installer.health_profiles.characteristic_fields import CodecError, FieldReader, NoValue
from installer.measurement import Measurement, Quantity, Reading

MEASUREMENT_FAILED = 0xFFFF
IMPERIAL_UNITS = 0x01
# Flags of a Body Composition Measurement.
TIMESTAMP, USER_INDEX, MULTIPLE_PACKET = 0x02, 0x04, 0x1000
# Resolution and unit, by whether the units are imperial.
_MASS = {False: ("0.005", "kg"), True: ("0.01", "lb")}
_LENGTH = {False: ("0.001", "m"), True: ("0.1", "in")}
# Flag, quantity, and resolution and unit; None for a mass.
_BODY_COMPOSITION_FIELDS = (
    (0x0008, Quantity.BASAL_METABOLISM, ("1", "kJ")),
    (0x0010, Quantity.MUSCLE_RATIO, ("0.1", "%")),
    (0x0020, Quantity.MUSCLE_MASS, None),
    (0x0040, Quantity.FAT_FREE_MASS, None),
    (0x0080, Quantity.SOFT_LEAN_MASS, None),
    (0x0100, Quantity.WATER_MASS, None),
    (0x0200, Quantity.IMPEDANCE, ("0.1", "ohm")),
    (0x0400, Quantity.WEIGHT, None),
)


def decode_weight(fields: FieldReader) -> Measurement:
    """A Weight Measurement: weight, and optionally time, user, body mass index and height. Raises CodecError."""
    flags = fields.number(1)
    imperial = bool(flags & IMPERIAL_UNITS)
    raw_weight = fields.number(2)
    device_time = fields.date_time() if flags & 0x02 else None
    user = fields.user_index() if flags & 0x04 else None
    readings = [_reading(Quantity.WEIGHT, raw_weight, *_MASS[imperial])]
    if flags & 0x08:
        # A scale that does not know the user's height sends zero.
        index, height = fields.number(2), fields.number(2)
        readings += [_reading(Quantity.BODY_MASS_INDEX, index, "0.1", "kg/m²")] if index else []
        readings += [_reading(Quantity.HEIGHT, height, *_LENGTH[imperial])] if height else []
    fields.end(flags & 0xF0)
    if raw_weight == MEASUREMENT_FAILED:
        raise NoValue("the scale reports that the measurement failed")
    return Measurement(readings=tuple(readings), device_time=device_time, user=user)


def decode_body_composition(fields: FieldReader) -> Measurement:
    """A Body Composition Measurement, or one packet of two. Raises CodecError."""
    flags = fields.number(2)
    imperial = bool(flags & IMPERIAL_UNITS)
    fat_ratio = fields.number(2)
    device_time = fields.date_time() if flags & TIMESTAMP else None
    user = fields.user_index() if flags & USER_INDEX else None
    readings = [] if fat_ratio == MEASUREMENT_FAILED else [_reading(Quantity.FAT_RATIO, fat_ratio, "0.1", "%")]
    for flag, quantity, scale in _BODY_COMPOSITION_FIELDS:
        if flags & flag:
            readings.append(_reading(quantity, fields.number(2), *(scale or _MASS[imperial])))
    if flags & 0x0800:
        readings.append(_reading(Quantity.HEIGHT, fields.number(2), *_LENGTH[imperial]))
    fields.end(flags & 0xE000)
    if not readings:
        raise NoValue("the scale reports that the analysis failed")
    return Measurement(readings=tuple(readings), device_time=device_time, user=user)


def is_split(data: bytes) -> bool:
    """Whether this Body Composition Measurement is one packet of two."""
    return len(data) >= 2 and bool(int.from_bytes(data[:2], "little") & MULTIPLE_PACKET)


def is_second_packet(first: bytes, second: bytes) -> bool:
    """Whether `second` completes the measurement of the packet `first`."""
    if not (is_split(first) and is_split(second) and len(first) >= 4 and len(second) >= 4):
        return False
    first_flags, second_flags = (int.from_bytes(data[:2], "little") for data in (first, second))
    # Both packets have the fat ratio: a different one belongs to another measurement.
    return (
        not second_flags & (TIMESTAMP | USER_INDEX)
        and not (first_flags ^ second_flags) & IMPERIAL_UNITS
        and first[2:4] == second[2:4]
    )


def join_packets(first: bytes, second: bytes) -> tuple[Measurement, Measurement]:
    """What the second packet adds, with the time and user of the first; and the complete measurement.

    Raises CodecError if both packets have the same field.
    """
    begun, rest = decode_body_composition(FieldReader(first)), decode_body_composition(FieldReader(second))
    known = {reading.quantity for reading in begun.readings}
    added = tuple(reading for reading in rest.readings if reading.quantity is not Quantity.FAT_RATIO)
    if known & {reading.quantity for reading in added}:
        raise CodecError("both packets of a measurement have the same field")
    return begun.model_copy(update={"readings": added}), begun.model_copy(update={"readings": begun.readings + added})


def _reading(quantity: Quantity, raw: int, resolution: str, unit: str) -> Reading:
    return Reading(quantity=quantity, value=raw * Decimal(resolution), unit=unit)
