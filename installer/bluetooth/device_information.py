"""Device Information (0x180A): the serial number and firmware that many devices tell, whatever protocol sets them up.

Layout: Device Information Service 1.2, UTF-8 texts. A device may leave out any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.text import decode, printable

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

SERVICE = "180a"
SERIAL_NUMBER = "2a25"
FIRMWARE_REVISION = "2a26"
READ_SECONDS = 3.0
LONGEST = 64


@dataclass(frozen=True)
class Information:
    """What was told; empty where nothing was."""

    serial: str = ""
    firmware: str = ""


async def read(connection: Connection) -> Information:
    """Ask the device. What it does not tell stays empty. Raises CONNECTION_LOST."""
    if not connection.has_service(SERVICE):
        return Information()
    return Information(await _text(connection, SERIAL_NUMBER), await _text(connection, FIRMWARE_REVISION))


async def _text(connection: Connection, uuid: str) -> str:
    if not connection.has_characteristic(uuid, SERVICE):
        return ""
    try:
        value = await connection.read(uuid, READ_SECONDS)
    except InstallerError as error:
        # It is good to know, and nothing depends on it.
        if error.code not in (ErrorCode.DEVICE_REFUSED, ErrorCode.DEVICE_MISBEHAVED):
            raise
        return ""
    return printable(decode(value).strip("\x00 \r\n"), LONGEST)
