"""Discovers a device's GATT table and puts it into bleak's collection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError

from installer.bluetooth.hci.advertising_data import uuid_text

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
# A table larger than this is a device that never ends its list.
MAX_ATTRIBUTES = 1000


async def collect(client: Client, max_write: Callable[[], int]) -> BleakGATTServiceCollection:
    """All services, characteristics and descriptors. Raises BleakError for a table that makes no sense."""
    table = BleakGATTServiceCollection()
    handles: set[int] = set()

    def new(handle: int) -> None:
        if handle in handles or len(handles) >= MAX_ATTRIBUTES:
            raise BleakError("The device's table of services makes no sense")
        handles.add(handle)

    for found in await client.discover_services():
        new(found.handle)
        service = BleakGATTService(found, found.handle, _text(found.uuid))
        table.add_service(service)
        for value in await client.discover_characteristics((), found):
            new(value.handle)
            names = [name for bit, name in enumerate(_PROPERTIES) if int(value.properties) >> bit & 1]
            characteristic = BleakGATTCharacteristic(
                value, value.handle, _text(value.uuid), cast(Any, names), max_write, service
            )
            table.add_characteristic(characteristic)
            for extra in await client.discover_descriptors(value):
                new(extra.handle)
                table.add_descriptor(BleakGATTDescriptor(extra, extra.handle, _text(extra.type), characteristic))
    return table


def _text(uuid: Any) -> str:
    return uuid_text(bytes(uuid.uuid_bytes))
