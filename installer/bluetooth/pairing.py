"""Pairing: a device that answers only a computer that it is paired with, and the advice for its user."""

from __future__ import annotations

from installer.errors import ErrorCode, InstallerError

# ATT errors: insufficient authentication, authorization, encryption key size, encryption.
PAIRING_REQUIRED_ERRORS = frozenset({0x05, 0x08, 0x0C, 0x0F})


def pairing_required(address: str, activity: str, gatt_error: int) -> InstallerError:
    """DEVICE_REFUSED with the advice to pair."""
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {address} accepts commands only from a paired computer. It refused while {activity} "
        f"(GATT error 0x{gatt_error:02x}).",
        "Pair it in the Bluetooth settings of this computer, then try again. Some devices need no pairing for a short "
        "time after they were switched on: switch it off and on, and try again at once.",
        address=address,
        gatt_error=gatt_error,
    )


def needs_pairing(error: InstallerError) -> bool:
    """Whether this is the error of a device that wants to be paired first."""
    return error.data.get("gatt_error") in PAIRING_REQUIRED_ERRORS
