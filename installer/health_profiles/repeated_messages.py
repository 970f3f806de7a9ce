"""Recognises a message that the system told twice, before messages are joined or kept. The one place that does so.

BlueZ signals each notification once for each program that listens to it, and tells every program all of them. So a
second program that listens doubles every message; a value that somebody reads comes as a message, too. What a device
itself sends again at another visit is the outbox's matter (`gateway/outbox_writer.py`).

What can be told apart:

- A message with a time, a sequence number or a place in a sequence: the same bytes again are the same message.
- A message without: two equal ones may be two equal measurements. A device sends the second one only after it has got
  the confirmation of the first one, at least one connection interval later. The copies of the system come together. So
  only where the system makes copies, an equal message within `COPY_SECONDS` is one.
"""

from __future__ import annotations

from collections.abc import Callable

from installer.catalogue.model import Profile
from installer.health_profiles import weight_scale
from installer.health_profiles.characteristic_fields import CodecError
from installer.health_profiles.characteristics import decode

# Shorter than the shortest connection interval (7.5 ms; Core Specification, volume 6, part B, 4.5.1).
COPY_SECONDS = 0.007


class RepeatedMessages:
    """The messages of one characteristic.

    `is_unique`: whether no second message has the same bytes; `system_repeats`: whether the system makes copies.
    """

    def __init__(self, is_unique: Callable[[bytes], bool], system_repeats: bool) -> None:
        self._is_unique = is_unique
        self._system_repeats = system_repeats
        self._last = b""
        self._last_at = float("-inf")

    def is_repeated(self, data: bytes, now: float) -> bool:
        """Whether `data`, which arrived at `now` (monotonic seconds), is the message before it once more."""
        same, since = data == self._last, now - self._last_at
        self._last, self._last_at = data, now
        if not same:
            return False
        return self._is_unique(data) or (self._system_repeats and since < COPY_SECONDS)


def is_unique(profile: Profile, data: bytes) -> bool:
    """Whether no second message of this device has the same bytes: they hold a time, a number or a place."""
    if profile is Profile.STEPS:
        return True  # each segment has its place, and each summary its number
    if profile is Profile.BODY_COMPOSITION and weight_scale.is_split(data):
        return True  # a first packet follows a second one
    try:
        measurement = decode(profile, data)
    except CodecError:
        return False
    return measurement.device_time is not None or measurement.sequence is not None
