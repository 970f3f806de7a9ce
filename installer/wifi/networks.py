"""Wi-Fi networks and credentials, and what makes an SSID or a passphrase possible.

Sources: IEEE 802.11 (SSID of 1 to 32 bytes; passphrase of 8 to 63 printable ASCII
characters or 64 hexadecimal digits), `facts/other-ble-provisioning.md` §5.
"""

from __future__ import annotations

import enum
import string
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.text import printable

SSID_BYTES = 32
PASSPHRASE_MIN, PASSPHRASE_MAX = 8, 63
PSK_DIGITS = 64


class Security(enum.StrEnum):
    """How a network is protected, by what a device or a person says of it."""

    OPEN = "open"
    WEP = "wep"
    WPA = "wpa"
    WPA2 = "wpa2"
    WPA_WPA2 = "wpa/wpa2"
    WPA3 = "wpa3"
    WPA2_WPA3 = "wpa2/wpa3"
    ENTERPRISE = "enterprise"
    UNKNOWN = "unknown"

    @property
    def needs_passphrase(self) -> bool:
        """True where a passphrase belongs to the credentials (unknown: a person may leave it out)."""
        return self not in (Security.OPEN, Security.UNKNOWN)


class Band(enum.StrEnum):
    """The radio band of an access point."""

    GHZ_2_4 = "2.4 GHz"
    GHZ_5 = "5 GHz"
    GHZ_6 = "6 GHz"


class Network(BaseModel):
    """One SSID that a device can see, or that a person named. `rssi` in dBm.

    `band` is that of the strongest access point, `bands` are those of all; empty where one does not tell.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    ssid: str
    security: Security = Security.UNKNOWN
    rssi: int | None = None
    band: Band | None = None
    bssid: str | None = None
    hidden: bool = False
    access_points: int = 1
    bands: tuple[Band, ...] = ()

    @property
    def all_bands(self) -> tuple[Band, ...]:
        """The bands of all access points, as far as every one of them tells; else empty."""
        if self.bands or self.access_points != 1 or self.band is None:
            return self.bands
        return (self.band,)

    @property
    def label(self) -> str:
        """The SSID made safe for a terminal."""
        return printable(self.ssid)


class Credentials(BaseModel):
    """A network and its passphrase. The passphrase is hidden in every repr and dump."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    network: Network
    passphrase: SecretStr = Field(default=SecretStr(""))


def by_ssid(networks: Iterable[Network]) -> list[Network]:
    """One network per SSID, the strongest access point's, strongest SSID first."""
    best: dict[str, Network] = {}
    count: dict[str, int] = {}
    heard: dict[str, list[tuple[Band, ...]]] = {}
    for network in networks:
        count[network.ssid] = count.get(network.ssid, 0) + network.access_points
        heard.setdefault(network.ssid, []).append(network.all_bands)
        known = best.get(network.ssid)
        if known is None or _strength(network) > _strength(known):
            best[network.ssid] = network
    merged = [
        n.model_copy(update={"access_points": count[n.ssid], "bands": _joined(heard[n.ssid])}) for n in best.values()
    ]
    return sorted(merged, key=lambda n: (-_strength(n), n.ssid))


def _joined(heard: Iterable[tuple[Band, ...]]) -> tuple[Band, ...]:
    """All bands of several access points; empty if one does not tell, for it may be on any."""
    each = list(heard)
    return tuple(band for band in Band if any(band in bands for bands in each)) if all(each) else ()


def _strength(network: Network) -> int:
    return network.rssi if network.rssi is not None else -1000


