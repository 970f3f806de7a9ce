"""The bytes of stored records, requests and consents, written out by hand from the specifications."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from installer.health_profiles.characteristic_fields import CodecError
from installer.health_profiles.record_access import REPORT, REPORT_NUMBER, Response, decode_response, encode_request
from installer.health_profiles.set_device_time import encode_current_time, encode_date_time
from installer.health_profiles.stored_blood_pressure import RecordJoiner, has_checksums
from installer.health_profiles.user_consent import Consent, encode_consent
from installer.measurement import Measurement

# mmHg; pulse, user, status and the time that is shown, in seconds since 2000: 120/80, mean 92, pulse 62.5, user 2.
ENHANCED = bytes.fromhex("7c780050005c0071f2020400c01ad531")
SHOWN = datetime(2026, 6, 29, 12, 0, 0)


def joined(*segments: bytes, checksums: bool = False) -> list[Measurement]:
    joiner = RecordJoiner(checksums)
    found = [one.measurement for segment in segments for one in joiner.feed(segment)]
    assert not joiner.is_incomplete
    return found


def test_a_record_in_one_segment() -> None:
    (found,) = joined(b"\x03\x07\x00\x34\x2b" + ENHANCED)
    assert (found.sequence, found.user, found.status) == (7, 2, ("irregular pulse",))
    assert found.device_time == SHOWN
    assert [reading.value for reading in found.readings] == [120, 80, Decimal("62.5"), 92]


def test_a_record_in_several_segments_with_checksums() -> None:
    head, crc = b"\x07\x00\x34\x2b", b"\xaa\xbb"
    whole = joined(b"\x03" + head + ENHANCED)
    segments = [b"\x01" + head + ENHANCED[:9] + crc, b"\x06" + head + ENHANCED[9:] + crc]
    assert joined(*segments, checksums=True) == whole
    assert has_checksums(b"\x40\x00")
    assert not has_checksums(b"\x20\x00")


def test_a_record_with_the_plain_measurement_in_it() -> None:
    (found,) = joined(b"\x03\x09\x00\x35\x2a" + b"\x00" + ENHANCED[1:7])
    assert (found.sequence, [reading.value for reading in found.readings]) == (9, [120, 80, 92])


@pytest.mark.parametrize(
    "segments",
    [
        [b"\x06\x07\x00\x34\x2b" + ENHANCED],
        [b"\x01\x07\x00\x34\x2b" + ENHANCED[:9], b"\x0a\x07\x00\x34\x2b" + ENHANCED[9:]],
        [b"\x01\x07\x00\x34\x2b" + ENHANCED[:9], b"\x06\x08\x00\x34\x2b" + ENHANCED[9:]],
        [b"\x03\x07\x00\x34\x2b" + ENHANCED[:-1]],
        [b"\x03\x07\x00"],
    ],
    ids=["no first one", "one is missing", "of two records", "too short", "no head"],
)
def test_a_record_that_is_wrong(segments: list[bytes]) -> None:
    with pytest.raises(CodecError):
        joined(*segments)


@given(st.lists(st.binary(max_size=40), max_size=5), st.booleans())
def test_any_bytes_are_a_record_or_an_error(messages: list[bytes], checksums: bool) -> None:
    joiner = RecordJoiner(checksums)
    for message in messages:
        with suppress(CodecError):
            list(joiner.feed(message))


def test_requests_and_responses() -> None:
    assert encode_request(REPORT, None) == b"\x01\x01"
    assert encode_request(REPORT_NUMBER, 258) == b"\x04\x03\x01\x02\x01"
    assert decode_response(b"\x05\x00\x02\x01") == Response(REPORT_NUMBER, 258)
    assert decode_response(b"\x06\x00\x01\x06") == Response(REPORT, None, 0x06)
    assert [decode_response(data) for data in (b"", b"\x06\x00\x01", b"\x05\x00\x01", b"\x07\x00\x01\x01")] == [
        None
    ] * 4


def test_the_time_that_is_set() -> None:
    when = datetime(2026, 11, 23, 18, 15, 30, 500_000)
    assert encode_date_time(when) == bytes.fromhex("ea070b17120f1e")
    assert encode_current_time(when) == bytes.fromhex("ea070b17120f1e018000")


def test_a_consent() -> None:
    assert encode_consent(Consent(2, SecretStr("4711\n"))) == bytes.fromhex("02026712")
    for code in ("", "10000", "-1", "12a4", "٤"):
        with pytest.raises(ValueError, match="from 0 to 9999") as caught:
            encode_consent(Consent(2, SecretStr(code)))
        assert str(caught.value) == "a consent code is a number from 0 to 9999"
