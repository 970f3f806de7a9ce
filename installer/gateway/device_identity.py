"""Which unit answers at a device's address: told by its serial number, so that no one else's data counts as a person's.

An address can be copied, or belong to another unit by now. The gateway compares the serial number of the Device
Information service with that of the installation; without one, with that of its first visit. With another one, or with
none where there was one, nothing is collected.

What this cannot tell: a device that has no serial number, and one that copies it, too, because anybody within range can
read it. The outbox keeps what is known, in its table `state`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from installer.bluetooth.device_information import SERIAL_NUMBER, SERVICE, read_serial_number
from installer.errors import ErrorCode, InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Outbox
from installer.storage.damaged_rows import load_json
from installer.text import printable

if TYPE_CHECKING:
    import sqlite3

    from installer.bluetooth.connection import Connection

# In place of an installation: a person has said that the device is the right one (`gateway accept`).
_ACCEPTED = "*"
_NAME = "identity:"


@dataclass(frozen=True)
class _Known:
    """`serial`: empty if the device has none. `installation`: the record that was the newest when it was read."""

    serial: str
    installation: str


class DeviceIdentities:
    """The units that were met, in one outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def check(self, device: GatewayDevice, connection: Connection) -> None:
        """Compare the serial number over the open connection, and remember it if it is the first one.

        Raises DEVICE_CHANGED for another unit; CONNECTION_LOST; DATABASE_FAILED, OUTBOX_INVALID.
        """
        known = self._known(device.address)
        expected = _expected(device, known)
        # Only this one: a device that runs on a coin cell is visited often.
        serial = await read_serial_number(connection)
        if expected and serial != expected:
            raise _changed(device, expected, serial, unread=connection.has_characteristic(SERIAL_NUMBER, SERVICE))
        now = _Known(serial, device.installation)
        if now != known:
            self._remember(device.address, now)

    def accept(self, address: str) -> bool:
        """Take the unit of the next visit for the right one. False, and nothing is kept: no device was met there."""
        # The first visit may have been refused: then only the history of the visits knows the device.
        was_met = self._known(address) is not None or self._outbox.rows(
            "SELECT 1 FROM devices WHERE address = ?", address
        )
        if was_met:
            self._remember(address, _Known("", _ACCEPTED))
        return bool(was_met)

    def serial(self, address: str) -> str | None:
        """The serial number that is known; empty if the device has none, None before its first visit."""
        known = self._known(address)
        return None if known is None or known.installation == _ACCEPTED else known.serial

    def _known(self, address: str) -> _Known | None:
        for row in self._outbox.rows("SELECT value FROM state WHERE name = ?", f"{_NAME}{address}"):
            value = load_json(row["value"])
            if isinstance(value, dict) and isinstance(value.get("serial"), str):
                return _Known(value["serial"], str(value.get("installation", "")))
        return None

    def _remember(self, address: str, known: _Known) -> None:
        upsert = "INSERT INTO state (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        values = (f"{_NAME}{address}", json.dumps(asdict(known)))
        self._outbox.write("record a device", lambda connection: connection.execute(upsert, values))


def _expected(device: GatewayDevice, known: _Known | None) -> str:
    """The serial number; empty: not known. A newer installation counts more than what was known before it."""
    if known is not None and known.installation in (_ACCEPTED, device.installation):
        return known.serial
    return device.serial if device.installation or known is None else known.serial


def known_addresses(outbox: Outbox) -> list[str]:
    """The addresses of the devices that were met."""
    rows = outbox.rows("SELECT name FROM state WHERE substr(name, 1, ?) = ?", len(_NAME), _NAME)
    return sorted(str(row["name"]).removeprefix(_NAME) for row in rows)


def forget(connection: sqlite3.Connection, address: str) -> None:
    """Forget which unit was met at this address. Within the caller's transaction."""
    connection.execute("DELETE FROM state WHERE name = ?", (f"{_NAME}{address}",))


def _changed(device: GatewayDevice, expected: str, serial: str, *, unread: bool) -> InstallerError:
    if serial:
        now = f"the serial number {printable(serial, 64)}"
    else:
        now = "a serial number that cannot be read" if unread else "no serial number"
    return InstallerError(
        ErrorCode.DEVICE_CHANGED,
        f"Another device may answer at the address of {device.name or 'the device'}: it has {now}, and the right one "
        f"has {printable(expected, 64)}. Nothing was collected from it.",
        f"Check which device is there. If it is the right one: device-installer gateway accept {device.address}",
        address=device.address,
    )
