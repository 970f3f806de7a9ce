"""The measurement characteristic of each health profile, decoding its messages, and joining split messages.

Pure: no input or output. The layouts are in the module of each device type (`weight_scale`, `blood_pressure`, …).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from installer.bluetooth.uuids import expand_uuid16
from installer.catalogue.model import Profile
from installer.health_profiles import step_counter, weight_scale
from installer.health_profiles.blood_pressure import decode_blood_pressure
from installer.health_profiles.characteristic_fields import CodecError, FieldReader
from installer.health_profiles.device_clock import to_local_time
from installer.health_profiles.heart_rate import decode_heart_rate
from installer.health_profiles.thermometer import decode_temperature
from installer.measurement import Measurement


@dataclass(frozen=True)
class Characteristic:
    """The UUIDs of a profile's service and measurement characteristic."""

    service: str
    uuid: str


CHARACTERISTICS = {
    Profile.WEIGHT: Characteristic(expand_uuid16(0x181D), expand_uuid16(0x2A9D)),
    Profile.BLOOD_PRESSURE: Characteristic(expand_uuid16(0x1810), expand_uuid16(0x2A35)),
    Profile.TEMPERATURE: Characteristic(expand_uuid16(0x1809), expand_uuid16(0x2A1C)),
    Profile.HEART_RATE: Characteristic(expand_uuid16(0x180D), expand_uuid16(0x2A37)),
    Profile.STEPS: Characteristic(expand_uuid16(0x183E), expand_uuid16(0x2B40)),
    Profile.BODY_COMPOSITION: Characteristic(expand_uuid16(0x181B), expand_uuid16(0x2A9C)),
}
_DECODERS: dict[Profile, Callable[[FieldReader], Measurement]] = {
    Profile.WEIGHT: weight_scale.decode_weight,
    Profile.BLOOD_PRESSURE: decode_blood_pressure,
    Profile.TEMPERATURE: decode_temperature,
    Profile.HEART_RATE: decode_heart_rate,
    Profile.STEPS: step_counter.decode_steps,
    Profile.BODY_COMPOSITION: weight_scale.decode_body_composition,
}


def decode(profile: Profile, data: bytes) -> Measurement:
    """The measurement in one notification or indication. Raises CodecError; NoValue if it has no measurement.

    `device_time` is the time of the device's clock; `taken` is the same in this computer's time zone, if possible.
    `MessageJoiner` handles measurements that arrive in several messages.
    """
    return with_local_time(_DECODERS[profile](FieldReader(data)))


class DecodedMessage(NamedTuple):
    """A measurement with its raw bytes. The bytes of several messages are concatenated.

    `to_keep`: store it at once, because the device may forget it. Of a split measurement, this is what each message
    adds, with the time and user of the first. `to_deliver`: it is complete. A measurement in one message is both.
    """

    measurement: Measurement
    raw: bytes
    to_keep: bool = True
    to_deliver: bool = True


class MessageJoiner:
    """Decodes the messages of one profile, and joins measurements that arrive in several messages.

    Call `feed` with every message in order, and `finish` when no more can come.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._pending: list[bytes] = []

    @property
    def is_incomplete(self) -> bool:
        """Whether a measurement has begun and its last message is missing."""
        return bool(self._pending)

    def feed(self, data: bytes) -> Iterator[DecodedMessage]:
        """What this message contains and completes. Raises CodecError, after yielding what came before.

        Raises NoValue if the message has no measurement.
        """
        if self._profile is Profile.BODY_COMPOSITION:
            yield from self._feed_body_composition(data)
        elif self._profile is Profile.STEPS:
            yield from self._feed_steps(data)
        else:
            yield DecodedMessage(decode(self._profile, data), data)

    def finish(self) -> Iterator[DecodedMessage]:
        """The first packet of a split body composition whose second packet never came."""
        pending, self._pending = self._pending, []
        if pending and self._profile is Profile.BODY_COMPOSITION:
            yield DecodedMessage(decode(self._profile, pending[0]), pending[0], to_keep=False)

    def _feed_body_composition(self, data: bytes) -> Iterator[DecodedMessage]:
        if self._pending and weight_scale.is_second_packet(self._pending[0], data):
            first = self._pending.pop()
            added, joined = (with_local_time(measurement) for measurement in weight_scale.join_packets(first, data))
            if added.readings:
                yield DecodedMessage(added, first + data, to_deliver=False)
            yield DecodedMessage(joined, first + data, to_keep=False)
            return
        yield from self.finish()
        measurement = decode(self._profile, data)
        if weight_scale.is_split(data):
            self._pending = [data]
            yield DecodedMessage(measurement, data, to_deliver=False)
        else:
            yield DecodedMessage(measurement, data)

    def _feed_steps(self, data: bytes) -> Iterator[DecodedMessage]:
        if step_counter.is_first_segment(data):
            self._pending = []
        elif not self._pending or not step_counter.is_next_segment(self._pending[-1], data):
            self._pending = []
            raise CodecError("a segment of a summary is missing")
        self._pending.append(data)
        if step_counter.is_last_segment(data):
            segments, self._pending = self._pending, []
            joined = step_counter.join_segments(segments)
            yield DecodedMessage(decode(self._profile, joined), b"".join(segments))


def with_local_time(measurement: Measurement) -> Measurement:
    """The measurement with its device's time as `taken`, in this computer's time zone."""
    return measurement.model_copy(update={"taken": to_local_time(measurement.device_time)})
