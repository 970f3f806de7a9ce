"""What goes wrong with a device that speaks Espressif provisioning, in words for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.provisioning import error_texts as common
from installer.provisioning.espressif.codec import FailReason
from installer.provisioning.espressif.exceptions import ProtocolFault, Refused

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

AGAIN = "Switch the device off and on, and try again."
RESTART = "Switch the device off and on, so that it takes credentials again, and connect anew."
_PROOF = {
    1: "the proof of possession (a short text)",
    2: "its own password (not the one of the Wi-Fi)",
}


def fault(connection: Connection, what: str, found: ProtocolFault) -> InstallerError:
    """DEVICE_REFUSED for a status, DEVICE_MISBEHAVED for anything else; `what` was being done."""
    if isinstance(found, Refused):
        return InstallerError(
            ErrorCode.DEVICE_REFUSED,
            f"The device {connection.address} refused while {what} ({found}).",
            AGAIN,
            address=connection.address,
            status=found.status,
        )
    return InstallerError(
        ErrorCode.DEVICE_MISBEHAVED,
        f"The device {connection.address} answered wrongly while {what}: {found}.",
        common.ALONE + AGAIN,
        address=connection.address,
    )


def proof_missing(connection: Connection, security: int) -> InstallerError:
    """PROOF_MISSING; nothing was sent."""
    return InstallerError(
        ErrorCode.PROOF_MISSING,
        f"The device {connection.address} wants {_PROOF[security]} before it talks about Wi-Fi. Nothing was sent.",
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
        "Type it as it is printed on the device; capital letters count. If it is right, close any other app that talks "
        "to the device." + (" The device ended the connection, so connect again." if reconnect else ""),
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
    """NETWORK_NOT_FOUND or JOIN_FAILED. `reconnect`: this firmware takes no second try without a restart."""
    more = " " + RESTART if reconnect else ""
    if reason is FailReason.NOT_FOUND:
        return InstallerError(
            ErrorCode.NETWORK_NOT_FOUND,
            f"The device does not find the network {label}.",
            "Check the spelling, bring it closer to the router, and see that the router offers 2.4 GHz." + more,
            reason="not_found",
            reconnect=reconnect,
        )
    wrong = reason is FailReason.AUTHENTICATION
    return InstallerError(
        ErrorCode.JOIN_FAILED,
        f"The device could not join {label}" + (": the router did not accept the passphrase." if wrong else "."),
        ("Type the passphrase again." if wrong else "Check the passphrase, and bring the device closer to the router.")
        + more,
        reason="authentication" if wrong else "unknown",
        reconnect=reconnect,
    )


def needs_restart(connection: Connection) -> InstallerError:
    """DEVICE_REFUSED: after a failed join this firmware is stuck until it starts anew."""
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {connection.address} takes no other credentials after a failed attempt.",
        RESTART,
        address=connection.address,
        reconnect=True,
    )
