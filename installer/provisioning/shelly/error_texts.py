"""What goes wrong with a Shelly device, in words for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.provisioning.error_texts import AGAIN
from installer.provisioning.shelly.codec import UNAUTHORIZED, Refused

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

NEEDS_PAIRING = (0x05, 0x08, 0x0F)  # ATT: insufficient authentication, authorisation, encryption


def refused(connection: Connection, what: str, found: Refused) -> InstallerError:
    """DEVICE_REFUSED with the device's number and words."""
    if found.code == UNAUTHORIZED:
        return InstallerError(
            ErrorCode.DEVICE_REFUSED,
            f"The device {connection.address} is protected with a password, which this program cannot give.",
            "Switch the password off in the maker's app, or reset the device to factory state, and try again.",
            address=connection.address,
            rpc_error=found.code,
        )
    words = f": {found.words}" if found.words else ""
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {connection.address} refused while {what} (error {found.code}{words}).",
        AGAIN,
        address=connection.address,
        rpc_error=found.code,
    )


def wants_pairing(connection: Connection, error: InstallerError) -> InstallerError:
    """DEVICE_REFUSED for a device that talks only to whom it is paired with; any other error as it is."""
    if error.data.get("gatt_error") not in NEEDS_PAIRING:
        return error
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {connection.address} talks only to a computer that it is paired with.",
        "Check: switch it off and on, which opens its set-up window on some firmware, and try again at once; "
        "or pair it in the Bluetooth settings of this computer first.",
        address=connection.address,
        gatt_error=error.data["gatt_error"],
    )


def unsupported(connection: Connection, what: str) -> InstallerError:
    """DEVICE_REFUSED for what the protocol has no call for."""
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {connection.address} cannot {what}.",
        "Tell it by its name and address.",
        address=connection.address,
    )


def not_joined(label: str) -> InstallerError:
    """JOIN_FAILED; the same connection can try again."""
    return InstallerError(
        ErrorCode.JOIN_FAILED,
        f"The device could not join {label}.",
        "Check the passphrase, and bring the device closer to the router.",
        reason="unknown",
    )


def not_found(label: str) -> InstallerError:
    """NETWORK_NOT_FOUND; the same connection can try again."""
    return InstallerError(
        ErrorCode.NETWORK_NOT_FOUND,
        f"The device does not find the network {label}.",
        "Check the spelling, bring it closer to the router, and see that the router offers 2.4 GHz.",
        reason="not_found",
    )


def restarting(connection: Connection, label: str) -> InstallerError:
    """CONNECTION_LOST: the device has the credentials and starts anew to use them."""
    return InstallerError(
        ErrorCode.CONNECTION_LOST,
        f"The device {connection.address} has the credentials of {label} and starts anew to use them; "
        "whether it joins is not known yet.",
        "Wait until it has started, and try again: it then tells whether it has joined.",
        address=connection.address,
        sent=True,
        restarting=True,
    )
