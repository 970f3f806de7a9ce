"""The plain messages: every vector, old and new proto-ver, hostile bytes."""

from __future__ import annotations

import contextlib
import importlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.provisioning.driver_errors import Malformed, ProtocolError, Refused
from installer.provisioning.espressif import codec, proto
from installer.provisioning.espressif.codec import FailReason, StationState, Version, WifiStatus, WrongKey
from installer.wifi.networks import Band, Network, Security
from tests.installer.provisioning.espressif import vectors as v
from tests.installer.provisioning.espressif.hypothesis_settings import CALM

READERS = [
    codec.read_version,
    codec.read_scan_start,
    codec.read_scan_status,
    lambda data: codec.read_scan_results(data, 4),
    codec.read_set_config,
    codec.read_apply_config,
    codec.read_status,
    codec.read_ctrl_reset,
    codec.read_ctrl_reprov,
]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (codec.set_config(b"HomeNet", b"secret123"), v.SET_CONFIG.hex()),
        (codec.apply_config(), "0804"),
        (codec.get_status(), "5200"),
        (codec.scan_start(), "520408012078"),
        (codec.scan_status(), "0802"),
        (codec.scan_results(0, 1), "080472021001"),
        (codec.ctrl_reset(), "08015a00"),
        (codec.ctrl_reprov(), "08036a00"),
    ],
)
def test_requests(request_: bytes, expected: str):
    assert request_.hex() == expected


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ("08015a021001", WifiStatus(StationState.CONNECTING)),
        (v.CONNECTED.hex(), WifiStatus(StationState.CONNECTED, address="192.168.1.50", ssid=b"HomeNet")),
        ("08015a0410035000", WifiStatus(StationState.FAILED, FailReason.AUTHENTICATION)),
        ("08015a0410035001", WifiStatus(StationState.FAILED, FailReason.NOT_FOUND)),
        ("08015a0410035007", WifiStatus(StationState.FAILED, FailReason.UNKNOWN)),
        ("08015a021003", WifiStatus(StationState.FAILED, FailReason.UNKNOWN)),
        ("08015a06100162020802", WifiStatus(StationState.CONNECTING, attempts_left=2)),
        ("08015a0410016200", WifiStatus(StationState.CONNECTING, attempts_left=0)),
        ("08015a021002", WifiStatus(StationState.DISCONNECTED)),
        ("08015a00", WifiStatus(StationState.CONNECTED)),  # zero is left out on the wire
    ],
)
def test_status(data: str, status: WifiStatus):
    assert codec.read_status(bytes.fromhex(data)) == status


def test_what_protoc_made_is_of_these_proto_files():
    """Each field and value stands in the generated modules under the number that its .proto file gives it."""
    folder = Path(proto.__file__).parent
    for path in sorted(folder.glob("*.proto")):
        module = importlib.import_module(f"{proto.__name__}.{path.stem}_pb2")
        written: dict[str, dict[str, int]] = {}
        here = written
        for line in path.read_text("utf-8").splitlines():
            opened = re.match(r"(?:message|enum) (\w+) \{", line)
            if opened:
                here = written.setdefault(opened[1], {})
            numbered = re.match(r"\s+(?:[\w.]+ )*(\w+) = (\d+);", line)
            if numbered:
                here[numbered[1]] = int(numbered[2])
        types = module.DESCRIPTOR.message_types_by_name
        made = {name: {f.name: f.number for f in kind.fields} for name, kind in types.items()}
        enums = module.DESCRIPTOR.enum_types_by_name
        made |= {name: {v.name: v.number for v in kind.values} for name, kind in enums.items()}
        assert made == written, path.name


def test_simple_answers():
    codec.read_set_config(v.SET_CONFIG_ANSWER)
    codec.read_apply_config(v.APPLY_ANSWER)
    codec.read_scan_start(bytes.fromhex("08015a00"))
    codec.read_ctrl_reset(bytes.fromhex("08026200"))
    codec.read_ctrl_reprov(bytes.fromhex("08047200"))
    assert codec.read_scan_status(bytes.fromhex("08036a0408011001")) == (True, 1)
    assert codec.read_scan_status(bytes.fromhex("08036a00")) == (False, 0)


