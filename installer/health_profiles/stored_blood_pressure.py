"""Stored blood pressures: Blood Pressure Record (0x2B36), with an Enhanced Blood Pressure Measurement (0x2B34) in it.

Pure functions. Source: Blood Pressure Service 1.1; the SIG's GATT Specification Supplement. A record has a header (bit
0: first segment, bit 1: last segment, above them a counter of six bits), a sequence number, the 16-bit UUID of what it
carries, and its bytes. With end-to-end checks, two more bytes follow; they are not checked here, because the link has
checked all bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from installer.bluetooth.uuids import expand_uuid16
from installer.health_profiles.blood_pressure import decode_blood_pressure, pressure_readings, status_texts
from installer.health_profiles.characteristic_fields import CodecError, FieldReader, NoValue
from installer.health_profiles.characteristics import DecodedMessage, with_local_time
from installer.measurement import Measurement

RECORD = expand_uuid16(0x2B36)
FIRST_SEGMENT, LAST_SEGMENT, COUNTER_SHIFT = 0x01, 0x02, 2
BLOOD_PRESSURE, ENHANCED_BLOOD_PRESSURE = 0x2A35, 0x2B34
# Bit of Blood Pressure Feature: two bytes of a checksum end each record.
HAS_CHECKSUM = 0x0040
CHECKSUM_BYTES = 2
_EPOCHS = {False: datetime(1900, 1, 1), True: datetime(2000, 1, 1)}


def has_checksums(feature: bytes) -> bool:
    """Whether each record ends with a checksum, by the Blood Pressure Feature (0x2A49). Raises CodecError."""
    return bool(FieldReader(feature).number(2) & HAS_CHECKSUM)


def decode_enhanced(fields: FieldReader) -> Measurement:
    """An Enhanced Blood Pressure Measurement. Raises CodecError, NoValue.

    Of its two times, the one that the person is shown counts. Both are seconds since 1900 or 2000.
    """
    flags = fields.number(1)
    unit = "kPa" if flags & 0x01 else "mmHg"
    pressures = tuple(fields.sfloat() for _ in range(3))
    epoch = _EPOCHS[bool(flags & 0x40)]
    stamp = fields.number(4) if flags & 0x02 else None
    pulse = fields.sfloat() if flags & 0x04 else None
    user = fields.user_index() if flags & 0x08 else None
    status = fields.number(2) if flags & 0x10 else 0
    shown = fields.number(4) if flags & 0x20 else None
    fields.end(flags & 0x80)
    seconds = stamp if shown is None else shown
    return Measurement(
        readings=pressure_readings(pressures, pulse, unit),
        device_time=None if seconds is None else epoch + timedelta(seconds=seconds),
        user=user,
        status=status_texts(status),
    )


class RecordJoiner:
    """Joins the segments of records and decodes them. Call `feed` with every message, in order."""

    def __init__(self, checksums: bool) -> None:
        self._checksums = checksums
        self._segments: list[bytes] = []

    @property
    def is_incomplete(self) -> bool:
        """Whether a record has begun and its last segment is missing."""
        return bool(self._segments)

    def feed(self, data: bytes) -> Iterator[DecodedMessage]:
        """The record that this message completes. Raises CodecError, NoValue."""
        fields = FieldReader(data)
        header = fields.number(1)
        if header & FIRST_SEGMENT:
            self._segments = []
        elif not self._segments or (self._segments[-1][0] >> COUNTER_SHIFT) + 1 & 0x3F != header >> COUNTER_SHIFT:
            self._segments = []
            raise CodecError("a segment of a record is missing")
        self._segments.append(data)
        if header & LAST_SEGMENT:
            segments, self._segments = self._segments, []
            yield DecodedMessage(with_local_time(self._decode(segments)), b"".join(segments))

    def finish(self) -> Iterator[DecodedMessage]:
        """Nothing: an incomplete record comes again when it is asked for."""
        self._segments = []
        yield from ()

    def _decode(self, segments: list[bytes]) -> Measurement:
        if self._checksums:
            segments = [segment[:-CHECKSUM_BYTES] for segment in segments]
        heads = [FieldReader(segment) for segment in segments]
        marks = [(head.number(1), head.number(2), head.number(2))[1:] for head in heads]
        if len(set(marks)) != 1:
            raise CodecError("the segments of a record have different numbers")
        sequence, carried = marks[0]
        body = FieldReader(b"".join(segment[5:] for segment in segments))
        if carried == ENHANCED_BLOOD_PRESSURE:
            measurement = decode_enhanced(body)
        elif carried == BLOOD_PRESSURE:
            measurement = decode_blood_pressure(body)
        else:
            raise NoValue("the record is not one of a blood pressure")
        return measurement.model_copy(update={"sequence": sequence})
