"""The Wi-Fi network of this computer, its passphrase and its bands, from NetworkManager over D-Bus (Linux).

It preselects a row of a list and gives a hint about bands, so failures are silent: without NetworkManager, or if it
does not answer in time, there is no network. Only `passphrase_of` raises an error, because somebody asked for the
passphrase. Answers of NetworkManager are checked like all outside input.

Source: the D-Bus API reference of NetworkManager (`org.freedesktop.NetworkManager`, `.Connection.Active`,
`.AccessPoint`, `.Settings.Connection`; the flags are `NM80211ApFlags` and `NM80211ApSecurityFlags`).
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.text import in_quotes
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Band, Network, Security, by_ssid, check_ssid

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

    from installer.storage.secret_references import SecretRef

SERVICE = "org.freedesktop.NetworkManager"
ROOT = "/org/freedesktop/NetworkManager"
ACTIVE = f"{SERVICE}.Connection.Active"
ACCESS_POINT = f"{SERVICE}.AccessPoint"
SETTINGS = f"{SERVICE}.Settings.Connection"
WIFI_TYPE = "802-11-wireless"
WIFI_SECURITY = "802-11-wireless-security"
ACTIVATED = 2
DBUS_TIMEOUT_SECONDS = 2.0
PERMISSION_TIMEOUT_SECONDS = 60.0  # the system may ask its user whether this program may read the passphrase
WIRELESS = f"{SERVICE}.Device.Wireless"
MAX_ACCESS_POINTS = 256
MAX_CONNECTIONS = 32  # how many are examined


class Privacy(enum.IntFlag):
    """The used part of `NM80211ApFlags`."""

    PRIVACY = 0x1


class KeyManagement(enum.IntFlag):
    """The key management in `NM80211ApSecurityFlags`."""

    PSK = 0x100
    ENTERPRISE = 0x200
    SAE = 0x400
    OWE = 0x800
    OWE_TRANSITION = 0x1000
    ENTERPRISE_SUITE_B = 0x2000


class _Refused(Exception):
    """NetworkManager answered with an error, or not as its API says."""


_DBUS_ERRORS = (TimeoutError, OSError, EOFError, ValueError, TypeError, LookupError, _Refused)


async def current_network(*, seconds: float = DBUS_TIMEOUT_SECONDS, address: str | None = None) -> Network | None:
    """The network of this computer; None if there is none or no answer within `seconds`. Never raises.

    `address`: of the D-Bus; by default the system's.
    """
    found = await current_credentials(allow_passphrase=False, seconds=seconds, address=address)
    return found.network if found is not None else None


async def current_credentials(
    *,
    allow_passphrase: bool,
    only: str | None = None,
    seconds: float = DBUS_TIMEOUT_SECONDS,
    address: str | None = None,
) -> Credentials | None:
    """The network of this computer with its passphrase, if `allow_passphrase` and if the system permits it.

    `only`: ask for the passphrase of this network only. It is empty if the system refuses it or its user does not
    answer within `seconds`. Never raises.
    """
    until = asyncio.get_running_loop().time() + seconds
    try:
        short = min(seconds, DBUS_TIMEOUT_SECONDS)
        async with _bus(short, address) as bus:
            async with asyncio.timeout(short):
                found = await _active_network(bus)
            if found is None:
                return None
            network, settings = found
            passphrase = SecretStr("")
            if allow_passphrase and network.security.needs_passphrase and only in (None, network.ssid):
                # The system may ask its user, which takes longer.
                passphrase = await _passphrase(bus, settings, until)
            return Credentials(network=network, passphrase=passphrase)
    except _DBUS_ERRORS:
        return None


@asynccontextmanager
async def _bus(seconds: float, address: str | None) -> AsyncIterator[MessageBus]:
    """A connection to the system's bus, opened within `seconds`. Raises one of `_DBUS_ERRORS`."""
    try:
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus
    except ImportError:
        raise _Refused from None  # not on this system
    # A malformed address in the environment raises different errors.
    bus = MessageBus(bus_address=address, bus_type=BusType.SYSTEM)
    try:
        async with asyncio.timeout(seconds):
            await bus.connect()
        yield bus
    finally:
        bus.disconnect()


