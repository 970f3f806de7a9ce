"""Wi-Fi credentials: a network and its passphrase, and which passphrases are valid."""

from __future__ import annotations

import string
import unicodedata

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.wifi.networks import PASSPHRASE_MAX, PASSPHRASE_MIN, PSK_DIGITS, Network, Security, check_network


class Credentials(BaseModel):
    """A network and its passphrase. The passphrase is hidden in every repr and dump."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    network: Network
    passphrase: SecretStr = Field(default=SecretStr(""))


def passphrase_problem(passphrase: str, security: Security) -> str | None:
    """Why `passphrase` is not valid for a network with this `security`, in words; None if it is valid.

    Letters beyond ASCII count as their UTF-8 bytes, as wpa_supplicant, hostapd and NetworkManager count them. WPA3
    alone takes fewer than 8 bytes. The words never contain the passphrase.
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
    if any(ord(c) < 32 or ord(c) == 127 for c in passphrase):
        return "The passphrase contains a control character, perhaps a copied line break."
    size = len(passphrase.encode("utf-8", "surrogatepass"))
    if size < PASSPHRASE_MIN and security is not Security.WPA3:
        missing = PASSPHRASE_MIN - size
        only_wpa3 = " Only a network with WPA3 and nothing older takes fewer." if security is Security.UNKNOWN else ""
        return f"A Wi-Fi passphrase has at least 8 characters: {missing} more.{only_wpa3}"
    if size > PASSPHRASE_MAX:
        unit = "characters" if passphrase.isascii() else "bytes, and letters beyond ASCII take 2 to 4 each"
        return f"A Wi-Fi passphrase has at most 63 {unit}; this has {size}."
    return None


def passphrase_warning(passphrase: str, security: Security) -> str:
    """What to know about a valid passphrase that some devices or routers take otherwise; empty for the usual ones.

    Every protocol here carries it as it is. The words never contain the passphrase.
    """
    warnings = []
    if not passphrase.isascii():
        warnings.append("The passphrase has letters beyond ASCII; the device gets them as UTF-8, as phones send them.")
        if unicodedata.normalize("NFC", passphrase) != unicodedata.normalize("NFD", passphrase):
            warnings.append(
                "Letters with accents can be stored in two ways: if the device cannot join, type the passphrase anew "
                "in the router and here on the same computer."
            )
    if passphrase and security is Security.WPA3 and len(passphrase.encode("utf-8", "surrogatepass")) < PASSPHRASE_MIN:
        warnings.append("The passphrase has fewer than 8 characters: WPA3 takes it, but some devices do not.")
    return " ".join(warnings)


def check_credentials(credentials: Credentials, *, called: str | None = None) -> None:
    """Raise the error for credentials that a device would refuse, before they are sent.

    `called`: what an error calls the network, if its SSID must not be shown; by default its SSID.
    """
    name = called or credentials.network.in_quotes
    check_network(credentials.network, called=called)
    problem = passphrase_problem(credentials.passphrase.get_secret_value(), credentials.network.security)
    if problem:
        raise InstallerError(
            ErrorCode.PASSPHRASE_INVALID,
            f"The passphrase for {name} cannot be right. {problem}",
            _what_to_do(credentials),
        )


def _what_to_do(credentials: Credentials) -> str:
    if credentials.network.security is Security.OPEN:
        return "Leave the passphrase out."
    again = "Type it again as it is printed on the router or set in it."
    size = len(credentials.passphrase.get_secret_value().encode("utf-8", "surrogatepass"))
    if credentials.network.security is Security.UNKNOWN and 0 < size < PASSPHRASE_MIN:
        again += ' If the network has WPA3 only, say so: security = "wpa3" in an answers file or saved network.'
    return again
