"""Advertising data: what is read out of it, and that no bytes break it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from installer.bluetooth.hci.advertising_data import AdvertisingFields, parse_advertising_data
from installer.bluetooth.uuids import uuid_from_bytes

IMPROV = "00467768-6228-2272-4663-277478268000"
IMPROV_PACKET = bytes.fromhex("020106" + "11070080267874276346722228626877460009" + "16774602050000" + "0000")


def structure(kind: int, body: bytes) -> bytes:
    return bytes((len(body) + 1, kind)) + body


def test_the_improv_advertisement_of_the_specification() -> None:
    fields = parse_advertising_data(IMPROV_PACKET)
    assert len(IMPROV_PACKET) == 31
    assert fields.services == [IMPROV]
    assert fields.service_data == {"00004677-0000-1000-8000-00805f9b34fb": bytes.fromhex("020500000000")}


def test_every_field_is_found() -> None:
    data = (
        structure(0x03, bytes.fromhex("1d180f18"))
        + structure(0x05, bytes.fromhex("78563412"))
        + structure(0x08, b"Bo")
        + structure(0x09, b"Body+ 3C\x00")
        + structure(0x0A, b"\xf4")
        + structure(0xFF, bytes.fromhex("ff03aabb"))
        + structure(0x20, bytes.fromhex("7856341201"))
    )
    fields = parse_advertising_data(data)
    assert fields.services == ["0000181d-0000-1000-8000-00805f9b34fb", "0000180f-0000-1000-8000-00805f9b34fb",
                               "12345678-0000-1000-8000-00805f9b34fb"]  # fmt: skip
    assert fields.name == "Body+ 3C"
    assert fields.tx_power == -12
    assert fields.manufacturer_data == {0x03FF: b"\xaa\xbb"}
    assert fields.service_data == {"12345678-0000-1000-8000-00805f9b34fb": b"\x01"}


def test_a_shortened_name_counts_only_without_the_full_one() -> None:
    assert parse_advertising_data(structure(0x08, b"Sca")).name == "Sca"
    assert parse_advertising_data(structure(0x09, b"Scale") + structure(0x08, b"Sca")).name == "Scale"


def test_a_structure_that_runs_over_the_end_is_left_out() -> None:
    assert parse_advertising_data(structure(0x09, b"Scale") + b"\x09\xff\x01").name == "Scale"
    assert parse_advertising_data(b"\x05\x09ab") == AdvertisingFields()
    assert parse_advertising_data(b"\x00\x00\x00") == AdvertisingFields()


def test_newer_packets_add_to_older_ones() -> None:
    fields = parse_advertising_data(structure(0x09, b"One") + structure(0xFF, b"\x01\x00a"))
    fields.update(parse_advertising_data(structure(0xFF, b"\x01\x00b") + structure(0x03, b"\x0f\x18")))
    assert fields.name == "One"
    assert fields.manufacturer_data == {1: b"b"}
    assert len(fields.services) == 1


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data: bytes) -> None:
    fields = parse_advertising_data(data)
    assert all(len(uuid) == 36 for uuid in (*fields.services, *fields.service_data))
    fields.update(parse_advertising_data(data[::-1]))


@given(st.uuids())
def test_uuids_come_back(uuid: object) -> None:
    assert uuid_from_bytes(uuid.bytes[::-1]) == str(uuid)  # type: ignore[attr-defined]
