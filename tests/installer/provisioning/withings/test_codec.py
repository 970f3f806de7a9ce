"""The vendor's messages: every public vector, what is refused, fragments, and arbitrary bytes."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.provisioning.driver_errors import Malformed
from installer.provisioning.withings import codec
from installer.provisioning.withings.codec import Assembler, Battery, Frame, Item, Refusal

MAC = "00:24:e4:00:00:01"
PROBE = "0101010010012a00060101004dd371092800020021"
CHALLENGE = "0101280027012200231130303a32343a65343a30303a30303a303110000102030405060708090a0b0c0d0e0f"
APP_ANSWER = (
    "0101280040012300151460da418e78cddda7a2356fd0517188a559b57e7b"
    "012200231130303a32343a65343a30303a30303a303110101112131415161718191a1b1c1d1e1f"
)
FINAL = (
    "01010100680123001514c471073f3d8c79df68d53fed8ab7c006bc6cf0b7010100460000000005426f64792b"
    "1130303a32343a65343a30303a30303a30311030313233343536373839616263646566"
    "00ffffff08303030303030303100000005000004d200ffffff012c000100"
)
ERROR = "010100000a011000060102fffffffb"
BATTERY = "010504000e0504000a470200000f0100000000"
TIME = "0501001038e5c8a000001c2039f7740000000960"
STEEL_CHALLENGE = "012200231130303a32343a65343a36653a34633a38611082f3d9e121f16a5a3cf0ba94261e8ff6"
MESSAGES = (PROBE, CHALLENGE, APP_ANSWER, FINAL, ERROR, BATTERY)


def frame(text: str) -> Frame:
    return codec.decode(bytes.fromhex(text))


@pytest.mark.parametrize("text", MESSAGES)
def test_every_message_is_the_same_after_reading_and_writing(text: str) -> None:
    assert codec.encode(frame(text)).hex() == text


def test_the_probe() -> None:
    assert codec.encode(codec.probe_request(5100401, 33)).hex() == PROBE
    told = frame(PROBE)
    assert (told.id, told.is_answer, [i.type for i in told.items]) == (0x0101, True, [0x012A, 0x0928])


def test_the_challenges() -> None:
    assert codec.challenge_mac(frame(CHALLENGE).first(codec.CHALLENGE) or b"") == MAC
    (item,) = codec.decode(bytes.fromhex("0101280027" + STEEL_CHALLENGE)).items
    assert codec.challenge_mac(item.data) == "00:24:e4:6e:4c:8a"


def test_the_app_s_answer_and_the_device_s() -> None:
    """This program gives none; that the vectors hang together shows that the objects are taken apart rightly."""
    secret = b"0123456789abcdef0123456789abcdef"
    asked, answered, final = frame(CHALLENGE), frame(APP_ANSWER), frame(FINAL)
    for challenge, reply in ((asked, answered), (answered, final)):
        nonce = (challenge.first(0x0122) or b"")[-16:]
        expected = hashlib.sha1(nonce + MAC.encode() + secret, usedforsecurity=False).digest()
        assert reply.first(0x0123) == bytes((20,)) + expected


def test_the_final_message() -> None:
    told = codec.reply(frame(FINAL).first(codec.REPLY) or b"")
    assert (told.name, told.mac, told.manufacturing_id) == ("Body+", MAC, "00000001")
    assert (told.bootloader, told.software, told.hardware, told.rescue) == (5, 1234, None, None)
    assert frame(FINAL).first(codec.FACTORY_STATE) == b"\x00"
    # The secret in it goes nowhere.
    assert "0123456789abcdef" not in repr(told) + repr(frame(FINAL))


def test_the_reply_of_a_steel_hr() -> None:
    texts = b"\x08Steel HR" + b"\x11" + b"00:24:e4:6e:4c:8a" + b"\x10" + b"s" * 16
    none = bytes.fromhex("00ffffff")
    data = bytes(4) + texts + none + b"\x0800120122" + (27).to_bytes(4, "big") + (7041).to_bytes(4, "big") + none
    told = codec.reply(data)
    assert (told.vendor, told.product, told.name, told.manufacturing_id) == (0, 0, "Steel HR", "00120122")
    assert (told.bootloader, told.software, told.hardware, told.rescue) == (27, 7041, None, None)


def test_the_battery() -> None:
    assert codec.battery(frame(BATTERY).first(codec.BATTERY) or b"") == Battery(71, 2, 3841)


def test_the_time_object() -> None:
    (item,) = codec.decode(bytes.fromhex("0105010014" + TIME)).items
    fields = codec.Reader(item.data)
    assert (item.type, fields.number(4), fields.signed(4), fields.number(4), fields.signed(4)) == (
        0x0501, 0x38E5C8A0, 7200, 0x39F77400, 2400,
    )  # fmt: skip


def test_the_error() -> None:
    assert codec.refusal(frame(ERROR)) == Refusal(258, -5)
    assert codec.refusal(frame(BATTERY)) is None


@pytest.mark.parametrize(
    ("command", "number", "is_answer"), [(0x0101, 0x0101, True), (0x4101, 0x0101, False), (0x8504, 0x0504, False)]
)
def test_the_channel_is_in_the_upper_two_bits(command: int, number: int, is_answer: bool) -> None:
    told = codec.decode(b"\x01" + command.to_bytes(2, "big") + b"\x00\x00")
    assert (told.id, told.is_answer) == (number, is_answer)


@pytest.mark.parametrize(
    "text",
    [
        "", "01", "01010100", "0201010000", "0101010001", "010101000001", "01010100030101", "0101010005010100ff00",
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        frame(text)


@pytest.mark.parametrize(
    ("function", "data"),
    [
        (codec.reply, b""),
        (codec.reply, bytes(4) + b"\x02\xff\xfe"),
        (codec.reply, bytes(4) + b"\xffshort"),
        (codec.challenge_mac, b"\x0112"),
        (codec.challenge_mac, b"\x00\x0f" + bytes(15)),
        (codec.battery, b"\x47\x02"),
        (codec.battery, b"\xff\x02" + bytes(8)),
    ],
)
def test_objects_that_are_not_what_they_should_be(function: object, data: bytes) -> None:
    with pytest.raises(Malformed):
        function(data)  # type: ignore[operator]


def test_too_long_is_refused_before_it_has_come() -> None:
    assembler = Assembler()
    with pytest.raises(Malformed):
        assembler.feed(b"\x01\x01\x01\xff\xff")
    assert assembler.waiting == 0
    # What comes after that is understood again.
    assert assembler.feed(bytes.fromhex(ERROR)) == [frame(ERROR)]


def test_what_does_not_fit_is_not_written() -> None:
    for wrong in (Frame(0x10000), Frame(1, (Item(-1),)), Frame(1, (Item(1, bytes(0xFFFF)),))):
        with pytest.raises(Malformed):
            codec.encode(wrong)


ITEMS = st.builds(Item, st.integers(0, 0xFFFF), st.binary(max_size=200))
FRAMES = st.builds(Frame, st.integers(0, 0xFFFF), st.lists(ITEMS, max_size=5).map(tuple))


@given(FRAMES)
def test_round_trip(one: Frame) -> None:
    assert codec.decode(codec.encode(one)) == one


@given(st.lists(FRAMES, min_size=1, max_size=4), st.data())
def test_fragments_of_any_size(sent: list[Frame], data: st.DataObject) -> None:
    rest, assembler, heard = b"".join(map(codec.encode, sent)), Assembler(), []
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        heard += assembler.feed(rest[:size])
        rest = rest[size:]
    assert heard == sent
    assert assembler.waiting == 0


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_arbitrary_notifications_are_messages_or_refused(pieces: list[bytes]) -> None:
    assembler = Assembler()
    for piece in pieces:
        with contextlib.suppress(Malformed):
            assembler.feed(piece)
        assert assembler.waiting <= codec.MAX_OBJECTS + 305


@given(st.binary(max_size=200))
def test_arbitrary_objects_are_read_or_refused(data: bytes) -> None:
    for function in (codec.reply, codec.challenge_mac, codec.battery):
        try:
            function(data)
        except Malformed:
            continue


@given(st.sampled_from(MESSAGES), st.data())
def test_a_damaged_message_is_read_or_refused(text: str, data: st.DataObject) -> None:
    raw = bytearray.fromhex(text)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        told = codec.decode(bytes(raw))
        codec.refusal(told)
        for item in told.items:
            codec.reply(item.data)
    except Malformed:
        return
