"""NetworkManager without a real one: its values are parsed, and a missing answer is no network."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.wifi.network_manager import (
    KeyManagement,
    current_credentials,
    current_network,
    parse_access_point,
    parse_band,
    parse_secrets,
    parse_security,
)
from installer.wifi.networks import Band, Security

PSK, SAE, EAP = KeyManagement.PSK, KeyManagement.SAE, KeyManagement.ENTERPRISE


@pytest.mark.parametrize(
    ("flags", "wpa", "rsn", "security"),
    [
        (0, 0, 0, Security.OPEN),
        (1, 0, 0, Security.WEP),
        (1, PSK | 0x44, 0, Security.WPA),
        (1, PSK | 0x44, PSK | 0x88, Security.WPA_WPA2),
        (1, 0, PSK | 0x88, Security.WPA2),
        (1, 0, PSK | SAE | 0x88, Security.WPA2_WPA3),
        (1, 0, SAE | 0x88, Security.WPA3),
        (1, 0, EAP | 0x88, Security.ENTERPRISE),
        (1, 0, KeyManagement.ENTERPRISE_SUITE_B, Security.ENTERPRISE),
        (1, 0, PSK | EAP, Security.WPA2),
        (0, 0, KeyManagement.OWE, Security.UNKNOWN),
        (0, 0, KeyManagement.OWE_TRANSITION, Security.OPEN),
        (1, 0, 0x88, Security.UNKNOWN),
    ],
)
def test_security(flags: int, wpa: int, rsn: int, security: Security) -> None:
    assert parse_security(flags, wpa, rsn) is security


@pytest.mark.parametrize(
    ("frequency", "band"),
    [
        (2412, Band.GHZ_2_4),
        (2484, Band.GHZ_2_4),
        (5180, Band.GHZ_5),
        (5885, Band.GHZ_5),
        (5955, Band.GHZ_6),
        (7115, Band.GHZ_6),
        (0, None),
        (60480, None),
    ],
)
def test_band(frequency: int, band: Band | None) -> None:
    assert parse_band(frequency) is band


def test_an_access_point() -> None:
    network = parse_access_point(
        {"Ssid": "Zoë's".encode(), "RsnFlags": 0x188, "Flags": 1, "Frequency": 5180, "HwAddress": "9C:C9:EB:00:00:01"}
    )
    assert network is not None
    assert (network.ssid, network.security, network.band) == ("Zoë's", Security.WPA2, Band.GHZ_5)
    assert network.bssid == "9C:C9:EB:00:00:01"


@pytest.mark.parametrize("ssid", [None, b"", b"x" * 33, b"\xff\xfe", b"a\0b", "Home", 7])
def test_an_access_point_without_a_usable_ssid_is_none(ssid: Any) -> None:
    assert parse_access_point({"Ssid": ssid}) is None


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=40) | st.lists(st.none())


@given(st.dictionaries(st.sampled_from(["Ssid", "Flags", "WpaFlags", "RsnFlags", "Frequency", "HwAddress"]), VALUES))
def test_values_of_any_type_are_read_or_left_out(properties: dict[str, Any]) -> None:
    network = parse_access_point(properties)
    assert network is None or 1 <= len(network.ssid.encode()) <= 32


@pytest.mark.parametrize(
    ("answer", "passphrase"),
    [
        ({"802-11-wireless-security": {"psk": "correct horse"}}, "correct horse"),
        ({"802-11-wireless-security": {}}, ""),
        ({"802-11-wireless-security": 7}, ""),
        ({"802-11-wireless-security": {"psk": "x" * 65}}, ""),
        ({}, ""),
    ],
)
def test_secrets(answer: dict[str, Any], passphrase: str) -> None:
    found = parse_secrets(answer)
    assert found.get_secret_value() == passphrase
    assert not passphrase or passphrase not in repr(found)


@pytest.mark.parametrize("address", ["unix:path=/nowhere/bus", "nonsense", "unix:", "tcp:host=127.0.0.1,port=9"])
async def test_no_bus_is_no_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    assert await current_network(seconds=1.0) is None
    assert await current_credentials(allow_passphrase=True, seconds=1.0) is None


async def test_a_bus_that_says_nothing_is_left_at_the_deadline(tmp_path: Path) -> None:
    heard = asyncio.get_running_loop().create_future()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())  # until the other side closes
        writer.close()

    async with await asyncio.start_unix_server(silent, str(tmp_path / "bus")):
        assert await current_network(address=f"unix:path={tmp_path}/bus", seconds=0.2) is None
        assert b"AUTH" in await asyncio.wait_for(heard, 10)


async def test_a_bus_that_talks_nonsense(tmp_path: Path) -> None:
    hung_up = asyncio.Event()

    async def noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\xff\0\r\nOK\r\n" * 50)
        await reader.read()
        writer.close()
        hung_up.set()

    async with await asyncio.start_unix_server(noise, str(tmp_path / "bus")):
        assert await current_network(address=f"unix:path={tmp_path}/bus", seconds=1.0) is None
        await asyncio.wait_for(hung_up.wait(), 10)
