"""Bytes of a scale to measurements: Weight Measurement (0x2A9D) and Body Composition Measurement (0x2A9C): pure.

Sources: the SIG's GATT Specification Supplement; Weight Scale Service 1.0; Body Composition Service 1.0.1 §3.2, which
splits a measurement that is too long for one packet in two: both have the Multiple Packet bit and the fat ratio, and
only the first has time stamp and user.
"""

from __future__ import annotations

from decimal import Decimal

from installer.health_profiles.characteristic_fields import CodecError, Fields, NoValue
from installer.measurement import Measurement, Quantity, Reading

FAILED = 0xFFFF
IMPERIAL = 0x01
# Of a Body Composition Measurement.
TIME, USER, SPLIT = 0x02, 0x04, 0x1000
_MASS = {False: ("0.005", "kg"), True: ("0.01", "lb")}
_LENGTH = {False: ("0.001", "m"), True: ("0.1", "in")}
_OPTIONAL = (
    (0x0008, Quantity.BASAL_METABOLISM, ("1", "kJ")),
    (0x0010, Quantity.MUSCLE_RATIO, ("0.1", "%")),
    (0x0020, Quantity.MUSCLE_MASS, None),
    (0x0040, Quantity.FAT_FREE_MASS, None),
    (0x0080, Quantity.SOFT_LEAN_MASS, None),
    (0x0100, Quantity.WATER_MASS, None),
    (0x0200, Quantity.IMPEDANCE, ("0.1", "ohm")),
    (0x0400, Quantity.WEIGHT, None),
)


def weight(fields: Fields) -> Measurement:
    """A Weight Measurement: weight, and where the scale knows them the time, the user, body mass index and height."""
    flags = fields.number(1)
    imperial = bool(flags & IMPERIAL)
    raw = fields.number(2)
    shown = fields.moment() if flags & 0x02 else None
    user = fields.user() if flags & 0x04 else None
    readings = [_reading(Quantity.WEIGHT, raw, *_MASS[imperial])]
    if flags & 0x08:
        # Zero is what a scale says that has been told no height.
        index, height = fields.number(2), fields.number(2)
        readings += [_reading(Quantity.BODY_MASS_INDEX, index, "0.1", "kg/m²")] if index else []
        readings += [_reading(Quantity.HEIGHT, height, *_LENGTH[imperial])] if height else []
    fields.end(flags & 0xF0)
    if raw == FAILED:
        raise NoValue("the scale reports that the measurement failed")
    return Measurement(readings=tuple(readings), device_time=shown, user=user)


def composition(fields: Fields) -> Measurement:
    """A Body Composition Measurement, or one packet of two."""
    flags = fields.number(2)
    imperial = bool(flags & IMPERIAL)
    fat = fields.number(2)
    shown = fields.moment() if flags & TIME else None
    user = fields.user() if flags & USER else None
    readings = [] if fat == FAILED else [_reading(Quantity.FAT_RATIO, fat, "0.1", "%")]
    for flag, quantity, scale in _OPTIONAL:
        if flags & flag:
            readings.append(_reading(quantity, fields.number(2), *(scale or _MASS[imperial])))
    if flags & 0x0800:
        readings.append(_reading(Quantity.HEIGHT, fields.number(2), *_LENGTH[imperial]))
    fields.end(flags & 0xE000)
    if not readings:
        raise NoValue("the scale reports that the analysis failed")
    return Measurement(readings=tuple(readings), device_time=shown, user=user)


def is_split(data: bytes) -> bool:
    """Whether this Body Composition Measurement is one packet of two."""
    return len(data) >= 2 and bool(int.from_bytes(data[:2], "little") & SPLIT)


def continues(first: bytes, second: bytes) -> bool:
    """Whether `second` is the other packet of the measurement that `first` began."""
    if not (is_split(first) and is_split(second) and len(first) >= 4 and len(second) >= 4):
        return False
    begun, more = (int.from_bytes(data[:2], "little") for data in (first, second))
    # The fat ratio stands in both: another one is of another measurement.
    return not more & (TIME | USER) and not (begun ^ more) & IMPERIAL and first[2:4] == second[2:4]


def joined(first: bytes, second: bytes) -> tuple[Measurement, Measurement]:
    """What the second packet adds, with the time and user of the first; and the whole measurement.

    Raises CodecError if a field stands in both.
    """
    begun, more = composition(Fields(first)), composition(Fields(second))
    known = {reading.quantity for reading in begun.readings}
    added = tuple(reading for reading in more.readings if reading.quantity is not Quantity.FAT_RATIO)
    if known & {reading.quantity for reading in added}:
        raise CodecError("both packets of a measurement have the same field")
    return begun.model_copy(update={"readings": added}), begun.model_copy(update={"readings": begun.readings + added})


def _reading(quantity: Quantity, raw: int, resolution: str, unit: str) -> Reading:
    return Reading(quantity=quantity, value=raw * Decimal(resolution), unit=unit)
