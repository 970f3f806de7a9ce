"""What goes wrong with a device that speaks Nordic's Wi-Fi provisioning, in words for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.provisioning.error_texts import AGAIN
from installer.provisioning.nordic.codec import Reason, Refused

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

NEEDS_PAIRING = (0x05, 0x08, 0x0F)  # ATT: insufficient authentication, authorisation, encryption
_JOIN_FAILED = {
    Reason.AUTHENTICATION: (": the router did not accept the passphrase.", "Type the passphrase again."),
    Reason.NO_ADDRESS: (": the router gave it no IP address.", "Look at the router: it may have run out of addresses."),
}


def incomplete(connection: Connection, missing: int) -> InstallerError:
    """DEVICE_MISBEHAVED: the GATT table lacks `missing` characteristics."""
    return InstallerError(
        ErrorCode.DEVICE_MISBEHAVED,
        f"The device {connection.address} lacks {missing} of the three characteristics of its Wi-Fi provisioning.",
        AGAIN,
        address=connection.address,
    )


def refused(connection: Connection, what: str, found: Refused) -> InstallerError:
    """DEVICE_REFUSED with the status."""
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {connection.address} refused while {what} ({found}).",
        AGAIN,
        address=connection.address,
        status=found.status,
    )


def wants_pairing(connection: Connection, error: InstallerError) -> InstallerError:
    """DEVICE_REFUSED for a device that talks only over an encrypted link; any other error as it is."""
    if error.data.get("gatt_error") not in NEEDS_PAIRING:
        return error
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {connection.address} talks only to a computer that it is paired with.",
        "Pair it in the Bluetooth settings of this computer (no code is needed), then try again.",
        address=connection.address,
        gatt_error=error.data["gatt_error"],
    )


def cannot_identify(connection: Connection) -> InstallerError:
    """DEVICE_REFUSED: the protocol has no such operation."""
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {connection.address} cannot make itself known.",
        "Tell it by its name and address.",
        address=connection.address,
    )


def not_seen(connection: Connection, label: str, *, hidden: bool) -> InstallerError:
    """NETWORK_NOT_FOUND before anything was sent: this protocol joins only what the device's own scan showed."""
    what = f"The device {connection.address} does not see the network {label}"
    if hidden:
        what += ", and this kind of device cannot join a hidden one: it must be told an access point that it sees"
    return InstallerError(
        ErrorCode.NETWORK_NOT_FOUND,
        what + ". Nothing was sent.",
        "Let the router show the network's name during the set-up, or choose another network."
        if hidden
        else "Check the spelling and the band, and bring it closer to the router. A hidden network cannot be joined.",
        address=connection.address,
        reason="not_seen",
    )


def not_joined(label: str, reason: Reason) -> InstallerError:
    """What a failed join means: NETWORK_NOT_FOUND, PROVISIONING_TIMEOUT or JOIN_FAILED; all can be tried again."""
    if reason is Reason.NOT_FOUND:
        return InstallerError(
            ErrorCode.NETWORK_NOT_FOUND,
            f"The device does not find the network {label}.",
            "Bring it closer to the router, and see that the router is switched on.",
            reason=reason.name.lower(),
        )
    if reason is Reason.TIMEOUT:
        return InstallerError(
            ErrorCode.PROVISIONING_TIMEOUT,
            f"The device gave up joining {label}: it took too long.",
            "Check the passphrase, bring the device closer to the router, and try again.",
            reason=reason.name.lower(),
        )
    how, todo = _JOIN_FAILED.get(reason, (".", "Check the passphrase, and bring the device closer to the router."))
    return InstallerError(
        ErrorCode.JOIN_FAILED, f"The device could not join {label}{how}", todo, reason=reason.name.lower()
    )
