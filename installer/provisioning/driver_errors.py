"""The errors of the drivers: what a codec raises, and the InstallerError (code, words, data) that a driver makes of it.

A codec raises ProtocolError; `installer_error` turns it into an InstallerError. The other functions are the errors that
drivers raise themselves. An error that only one protocol knows stands in that protocol's folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

RESTART_DEVICE = "Switch the device off and on, and try again."
CLOSE_OTHER_APPS = "If another app uses the device (for example on a phone nearby), close it. "
CHECK_PASSPHRASE = "Check the passphrase, and bring the device closer to the router."


class ProtocolError(Exception):
    """Something is wrong with an answer. The text never holds what the device sent."""


class Malformed(ProtocolError):
    """Bytes that break the protocol, or values that do not fit into its messages."""


class ForeignAnswer(Malformed):
    """The answer to a request that another app made."""


class Refused(ProtocolError):
    """The device answered with an error. `status`: its number; `data_field`: the key of that number in `data`.

    `details`: the device's own words, safe for a terminal.
    """

    def __init__(self, status: int, reason: str, *, details: str = "", data_field: str = "status") -> None:
        super().__init__(reason)
        self.status = status
        self.details = details
        self.data_field = data_field


def installer_error(connection: Connection, doing: str, error: ProtocolError) -> InstallerError:
    """DEVICE_REFUSED, SESSION_TAKEN or DEVICE_MISBEHAVED. `doing`: the device's work, as in “sending its state”."""
    if isinstance(error, Refused):
        reason = f"{error}: {error.details}" if error.details else str(error)
        return refused(connection, doing, reason, **{error.data_field: error.status})
    if isinstance(error, ForeignAnswer):
        return session_taken(connection)
    return misbehaved(connection, f"answered wrongly while {doing}: {error}")


def refused(connection: Connection, doing: str, reason: str, **data: Any) -> InstallerError:
    """DEVICE_REFUSED with the device's reason."""
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {connection.address} refused while {doing} ({reason}).",
        RESTART_DEVICE,
        address=connection.address,
        **data,
    )


def cannot_identify(connection: Connection) -> InstallerError:
    """DEVICE_REFUSED: the protocol has no command for it."""
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {connection.address} cannot blink or beep.",
        "Recognise it by its name and address.",
        address=connection.address,
    )


def misbehaved(
    connection: Connection, how: str, todo: str = CLOSE_OTHER_APPS + RESTART_DEVICE, **data: Any
) -> InstallerError:
    """DEVICE_MISBEHAVED: the device `how`, for example “lacks the endpoint prov-config”."""
    return InstallerError(
        ErrorCode.DEVICE_MISBEHAVED,
        f"The device {connection.address} {how}.",
        todo,
        address=connection.address,
        **data,
    )


def no_answer(connection: Connection, doing: str, seconds: float) -> InstallerError:
    """DEVICE_MISBEHAVED: no answer within `seconds`."""
    return misbehaved(connection, f"gave no answer within {seconds:g} s while {doing}")


def require_characteristics(
    connection: Connection, service: str, characteristics: Sequence[str], label: str, todo: str = RESTART_DEVICE
) -> None:
    """Raises DEVICE_MISBEHAVED if the GATT table lacks one of `characteristics`. `label`: the name of the service."""
    missing = sum(not connection.has_characteristic(uuid, service) for uuid in characteristics)
    if missing:
        raise misbehaved(connection, f"lacks {missing} of the {len(characteristics)} characteristics of {label}", todo)


def session_taken(connection: Connection, label: str | None = None) -> InstallerError:
    """SESSION_TAKEN: another app uses the device. `label`: the network, if the device was already joining it."""
    outcome = f" Whether the device has joined {label} is not known." if label is not None else ""
    return InstallerError(
        ErrorCode.SESSION_TAKEN,
        f"Another app uses the device {connection.address} at the same time and has taken over its set-up." + outcome,
        "Close that app (the vendor's app on a phone nearby, or a second run of this program), then try again.",
        address=connection.address,
        **({"sent": True} if label is not None else {}),
    )


def lost_while_joining(connection: Connection, label: str) -> InstallerError:
    """CONNECTION_LOST after the credentials were sent: the outcome is not known."""
    return InstallerError(
        ErrorCode.CONNECTION_LOST,
        f"The Bluetooth connection to {connection.address} dropped while the device was joining {label}; "
        "whether it has joined is not known.",
        "Wait a minute. If the device does not show that it is connected, try again close to it.",
        address=connection.address,
        sent=True,
    )


@contextmanager
def explain_loss_while_joining(connection: Connection, label: str) -> Iterator[None]:
    """Turns CONNECTION_LOST into `lost_while_joining`; an error of this computer's Bluetooth stays what it is."""
    try:
        yield
    except InstallerError as error:
        if error.code is ErrorCode.CONNECTION_LOST:
            raise lost_while_joining(connection, label) from None
        if error.computers_bluetooth:
            raise error.with_advice(error.todo, sent=True) from None
        raise


def join_failed(label: str, why: str = "", todo: str = CHECK_PASSPHRASE, **data: Any) -> InstallerError:
    """JOIN_FAILED; the same connection can try again."""
    return InstallerError(
        ErrorCode.JOIN_FAILED, f"The device could not join {label}{': ' if why else ''}{why}.", todo, **data
    )


def wrong_passphrase(label: str, **data: Any) -> InstallerError:
    """JOIN_FAILED because of the passphrase."""
    why = "the router did not accept the passphrase"
    return join_failed(label, why, "Type the passphrase again.", reason="authentication", **data)


def network_not_found(label: str, **data: Any) -> InstallerError:
    """NETWORK_NOT_FOUND after the device has looked for it; the same connection can try again."""
    return InstallerError(
        ErrorCode.NETWORK_NOT_FOUND,
        f"The device does not find the network {label}.",
        "Check the spelling, bring the device closer to the router, and check that the router offers 2.4 GHz.",
        reason="not_found",
        **data,
    )


def no_outcome(label: str, seconds: float, **data: Any) -> InstallerError:
    """PROVISIONING_TIMEOUT: the device did not say whether it joined."""
    return InstallerError(
        ErrorCode.PROVISIONING_TIMEOUT,
        f"The device did not say within {seconds:g} s whether it joined {label}.",
        "Check whether it shows that it is connected; if not, switch it off and on, and try again.",
        **data,
    )
