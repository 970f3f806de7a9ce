"""What may be wrong with this computer's Bluetooth on Linux: the one table of reasons, codes and words.

Source: `bluez-behaviour` section 7, which tells the end of the service, an adapter that is switched off and one that
is pulled apart.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from installer.bluetooth import system_errors
from installer.errors import ErrorCode, InstallerError
from installer.text import printable


@dataclass(frozen=True)
class AdapterState:
    """An adapter that BlueZ has. `name`: such as `hci0`; `address`: its own; `label`: the name that others see."""

    name: str
    address: str = ""
    label: str = ""
    powered: bool = False
    central: bool = True

    @classmethod
    def of(cls, path: str, values: Mapping[str, Any]) -> Self:
        """The adapter at this path, by its D-Bus properties."""
        return cls(
            path.rpartition("/")[2],
            str(values.get("Address", "")),
            str(values.get("Alias") or values.get("Name") or ""),
            is_on(values) is True,
            "central" in values.get("Roles", ["central"]),
        )

    @property
    def number(self) -> tuple[int, str]:
        """For sorting: hci2 comes before hci10."""
        digits = self.name.removeprefix("hci")
        return (int(digits) if digits.isascii() and digits.isdigit() else 1 << 30, self.name)

    def __str__(self) -> str:
        return f"{printable(self.name)} ({printable(self.address)}, switched {'on' if self.powered else 'off'})"


def is_on(values: Mapping[str, Any]) -> bool | None:
    """Whether the adapter is on; None if these properties do not say it. `PowerState` exists since BlueZ 5.65."""
    if values.get("PowerState") in ("off", "on-disabling", "off-blocked"):
        return False
    powered = values.get("Powered")
    return powered if isinstance(powered, bool) else None


class Trouble(enum.Enum):
    """Why Bluetooth does not work. Code 10: it is not there; 11: off; 12: not for this user; 13: it stopped working."""

    NO_BUS = "no_bus"  # the connection to D-Bus ended
    DENIED = "denied"  # the bus does not let this user ask the service
    NO_SERVICE = "no_service"  # there was none from the beginning
    SERVICE_STOPPED = system_errors.SERVICE_STOPPED  # there was one
    SERVICE_RESTARTED = system_errors.SERVICE_RESTARTED  # it is there again, and its adapters are not ready yet
    NO_ADAPTER = "no_adapter"  # there was none from the beginning
    UNKNOWN_ADAPTER = "unknown_adapter"  # there are others, but not the named one
    NOT_CENTRAL = "not_central"  # it cannot connect to devices
    OFF = "off"
    PULLED = "pulled"  # it was there


_TRY_AGAIN = "It is used again as soon as it is back; then try again."
_START_SERVICE = "Start it (systemctl start bluetooth); `journalctl -u bluetooth` says why it ended. Then try again."


def error_of(trouble: Trouble, name: str, known: Sequence[AdapterState] = ()) -> InstallerError:
    """The error to show. `name`: of the adapter that is meant; `known`: the adapters that BlueZ has."""
    if trouble is Trouble.DENIED:
        return system_errors.bluetooth_denied("linux")
    names = ", ".join(str(state) for state in sorted(known, key=lambda state: state.number))
    shown = printable(name)
    own = "" if name in ("", "system") else f" “{shown}”"
    code, what, todo = {
        Trouble.NO_BUS: (
            ErrorCode.BLUETOOTH_MISSING,
            "The connection to the Bluetooth service of this computer ended (D-Bus cannot be reached).",
            "Check that D-Bus runs (systemctl status dbus), then try again.",
        ),
        Trouble.NO_SERVICE: (
            ErrorCode.BLUETOOTH_MISSING,
            "No Bluetooth service is running on this computer.",
            "Install and start it (the package bluez; systemctl start bluetooth).",
        ),
        Trouble.SERVICE_STOPPED: (
            ErrorCode.BLUETOOTH_MISSING,
            "The Bluetooth service of this computer stopped.",
            _START_SERVICE,
        ),
        Trouble.SERVICE_RESTARTED: (
            ErrorCode.BLUETOOTH_MISSING,
            "The Bluetooth service of this computer was restarted.",
            "Try again.",
        ),
        Trouble.NO_ADAPTER: (
            ErrorCode.BLUETOOTH_MISSING,
            "This computer has no Bluetooth adapter.",
            "Plug one in, or name a raw controller with --adapter hci:usb:0.",
        ),
        Trouble.UNKNOWN_ADAPTER: (
            ErrorCode.ADAPTER_FAILED,
            f"This computer has no Bluetooth adapter{own}.",
            f"Choose one of these with --adapter: {names}.",
        ),
        Trouble.NOT_CENTRAL: (
            ErrorCode.BLUETOOTH_MISSING,
            f"This computer's Bluetooth adapter{own} cannot connect to Bluetooth Low Energy devices.",
            "Plug in an adapter for Bluetooth 4.0 or newer.",
        ),
        Trouble.OFF: (
            ErrorCode.BLUETOOTH_OFF,
            f"Bluetooth is switched off{f' (adapter {shown})' if own else ''}.",
            "Switch it on (`bluetoothctl power on`; `rfkill unblock bluetooth` if it is blocked).",
        ),
        Trouble.PULLED: (
            ErrorCode.ADAPTER_FAILED,
            f"The Bluetooth adapter{own} of this computer was pulled out, or stopped working.",
            f"Plug it in again. {_TRY_AGAIN}" + (f" There is also: {names}." if names else ""),
        ),
    }[trouble]
    return InstallerError(
        code, what, todo + system_errors.TRY_LAB_HINT, adapter=name or "system", bluetooth=trouble.value
    )
