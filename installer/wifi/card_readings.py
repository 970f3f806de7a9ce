"""The readings of a Wi-Fi card: what the `WIFI:` text of a QR code may mean, and which one is meant.

Some makers of such codes escape nothing. A text of theirs can then be read in several ways, and each reading gives
another network or another passphrase. The text alone does not say which one is right.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.wifi.networks import Network, Security

BY_HAND = (
    "Give the network by hand: --ssid NAME with --passphrase-file, --passphrase-env or --passphrase-host. "
    "A person can choose in the wizard, or with --ask network."
)
PASSWORD_IDENTIFIER = (
    "The code of this network names a password identifier (a WPA3 network with several passwords). No protocol here "
    "can send it, so the network may refuse the device."
)


@dataclass(frozen=True)
class CardReading:
    """One reading of a card. Its repr hides the passphrase, but an SSID that was split wrongly may hold a part of it.

    `how`: how the text was read, in words. `states_security`: whether the card says that the network is open, or how it
    is protected. `password_identifier`: whether the card names one (SAE), which no protocol here can send.
    """

    ssid: str = field(repr=False)
    security: Security
    passphrase: SecretStr = field(default=SecretStr(""))
    hidden: bool = False
    how: str = field(default="", compare=False)
    states_security: bool = field(default=True, compare=False)
    password_identifier: bool = field(default=False, compare=False)

    @property
    def network(self) -> Network:
        """The network alone."""
        return Network(ssid=self.ssid, security=self.security, hidden=self.hidden)

    @property
    def summary(self) -> str:
        """Security and the length of the passphrase, in words; a length tells the readings of one card apart."""
        length = len(self.passphrase.get_secret_value())
        known = "" if self.security is Security.UNKNOWN else f"{self.security}, "
        return f"{known}passphrase of {length} characters" if length else "without a passphrase"


@dataclass(frozen=True)
class CardReadings:
    """All readings of one card, the likeliest first; at least one."""

    readings: tuple[CardReading, ...]

    @property
    def certain(self) -> CardReading | None:
        """The reading, if there is only one."""
        return self.readings[0] if len(self.readings) == 1 else None

    @property
    def has_secret(self) -> bool:
        """Whether one of the readings has a passphrase."""
        return any(reading.passphrase.get_secret_value() for reading in self.readings)

    @property
    def ssids(self) -> frozenset[str]:
        """The SSIDs of all readings."""
        return frozenset(reading.ssid for reading in self.readings)

    def among(self, ssids: Collection[str]) -> CardReading | None:
        """The only reading whose SSID is one of these; None if there is none, or if several are."""
        fitting = [reading for reading in self.readings if reading.ssid in ssids]
        return fitting[0] if len(fitting) == 1 else None

    def named(self, ssid: str) -> CardReadings:
        """The readings with this SSID. Raises ANSWERS_INVALID if there is none; the SSIDs of the card stay unsaid."""
        fitting = tuple(reading for reading in self.readings if reading.ssid == ssid)
        if fitting:
            return CardReadings(fitting)
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            "The code is that of another network than --ssid names.",
            "Check the name, letter by letter, or leave --ssid out.",
        )

    def ambiguous(self) -> InstallerError:
        """NETWORK_AMBIGUOUS. It repeats nothing of the card: no SSID either, which may hold a part of a passphrase."""
        same_name = len(self.ssids) == 1
        return InstallerError(
            ErrorCode.NETWORK_AMBIGUOUS,
            f"The code of this network can be read in {len(self.readings)} ways, which give different "
            f'{"passphrases" if same_name else "networks"}: its maker has not marked the special characters (; \\ " %) '
            "as the standard asks.",
            BY_HAND if same_name else f"Add --ssid NAME to say which network is meant. {BY_HAND}",
            ways=len(self.readings),
        )
