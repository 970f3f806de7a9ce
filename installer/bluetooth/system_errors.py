"""Errors of bleak and the operating system's Bluetooth as InstallerErrors that say what to do."""

from __future__ import annotations

import sys

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)

from installer.errors import ErrorCode, InstallerError

# What a call of the system's Bluetooth may raise besides BleakError: no D-Bus socket, a closed socket
# (EOFError, BrokenPipeError), an OSError of WinRT, an unknown D-Bus object (KeyError), a timeout.
SYSTEM_ERRORS = (BleakError, OSError, EOFError, KeyError, TimeoutError)

TRY_LAB_HINT = " Or try it without hardware: --lab."

_Reason = BleakBluetoothNotAvailableReason
_DENIED = {_Reason.DENIED_BY_USER, _Reason.DENIED_BY_SYSTEM, _Reason.DENIED_BY_UNKNOWN}
_DBUS = {
    "org.bluez.Error.NotReady": ErrorCode.BLUETOOTH_OFF,
    "org.bluez.Error.NotAuthorized": ErrorCode.BLUETOOTH_DENIED,
    "org.bluez.Error.NotPermitted": ErrorCode.BLUETOOTH_DENIED,
    "org.freedesktop.DBus.Error.AccessDenied": ErrorCode.BLUETOOTH_DENIED,
    "org.freedesktop.DBus.Error.AuthFailed": ErrorCode.BLUETOOTH_DENIED,
    "org.freedesktop.DBus.Error.UnknownObject": ErrorCode.BLUETOOTH_MISSING,
    "org.freedesktop.DBus.Error.ServiceUnknown": ErrorCode.BLUETOOTH_MISSING,
    "org.freedesktop.DBus.Error.NameHasNoOwner": ErrorCode.BLUETOOTH_MISSING,
    "org.freedesktop.DBus.Error.Spawn.ServiceNotFound": ErrorCode.BLUETOOTH_MISSING,
}


def adapter_error(error: BaseException, name: str, platform: str = sys.platform) -> InstallerError:
    """The InstallerError for an exception of the adapter `name`: BLUETOOTH_MISSING, _OFF, _DENIED or ADAPTER_FAILED."""
    if isinstance(error, InstallerError):
        return error
    if isinstance(error, BleakBluetoothNotAvailableError):
        if error.reason is _Reason.POWERED_OFF:
            return bluetooth_off(platform)
        if error.reason in _DENIED:
            return bluetooth_denied(platform)
        if error.reason is _Reason.NO_BLE_CENTRAL_ROLE:
            return bluetooth_missing(
                "This computer's Bluetooth adapter does not support Bluetooth Low Energy.",
                "Plug in an adapter for Bluetooth 4.0 or newer.",
            )
        if error.reason is _Reason.NO_BLUETOOTH:
            return bluetooth_missing(
                "This computer has no Bluetooth adapter.",
                "Plug one in, or name a raw controller with --adapter hci:usb:0.",
            )
    if isinstance(error, BleakDBusError):
        code = _DBUS.get(error.dbus_error, ErrorCode.ADAPTER_FAILED)
        if code is ErrorCode.BLUETOOTH_OFF:
            return bluetooth_off(platform)
        if code is ErrorCode.BLUETOOTH_DENIED:
            return bluetooth_denied(platform)
        if code is ErrorCode.BLUETOOTH_MISSING:
            return bluetooth_missing(
                f"The Bluetooth service of this computer has no adapter “{name}”, or is not running.",
                "Start it (systemctl start bluetooth), then check the output of `bluetoothctl list`.",
            )
        return adapter_failed(name, f"the Bluetooth service answered {error.dbus_error}")
    if isinstance(error, PermissionError):
        return bluetooth_denied(platform)
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
        return bluetooth_missing(
            "No Bluetooth service is running on this computer (D-Bus cannot be reached).",
            "Install and start it (the package bluez; systemctl start bluetooth).",
        )
    text = str(error) if isinstance(error, BleakError) else ""
    if "not turned on" in text or "powered off" in text.lower():
        return bluetooth_off(platform)
    return adapter_failed(name, text or type(error).__name__)


def bluetooth_missing(what: str, todo: str) -> InstallerError:
    """BLUETOOTH_MISSING."""
    return InstallerError(ErrorCode.BLUETOOTH_MISSING, what, todo + TRY_LAB_HINT)


def bluetooth_off(platform: str = sys.platform) -> InstallerError:
    """BLUETOOTH_OFF, with how to switch it on in this operating system."""
    how = {
        "darwin": "Switch it on in the menu bar or in System Settings > Bluetooth.",
        "win32": "Switch it on in Settings > Bluetooth & devices.",
    }.get(platform, "Switch it on (`bluetoothctl power on`; `rfkill unblock bluetooth` if it is blocked).")
    return InstallerError(ErrorCode.BLUETOOTH_OFF, "Bluetooth is switched off.", how + TRY_LAB_HINT)


def bluetooth_denied(platform: str = sys.platform) -> InstallerError:
    """BLUETOOTH_DENIED, with where this operating system grants the permission."""
    how = {
        "darwin": "Allow it for this terminal in System Settings > Privacy & Security > Bluetooth.",
        "win32": "Allow it in Settings > Privacy & security > Radios.",
    }.get(
        platform,
        "Add yourself to the group “bluetooth” and sign in again, or run this program where D-Bus can be reached.",
    )
    return InstallerError(ErrorCode.BLUETOOTH_DENIED, "This program may not use Bluetooth here.", how + TRY_LAB_HINT)


def adapter_failed(name: str, why: str) -> InstallerError:
    """ADAPTER_FAILED; `why` completes the sentence "cannot be used: …"."""
    return InstallerError(
        ErrorCode.ADAPTER_FAILED,
        f"The Bluetooth adapter “{name}” cannot be used: {why}.",
        "Check that it is plugged in and that no other program uses it." + TRY_LAB_HINT,
        adapter=name,
    )