def test_scan_results():
    (found,) = codec.read_scan_results(v.ENTRY, 1)
    assert found.ssid == b"HomeNet"
    assert found.network == Network(
        ssid="HomeNet", security=Security.WPA2, rssi=-55, band=Band.GHZ_2_4, bssid="00:11:22:33:44:55"
    )


def entry(content: str) -> bytes:
    data = bytes.fromhex(content)
    return b"\x08\x05\x7a" + bytes([len(data) + 2]) + b"\x0a" + bytes([len(data)]) + data


def test_ssids_lose_their_padding_and_may_be_anything_else():
    assert codec.read_scan_results(entry("0a054361666500"), 1)[0].ssid == b"Cafe"
    found = codec.read_scan_results(entry("0a04436166e9"), 1)[0]
    assert found.ssid == b"Caf\xe9"
    assert found.network.ssid == "Caf\ufffd"
    assert codec.read_scan_results(entry("0a020000"), 1) == []
    assert len(codec.read_scan_results(entry("0a21" + "41" * 32 + "00"), 1)[0].ssid) == 32
    with pytest.raises(Malformed):
        codec.read_scan_results(entry("0a21" + "41" * 33), 1)


def test_odd_scan_values_become_unknown():
    network = codec.read_scan_results(entry("0a014110a40118642201ff2863"), 1)[0].network
    assert network == Network(ssid="A", band=Band.GHZ_5)


def test_a_device_cannot_send_more_results_than_asked_for():
    twice = b"\x08\x05\x7a\x0a" + bytes.fromhex("0a030a01410a030a0142")
    assert len(codec.read_scan_results(twice, 2)) == 2
    with pytest.raises(Malformed):
        codec.read_scan_results(twice, 1)
    with pytest.raises(Malformed):
        codec.read_scan_status(bytes.fromhex("08036a0508011081 02".replace(" ", "")))


@pytest.mark.parametrize(
    ("reader", "data", "status"),
    [
        (codec.read_set_config, "08036a020805", 5),
        (codec.read_apply_config, "08057a020804", 4),
        (codec.read_status, "08015a020807", 7),
        (codec.read_scan_start, "08011005", 5),
        (codec.read_scan_status, "080310056a00", 5),
        (codec.read_ctrl_reset, "08021005", 5),
        (codec.read_ctrl_reprov, "080410097200", 9),
    ],
)
def test_refusals(reader, data: str, status: int):
    with pytest.raises(Refused) as caught:
        reader(bytes.fromhex(data))
    assert caught.value.status == status


@pytest.mark.parametrize("reader", READERS[1:])
@pytest.mark.parametrize("data", ["", "ff", "5200", "0801", "0809", "08036a02", "08015a041001"])
def test_what_is_no_answer_is_malformed(reader, data: str):
    with pytest.raises(Malformed):
        reader(bytes.fromhex(data))


@pytest.mark.parametrize("reader", READERS[1:])
@pytest.mark.parametrize(
    ("data", "garbled"),
    # Noise, with and without the shape of a message; what was cut off, or answers another request, begins as it should.
    [("a7c1", True), ("5200", True), ("08f0", True), ("0809", True), ("08055a", False), ("", False), ("08", False)],
)
def test_what_begins_unlike_any_answer_is_told_from_what_is_broken(reader, data: str, garbled: bool):
    with pytest.raises(Malformed) as caught:
        reader(bytes.fromhex(data))
    assert isinstance(caught.value, WrongKey) == garbled


def test_proto_ver_of_the_present_firmware():
    text = json.dumps(
        {
            "prov": {"ver": "netprov-v1.2", "sec_ver": 2, "sec_patch_ver": 1, "cap": ["wifi_prov", "wifi_scan"]},
            "scale": {"ver": "3.1", "cap": ["weigh"]},
        },
        indent="\t",
    )
    version = codec.read_version(text.encode())
    assert version == Version("netprov-v1.2", 2, 1, frozenset({"wifi_prov", "wifi_scan"}), ("scale", "3.1"), True)
    assert version.needs_proof


