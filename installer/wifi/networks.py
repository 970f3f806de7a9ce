"""Wi-Fi networks: SSID, security, bands; which networks a device can join.

Sources: IEEE 802.11 (SSID of 1 to 32 bytes; passphrase of 8 to 63 bytes or 64 hexadecimal digits; WPA3 alone takes
shorter ones), `facts/other-ble-provisioning.md` §5.
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from installer.errors import ErrorCode, InstallerError
from installer.text import capitalized, in_quotes, looks_like_code, printable

SSID_BYTES = 32
PASSPHRASE_MIN, PASSPHRASE_MAX = 8, 63
PSK_DIGITS = 64
_CONTROL_CATEGORIES = ("Cc", "Zl", "Zp")


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
        """Whether the credentials need a passphrase (for UNKNOWN, a person may leave it out)."""
        return self not in (Security.OPEN, Security.UNKNOWN)


class Band(enum.StrEnum):
    """The radio band of an access point."""

    GHZ_2_4 = "2.4 GHz"
    GHZ_5 = "5 GHz"
    GHZ_6 = "6 GHz"


class Network(BaseModel):
    """One SSID that a device sees, or that a person typed. `rssi` in dBm.

    `band`: of the strongest access point. `bands`: of all access points; empty if the band of one is unknown.
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
        """The bands of all access points; empty if the band of one is unknown."""
        if self.bands or self.access_points != 1 or self.band is None:
            return self.bands
        return (self.band,)

    @property
    def label(self) -> str:
        """The SSID made safe for a terminal, for a column of a table."""
        return printable(self.ssid)

    @property
    def in_quotes(self) -> str:
        """The SSID for a sentence: safe, and in quotes, so that a blank at its end can be seen."""
        return in_quotes(self.ssid)


def by_ssid(networks: Iterable[Network]) -> list[Network]:
    """One network per SSID, the strongest access point's, strongest SSID first."""
    best: dict[str, Network] = {}
    count: dict[str, int] = {}
    bands: dict[str, list[tuple[Band, ...]]] = {}
    for network in networks:
        count[network.ssid] = count.get(network.ssid, 0) + network.access_points
        bands.setdefault(network.ssid, []).append(network.all_bands)
        known = best.get(network.ssid)
        if known is None or _strength(network) > _strength(known):
            best[network.ssid] = network
    merged = [
        n.model_copy(update={"access_points": count[n.ssid], "bands": _merged_bands(bands[n.ssid])})
        for n in best.values()
    ]
    return sorted(merged, key=lambda n: (-_strength(n), n.ssid))


def _merged_bands(bands: Iterable[tuple[Band, ...]]) -> tuple[Band, ...]:
    """All bands of several access points; empty if the bands of one are unknown."""
    known = list(bands)
    return tuple(band for band in Band if any(band in each for each in known)) if all(known) else ()


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


def check_no_control(ssid: str) -> None:
    """Raise SSID_INVALID for a line break or another control character, which nobody means to write into a name.

    Not a part of `check_ssid`: a device may hear a network that is called so.
    """
    found = next((c for c in ssid if unicodedata.category(c) in _CONTROL_CATEGORIES), None)
    if found is not None:
        what = "a line break" if found in "\r\n\u2028\u2029" else "a tab" if found == "\t" else "a control character"
        raise InstallerError(
            ErrorCode.SSID_INVALID,
            f"The network name {in_quotes(ssid)} holds {what}.",
            "Write the name alone, in one line.",
        )


def check_typed_ssid(ssid: str) -> None:
    """`check_ssid`, and SSID_INVALID for the text of a code, which a person pasted where the name belongs."""
    check_ssid(ssid)
    if looks_like_code(ssid):
        raise InstallerError(
            ErrorCode.SSID_INVALID,
            "The network name is the text of a code, not a name.",
            "Give the code with --wifi-qr or --wifi-qr-image, or paste it on the page of networks in the wizard.",
        )
    check_no_control(ssid)


def check_network(network: Network, bands: Iterable[str] = (), *, called: str | None = None) -> None:
    """Raise SSID_INVALID or NETWORK_UNSUPPORTED for a network that a device cannot join.

    `called`: what an error calls the network, if its SSID must not be shown; by default its SSID.
    `bands`: of the device's radio (the catalogue's `bands`; empty: unknown). A network that is on other bands only is
    refused; a network whose bands are unknown is not.
    """
    check_ssid(network.ssid)
    name = capitalized(called) if called else network.in_quotes
    if network.security is Security.ENTERPRISE:
        raise InstallerError(
            ErrorCode.NETWORK_UNSUPPORTED,
            f"{name} is a company network (802.1X, “enterprise”): it needs a user name or "
            "a certificate, which these devices cannot present.",
            "Choose a network with a plain passphrase, for example a guest network.",
        )
    if network.security is Security.WEP:
        raise InstallerError(
            ErrorCode.NETWORK_UNSUPPORTED,
            f"{name} uses WEP, which current devices refuse because it is broken.",
            "Set the router to WPA2 or WPA3, or choose another network.",
        )
    _check_bands(network, tuple(bands))


def _check_bands(network: Network, bands: tuple[str, ...]) -> None:
    network_bands = network.all_bands
    if not bands or not network_bands or any(band.value in bands for band in network_bands):
        return
    raise InstallerError(
        ErrorCode.NETWORK_UNSUPPORTED,
        f"{network.in_quotes} is on {' and '.join(network_bands)} only, "
        f"and the device's radio has {' and '.join(bands)} only.",
        f"Switch on {bands[0]} in the router, or choose another network; many routers have one for such devices.",
        bands=[band.value for band in network_bands],
    )
