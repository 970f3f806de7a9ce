"""Advertising reports taken straight from HCI packets: the same as Bumble reads, and safe on any bytes."""

from __future__ import annotations

from typing import Any

import pytest
from bumble import hci
from hypothesis import given
from hypothesis import strategies as st

from installer.bluetooth.hci.advertising_reports import AdvertisingReport, ReportInterceptor, address_text, parse_report

ADDRESS = bytes.fromhex("3c0020e42400")


def legacy(kind: int, address_type: int, data: bytes, rssi: int, count: int = 1) -> bytes:
    one = bytes((kind, address_type)) + ADDRESS + bytes((len(data),)) + data + bytes((rssi & 0xFF,))
    body = bytes((0x02, count)) + one * count
    return bytes((0x04, 0x3E, len(body))) + body


def extended(kind: int, address_type: int, data: bytes, rssi: int) -> bytes:
    one = kind.to_bytes(2, "little") + bytes((address_type,)) + ADDRESS + b"\x01\x00\xff\x7f"
    one += bytes((rssi & 0xFF,)) + b"\x00\x00\x00" + bytes(6) + bytes((len(data),)) + data
    body = b"\x0d\x01" + one
    return bytes((0x04, 0x3E, len(body))) + body


payload = st.binary(max_size=31)
signal = st.integers(-127, 20)


@given(st.integers(0, 4), st.integers(0, 1), payload, signal)
def test_legacy_reports_are_read_as_bumble_reads_them(kind: int, address_type: int, data: bytes, rssi: int) -> None:
    packet = legacy(kind, address_type, data, rssi)
    theirs: Any = hci.HCI_Packet.from_bytes(packet)
    (one,) = theirs.reports
    ours = parse_report(packet)
    assert ours == AdvertisingReport((int(one.address.address_type), bytes(one.address)), one.data, one.rssi, kind == 4)
    assert ours is not None
    assert address_text(ours.peer) == one.address.to_string(with_type_qualifier=False) == "00:24:E4:20:00:3C"


@given(st.integers(0, 0x7F), st.integers(0, 1), st.binary(max_size=200), signal)
def test_extended_reports_are_read_as_bumble_reads_them(kind: int, address_type: int, data: bytes, rssi: int) -> None:
    packet = extended(kind, address_type, data, rssi)
    theirs: Any = hci.HCI_Packet.from_bytes(packet)
    (one,) = theirs.reports
    ours = parse_report(packet)
    partial = kind >> 5 & 3 == 1
    assert ours == AdvertisingReport(
        (int(one.address.address_type), bytes(one.address)), one.data, one.rssi, bool(kind & 8), partial
    )


@given(st.binary(max_size=60))
def test_no_bytes_break_it(data: bytes) -> None:
    parse_report(data)
    parse_report(b"\x04\x3e" + data)


@pytest.mark.parametrize(
    "packet", [legacy(0, 0, b"ab", -50, count=2), b"\x04\x0e\x04\x01\x03\x0c\x00", legacy(0, 0, b"ab", -50)[:-1]]
)
def test_the_rest_goes_to_bumble(packet: bytes) -> None:
    passed: list[bytes] = []
    taken: list[AdvertisingReport] = []

    class Host:
        on_packet = passed.append

    ReportInterceptor(Host, taken.append).on_packet(packet)
    assert passed == [packet]
    assert taken == []
