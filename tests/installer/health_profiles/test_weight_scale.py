"""Scales: weight; body composition: every field, both systems of units, one packet and two."""

from __future__ import annotations

import struct
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.catalogue.model import Profile
from installer.health_profiles.characteristic_fields import CodecError, NoValue
from installer.health_profiles.characteristics import DecodedMessage, MessageJoiner, decode
from installer.measurement import Measurement, Quantity
from tests.installer.health_profiles.hex_messages import MOMENT, WHEN, one, values

SHOWN = datetime(2026, 11, 23, 18, 15, 30)
FULL = b"\xfe\x0f\xc8\x00" + WHEN + b"\x01" + struct.pack("<9H", 8000, 400, 7000, 12000, 11400, 8000, 5000, 15000, 1750)
FIRST = b"\x3e\x10\xc8\x00" + WHEN + b"\x01" + struct.pack("<3H", 8000, 400, 7000)
SECOND = b"\xc0\x1f\xc8\x00" + struct.pack("<6H", 12000, 11400, 8000, 5000, 15000, 1750)
# A measurement in one packet between others.
ALONE = b"\x00\x00\xfa\x00"

VALUES = {
    Quantity.FAT_RATIO: (Decimal("20.0"), "%"),
    Quantity.BASAL_METABOLISM: (Decimal(8000), "kJ"),
    Quantity.MUSCLE_RATIO: (Decimal("40.0"), "%"),
    Quantity.MUSCLE_MASS: (Decimal("35.000"), "kg"),
    Quantity.FAT_FREE_MASS: (Decimal("60.000"), "kg"),
    Quantity.SOFT_LEAN_MASS: (Decimal("57.000"), "kg"),
    Quantity.WATER_MASS: (Decimal("40.000"), "kg"),
    Quantity.IMPEDANCE: (Decimal("500.0"), "ohm"),
    Quantity.WEIGHT: (Decimal("75.000"), "kg"),
    Quantity.HEIGHT: (Decimal("1.750"), "m"),
}


def read(data: bytes) -> Measurement:
    return decode(Profile.BODY_COMPOSITION, data)


def told(*messages: bytes) -> list[DecodedMessage]:
    joiner = MessageJoiner(Profile.BODY_COMPOSITION)
    return [one for message in messages for one in joiner.feed(message)] + list(joiner.finish())


def fed(*messages: bytes) -> list[tuple[Measurement, bytes]]:
    """What is handed on."""
    return [(one.measurement, one.raw) for one in told(*messages) if one.to_deliver]


def test_every_field() -> None:
    found = read(FULL)
    assert values(found) == VALUES
    assert (found.device_time, found.user) == (SHOWN, 1)


def test_pounds_and_inches() -> None:
    found = values(read(b"\x01\x0c\x2c\x01" + struct.pack("<2H", 15950, 709)))
    assert found == {
        Quantity.FAT_RATIO: (Decimal("30.0"), "%"),
        Quantity.WEIGHT: (Decimal("159.50"), "lb"),
        Quantity.HEIGHT: (Decimal("70.9"), "in"),
    }


def test_the_unknown_user() -> None:
    assert read(b"\x04\x00\xc8\x00\xff").user is None


def test_an_analysis_that_failed() -> None:
    with pytest.raises(NoValue):
        read(b"\x06\x00\xff\xff" + WHEN + b"\xff")
    # Somebody in socks: no fat ratio, and yet a weight.
    assert values(read(b"\x00\x04\xff\xff\x98\x3a")) == {Quantity.WEIGHT: (Decimal("75.000"), "kg")}


def test_two_packets_are_one_measurement() -> None:
    ((found, raw),) = fed(FIRST, SECOND)
    assert values(found) == VALUES
    assert (found.device_time, found.taken, found.user) == (SHOWN, SHOWN.astimezone(), 1)
    assert raw == FIRST + SECOND


def test_each_packet_is_kept_as_it_comes() -> None:
    first, second = (one for one in told(FIRST, SECOND) if one.to_keep)
    assert (first.raw, second.raw) == (FIRST, FIRST + SECOND)
    # Both have time and user, no value stands in both, and none is missing.
    assert (second.measurement.taken, second.measurement.user) == (first.measurement.taken, first.measurement.user)
    assert first.measurement.taken is not None
    assert not values(first.measurement).keys() & values(second.measurement).keys()
    assert values(first.measurement) | values(second.measurement) == VALUES
    # One packet is kept once, and half a measurement is not kept again when it is handed on alone.
    assert [(one.raw, one.to_keep, one.to_deliver) for one in told(ALONE)] == [(ALONE, True, True)]
    assert [(one.to_keep, one.to_deliver) for one in told(FIRST)] == [(True, False), (False, True)]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(b"\xc0\x1f\xfa\x00" + SECOND[4:], id="another fat ratio"),
        pytest.param(b"\xc1\x1f\xc8\x00" + SECOND[4:], id="other units"),
        pytest.param(FIRST, id="another beginning"),
    ],
)
def test_packets_of_two_measurements_are_not_mixed(other: bytes) -> None:
    assert [raw for _, raw in fed(FIRST, other)] == [FIRST, other]


