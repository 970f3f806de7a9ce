"""What a second listener on BlueZ doubles comes once, and two equal measurements stay two."""

from __future__ import annotations

import pytest

from installer.catalogue.model import Profile
from installer.health_profiles.arrived_measurements import ArrivedMeasurements, CollectedMeasurement
from installer.health_profiles.device_features import DeviceFeatures
from installer.health_profiles.repeated_messages import COPY_SECONDS, RepeatedMessages

WHEN = bytes.fromhex("ea070b17120f1e")
WEIGHT = b"\x00\x10\x27"
DATED_WEIGHT = b"\x02\x10\x27" + WHEN
# One summary in two segments: steps 1000, number 7.
STEPS = [b"\x01\x01" + bytes(8), b"\x06" + b"\x07\x00\x00\x00" + b"\xe8\x03\x00"]
# A body composition in two packets, without a time.
BODY = [b"\x20\x10\xc8\x00\x10\x27", b"\x00\x12\xc8\x00\x88\x13"]
RECORD = b"\x03\x07\x00\x34\x2b" + b"\x04" + bytes.fromhex("78004e005c00") + b"\x3e\x00"


def received(profile: Profile, messages: list[bytes], *, copies: int, records: bool = False) -> list[str]:
    """What is kept of these messages, if the system tells each so many times."""
    kept: list[CollectedMeasurement] = []
    arrived = ArrivedMeasurements(kept.append, None, DeviceFeatures(), system_repeats=True)
    listener = arrived.record_listener(profile) if records else arrived.listener(profile)
    for message in messages:
        for _ in range(copies):
            listener(message)
    arrived.finish()
    assert not arrived.is_incomplete
    return [str(one.measurement) for one in kept]


@pytest.mark.parametrize("copies", [2, 3])
@pytest.mark.parametrize(
    ("profile", "messages"),
    [
        (Profile.WEIGHT, [DATED_WEIGHT]),
        (Profile.WEIGHT, [WEIGHT]),
        (Profile.STEPS, STEPS),
        (Profile.BODY_COMPOSITION, BODY),
    ],
    ids=["dated", "undated", "segments", "packets"],
)
async def test_copies_of_a_message_are_one(profile: Profile, messages: list[bytes], copies: int) -> None:
    once = received(profile, messages, copies=1)
    assert once
    assert received(profile, messages, copies=copies) == once


async def test_copies_of_a_record_are_one() -> None:
    assert len(received(Profile.BLOOD_PRESSURE, [RECORD], copies=2, records=True)) == 1


@pytest.mark.parametrize(
    ("unique", "system_repeats", "after", "repeated"),
    [
        (True, False, 100.0, True),
        (False, True, COPY_SECONDS / 2, True),
        # A device needs longer than this for a second indication.
        (False, True, COPY_SECONDS * 2, False),
        # Where the system makes no copies, every message is one of its own.
        (False, False, 0.0, False),
    ],
)
def test_what_can_be_told_apart(unique: bool, system_repeats: bool, after: float, repeated: bool) -> None:
    messages = RepeatedMessages(lambda _: unique, system_repeats)
    assert not messages.is_repeated(WEIGHT, 50.0)
    assert messages.is_repeated(WEIGHT, 50.0 + after) is repeated
    assert not messages.is_repeated(DATED_WEIGHT, 50.0 + after)
    assert not messages.is_repeated(WEIGHT, 50.0 + after)
