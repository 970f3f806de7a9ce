"""Improv's bytes: the vectors of the facts sheet (§12), round trips, and nothing but Malformed for nonsense."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.provisioning.driver_errors import Malformed
from installer.provisioning.improv import codec
from installer.provisioning.improv.codec import CapabilityBits, Command, DeviceError, Frame, State
from installer.wifi.networks import Security

COMMANDS = [
    (codec.wifi_settings("MyWirelessAP", "mysecurepassword"),
     "011e0c4d79576972656c6573734150106d7973656375726570617373776f7264c0"),
    (codec.wifi_settings("Cafe", ""), "01060443616665007a"),
    (codec.wifi_settings("Zo\u00eb", "12345678"), "010e045a6fc3ab083132333435363738f6"),
    (Frame(Command.IDENTIFY), "020002"),
    (Frame(Command.DEVICE_INFO), "030003"),
    (Frame(Command.SCAN_NETWORKS), "040004"),
    (Frame(Command.HOSTNAME), "050005"),
    (Frame(Command.DEVICE_NAME), "060006"),
    (codec.set_hostname("living-room"), "050b6c6976696e672d726f6f6d83"),
    (codec.set_hostname("living-room", nested=True), "050c0b6c6976696e672d726f6f6d8f"),
    (Frame(Command.DEVICE_NAME, b"Scale"), "06055363616c65f3"),
    (Frame(Command.DEVICE_NAME, codec.pack_strings([b"Scale"])), "0606055363616c65f9"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "bytes_"), COMMANDS, ids=[b for _, b in COMMANDS])
def test_commands(frame: Frame, bytes_: str) -> None:
    assert codec.encode_frame(frame).hex() == bytes_
    assert codec.decode_frame(bytes.fromhex(bytes_)) == frame


def result(bytes_: str) -> bytes:
    return codec.decode_frame(bytes.fromhex(bytes_)).data


@pytest.mark.parametrize(
    ("bytes_", "url"),
    [
        ("010001", None),
        ("01010002", None),
        ("011413687474703a2f2f3139322e3136382e312e3530db", "http://192.168.1.50"),
    ],
)
def test_the_result_of_the_credentials(bytes_: str, url: str | None) -> None:
    assert codec.decode_redirect(result(bytes_)) == url


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "http://a\x1b[2J", "file:///etc/passwd", "x", "http://a b", "http://"]
)
def test_a_redirect_that_is_no_web_address_is_left_out(text: str) -> None:
    assert codec.decode_redirect(codec.pack_strings([text.encode()])) is None


def test_device_info() -> None:
    data = result(
        "032f07455350486f6d6509323032312e31312e300845535033322d43331354656d7065726174757265204d6f6e69746f7207"
    )
    info = codec.decode_info(data)
    assert (info.firmware, info.firmware_version) == ("ESPHome", "2021.11.0")
    assert (info.hardware, info.name) == ("ESP32-C3", "Temperature Monitor")
    assert codec.decode_info(codec.pack_strings([b"a", b"b", b"c", b"d", b"RTOS", b"9", b"more"])).system_version == "9"
    assert "\x1b" not in codec.decode_info(codec.pack_strings([b"\x1b[2J", b"\xff", b"", b""])).firmware
    with pytest.raises(Malformed, match="3 texts"):
        codec.decode_info(codec.pack_strings([b"a", b"b", b"c"]))


def test_networks() -> None:
    data = result(
        "043f114d79576972656c6573734e6574776f726b032d36300457504132164d794f74686572576972656c6573734e6574776f726b"
        "032d3532085750412f57504132ec"
    )
    first, second = codec.decode_networks(data)
    assert (first.ssid, first.rssi, first.security) == ("MyWirelessNetwork", -60, Security.WPA2)
    assert (second.ssid, second.rssi, second.security) == ("MyOtherWirelessNetwork", -52, Security.WPA_WPA2)
    assert codec.decode_networks(result("040004")) == []
    with pytest.raises(Malformed, match="groups of 3"):
        codec.decode_networks(codec.pack_strings([b"a", b"-1"]))


def test_networks_that_nobody_could_join_are_left_out() -> None:
    odd = [b"", b"\xff\xfe", b"x" * 33, b"a\x00b"]
    entries = [part for ssid in (*odd, "Zo\u00eb".encode()) for part in (ssid, b"", b"")]
    (network,) = codec.decode_networks(codec.pack_strings(entries))
    assert (network.ssid, network.rssi, network.security) == ("Zo\u00eb", None, Security.UNKNOWN)


def test_strings_and_hostname_results() -> None:
    assert codec.unpack_strings(result("050c0b6c6976696e672d726f6f6d8f")) == [b"living-room"]
    assert codec.unpack_strings(result("030e086869207468657265046a6f6a6fd8")) == [b"hi there", b"jojo"]


def test_service_data() -> None:
    assert codec.decode_service_data(bytes.fromhex("020500000000")) == (
        2,
        CapabilityBits.IDENTIFY | CapabilityBits.SCAN_NETWORKS,
    )
    assert codec.decode_service_data(b"\x07\xf1")[0] == 7
    with pytest.raises(Malformed):
        codec.decode_service_data(b"\x02")


@pytest.mark.parametrize("bytes_", ["020003", "010544", "", "01", "0100", "02000200"])
def test_broken_frames(bytes_: str) -> None:
    with pytest.raises(Malformed):
        codec.decode_frame(bytes.fromhex(bytes_))


def test_a_frame_that_is_not_whole_is_measured() -> None:
    assert codec.frame_size(b"") is codec.frame_size(b"\x01") is None
    assert codec.frame_size(b"\x01\xff") == 258


def test_what_does_not_fit_is_refused_without_being_shown() -> None:
    with pytest.raises(Malformed) as caught:
        codec.wifi_settings("net", "x" * 256)
    assert "xx" not in str(caught.value)
    with pytest.raises(Malformed):
        codec.encode_frame(codec.wifi_settings("n" * 200, "p" * 200))
    with pytest.raises(Malformed):
        codec.wifi_settings("net", "\ud800")
    assert "secret" not in repr(codec.wifi_settings("net", "secret-passphrase"))


def test_states_errors_and_capabilities() -> None:
    assert [codec.decode_state(bytes([n])) for n in range(5)] == list(State)
    assert codec.decode_error(b"\x03") is DeviceError.UNABLE_TO_CONNECT
    assert codec.decode_error(b"\x77") is codec.decode_error(b"\xff") is DeviceError.UNKNOWN
    assert codec.decode_capabilities(b"\x0f") == CapabilityBits(15)
    assert CapabilityBits.HOSTNAME in codec.decode_capabilities(b"\x08\x01\x00\x00\x00")
    for decode in (codec.decode_state, codec.decode_error, codec.decode_capabilities):
        with pytest.raises(Malformed):
            decode(b"")
    with pytest.raises(Malformed, match="0x05"):
        codec.decode_state(b"\x05")


@pytest.mark.parametrize(
    ("text", "security"),
    [
        ("NO", Security.OPEN),
        ("WEP", Security.WEP),
        ("WPA", Security.WPA),
        ("WPA2", Security.WPA2),
        ("WPA/WPA2", Security.WPA_WPA2),
        ("WPA2/WPA", Security.WPA_WPA2),
        ("wpa2 / wpa3", Security.WPA2_WPA3),
        ("WPA/WPA2/WPA3", Security.WPA2_WPA3),
        ("WPA3", Security.WPA3),
        ("WPA2 EAP", Security.ENTERPRISE),
        ("WPA2/WPA2 EAP", Security.ENTERPRISE),
        ("WAPI", Security.UNKNOWN),
        ("", Security.UNKNOWN),
        ("NO/WPA2", Security.WPA2),
    ],
)
def test_the_texts_for_protection(text: str, security: Security) -> None:
    assert codec.parse_security(text) is security


@pytest.mark.parametrize(
    ("text", "rssi"),
    [
        ("-60", -60),
        (" -60 dBm", -60),
        ("\u221271", -71),
        ("0", 0),
        ("", None),
        ("weak", None),
        ("-999", None),
        ("55", None),
    ],
)
def test_the_texts_for_the_signal(text: str, rssi: int | None) -> None:
    assert codec.parse_rssi(text) == rssi


@pytest.mark.parametrize(
    ("text", "possible"),
    [("living-room", True), ("a", True), ("a.b.c", True), ("", False), ("-a", False), ("a-", False), ("a b", False),
     ("a..b", False), ("x" * 64, False), (".".join(["x" * 63] * 4), False), ("\u00e4", False)],
)  # fmt: skip
def test_host_names(text: str, possible: bool) -> None:
    assert codec.is_hostname(text) is possible


short = st.binary(max_size=60)


@given(st.integers(0, 255), st.binary(max_size=255))
def test_frames_come_back(command: int, data: bytes) -> None:
    encoded = codec.encode_frame(Frame(command, data))
    assert codec.frame_size(encoded) == len(encoded)
    assert codec.decode_frame(encoded) == Frame(command, data)


@given(st.lists(short, max_size=8))
def test_strings_come_back(texts: list[bytes]) -> None:
    assert codec.unpack_strings(codec.pack_strings(texts)) == texts


@given(st.text(max_size=8), st.text(max_size=63))
def test_credentials_come_back(ssid: str, passphrase: str) -> None:
    with contextlib.suppress(Malformed):
        data = codec.decode_frame(codec.encode_frame(codec.wifi_settings(ssid, passphrase))).data
        assert codec.unpack_strings(data) == [ssid.encode(), passphrase.encode()]


@given(st.integers(0, 255), st.integers(1, 255), st.binary(max_size=40))
def test_a_changed_byte_is_noticed(position: int, change: int, data: bytes) -> None:
    encoded = bytearray(codec.encode_frame(Frame(1, data)))
    encoded[position % len(encoded)] ^= change
    with pytest.raises(Malformed):
        codec.decode_frame(bytes(encoded))


@given(st.binary(max_size=300))
def test_nonsense_raises_nothing_else(data: bytes) -> None:
    for decode in (
        codec.decode_frame,
        codec.unpack_strings,
        codec.decode_state,
        codec.decode_error,
        codec.decode_capabilities,
        codec.decode_service_data,
        codec.decode_redirect,
        codec.decode_info,
        codec.decode_networks,
    ):
        with contextlib.suppress(Malformed):
            decode(data)


@given(st.text(max_size=40))
def test_odd_texts_raise_nothing(text: str) -> None:
    codec.parse_rssi(text)
    codec.parse_security(text)
    codec.is_hostname(text)