def test_half_a_measurement_is_not_lost() -> None:
    assert [raw for _, raw in fed(FIRST, ALONE, FIRST)] == [FIRST, ALONE, FIRST]
    assert [raw for _, raw in fed(SECOND)] == [SECOND]
    # Nor by nonsense that follows it.
    joiner = MessageJoiner(Profile.BODY_COMPOSITION)
    assert [one.to_deliver for one in joiner.feed(FIRST)] == [False]
    following = joiner.feed(b"\x02\x00")
    assert next(following).raw == FIRST
    with pytest.raises(CodecError):
        next(following)


def test_the_same_field_in_both_packets() -> None:
    with pytest.raises(CodecError, match="same field"):
        fed(FIRST, b"\x20\x10\xc8\x00\x58\x1b")


@pytest.mark.parametrize("size", range(len(FULL)))
def test_what_is_cut_short_is_refused(size: int) -> None:
    with pytest.raises(CodecError):
        read(FULL[:size])


@given(
    flags=st.integers(0, 0x0FFF),
    numbers=st.lists(st.integers(0, 0xFFFE), min_size=10, max_size=10),
    user=st.integers(0, 0xFE),
    cut=st.integers(3, 11),
)
def test_any_fields_come_back_in_one_packet_and_in_two(flags: int, numbers: list[int], user: int, cut: int) -> None:
    def packet(bits: int) -> bytes:
        head = (
            struct.pack("<HH", bits, numbers[0]) + (WHEN if bits & 2 else b"") + (bytes((user,)) if bits & 4 else b"")
        )
        return head + b"".join(struct.pack("<H", numbers[bit - 2]) for bit in range(3, 12) if bits & 1 << bit)

    whole = read(packet(flags))
    assert len(whole.readings) == 1 + (flags >> 3).bit_count()
    assert whole.user == (user if flags & 4 else None)
    assert whole.device_time == (SHOWN if flags & 2 else None)
    # Split before any of the fields, as a device does on a link with small packets.
    upper = flags >> cut << cut
    ((joined, raw),) = fed(packet(flags & ~upper | 0x1000), packet(upper | flags & 1 | 0x1000))
    assert joined == whole
    assert len(raw) == len(packet(flags)) + 4


def test_weight() -> None:
    kilograms = one(Profile.WEIGHT, "00" + struct.pack("<H", 14470).hex())
    assert kilograms == {Quantity.WEIGHT: (Decimal("72.35"), "kg")}
    pounds = one(Profile.WEIGHT, "01" + struct.pack("<H", 15950).hex())
    assert pounds == {Quantity.WEIGHT: (Decimal("159.5"), "lb")}
    full = decode(Profile.WEIGHT, b"\x0e" + struct.pack("<H", 14470) + WHEN + b"\x01" + b"\xe6\x00\xb4\x00")
    assert (full.taken, full.device_time, full.user) == (MOMENT, MOMENT.replace(tzinfo=None), 1)
    assert values(full) == {
        Quantity.WEIGHT: (Decimal("72.35"), "kg"),
        Quantity.BODY_MASS_INDEX: (Decimal("23.0"), "kg/m²"),
        Quantity.HEIGHT: (Decimal("0.18"), "m"),
    }
    inches = one(Profile.WEIGHT, "09" + struct.pack("<HHH", 15950, 223, 709).hex())
    assert inches[Quantity.HEIGHT] == (Decimal("70.9"), "in")
    # A scale that has been told no height.
    assert list(one(Profile.WEIGHT, "08" + struct.pack("<HHH", 14470, 0, 0).hex())) == [Quantity.WEIGHT]
    # 0xFF is the unknown user, 0 is one like another.
    assert [decode(Profile.WEIGHT, b"\x04\x10\x27" + user).user for user in (b"\xff", b"\x00")] == [None, 0]
    with pytest.raises(NoValue):
        decode(Profile.WEIGHT, b"\x00\xff\xff")
