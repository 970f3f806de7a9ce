"""The Device Information service (0x180A): serial number and firmware revision.

Many devices have it, whatever their provisioning protocol. Layout: Device Information Service 1.2, UTF-8 texts,
each of them optional.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from installer.bluetooth.uuids import expand_uuid16
from installer.errors import ErrorCode, InstallerError
from installer.text import decode, printable

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

SERVICE = expand_uuid16(0x180A)
SERIAL_NUMBER = expand_uuid16(0x2A25)
FIRMWARE_REVISION = expand_uuid16(0x2A26)
READ_SECONDS = 3.0
MAX_TEXT_LENGTH = 64


@dataclass(frozen=True)
class DeviceInformation:
    """Texts of the device; empty if it does not have them."""

    serial: str = ""
    firmware: str = ""


async def read_device_information(connection: Connection) -> DeviceInformation:
    """Read the texts that the device has. Raises CONNECTION_LOST."""
    if not connection.has_service(SERVICE):
        return DeviceInformation()
    return DeviceInformation(
        await _read_text(connection, SERIAL_NUMBER), await _read_text(connection, FIRMWARE_REVISION)
    )


async def read_serial_number(connection: Connection) -> str:
    """Only the serial number; empty if the device has none or does not tell it. Raises CONNECTION_LOST."""
    return await _read_text(connection, SERIAL_NUMBER)


async def _read_text(connection: Connection, uuid: str) -> str:
    if not connection.has_characteristic(uuid, SERVICE):
        return ""
    try:
        value = await connection.read(uuid, READ_SECONDS)
    except InstallerError as error:
        # The texts are optional: the installation works without them.
        if error.code not in (ErrorCode.DEVICE_REFUSED, ErrorCode.DEVICE_MISBEHAVED, ErrorCode.PAIRING_NEEDED):
            raise
        return ""
    return printable(decode(value).strip("\x00 \r\n"), MAX_TEXT_LENGTH)
