"""Errors of bleak and the operating system's Bluetooth as InstallerErrors that say what to do."""

from __future__ import annotations

import sys
from typing import Any

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

# `data["bluetooth"]` of an error: the service went away, or is not ready again yet.
SERVICE_STOPPED, SERVICE_RESTARTED = "service_stopped", "service_restarted"

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
    # It left the bus before it answered, or did not answer at all.
    "org.freedesktop.DBus.Error.NoReply": ErrorCode.BLUETOOTH_MISSING,
    "org.freedesktop.DBus.Error.Timeout": ErrorCode.BLUETOOTH_MISSING,
    "org.freedesktop.DBus.Error.TimedOut": ErrorCode.BLUETOOTH_MISSING,
    "org.freedesktop.DBus.Error.Disconnected": ErrorCode.BLUETOOTH_MISSING,
    "org.freedesktop.DBus.Error.NoServer": ErrorCode.BLUETOOTH_MISSING,
}
# The bus, or systemd for it, could not start the service: Spawn.ChildExited, Spawn.ServiceNotFound, NoSuchUnit...
_SERVICE_NOT_STARTED = ("org.freedesktop.DBus.Error.Spawn.", "org.freedesktop.systemd1.")


def dbus_code(name: str) -> ErrorCode | None:
    """The code for an error of D-Bus or BlueZ with this name if this computer is its cause, else None."""
    if name.startswith(_SERVICE_NOT_STARTED):
        return ErrorCode.BLUETOOTH_MISSING
    return _DBUS.get(name)


def service_is_away(error: BaseException) -> bool:
    """Whether the Bluetooth service did not answer because it is not there. No device can be the cause of that."""
    return (
        isinstance(error, BleakDBusError)
        and not error.dbus_error.startswith("org.bluez.")
        and error.dbus_error != "org.freedesktop.DBus.Error.UnknownObject"  # also a device that was forgotten
        and dbus_code(error.dbus_error) is ErrorCode.BLUETOOTH_MISSING
    )


def may_pass_soon(error: InstallerError) -> bool:
    """Whether this computer's Bluetooth is often back within seconds: an update of the system restarts its service."""
    return error.computers_bluetooth and error.data.get("bluetooth") in (SERVICE_STOPPED, SERVICE_RESTARTED)


def is_busy(error: BaseException) -> bool:
    """Whether BlueZ still does the same for another program, or for one that has died (`bluez-behaviour` section 3)."""
    if not isinstance(error, BleakDBusError):
        return False
    return error.dbus_error == "org.bluez.Error.InProgress" or "already in progress" in str(error).lower()


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
        code = dbus_code(error.dbus_error) or ErrorCode.ADAPTER_FAILED
        if code is ErrorCode.BLUETOOTH_OFF:
            return bluetooth_off(platform)
        if code is ErrorCode.BLUETOOTH_DENIED:
            return bluetooth_denied(platform)
        if service_is_away(error):
            return bluetooth_missing(
                "The Bluetooth service of this computer does not run, or does not answer.",
                "Start it (systemctl start bluetooth); `journalctl -u bluetooth` says why it ended.",
                bluetooth=SERVICE_STOPPED,
            )
        if code is ErrorCode.BLUETOOTH_MISSING:
            return bluetooth_missing(
                f"The Bluetooth service of this computer has no adapter “{name}”, or is not running.",
                "Start it (systemctl start bluetooth), then check the output of `bluetoothctl list`.",
            )
        if is_busy(error):
            return adapter_failed(
                name,
                "another program of this computer keeps it busy",
                "Close other programs that use Bluetooth (a Bluetooth window, bluetoothctl, a phone link). If none is "
                "open, switch Bluetooth off and on: a program that died may have left its work behind.",
            )
        return adapter_failed(name, f"the Bluetooth service answered {error.dbus_error}")
    if isinstance(error, PermissionError):
        return bluetooth_denied(platform)
    if isinstance(error, TimeoutError):
        return not_answered(name, "the Bluetooth service of this computer does not answer", platform)
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
        return bluetooth_missing(
            "No Bluetooth service is running on this computer (D-Bus cannot be reached).",
            "Install and start it (the package bluez; systemctl start bluetooth).",
        )
    text = str(error) if isinstance(error, BleakError) else ""
    if "not turned on" in text or "powered off" in text.lower():
        return bluetooth_off(platform)
    return adapter_failed(name, text or type(error).__name__)


def not_answered(name: str, why: str, platform: str = sys.platform) -> InstallerError:
    """ADAPTER_FAILED, because the system did not answer in time; `why` as for `adapter_failed`."""
    how = "Switch Bluetooth off and on."
    if platform == "linux":
        how = "Restart it (systemctl restart bluetooth); `journalctl -u bluetooth` tells more."
    return adapter_failed(name, why, how)


def bluetooth_missing(what: str, todo: str, **data: Any) -> InstallerError:
    """BLUETOOTH_MISSING."""
    return InstallerError(ErrorCode.BLUETOOTH_MISSING, what, todo + TRY_LAB_HINT, **data)


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


def adapter_failed(
    name: str, why: str, todo: str = "Check that it is plugged in and that no other program uses it."
) -> InstallerError:
    """ADAPTER_FAILED; `why` completes the sentence "cannot be used: …"."""
    return InstallerError(
        ErrorCode.ADAPTER_FAILED,
        f"The Bluetooth adapter “{name}” cannot be used: {why}.",
        todo + TRY_LAB_HINT,
        adapter=name,
    )
