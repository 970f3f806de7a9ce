"""The endpoints of a device: which characteristic each one is, and the exchange of a request for a response.

Source: `facts/esp-provisioning.md` §2. An endpoint's name stands in the descriptor 0x2901 of its characteristic; where
a device has no such texts, the fixed numbers of the well-known endpoints are tried. Service and characteristics of a
product may have any UUIDs: then the texts alone tell.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.provisioning.espressif.exceptions import Malformed
from installer.text import decode

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

CTRL, SCAN, SESSION, CONFIG, VERSION = "prov-ctrl", "prov-scan", "prov-session", "prov-config", "proto-ver"
NUMBERS = {CTRL: 0xFF4F, SCAN: 0xFF50, SESSION: 0xFF51, CONFIG: 0xFF52, VERSION: 0xFF53}

MAX_VALUE = 512  # bytes of one attribute
MAX_READS = 64  # descriptors that are looked at; a real device has some five endpoints
PROOF_SECONDS = 5.0
_BASE = "-0000-1000-8000-00805f9b34fb"
# Improv, Nordic, Shelly, Withings of both schemes: nothing of theirs is read in search of an endpoint.
_OTHERS = re.compile("^00467768-6228-|^14387800-130c-|^5f6d4f53-5f52-|-5749-5448-")


def characteristic_uuid(service: str, number: int) -> str:
    """The UUID of the endpoint `number` in `service`: its hexadecimal digits 5 to 8 are the number."""
    return f"{service[:4]}{number:04x}{service[8:]}".lower()


def service_by_numbers(connection: Connection) -> str | None:
    """The service with the fixed numbers of the session's and the configuration's endpoints; None if there is none.

    Costs no request. A product may choose any UUID for the service, but mostly keeps the numbers.
    """
    for service in _candidates(connection):
        wanted = (characteristic_uuid(service, NUMBERS[name]) for name in (SESSION, CONFIG))
        if all(connection.has_characteristic(uuid, service) for uuid in wanted):
            return service
    return None


async def service_by_names(connection: Connection, timeout: float) -> tuple[str, dict[str, str]] | None:
    """The service whose descriptors name the two endpoints, and the characteristics by name; None if there is none.

    Where the numbers give a hint, that service is asked first. Raises CONNECTION_LOST.
    """
    hint = service_by_numbers(connection)
    left = MAX_READS
    for service in sorted(_candidates(connection), key=lambda s: s != hint):
        table: dict[str, str] = {}
        for uuid in connection.characteristics_of(service)[:left]:
            left -= 1
            name = await _description(connection, uuid, timeout)
            if name:
                table.setdefault(name, uuid)
        if SESSION in table and CONFIG in table:
            return service, table
    return None


async def has_provisioning(connection: Connection, timeout: float = PROOF_SECONDS) -> bool:
    """Whether the device has the provisioning service. Raises CONNECTION_LOST."""
    return service_by_numbers(connection) is not None or await service_by_names(connection, timeout) is not None


def _candidates(connection: Connection) -> list[str]:
    """The services that may be it: not those that the Bluetooth SIG or another vendor has defined."""
    # 0000xxxx-…: numbers of the Bluetooth SIG, all of which look alike but for these digits.
    own = (s for s in connection.services if not s.endswith(_BASE) or s == f"0000ffff{_BASE}")
    return sorted(s for s in own if not _OTHERS.search(s))


class Endpoints:
    """The endpoints that were found on `connection`. Exchanges must not overlap."""

    def __init__(self, connection: Connection, table: dict[str, str]) -> None:
        self.connection = connection
        self._table = table

    @classmethod
    async def find(cls, connection: Connection, timeout: float) -> Endpoints:
        """Read the names of all endpoints. Raises DEVICE_UNSUPPORTED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        named = await service_by_names(connection, timeout)
        service = named[0] if named is not None else service_by_numbers(connection)
        if service is None:
            raise InstallerError(
                ErrorCode.DEVICE_UNSUPPORTED,
                f"The device {connection.address} has no service for Espressif provisioning.",
                "Check that it is in set-up mode.",
                services=sorted(connection.services),
            )
        table = dict(named[1]) if named is not None else {}
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
