"""The errors that only Espressif provisioning has: proof of possession, unsupported device, restart after a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.provisioning import driver_errors
from installer.provisioning.espressif.codec import FailReason

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

RESTART_AND_RECONNECT = "Switch the device off and on, so that it takes credentials again, and connect again."
_PROOF = {
    1: "the proof of possession (a short text)",
    2: "its own password (not the one of the Wi-Fi)",
}


def proof_missing(connection: Connection, security: int) -> InstallerError:
    """PROOF_MISSING; nothing was sent."""
    return InstallerError(
        ErrorCode.PROOF_MISSING,
        f"The device {connection.address} needs {_PROOF[security]} before it accepts Wi-Fi settings. Nothing was sent.",
        "It is printed on the device, on its box or in its manual, often as a QR code.",
        address=connection.address,
        security=security,
        reconnect=False,
    )


def proof_wrong(connection: Connection, security: int, *, reconnect: bool) -> InstallerError:
    """PROOF_WRONG. `reconnect`: the device has ended the connection, as some do."""
    what = "proof of possession" if security == 1 else "user name or its own password (not the one of the Wi-Fi)"
    return InstallerError(
        ErrorCode.PROOF_WRONG,
        f"The device {connection.address} does not accept the {what}.",
        "Type it as it is printed on the device; upper and lower case matter. If it is right, close any other app that "
        "uses the device." + (" The device ended the connection, so connect again." if reconnect else ""),
        address=connection.address,
        security=security,
        reconnect=reconnect,
    )


def unsupported(connection: Connection, why: str) -> InstallerError:
    """DEVICE_UNSUPPORTED."""
    return InstallerError(
        ErrorCode.DEVICE_UNSUPPORTED,
        f"The device {connection.address} {why}.",
        "Set it up with its maker's app, or with a newer version of this program.",
        address=connection.address,
    )


def not_joined(label: str, reason: FailReason, *, reconnect: bool) -> InstallerError:
    """NETWORK_NOT_FOUND or JOIN_FAILED. `reconnect`: this firmware must be restarted before another attempt."""
    if reason is FailReason.NOT_FOUND:
        error = driver_errors.network_not_found(label, reconnect=reconnect)
    elif reason is FailReason.AUTHENTICATION:
        error = driver_errors.wrong_passphrase(label, reconnect=reconnect)
    else:
        error = driver_errors.join_failed(label, reason="unknown", reconnect=reconnect)
    if reconnect:
        error.todo += " " + RESTART_AND_RECONNECT
    return error


def needs_restart(connection: Connection) -> InstallerError:
    """DEVICE_REFUSED: after a failed join this firmware takes no credentials until it is restarted."""
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {connection.address} takes no other credentials after a failed attempt.",
        RESTART_AND_RECONNECT,
        address=connection.address,
        reconnect=True,
    )
