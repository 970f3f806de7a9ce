"""Pairing: what a person is asked for it, and its errors, whichever Bluetooth stack does it."""

from __future__ import annotations

import enum
from typing import Protocol

from installer.errors import ErrorCode, InstallerError
from installer.text import printable

# ATT errors: insufficient authentication, authorization, encryption key size, encryption.
PAIRING_REQUIRED_ERRORS = frozenset({0x05, 0x08, 0x0C, 0x0F})
# A pairing ends by itself when nobody answers for this long (Core Specification vol. 3 part H §3.4).
PERSON_SECONDS = 30.0


class PairingDialog(Protocol):
    """Who answers when a device wants to be paired (Core Specification vol. 3 part H §2.3.5). `name`: of the device.

    Each method may take as long as a person does; it is cancelled when the device ends the pairing. It raises an
    InstallerError if nobody can be asked, or the person does not want to.
    """

    async def passkey(self, name: str) -> str:
        """The six digits that the device shows."""
        ...

    async def same_number(self, name: str, number: str) -> bool:
        """Whether the device shows this number of six digits, too."""
        ...

    async def allow(self, name: str) -> bool:
        """Whether the device, which asks for it, may be paired without a number (Just Works)."""
        ...

    def show_passkey(self, name: str, passkey: str) -> None:
        """Show these six digits: the person types them on the device."""
        ...

    def pairing_ended(self, *, paired: bool) -> None:
        """The pairing is over, well or not: remove what is shown. May raise what the person did meanwhile."""
        ...


class PairingEnd(enum.StrEnum):
    """Why a pairing failed. The error of the system does not tell: who asks the person must note it."""

    WRONG_DIGITS = "wrong-digits"  # the person's, or those typed on the device
    OTHER_NUMBER = "other-number"  # the person said that the device shows another one
    PERSON_TOO_LATE = "person-too-late"
    DEVICE_REFUSED = "device-refused"
    DEVICE_HUNG_UP = "device-hung-up"
    DEVICE_TOO_LATE = "device-too-late"
    TOO_WEAK = "too-weak"  # it is paired, but wants a pairing with digits and offers none


_WORDS = {
    PairingEnd.WRONG_DIGITS: (
        "it did not accept the digits",
        "Try again with the six digits that are shown then: they are new each time.",
    ),
    PairingEnd.OTHER_NUMBER: (
        "the device showed another number than this computer",
        "Nothing was sent. Try again close to the device. If the numbers differ again, another device may be answering "
        "in its place.",
    ),
    PairingEnd.PERSON_TOO_LATE: (
        f"nobody answered within {PERSON_SECONDS:g} s",
        "Try again, and have the device in view: it waits no longer than that.",
    ),
    PairingEnd.DEVICE_REFUSED: (
        "the device refused it",
        "Put it into pairing mode (often by a long press), remove it from the Bluetooth settings of your phone, then "
        "try again. Some devices pair only for a short time after they were switched on or reset.",
    ),
    PairingEnd.DEVICE_HUNG_UP: (
        "the device ended the connection",
        "Bring it close to this computer and keep it awake, then try again.",
    ),
    PairingEnd.DEVICE_TOO_LATE: (
        f"the device did not answer within {PERSON_SECONDS:g} s",
        "If it asks something on its display, or waits for its button, answer there. Then try again.",
    ),
    PairingEnd.TOO_WEAK: (
        "it wants a pairing with digits, and offers none itself",
        "Put the device into pairing mode, so that it shows digits, and pair it anew with --renew-bond.",
    ),
}


def pairing_failed(address: str, name: str, end: PairingEnd) -> InstallerError:
    """PAIRING_FAILED, which says what happened. `name`: of the device, or empty."""
    why, todo = _WORDS[end]
    return InstallerError(
        ErrorCode.PAIRING_FAILED,
        f"Pairing with {_label(address, name)} failed: {why}.",
        todo,
        address=address,
        why=end.value,
    )


def pairing_needed(address: str, name: str = "", activity: str = "") -> InstallerError:
    """PAIRING_NEEDED: the device wants to be paired, and nobody is there to answer. `activity`: what it is for."""
    where = f" for {activity}" if activity else ""
    return InstallerError(
        ErrorCode.PAIRING_NEEDED,
        f"{_label(address, name)} wants to be paired with this computer{where}, and nobody can be asked here.",
        "Give the six digits that it shows with --passkey-file F or --passkey-env VAR, or let a person answer with "
        "--ask pairing.",
        address=address,
    )


def bond_lost(address: str, name: str = "") -> InstallerError:
    """BOND_LOST: this computer has keys of the device, and the device ends each connection that uses them."""
    return InstallerError(
        ErrorCode.BOND_LOST,
        f"{_label(address, name)} is paired with this computer, but ends each connection at once: it no longer has its "
        "keys.",
        "Did you reset it, or pair it with too many others? Then pair it anew: --renew-bond. If you did neither, "
        "another device may be answering in its place.",
        address=address,
    )


def pairing_left_to_system(address: str, platform: str) -> InstallerError:
    """PAIRING_NEEDED where the system pairs by itself (macOS, Windows), and has not."""
    return InstallerError(
        ErrorCode.PAIRING_NEEDED,
        f"The device {address} answers only a paired computer.",
        "This system pairs by itself: answer its own window when it asks (it may be behind this one), or pair the "
        f"device in {_SETTINGS.get(platform, 'the Bluetooth settings of the system')}. Then try again.",
        address=address,
    )


_SETTINGS = {
    "darwin": "System Settings > Bluetooth",
    "win32": "Settings > Bluetooth & devices > Add device",
}


def is_passkey(text: str) -> bool:
    """Whether this is a passkey: six digits."""
    return len(text) == 6 and text.isascii() and text.isdecimal()


def _label(address: str, name: str) -> str:
    shown = printable(name, 32)
    return f"{shown} {address}" if shown else f"The device {address}"
