"""Steps: the summary, whole and in segments."""

from __future__ import annotations

from decimal import Decimal

import pytest

from installer.catalogue.model import Profile
from installer.health_profiles.characteristic_fields import CodecError, NoValue
from installer.health_profiles.characteristics import MessageJoiner, decode
from installer.measurement import Quantity
from tests.installer.health_profiles.hex_messages import one, values


def test_steps() -> None:
    head = "010001000000000001000000"
    assert one(Profile.STEPS, "0301" + head + "681000") == {Quantity.STEPS: (Decimal(4200), "steps")}
    full = decode(Profile.STEPS, bytes.fromhex("031f" + head + "0a0000050000ffffff881300100e00"))
    assert values(full) == {
        Quantity.STEPS: (Decimal(15), "steps"),
        Quantity.DISTANCE: (Decimal(5000), "m"),
        Quantity.WORN: (Decimal(3600), "s"),
    }
    assert full.sequence == 1
    for nothing in ("0308" + head + "881300", "0301" + head + "ffffff"):
        with pytest.raises(NoValue):
            one(Profile.STEPS, nothing)
    with pytest.raises(CodecError, match="alone"):
        one(Profile.STEPS, "0101" + head + "681000")


def test_a_summary_of_steps_in_several_parts() -> None:
    whole = bytes.fromhex("0301010001000000000001000000681000")
    first, second, last = b"\x01" + whole[1:8], b"\x04" + whole[8:12], b"\x0a" + whole[12:]
    joiner = MessageJoiner(Profile.STEPS)
    assert [list(joiner.feed(part)) for part in (first, second)] == [[], []]
    assert list(joiner.feed(last)) == [(decode(Profile.STEPS, whole), first + second + last, True, True)]
    # A part is missing: the others are of no use, and the next summary is read again.
    assert list(joiner.feed(first)) == []
    for stray in (last, second):
        with pytest.raises(CodecError, match="missing"):
            list(joiner.feed(stray))
    assert len(list(joiner.feed(whole))) == 1
    assert list(joiner.feed(first)) == list(joiner.finish()) == []
