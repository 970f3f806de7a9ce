"""bleak's and the system's failures, as failures that a person can act on."""

from __future__ import annotations

import sys

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)

from installer.errors import ErrorCode, InstallerError

# What a call of the system's Bluetooth may raise beside BleakError: no D-Bus socket, a socket that
# closed (EOFError, BrokenPipeError), WinRT's OSError, an unknown D-Bus object (KeyError), a deadline.
SYSTEM_ERRORS = (BleakError, OSError, EOFError, KeyError, TimeoutError)

LAB = " Or try it without hardware: --lab."

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
    """What a failure of the system's adapter `name` means: BLUETOOTH_MISSING, _OFF, _DENIED or ADAPTER_FAILED."""
    if isinstance(error, InstallerError):
        return error
    if isinstance(error, BleakBluetoothNotAvailableError):
        if error.reason is _Reason.POWERED_OFF:
            return off(platform)
        if error.reason in _DENIED:
            return denied(platform)
        if error.reason is _Reason.NO_BLE_CENTRAL_ROLE:
            return missing(
                "This computer's Bluetooth adapter has no Bluetooth Low Energy.",
                "Plug in an adapter for Bluetooth 4.0 or newer.",
            )
        if error.reason is _Reason.NO_BLUETOOTH:
            return missing(
                "This computer has no Bluetooth adapter.",
                "Plug one in, or name a raw one with --adapter hci:usb:0.",
            )
    if isinstance(error, BleakDBusError):
        code = _DBUS.get(error.dbus_error, ErrorCode.ADAPTER_FAILED)
        if code is ErrorCode.BLUETOOTH_OFF:
            return off(platform)
        if code is ErrorCode.BLUETOOTH_DENIED:
            return denied(platform)
        if code is ErrorCode.BLUETOOTH_MISSING:
            return missing(
                f"The Bluetooth service of this computer knows no adapter “{name}”, or does not run.",
                "Start it (systemctl start bluetooth), and see what `bluetoothctl list` shows.",
            )
        return failed(name, f"the Bluetooth service answered {error.dbus_error}")
    if isinstance(error, PermissionError):
        return denied(platform)
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
        return missing(
            "No Bluetooth service runs on this computer (there is no D-Bus to reach it by).",
            "Install and start it (the package bluez; systemctl start bluetooth).",
        )
    words = str(error) if isinstance(error, BleakError) else ""
    if "not turned on" in words or "powered off" in words.lower():
        return off(platform)
    return failed(name, words or type(error).__name__)


def missing(what: str, todo: str) -> InstallerError:
    """BLUETOOTH_MISSING."""
    return InstallerError(ErrorCode.BLUETOOTH_MISSING, what, todo + LAB)


def off(platform: str = sys.platform) -> InstallerError:
    """BLUETOOTH_OFF, with the switch of this system."""
    how = {
        "darwin": "Switch it on in the menu bar or in System Settings > Bluetooth.",
        "win32": "Switch it on in Settings > Bluetooth & devices.",
    }.get(platform, "Switch it on (`bluetoothctl power on`; `rfkill unblock bluetooth` if it is blocked).")
    return InstallerError(ErrorCode.BLUETOOTH_OFF, "Bluetooth is switched off.", how + LAB)


def denied(platform: str = sys.platform) -> InstallerError:
    """BLUETOOTH_DENIED, with the place where this system grants it."""
    how = {
        "darwin": "Allow it for this terminal in System Settings > Privacy & Security > Bluetooth.",
        "win32": "Allow it in Settings > Privacy & security > Radios.",
    }.get(platform, "Add yourself to the group “bluetooth” and sign in again, or run where D-Bus can be reached.")
    return InstallerError(ErrorCode.BLUETOOTH_DENIED, "This program may not use Bluetooth here.", how + LAB)


def failed(name: str, why: str) -> InstallerError:
    """ADAPTER_FAILED."""
    return InstallerError(
        ErrorCode.ADAPTER_FAILED,
        f"The Bluetooth adapter “{name}” cannot be used: {why}.",
        "Check that it is plugged in and that no other program holds it." + LAB,
        adapter=name,
    )
