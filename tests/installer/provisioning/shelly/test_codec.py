"""Bytes to objects and back: what the sheet says, and whatever else may come."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from installer.provisioning.shelly import codec
from installer.provisioning.shelly.advertisement_signature import SERVICE
from installer.provisioning.shelly.codec import Malformed, Phase, WifiStatus
from installer.text import printable
from installer.wifi.networks import Band, Network, Security

CALM = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
READERS = [codec.read_info, codec.read_networks, codec.read_status]


def test_the_uuids_are_the_sheets_texts():
    texts = (SERVICE, codec.DATA, codec.TX_CONTROL, codec.RX_CONTROL)
    plain = [bytes.fromhex(uuid.replace("-", "")).decode() for uuid in texts]
    assert plain == ["_mOS_RPC_SVC_ID_", "_mOS_RPC_data___", "_mOS_RPC_tx_ctl_", "_mOS_RPC_rx_ctl_"]


def test_the_call_of_the_sheet():
    call = codec.encode_call(1, codec.SET_CONFIG, codec.station("Home", "correct horse"))
    assert call == (
        b'{"id":1,"method":"Wifi.SetConfig",'
        b'"params":{"config":{"sta":{"ssid":"Home","pass":"correct horse","enable":true}}}}'
    )
    assert codec.encode_call(7, codec.SCAN) == b'{"id":7,"method":"Wifi.Scan"}'
    assert codec.station("Cafe", "")["config"]["sta"]["pass"] is None


@CALM
@given(st.text(), st.text())
def test_calls_are_json_that_says_the_same(ssid: str, passphrase: str):
    call = json.loads(codec.encode_call(3, codec.SET_CONFIG, codec.station(ssid, passphrase)))
    assert call["params"]["config"]["sta"] == {"ssid": ssid, "pass": passphrase or None, "enable": True}


def test_lengths_are_big_endian():
    assert codec.encode_length(100) == b"\x00\x00\x00\x64"
    assert codec.decode_length(b"\x00\x00\x01\x02") == 258
    assert codec.decode_length(bytes(4)) == 0
    assert codec.decode_length(b"\x00\x01\x00\x00") == 65536


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x01", bytes(5), b"\x00\x01\x00\x01", b"\xff\xff\xff\xff"])
def test_impossible_lengths(data: bytes):
    with pytest.raises(Malformed):
        codec.decode_length(data)


@pytest.mark.parametrize("size", [0, -1, 65537])
def test_impossible_requests(size: int):
    with pytest.raises(Malformed):
        codec.encode_length(size)


@CALM
@given(st.integers(1, codec.MAX_FRAME))
def test_lengths_round_trip(size: int):
    assert codec.decode_length(codec.encode_length(size)) == size


def test_answers():
    answer = codec.decode_answer(b'{"id":4,"src":"shellyplus1-a8","result":{"restart_required":false}}')
    assert (answer.id, answer.result, answer.error) == (4, {"restart_required": False}, None)
    assert codec.decode_answer(b'{"id":4,"result":null}').result is None
    answer = codec.decode_answer(b'{"id":5,"error":{"code":-103,"message":"Bad \\u001b[2J argument"}}')
    assert answer.error is not None
    assert (answer.error.status, answer.error.details, str(answer.error)) == (
        -103,
        "Bad \ufffd[2J argument",
        "error -103",
    )
    assert codec.decode_answer(b'{"method":"NotifyStatus","params":{}}').id is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{"id":1}',
        b'{"id":1,"result":1,"error":{"code":1}}',
        b'{"id":1,"error":null}',
        b'{"id":"1","result":1}',
        b'{"id":true,"result":1}',
        b'{"id":1.5,"result":1}',
        b'{"result":1}',
        b'{"id":1,"error":"no"}',
        b'{"id":1,"error":{}}',
        b'{"id":1,"error":{"code":NaN}}',
        b'{"id":1,"error":{"code":1e99}}',
        b"[" * 50_000,
        b'{"id":' + b"9" * 5000 + b',"result":1}',
    ],
)
def test_what_is_no_answer(data: bytes):
    with pytest.raises(Malformed):
        codec.decode_answer(data)


@CALM
@given(st.binary(max_size=300) | JSON.map(lambda tree: json.dumps(tree).encode()))
def test_any_bytes_are_an_answer_or_malformed(data: bytes):
    with suppress(Malformed):
        assert isinstance(codec.decode_answer(data), codec.Answer)


@CALM
@given(st.sampled_from(READERS), JSON)
def test_any_result_is_read_or_malformed(read, result):
    with suppress(Malformed):
        read(result)


@CALM
@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("ssid", "bssid", "auth", "channel", "rssi"), JSON)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("sta_ip", "status", "ssid", "reason"), JSON)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "id", "app", "ver", "model"), JSON)),
)
def test_known_keys_with_any_values(network: dict, status: dict, info: dict):
    codec.read_status(status)
    assert all(text == printable(text, 40) for text in codec.read_info(info).model_dump().values())
    with suppress(Malformed):
        assert len(codec.read_networks({"results": [network]})) <= 1


def test_networks():
    result = {
        "results": [
            {"ssid": "Home", "bssid": "02:aa:bb:cc:dd:01", "auth": 3, "channel": 11, "rssi": -50},
            {"ssid": None, "bssid": "02:aa:bb:cc:dd:02", "auth": 3, "channel": 1, "rssi": -60},
            {"ssid": "Fast", "bssid": "nonsense", "auth": 42, "channel": 36, "rssi": 12},
            {"ssid": "Bare"},
        ]
    }
    assert codec.read_networks(result) == [
        Network(ssid="Home", security=Security.WPA2, rssi=-50, band=Band.GHZ_2_4, bssid="02:AA:BB:CC:DD:01"),
        Network(ssid="Fast", band=Band.GHZ_5),
        Network(ssid="Bare"),
    ]


def test_a_strangers_network_that_is_not_utf_8_spoils_nothing():
    answer = codec.decode_answer(
        b'{"id":1,"result":{"results":[{"ssid":"Caf\xe9"},{"ssid":"Home"},{"ssid":"\\ud800"}]}}'
    )
    assert [n.ssid for n in codec.read_networks(answer.result)] == ["Caf\ufffd", "Home", "?"]


@pytest.mark.parametrize(
    "result",
    [None, [], {}, {"results": None}, {"results": [1]}, {"results": [{"ssid": 1}]}, {"results": [{"ssid": "x" * 33}]},
     {"results": [{}] * 256}],
)  # fmt: skip
def test_what_is_no_scan(result):
    with pytest.raises(Malformed):
        codec.read_networks(result)


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"sta_ip": "192.168.1.9", "status": "got ip", "ssid": "Home", "rssi": -50},
         WifiStatus(Phase.JOINED, "Home", "192.168.1.9")),
        ({"sta_ip": None, "status": "disconnected", "ssid": None}, WifiStatus(Phase.IDLE)),
        ({"status": "connecting"}, WifiStatus(Phase.BUSY)),
        ({"sta_ip": "192.168.1.9", "status": "connecting"}, WifiStatus(Phase.BUSY, address="192.168.1.9")),
        ({"status": "connected", "ssid": "Home"}, WifiStatus(Phase.BUSY, "Home")),
        ({"status": "disconnected", "reason": "No AP found"}, WifiStatus(Phase.NOT_FOUND)),
        ({"status": "connect failed"}, WifiStatus(Phase.FAILED)),
        ({"sta_ip": "10.0.0.2"}, WifiStatus(Phase.JOINED, address="10.0.0.2")),
        ({"sta_ip": "javascript:alert(1)", "status": "got ip"}, WifiStatus(Phase.JOINED)),
        ({"status": "a word of the future"}, WifiStatus(Phase.BUSY)),
        ({}, WifiStatus(Phase.BUSY)),
    ],
)  # fmt: skip
def test_statuses_are_read_leniently(result, status: WifiStatus):
    assert codec.read_status(result) == status


def test_a_restart_is_wanted_only_if_it_is_said():
    assert codec.needs_restart({"restart_required": True})
    for result in ({"restart_required": 1}, {}, None, ["restart_required"]):
        assert not codec.needs_restart(result)
