"""Discovery of a device's GATT table as bleak's service collection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError

from installer.bluetooth.uuids import uuid_from_bytes

if TYPE_CHECKING:
    from bumble.gatt_client import Client

# Core Specification vol. 3 part G §3.3.1.1.
_PROPERTIES: tuple[CharacteristicPropertyName, ...] = (
    "broadcast",
    "read",
    "write-without-response",
    "write",
    "notify",
    "indicate",
    "authenticated-signed-writes",
    "extended-properties",
)
# A device with a larger table never ends its list.
MAX_ATTRIBUTES = 1000


async def discover_gatt_table(client: Client, max_write: Callable[[], int]) -> BleakGATTServiceCollection:
    """All services, characteristics and descriptors. Raises BleakError for an invalid table."""
    table = BleakGATTServiceCollection()
    handles: set[int] = set()

    def check_handle(handle: int) -> None:
        if handle in handles or len(handles) >= MAX_ATTRIBUTES:
            raise BleakError("The device's GATT table is invalid")
        handles.add(handle)

    for found in await client.discover_services():
        check_handle(found.handle)
        service = BleakGATTService(found, found.handle, _uuid_text(found.uuid))
        table.add_service(service)
        for value in await client.discover_characteristics((), found):
            check_handle(value.handle)
            names = [name for bit, name in enumerate(_PROPERTIES) if int(value.properties) >> bit & 1]
            characteristic = BleakGATTCharacteristic(
                value, value.handle, _uuid_text(value.uuid), cast(Any, names), max_write, service
            )
            table.add_characteristic(characteristic)
            for extra in await client.discover_descriptors(value):
                check_handle(extra.handle)
                table.add_descriptor(BleakGATTDescriptor(extra, extra.handle, _uuid_text(extra.type), characteristic))
    return table


def _uuid_text(uuid: Any) -> str:
    return uuid_from_bytes(bytes(uuid.uuid_bytes))