async def passphrase_of(
    ssid: str, reference: SecretRef, *, seconds: float = PERMISSION_TIMEOUT_SECONDS, address: str | None = None
) -> SecretStr:
    """The passphrase of the network `ssid`, which this computer must be on now.

    `reference`: says who asked for it. The system may ask its user first, for `seconds` at most. Raises
    SECRET_UNAVAILABLE with the reason, and REFERENCE_REFUSED.
    """
    reference.check_leave()
    found = await current_credentials(allow_passphrase=True, only=ssid, seconds=seconds, address=address)
    if found is None:
        raise _no_passphrase("this system does not say on which Wi-Fi network it is (NetworkManager does)")
    if found.network.ssid != ssid:
        raise _no_passphrase(f"this computer is on {found.network.in_quotes}, not on {in_quotes(ssid)}")
    if not found.network.security.needs_passphrase:
        raise _no_passphrase(f"{found.network.in_quotes} has none")
    if not found.passphrase.get_secret_value():
        raise _no_passphrase("the system did not give it: it needs a permission for that, or has not saved it")
    return found.passphrase


async def networks_in_reach(*, seconds: float = DBUS_TIMEOUT_SECONDS, address: str | None = None) -> list[Network]:
    """The networks that this computer receives, one per SSID; empty if unknown. Never raises."""
    try:
        async with _bus(seconds, address) as bus, asyncio.timeout(seconds):
            return by_ssid(await _access_points(bus))
    except _DBUS_ERRORS:
        return []


async def ssids_in_reach() -> frozenset[str]:
    """The SSIDs that this computer receives; empty if unknown. Never raises."""
    return frozenset(network.ssid for network in await networks_in_reach())


async def heard(ssid: str, *, seconds: float = DBUS_TIMEOUT_SECONDS, address: str | None = None) -> Network | None:
    """The network `ssid` as this computer receives it; None if it does not, or if that is unknown. Never raises."""
    found = await networks_in_reach(seconds=seconds, address=address)
    return next((network for network in found if network.ssid == ssid), None)


async def _access_points(bus: MessageBus) -> list[Network]:
    manager = await _properties(bus, ROOT, SERVICE)
    found: list[Network] = []
    for path in _paths(manager.get("Devices"))[:MAX_CONNECTIONS]:
        try:
            points = _paths((await _properties(bus, path, WIRELESS)).get("AccessPoints"))
        except _Refused:
            continue  # no Wi-Fi device
        answers = await asyncio.gather(
            *(_properties(bus, point, ACCESS_POINT) for point in points[:MAX_ACCESS_POINTS]), return_exceptions=True
        )
        found += [n for a in answers if isinstance(a, Mapping) and (n := parse_access_point(a))]
    return found


async def _active_network(bus: MessageBus) -> tuple[Network, str] | None:
    """The network of the first active Wi-Fi connection (the primary one first), and the path of its settings."""
    manager = await _properties(bus, ROOT, SERVICE)
    paths = [p for p in _paths(manager.get("ActiveConnections")) if p != manager.get("PrimaryConnection")]
    for path in [*_paths([manager.get("PrimaryConnection")]), *paths][:MAX_CONNECTIONS]:
        try:
            active = await _properties(bus, path, ACTIVE)
            if active.get("Type") != WIFI_TYPE or active.get("State") != ACTIVATED:
                continue
            (point,) = _paths([active.get("SpecificObject")]) or [""]
            network = parse_access_point(await _properties(bus, point, ACCESS_POINT)) if point else None
        except _Refused:
            continue  # it was closed in the meantime
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
    """The network of an access point's properties; None without a usable SSID. Never raises."""
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
    """The security of an access point from its three flag fields."""
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


async def _properties(bus: MessageBus, path: str, interface: str) -> Mapping[str, Any]:
    return await _call(bus, path, "org.freedesktop.DBus.Properties", "GetAll", interface)


async def _call(bus: MessageBus, path: str, interface: str, member: str, *arguments: str) -> Mapping[str, Any]:
    """The dictionary that a method returns, without D-Bus variants. Raises `_Refused`, without the error's text."""
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
            # This must not start a service that somebody has stopped.
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


def _no_passphrase(why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE,
        f"The passphrase that this computer uses cannot be read: {why}.",
        "Type it, or take it from a file, an environment variable or the keyring.",
    )


def _paths(value: Any) -> list[str]:
    """The object paths in a list, without `/`, which means none."""
    values = value if isinstance(value, list) else []
    return [p for p in values if isinstance(p, str) and p.startswith("/") and p != "/"]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
