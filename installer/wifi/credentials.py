"""Wi-Fi credentials: a network and its passphrase, and which passphrases are valid."""

from __future__ import annotations

import string

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.wifi.networks import PASSPHRASE_MAX, PASSPHRASE_MIN, PSK_DIGITS, Network, Security, check_network


class Credentials(BaseModel):
    """A network and its passphrase. The passphrase is hidden in every repr and dump."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    network: Network
    passphrase: SecretStr = Field(default=SecretStr(""))


def passphrase_problem(passphrase: str, security: Security) -> str | None:
    """Why `passphrase` is not valid for a network with this `security`, as a sentence; None if it is valid.

    The sentence never contains the passphrase.
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
        return "The passphrase contains a control character, perhaps a copied line break."
    size = len(passphrase.encode("utf-8", "surrogatepass"))
    if size < PASSPHRASE_MIN:
        missing = PASSPHRASE_MIN - size
        return f"A Wi-Fi passphrase has at least 8 characters: {missing} more."
    if size > PASSPHRASE_MAX:
        return f"A Wi-Fi passphrase has at most 63 characters; this has {size}."
    return None


def check_credentials(credentials: Credentials) -> None:
    """Raise the error for credentials that a device would refuse, before they are sent."""
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
