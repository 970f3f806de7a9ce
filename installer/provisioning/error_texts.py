"""What goes wrong with a device whatever its protocol, in words for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection


AGAIN = "Switch the device off and on, and try again."
ALONE = "If another app talks to the device (a phone near by?), close it. "


def misbehaved(connection: Connection, what: str, found: Exception) -> InstallerError:
    """DEVICE_MISBEHAVED: it sent `found` while doing `what`."""
    return InstallerError(
        ErrorCode.DEVICE_MISBEHAVED,
        f"The device {connection.address} answered wrongly while {what}: {found}.",
        ALONE + AGAIN,
        address=connection.address,
    )


def silent(connection: Connection, what: str, seconds: float) -> InstallerError:
    """DEVICE_MISBEHAVED: no answer."""
    return InstallerError(
        ErrorCode.DEVICE_MISBEHAVED,
        f"The device {connection.address} gave no answer within {seconds:g} s while {what}.",
        ALONE + AGAIN,
        address=connection.address,
    )


def taken_over(connection: Connection, label: str | None = None) -> InstallerError:
    """SESSION_TAKEN: another client talks to the device. `label`: the network that it was joining by then."""
    outcome = f" Whether the device has joined {label} is not known." if label is not None else ""
    return InstallerError(
        ErrorCode.SESSION_TAKEN,
        f"Another app talks to the device {connection.address} at the same time and has taken over its set-up."
        + outcome,
        "Close that app (the vendor's app on a phone near by, or a second run of this program), then try again.",
        address=connection.address,
        **({"sent": True} if label is not None else {}),
    )


def lost_while_joining(connection: Connection, label: str) -> InstallerError:
    """CONNECTION_LOST after the credentials were sent: the outcome is open."""
    return InstallerError(
        ErrorCode.CONNECTION_LOST,
        f"The Bluetooth connection to {connection.address} dropped while the device was joining {label}; "
        "whether it has joined is not known.",
        "Wait a minute. If the device does not show that it is connected, try again close to it.",
        address=connection.address,
        sent=True,
    )


def no_outcome(label: str, seconds: float) -> InstallerError:
    """PROVISIONING_TIMEOUT."""
    return InstallerError(
        ErrorCode.PROVISIONING_TIMEOUT,
        f"The device did not say within {seconds:g} s whether it joined {label}.",
        "Look whether it shows that it is connected; if not, switch it off and on and try again.",
    )
