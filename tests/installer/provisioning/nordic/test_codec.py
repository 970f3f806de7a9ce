"""Bytes to objects and back: vectors by hand from the sheet's field numbers, and whatever else may come."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from installer.lab.protobuf_wire import Message, field
from installer.provisioning.nordic import codec
from installer.provisioning.nordic.codec import (
    AccessPoint,
    DeviceStatus,
    Malformed,
    Operation,
    Reason,
    Refused,
    State,
    StateChange,
)
from installer.wifi.networks import Band, Network, Security

CALM = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
BSSID = bytes.fromhex("02aabbccdd01")
MAC = "02:AA:BB:CC:DD:01"
HOME = AccessPoint(b"Home", BSSID, 11, band=1, auth=3, rssi=-55)
WIFI = "0a04486f6d65" + "1206" + BSSID.hex() + "1801" + "200b" + "2803"


def test_requests():
    assert codec.request(Operation.GET_STATUS).hex() == "0801"
    assert codec.request(Operation.STOP_SCAN).hex() == "0803"
    assert codec.request(Operation.FORGET_CONFIG).hex() == "0805"
    assert codec.start_scan().hex() == "0802" + "5204" + "0800" + "1000"


def test_credentials():
    # op_code 4, config (11) of wifi (1), passphrase (2) and anyChannel (4).
    config = "0a14" + WIFI + "1203616263" + "2001"
    assert codec.set_config(HOME, "abc").hex() == "0804" + "5a1d" + config
    # An open network: no passphrase at all.
    bare = AccessPoint(b"Home", BSSID, 11, auth=0)
    wifi = "0a04486f6d65" + "1206" + BSSID.hex() + "200b" + "2800"
    assert codec.set_config(bare, "").hex() == "0804" + "5a16" + "0a12" + wifi + "2001"


@pytest.mark.parametrize(
    ("auth", "security", "passphrase", "sent"),
    [
        (3, Security.WPA3, "12345678", 3),
        (None, Security.WPA3, "12345678", 6),
        (None, Security.WPA2_WPA3, "12345678", 3),
        (None, Security.UNKNOWN, "12345678", 4),
        (None, Security.UNKNOWN, "", None),
        (None, Security.OPEN, "", 0),
    ],
)
def test_the_kind_of_protection_that_is_sent(auth: int | None, security: Security, passphrase: str, sent: int | None):
    wifi = (
        Message(codec.set_config(AccessPoint(b"a", BSSID, 1, auth=auth), passphrase, security)).message(11).message(1)
    )
    assert (wifi.number(5) if wifi.has(5) else None) == sent


@CALM
@given(
    st.binary(min_size=1, max_size=32),
    st.binary(min_size=6, max_size=6),
    st.integers(0, 2**32 - 1),
    st.none() | st.integers(0, 2),
    st.none() | st.integers(0, 6),
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.text(max_size=63),
)
def test_round_trips(
    ssid: bytes, bssid: bytes, channel: int, band: int | None, auth: int | None, rssi, passphrase: str
):
    wifi = field(1, ssid) + field(2, bssid) + field(4, channel)
    wifi += b"" if band is None else field(3, band)
    wifi += b"" if auth is None else field(5, auth)
    record = field(1, wifi) + (b"" if rssi is None else field(2, rssi))
    point = codec.read_result(field(1, record))
    assert point == AccessPoint(ssid, bssid, channel, band, auth, rssi)
    config = Message(codec.set_config(point, passphrase)).message(11)
    assert (config.message(1).bytes(1), config.message(1).bytes(2), config.message(1).number(4)) == (
        ssid,
        bssid,
        channel,
    )
    assert config.bytes(2) == passphrase.encode("utf-8", "surrogatepass")
    assert len(codec.set_config(point, passphrase)) <= 512 or len(passphrase.encode("utf-8", "surrogatepass")) > 200


def test_version():
    assert codec.read_version(bytes.fromhex("0801")) == 1
    for wrong in ("", "1001", "08", "0a0101", "ff"):
        with pytest.raises(Malformed):
            codec.read_version(bytes.fromhex(wrong))


def test_responses():
    assert codec.read_response(bytes.fromhex("08021000"), Operation.START_SCAN) == DeviceStatus()
    status = "0804" + "5214" + WIFI + "5a06" + "0a04c0a80132"
    response = bytes.fromhex("08011000" + "52" + f"{len(bytes.fromhex(status)):02x}" + status)
    told = codec.read_response(response, Operation.GET_STATUS)
    assert told == DeviceStatus(State.CONNECTED, b"Home", "192.168.1.50")
    assert told.joined
    # A device without credentials tells nothing; nought is no address.
    assert codec.read_response(bytes.fromhex("080110005200"), Operation.GET_STATUS) == DeviceStatus()
    nought = bytes.fromhex("08011000520a" + "0804" + "5a06" + "0a0400000000")
    assert codec.read_response(nought, Operation.GET_STATUS) == DeviceStatus(State.CONNECTED)


@pytest.mark.parametrize(
    ("data", "status"), [("08041001", 1), ("1002", 2), ("08001002", 2), ("08041003", 3), ("1001", 1)]
)
def test_refusals(data: str, status: int):
    with pytest.raises(Refused) as caught:
        codec.read_response(bytes.fromhex(data), Operation.SET_CONFIG)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "data",
    [
        "",
        "0804",  # no status: by default that would be success
        "08041009",  # a status of the future: the same
        "08021000",  # of another operation
        "08021003",  # of another operation, refused
        "1000",  # of no operation, and yet a success
        "080410",
        "ffff",
    ],
)
def test_what_is_no_response(data: str):
    with pytest.raises(Malformed):
        codec.read_response(bytes.fromhex(data), Operation.SET_CONFIG)


@pytest.mark.parametrize(
    "data",
    [
        "08011000",  # no content
        "08011000" + "5208" + "5206" + "0a04486f6d65",  # credentials without an access point
        "08011000" + "5233" + "5231" + "0a21" + "41" * 33 + "1206" + BSSID.hex() + "200b2800",  # 33 bytes of a name
    ],
)
def test_what_is_no_status(data: str):
    with pytest.raises(Malformed):
        codec.read_response(bytes.fromhex(data), Operation.GET_STATUS)


def test_results():
    record = "0a14" + WIFI + "10" + "c9ffffffffffffffff01"
    data = bytes.fromhex("0a" + f"{len(bytes.fromhex(record)):02x}" + record)
    assert codec.read_result(data) == HOME
    assert codec.read_result(bytes.fromhex("1004")) == StateChange(State.CONNECTED)
    assert codec.read_result(bytes.fromhex("1000")) == StateChange(State.DISCONNECTED)
    # A reason that is not told is not "authentication", though that is nought; nor is one of the future.
    assert codec.read_result(bytes.fromhex("1005")) == StateChange(State.FAILED, Reason.UNKNOWN)
    assert codec.read_result(bytes.fromhex("10051800")) == StateChange(State.FAILED, Reason.AUTHENTICATION)
    assert codec.read_result(bytes.fromhex("10051801")) == StateChange(State.FAILED, Reason.NOT_FOUND)
    assert codec.read_result(bytes.fromhex("10051863")) == StateChange(State.FAILED, Reason.UNKNOWN)
    assert codec.read_result(bytes.fromhex("1063")) is None


@pytest.mark.parametrize(
    "data", ["", "0a00", "0a020a00", "0a0a0a080a04486f6d652001", "0a100a0e0a04486f6d651202aabb200b2803", "10", "ff"]
)
def test_what_is_no_result(data: str):
    with pytest.raises(Malformed):
        codec.read_result(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("point", "network"),
    [
        (HOME, Network(ssid="Home", security=Security.WPA2, rssi=-55, band=Band.GHZ_2_4, bssid=MAC)),
        (AccessPoint(b"Caf\xe9", BSSID, 44, rssi=3), Network(ssid="Caf\ufffd", band=Band.GHZ_5, bssid=MAC)),
        (AccessPoint(b"x", BSSID, 0, auth=5), Network(ssid="x", security=Security.ENTERPRISE, bssid=MAC)),
    ],
)  # fmt: skip
def test_networks(point: AccessPoint, network: Network):
    assert point.network == network


@CALM
@given(st.binary(max_size=120), st.sampled_from(Operation))
def test_any_bytes_are_read_or_malformed_or_refused(data: bytes, operation: Operation):
    with suppress(Malformed):
        codec.read_version(data)
    with suppress(Malformed):
        codec.read_result(data)
    with suppress(Malformed, Refused):
        codec.read_response(data, operation)


@CALM
@given(st.data())
def test_spoiled_messages(data: st.DataObject):
    """One byte of a right message is another, or it ends too soon."""
    record = field(1, bytes.fromhex(WIFI)) + field(2, -55)
    status = field(1, 1) + field(2, 0) + field(10, field(1, 4) + field(10, bytes.fromhex(WIFI)))
    whole = bytearray(data.draw(st.sampled_from([field(1, record), status])))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    part = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with suppress(Malformed):
        found = codec.read_result(part)
        assert not isinstance(found, AccessPoint) or len(found.network.label) <= 80
    with suppress(Malformed, Refused):
        codec.read_response(part, Operation.GET_STATUS)
