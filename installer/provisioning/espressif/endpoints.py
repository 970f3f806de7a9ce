"""The endpoints of an Espressif device: the characteristic of each one, and the exchange of request and response.

Source: `facts/esp-provisioning.md` §2. The descriptor 0x2901 of a characteristic holds the name of its endpoint. If a
device has no such descriptors, the fixed numbers of the well-known endpoints are tried. Service and characteristics of
a product may have any UUIDs: then only the descriptors name the endpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.provisioning import driver_errors
from installer.provisioning.driver_errors import Malformed
from installer.provisioning.espressif.advertisement_signature import OLD_SERVICE
from installer.text import decode

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

CTRL, SCAN, SESSION, CONFIG, VERSION = "prov-ctrl", "prov-scan", "prov-session", "prov-config", "proto-ver"
NUMBERS = {CTRL: 0xFF4F, SCAN: 0xFF50, SESSION: 0xFF51, CONFIG: 0xFF52, VERSION: 0xFF53}

MAX_VALUE = 512  # bytes of one attribute
MAX_READS = 64  # descriptors that are read; a real device has about five endpoints
REQUEST_SECONDS = 5.0
_BASE = "-0000-1000-8000-00805f9b34fb"


def characteristic_uuid(service: str, number: int) -> str:
    """The UUID of the endpoint `number` in `service`: its hexadecimal digits 5 to 8 are the number."""
    return f"{service[:4]}{number:04x}{service[8:]}".lower()


def service_by_numbers(connection: Connection, services: Sequence[str] | None = None) -> str | None:
    """The service with the fixed numbers of the session's and the configuration's endpoints; None if there is none.

    `services`: the ones to check; None: all. Needs no request. A product may choose any UUID for the service; most
    products keep the numbers.
    """
    for service in _candidates(connection, services):
        wanted = (characteristic_uuid(service, NUMBERS[name]) for name in (SESSION, CONFIG))
        if all(connection.has_characteristic(uuid, service) for uuid in wanted):
            return service
    return None


async def service_by_names(
    connection: Connection, timeout: float, services: Sequence[str] | None = None
) -> tuple[str, dict[str, str]] | None:
    """The service whose descriptors name the two endpoints, and the characteristics by name; None if there is none.

    A service with the fixed numbers is read first. Raises CONNECTION_LOST.
    """
    hint = service_by_numbers(connection, services)
    reads_left = MAX_READS
    for service in sorted(_candidates(connection, services), key=lambda s: s != hint):
        table: dict[str, str] = {}
        for uuid in connection.characteristics_of(service)[:reads_left]:
            reads_left -= 1
            name = await _endpoint_name(connection, uuid, timeout)
            if name:
                table.setdefault(name, uuid)
        if SESSION in table and CONFIG in table:
            return service, table
    return None


async def has_provisioning(
    connection: Connection, services: Sequence[str] | None = None, timeout: float = REQUEST_SECONDS
) -> bool:
    """Whether the device has the provisioning service; `services`: the ones to check. Raises CONNECTION_LOST."""
    if service_by_numbers(connection, services) is not None:
        return True
    return await service_by_names(connection, timeout, services) is not None


def _candidates(connection: Connection, services: Sequence[str] | None) -> list[str]:
    """The services that may be it: not those of the Bluetooth SIG, whose UUIDs differ only in 16 bits."""
    found = connection.services if services is None else services
    return sorted(s for s in found if not s.endswith(_BASE) or s == OLD_SERVICE)


class Endpoints:
    """The endpoints that were found on `connection`. Exchanges must not overlap."""

    def __init__(self, connection: Connection, table: dict[str, str]) -> None:
        self.connection = connection
        self._table = table

    @classmethod
    async def find(cls, connection: Connection, timeout: float, services: Sequence[str] | None = None) -> Endpoints:
        """Read the names of all endpoints. Raises DEVICE_UNSUPPORTED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        named = await service_by_names(connection, timeout, services)
        service = named[0] if named is not None else service_by_numbers(connection, services)
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
                raise driver_errors.misbehaved(connection, f"lacks the endpoint {name}", driver_errors.RESTART_DEVICE)
        return cls(connection, table)

    def __contains__(self, name: str) -> bool:
        return name in self._table

    async def exchange(self, name: str, request: bytes, *, timeout: float, write_timeout: float | None = None) -> bytes:
        """Write `request`, read the response. `write_timeout`: for a write that takes long.

        Raises Malformed, DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        uuid = self._table[name]
        await self.connection.write(uuid, request, timeout=write_timeout or timeout)
        response = await self.connection.read(uuid, timeout=timeout)
        if len(response) > MAX_VALUE:
            raise Malformed("a response of more than 512 bytes")
        return response


async def _endpoint_name(connection: Connection, uuid: str, timeout: float) -> str:
    try:
        data = await connection.read_user_description(uuid, timeout=timeout)
    except InstallerError as error:
        if error.link_is_down:
            raise
        return ""
    return decode(data or b"").rstrip("\0").strip().lower()