@pytest.mark.parametrize(
    ("prov", "security", "needs_proof"),
    [
        ({"ver": "v1.1", "cap": ["wifi_scan"]}, 1, True),
        ({"ver": "v1.1", "cap": ["wifi_scan", "no_pop"]}, 1, False),
        ({"ver": "v1.1", "cap": ["no_sec"]}, 0, False),
        ({"ver": "v1.1", "sec_ver": 0, "cap": ["no_sec"]}, 0, False),
        ({"sec_ver": 2}, 2, True),
        ({"sec_ver": 7}, 7, True),
        ({}, 1, True),
    ],
)
def test_proto_ver_decides_the_security(prov: dict, security: int, needs_proof: bool):
    version = codec.read_version(json.dumps({"prov": prov}).encode())
    assert (version.security, version.patch, version.needs_proof) == (security, 0, needs_proof)


@pytest.mark.parametrize("text", ["v1.0", "1.0", '"v1.0"', "V0.1\x00", "[1]"])
def test_proto_ver_of_old_firmware_is_a_bare_text(text: str):
    version = codec.read_version(text.encode())
    assert (version.security, version.patch, version.capabilities) == (1, 0, frozenset())
    assert "\x00" not in version.text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"x" * 5000,
        b"{}",
        b'{"prov": 1}',
        b'{"prov": {"cap": "wifi_scan"}}',
        b'{"prov": {"sec_ver": true}}',
        b'{"prov": {"sec_ver": "2"}}',
        b'{"prov": {"sec_ver": -1}}',
        b'{"prov": {"sec_ver": 2, "sec_patch_ver": 0.5}}',
        b'{"prov": {"sec_ver": null}}',
        b'{"prov": {"sec_ver": 2}',
        b"[" * 4000,
        b"\x08\x03\x6a\x00",
        b"\n",
    ],
)
def test_proto_ver_that_makes_no_sense(text: bytes):
    with pytest.raises(Malformed):
        codec.read_version(text)


def test_texts_of_proto_ver_cannot_steer_a_terminal():
    version = codec.read_version(b'{"prov": {"ver": "\\u001b[2J", "cap": [3, "a"]}, "a\\u0007b": {"ver": 4}}')
    assert version.text == "\ufffd[2J"
    assert version.application == ("a\ufffdb", "")
    assert version.capabilities == {"a"}


@pytest.mark.parametrize("reader", READERS)
@CALM
@given(data=st.binary(max_size=300))
def test_any_bytes_give_an_object_or_a_typed_fault(reader, data: bytes):
    with contextlib.suppress(ProtocolError):
        reader(data)


@pytest.mark.parametrize("reader", READERS)
@CALM
@given(data=st.data())
def test_any_mutation_gives_an_object_or_a_typed_fault(reader, data):
    original = data.draw(
        st.sampled_from([v.ENTRY, v.CONNECTED, v.SET_CONFIG_ANSWER, bytes.fromhex("08015a06100162020802")])
    )
    place = data.draw(st.integers(0, len(original) - 1))
    mutated = original[:place] + data.draw(st.binary(max_size=4)) + original[place + data.draw(st.integers(0, 4)) :]
    with contextlib.suppress(ProtocolError):
        reader(mutated)


@CALM
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
        max_leaves=12,
    )
)
def test_any_json_gives_a_version_or_a_typed_fault(tree):
    for text in (json.dumps(tree), json.dumps({"prov": tree})):
        with contextlib.suppress(ProtocolError):
            codec.read_version(text.encode())


@CALM
@given(st.binary(min_size=1, max_size=32), st.binary(max_size=64))
def test_credentials_arrive_as_they_are(ssid: bytes, passphrase: bytes):
    from installer.provisioning.espressif.proto.network_config_pb2 import NetworkConfigPayload

    message = NetworkConfigPayload.FromString(codec.set_config(ssid, passphrase))
    assert (message.cmd_set_wifi_config.ssid, message.cmd_set_wifi_config.passphrase) == (ssid, passphrase)
