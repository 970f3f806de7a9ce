"""The Wi-Fi network that this computer is on, as NetworkManager tells it over D-Bus (Linux).

A convenience: it only preselects a row of a list. Elsewhere, without NetworkManager, and when it does not answer in
time, there is simply none; nothing here raises. What NetworkManager says is checked like everything from outside.

Source: the D-Bus API reference of NetworkManager (`org.freedesktop.NetworkManager`, `.Connection.Active`,
`.AccessPoint`, `.Settings.Connection`; the flags are `NM80211ApFlags` and `NM80211ApSecurityFlags`).
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from installer.errors import InstallerError
from installer.wifi import Band, Credentials, Network, Security, check_ssid

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

SERVICE = "org.freedesktop.NetworkManager"
ROOT = "/org/freedesktop/NetworkManager"
ACTIVE = f"{SERVICE}.Connection.Active"
ACCESS_POINT = f"{SERVICE}.AccessPoint"
SETTINGS = f"{SERVICE}.Settings.Connection"
WIFI_TYPE = "802-11-wireless"
WIFI_SECURITY = "802-11-wireless-security"
ACTIVATED = 2
SECONDS = 2.0
MOST_CONNECTIONS = 32  # that are looked at; a computer has a handful


class Privacy(enum.IntFlag):
    """`NM80211ApFlags`, as far as it is of use."""

    PRIVACY = 0x1


class KeyManagement(enum.IntFlag):
    """The key management in `NM80211ApSecurityFlags`."""

    PSK = 0x100
    ENTERPRISE = 0x200
    SAE = 0x400
    OWE = 0x800
    OWE_TRANSITION = 0x1000
    ENTERPRISE_SUITE_B = 0x2000


async def current(*, seconds: float = SECONDS, address: str | None = None) -> Network | None:
    """The network that this computer is on; None if there is none or nobody tells within `seconds`. Never raises.

    `address`: of the D-Bus, where it is not the system's.
    """
    found = await current_credentials(allow_passphrase=False, seconds=seconds, address=address)
    return found.network if found is not None else None


async def current_credentials(
    *, allow_passphrase: bool, seconds: float = SECONDS, address: str | None = None
) -> Credentials | None:
    """The same with its passphrase, if `allow_passphrase` says that the person wants it and the system gives it.

    The passphrase is empty where the system refuses it, or asks its user for longer than `seconds`. Never raises.
    """
    try:
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus
    except ImportError:
        return None  # not on this system
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        bus = MessageBus(bus_address=address, bus_type=BusType.SYSTEM)
    # A malformed address in the environment is found out in many ways.
    except (OSError, ValueError, TypeError, LookupError):
        return None
    try:
        async with asyncio.timeout_at(until):
            await bus.connect()
            found = await _look(bus)
        if found is None:
            return None
        network, settings = found
        passphrase = SecretStr("")
        if allow_passphrase and network.security.needs_passphrase:
            passphrase = await _passphrase(bus, settings, until)
        return Credentials(network=network, passphrase=passphrase)
    except (TimeoutError, OSError, EOFError, ValueError, TypeError, _Refused):
        return None
    finally:
        bus.disconnect()


async def _look(bus: MessageBus) -> tuple[Network, str] | None:
    """The network of the first Wi-Fi connection that is up, the primary one first; and the path of its settings."""
    manager = await _properties(bus, ROOT, SERVICE)
    paths = [p for p in _paths(manager.get("ActiveConnections")) if p != manager.get("PrimaryConnection")]
    for path in [*_paths([manager.get("PrimaryConnection")]), *paths][:MOST_CONNECTIONS]:
        try:
            active = await _properties(bus, path, ACTIVE)
            if active.get("Type") != WIFI_TYPE or active.get("State") != ACTIVATED:
                continue
            (point,) = _paths([active.get("SpecificObject")]) or [""]
            network = parse_access_point(await _properties(bus, point, ACCESS_POINT)) if point else None
        except _Refused:
            continue  # it went down meanwhile
        if network is not None:
            (settings,) = _paths([active.get("Connection")]) or [""]
            return await _with_hidden(bus, network, settings), settings
    return None


async def _with_hidden(bus: MessageBus, network: Network, settings: str) -> Network:
    try:
        answer = await _call(bus, settings, SETTINGS, "GetSettings") if settings else {}
    except _Refused:
        return network
    wireless = answer.get(WIFI_TYPE)
    hidden = isinstance(wireless, Mapping) and wireless.get("hidden") is True
    return network.model_copy(update={"hidden": hidden})


async def _passphrase(bus: MessageBus, settings: str, until: float) -> SecretStr:
    try:
        async with asyncio.timeout_at(until):
            answer = await _call(bus, settings, SETTINGS, "GetSecrets", WIFI_SECURITY) if settings else {}
    except (TimeoutError, _Refused):
        return SecretStr("")
    return parse_secrets(answer)


def parse_access_point(properties: Mapping[str, Any]) -> Network | None:
    """The network of an access point's properties; None where it has no usable SSID. Never raises."""
    raw = properties.get("Ssid")
    if not isinstance(raw, bytes | bytearray):
        return None
    try:
        ssid = bytes(raw).decode("utf-8")
        check_ssid(ssid)
    except (UnicodeDecodeError, InstallerError):
        return None
    bssid = properties.get("HwAddress")
    return Network(
        ssid=ssid,
        security=parse_security(
            _number(properties.get("Flags")), _number(properties.get("WpaFlags")), _number(properties.get("RsnFlags"))
        ),
        band=parse_band(_number(properties.get("Frequency"))),
        bssid=bssid if isinstance(bssid, str) and len(bssid) == 17 and bssid.isprintable() else None,
    )


