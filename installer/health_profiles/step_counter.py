"""Steps: Step Counter Activity Summary Data (0x2B40), and joining a summary that arrives in several segments.

Pure functions. Source: Physical Activity Monitor Service 1.0.
"""

from __future__ import annotations

from decimal import Decimal

from installer.health_profiles.characteristic_fields import CodecError, FieldReader, NoValue, make_readings
from installer.measurement import Measurement, Quantity

FIRST_SEGMENT, LAST_SEGMENT = 0x01, 0x02
_UNKNOWN_UINT24 = 0xFFFFFF


def decode_steps(fields: FieldReader) -> Measurement:
    """A complete Step Counter Activity Summary. Raises CodecError, NoValue."""
    header, flags = fields.number(1), fields.number(1)
    if header & (FIRST_SEGMENT | LAST_SEGMENT) != FIRST_SEGMENT | LAST_SEGMENT:
        raise CodecError("one segment of a summary cannot be read alone")
    fields.number(2 + 2 + 4)  # session, sub-session, time since the session began
    sequence = fields.number(4)
    counts = [fields.number(3) for bit in (0x01, 0x02, 0x04) if flags & bit]
    distance, worn = (fields.number(3) if flags & bit else _UNKNOWN_UINT24 for bit in (0x08, 0x10))
    fields.end(flags & 0xE0)
    known = [count for count in counts if count != _UNKNOWN_UINT24]
    if not known:
        raise NoValue("the summary contains no steps")
    return Measurement(
        readings=make_readings(
            (Quantity.STEPS, Decimal(sum(known)), "steps"),
            (Quantity.DISTANCE, None if distance == _UNKNOWN_UINT24 else Decimal(distance), "m"),
            (Quantity.WORN, None if worn == _UNKNOWN_UINT24 else Decimal(worn), "s"),
        ),
        sequence=sequence,
    )


def is_first_segment(data: bytes) -> bool:
    """Whether a summary begins here. Raises CodecError for an empty message."""
    return bool(FieldReader(data).number(1) & FIRST_SEGMENT)


def is_last_segment(data: bytes) -> bool:
    """Whether a summary ends here."""
    return bool(data[0] & LAST_SEGMENT)


def is_next_segment(previous: bytes, data: bytes) -> bool:
    """Whether `data` follows `previous`: the six-bit segment counter is one higher."""
    return (previous[0] >> 2) + 1 & 0x3F == data[0] >> 2


def join_segments(segments: list[bytes]) -> bytes:
    """The segments of a summary as one message."""
    return bytes((FIRST_SEGMENT | LAST_SEGMENT,)) + b"".join(segment[1:] for segment in segments)
