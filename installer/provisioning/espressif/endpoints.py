"""The endpoints of a device: which characteristic each one is, and the exchange of a request for a response.

Source: `facts/esp-provisioning.md` §2. An endpoint's name stands in the descriptor 0x2901 of its characteristic; where
a device has no such texts, the fixed numbers of the well-known endpoints are tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.provisioning.espressif.faults import Malformed
from installer.text import decode

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

CTRL, SCAN, SESSION, CONFIG, VERSION = "prov-ctrl", "prov-scan", "prov-session", "prov-config", "proto-ver"
NUMBERS = {CTRL: 0xFF4F, SCAN: 0xFF50, SESSION: 0xFF51, CONFIG: 0xFF52, VERSION: 0xFF53}

MAX_VALUE = 512  # bytes of one attribute
_BASE = "-0000-1000-8000-00805f9b34fb"


def characteristic_uuid(service: str, number: int) -> str:
    """The UUID of the endpoint `number` in `service`: its hexadecimal digits 5 to 8 are the number."""
    return f"{service[:4]}{number:04x}{service[8:]}".lower()


def provisioning_service(connection: Connection) -> str | None:
    """The UUID of the provisioning service, whatever a product chose for it; None if there is none.

    The service is known by its endpoints, because any UUID may be set.
    """
    for service in sorted(connection.services):
        # 0000xxxx-…: numbers of the Bluetooth SIG, all of which look alike but for these digits.
        if service.endswith(_BASE) and service != f"0000ffff{_BASE}":
            continue
        wanted = (characteristic_uuid(service, NUMBERS[name]) for name in (SESSION, CONFIG))
        if all(connection.has_characteristic(uuid, service) for uuid in wanted):
            return service
    return None


class Endpoints:
    """The endpoints that were found on `connection`. Exchanges must not overlap."""

    def __init__(self, connection: Connection, table: dict[str, str]) -> None:
        self.connection = connection
        self._table = table

    @classmethod
    async def find(cls, connection: Connection, timeout: float) -> Endpoints:
        """Read the names of all endpoints. Raises DEVICE_UNSUPPORTED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        service = provisioning_service(connection)
        if service is None:
            raise InstallerError(
                ErrorCode.DEVICE_UNSUPPORTED,
                f"The device {connection.address} has no service for Espressif provisioning.",
                "Check that it is in set-up mode.",
                services=sorted(connection.services),
            )
        table: dict[str, str] = {}
        for uuid in connection.characteristics_of(service):
            name = await _description(connection, uuid, timeout)
            if name:
                table.setdefault(name, uuid)
        for name, number in NUMBERS.items():
            uuid = characteristic_uuid(service, number)
            if name not in table and uuid not in table.values() and connection.has_characteristic(uuid, service):
                table[name] = uuid
        for name in (SESSION, CONFIG, VERSION):
            if name not in table:
                raise InstallerError(
                    ErrorCode.DEVICE_MISBEHAVED,
                    f"The device {connection.address} lacks the endpoint {name}.",
                    "Switch the device off and on, and try again.",
                    address=connection.address,
                )
        return cls(connection, table)

    def __contains__(self, name: str) -> bool:
        return name in self._table

    async def exchange(self, name: str, request: bytes, *, timeout: float, write_timeout: float | None = None) -> bytes:
        """Write `request`, read the response. `write_timeout`: for a write that the device answers late.

        Raises Malformed, DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        uuid = self._table[name]
        await self.connection.write(uuid, request, timeout=write_timeout or timeout)
        response = await self.connection.read(uuid, timeout=timeout)
        if len(response) > MAX_VALUE:
            raise Malformed("a response of more than 512 bytes")
        return response


async def _description(connection: Connection, uuid: str, timeout: float) -> str:
    try:
        data = await connection.describe(uuid, timeout=timeout)
    except InstallerError as error:
        if error.code is ErrorCode.CONNECTION_LOST:
            raise
        return ""
    return decode(data or b"").rstrip("\0").strip().lower()