def parse_security(flags: int, wpa: int, rsn: int) -> Security:
    """The security of an access point by its three words of flags."""
    both = KeyManagement(wpa | rsn)
    if both & KeyManagement.SAE:
        return Security.WPA2_WPA3 if both & KeyManagement.PSK else Security.WPA3
    if both & KeyManagement.PSK:
        if not wpa & KeyManagement.PSK:
            return Security.WPA2
        return Security.WPA_WPA2 if rsn & KeyManagement.PSK else Security.WPA
    if both & (KeyManagement.ENTERPRISE | KeyManagement.ENTERPRISE_SUITE_B):
        return Security.ENTERPRISE
    if both & KeyManagement.OWE and not both & KeyManagement.OWE_TRANSITION:
        return Security.UNKNOWN  # encrypted without a passphrase; many devices cannot
    if wpa or rsn:
        return Security.OPEN if both & KeyManagement.OWE_TRANSITION else Security.UNKNOWN
    return Security.WEP if flags & Privacy.PRIVACY else Security.OPEN


def parse_band(frequency: int) -> Band | None:
    """The band of a channel's frequency in MHz (IEEE 802.11: 2401 to 2495, 4900 to 5895, 5925 to 7125)."""
    if 2400 <= frequency <= 2500:
        return Band.GHZ_2_4
    if 4900 <= frequency <= 5920:
        return Band.GHZ_5
    return Band.GHZ_6 if 5925 <= frequency <= 7125 else None


def parse_secrets(answer: Mapping[str, Any]) -> SecretStr:
    """The passphrase in an answer of `GetSecrets`; empty if there is none."""
    security = answer.get(WIFI_SECURITY)
    value = security.get("psk") if isinstance(security, Mapping) else None
    return SecretStr(value if isinstance(value, str) and len(value) <= 64 else "")


class _Refused(Exception):
    """NetworkManager answered with an error, or with something else than its API says."""


async def _properties(bus: MessageBus, path: str, interface: str) -> Mapping[str, Any]:
    return await _call(bus, path, "org.freedesktop.DBus.Properties", "GetAll", interface)


async def _call(bus: MessageBus, path: str, interface: str, member: str, *arguments: str) -> Mapping[str, Any]:
    """The dictionary that a method returns, without D-Bus's wrapping. The error of a refusal may hold anything."""
    from dbus_fast import Message, MessageFlag, MessageType
    from dbus_fast.unpack import unpack_variants

    answer = await bus.call(
        Message(
            destination=SERVICE,
            path=path,
            interface=interface,
            member=member,
            signature="s" * len(arguments),
            body=list(arguments),
            # Asking must not start a service that somebody has stopped.
            flags=MessageFlag.NO_AUTOSTART,
        )
    )
    body = (
        unpack_variants(answer.body)
        if answer is not None and answer.message_type is MessageType.METHOD_RETURN
        else None
    )
    if not isinstance(body, list) or len(body) != 1 or not isinstance(body[0], dict):
        raise _Refused
    return body[0]


def _paths(value: Any) -> list[str]:
    """The object paths in a list; `/` stands for none."""
    values = value if isinstance(value, list) else []
    return [p for p in values if isinstance(p, str) and p.startswith("/") and p != "/"]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