def check_ssid(ssid: str) -> None:
    """Raise SSID_INVALID unless `ssid` is 1 to 32 bytes of UTF-8 without NUL."""
    size = len(ssid.encode("utf-8", "surrogatepass"))
    if size == 0:
        raise InstallerError(
            ErrorCode.SSID_INVALID, "The network name is empty.", "Type the name of the Wi-Fi network."
        )
    if size > SSID_BYTES:
        raise InstallerError(
            ErrorCode.SSID_INVALID,
            f"The network name has {size} bytes; a Wi-Fi network name has at most {SSID_BYTES}.",
            "Check the spelling. Letters with accents and emoji take 2 to 4 bytes each.",
        )
    if "\x00" in ssid:
        raise InstallerError(
            ErrorCode.SSID_INVALID, "The network name holds a NUL character.", "Remove it from the name."
        )


def passphrase_problem(passphrase: str, security: Security) -> str | None:
    """What is wrong with `passphrase` for a network of this `security`, in words; None if nothing.

    The sentence never holds the passphrase itself.
    """
    if security is Security.OPEN:
        return None if not passphrase else "This network is open: it takes no passphrase."
    if security is Security.UNKNOWN and not passphrase:
        return None
    if not passphrase:
        return "The passphrase is empty."
    if len(passphrase) == PSK_DIGITS:
        if all(c in string.hexdigits for c in passphrase):
            return None
        return "64 characters are a ready-made key and must all be hexadecimal digits (0-9, a-f)."
    if security is not Security.WPA3 and not all(" " <= c <= "~" for c in passphrase):
        return (
            "A Wi-Fi passphrase has only plain ASCII characters "
            "(letters, digits, space, punctuation; no accents, no line break)."
        )
    if any(ord(c) < 32 or ord(c) == 127 for c in passphrase):
        return "The passphrase holds a control character, perhaps a line break that was copied along."
    size = len(passphrase.encode("utf-8", "surrogatepass"))
    if size < PASSPHRASE_MIN:
        missing = PASSPHRASE_MIN - size
        return f"A Wi-Fi passphrase has at least 8 characters: {missing} more."
    if size > PASSPHRASE_MAX:
        return f"A Wi-Fi passphrase has at most 63 characters; this has {size}."
    return None


def check_network(network: Network, bands: Iterable[str] = ()) -> None:
    """Raise SSID_INVALID or NETWORK_UNSUPPORTED for a network that credentials cannot describe.

    `bands`: those that the device's radio has (the catalogue's `bands`; empty: not known). A network that was heard
    on other bands only is refused; one whose bands are not known is not.
    """
    check_ssid(network.ssid)
    if network.security is Security.ENTERPRISE:
        raise InstallerError(
            ErrorCode.NETWORK_UNSUPPORTED,
            f"{network.label} is a company network (802.1X, “enterprise”): it wants a user name or "
            "a certificate, which these devices cannot present.",
            "Choose a network with a plain passphrase, for example a guest network.",
        )
    if network.security is Security.WEP:
        raise InstallerError(
            ErrorCode.NETWORK_UNSUPPORTED,
            f"{network.label} uses WEP, which current devices refuse because it is broken.",
            "Set the router to WPA2 or WPA3, or choose another network.",
        )
    _check_bands(network, tuple(bands))


def _check_bands(network: Network, bands: tuple[str, ...]) -> None:
    heard = network.all_bands
    if not bands or not heard or any(band.value in bands for band in heard):
        return
    raise InstallerError(
        ErrorCode.NETWORK_UNSUPPORTED,
        f"{network.label} is on {' and '.join(heard)} only, and the device's radio has {' and '.join(bands)} only.",
        f"Switch on {bands[0]} in the router, or choose another network; many routers have one for such devices.",
        bands=[band.value for band in heard],
    )


def check_credentials(credentials: Credentials) -> None:
    """Raise the error for whatever would make a device refuse `credentials`, before sending them."""
    check_network(credentials.network)
    problem = passphrase_problem(credentials.passphrase.get_secret_value(), credentials.network.security)
    if problem:
        raise InstallerError(
            ErrorCode.PASSPHRASE_INVALID,
            f"The passphrase for {credentials.network.label} cannot be right. {problem}",
            "Leave the passphrase out."
            if credentials.network.security is Security.OPEN
            else "Type it again as it is printed on the router or set in it.",
        )
