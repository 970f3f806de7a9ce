"""A radio of a test's own, in its own process: peripherals that do exactly what the test says.

async with Bench() as bench:
    device = await bench.peripheral("F0:00:00:00:00:01", [Service(...)])
    async with await open_adapter(bench.adapter) as adapter: ...
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self

from bumble import hci
from bumble.att import Attribute, AttributeValue
from bumble.core import AdvertisingData
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, Descriptor, Service
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection as OurConnection
from installer.bluetooth.scan import Scan
from installer.catalogue.catalogue_file import Catalogue, load
from installer.lab.hci_server import HciServer
from installer.lab.virtual_controller import LabController
from installer.lab.virtual_radio import Advertisement, Radio
from installer.provisioning import registry

ADVERTISING_MS = 20
ADDRESS = "F0:00:00:00:00:01"
SERVICE = "11111111-0000-4000-8000-000000000000"
VALUE = "11111111-0000-4000-8000-000000000001"
NOTES = "11111111-0000-4000-8000-000000000002"
SIGNS = "11111111-0000-4000-8000-000000000003"
LOCKED = "11111111-0000-4000-8000-000000000004"

Properties = Characteristic.Properties


class Peripheral:
    """One emulated device. `written`: what a client wrote to VALUE; `link`: the connection, if there is one."""

    def __init__(self, radio: Radio, address: str, services: list[Service], name: str, mtu: int) -> None:
        self.address = address
        self.controller = LabController(name, radio, address)
        self.stack = Device(
            name=name,
            address=hci.Address(f"F{address[1:]}", hci.Address.RANDOM_DEVICE_ADDRESS),
            host=Host(self.controller, AsyncPipeSink(self.controller)),
        )
        self.stack.gatt_server.max_mtu = mtu
        for service in services:
            self.stack.gatt_server.add_service(service)
        self.link: Connection | None = None
        self.hung = False
        self.requests = 0
        self._answer = self.stack.gatt_server.on_gatt_pdu
        self.stack.gatt_server.on_gatt_pdu = self._on_pdu  # type: ignore[method-assign]
        self.stack.on("connection", self._connected)

    def _on_pdu(self, bearer: Any, pdu: Any) -> None:
        self.requests += 1
        if not self.hung:
            self._answer(bearer, pdu)

    def _connected(self, connection: Connection) -> None:
        self.link = connection
        connection.on("disconnection", self._disconnected)

    def _disconnected(self, _: int) -> None:
        self.link = None

    def drop(self) -> None:
        """End the link as a lost one."""
        self.controller.lose_links()

    async def tell(self, characteristic: Characteristic[bytes], value: bytes) -> None:
        """Notify or indicate `value`, cut at the MTU as a stack does."""
        server = self.stack.gatt_server
        if characteristic.properties & Properties.INDICATE:
            await server.indicate_subscribers(characteristic, value)
        else:
            await server.notify_subscribers(characteristic, value)

    async def advertise(self, name: str, services: list[str], service_data: bytes = b"") -> None:
        """Advertise services; the name is in the scan response."""
        parts: list[tuple[int, bytes]] = [(AdvertisingData.FLAGS, b"\x06")]
        for uuid in services:
            raw = bytes.fromhex(uuid.replace("-", ""))[::-1]
            parts.append((AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, raw))
        if service_data:
            parts.append((AdvertisingData.SERVICE_DATA_16_BIT_UUID, service_data))
        answer = AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, name.encode())])
        await self.stack.start_advertising(
            own_address_type=hci.OwnAddressType.PUBLIC,
            auto_restart=True,
            advertising_data=bytes(AdvertisingData(parts)),  # type: ignore[arg-type]
            scan_response_data=bytes(answer),
            advertising_interval_min=ADVERTISING_MS,
            advertising_interval_max=ADVERTISING_MS,
        )


class Bench:
    """The radio and the port by which an adapter reaches it."""

    def __init__(self) -> None:
        self.radio = Radio(supervision_timeout=0.05)
        self._hci_server = HciServer(self.radio)
        self._port = 0

    @property
    def adapter(self) -> str:
        """For `open_adapter`."""
        return f"hci:tcp-client:127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        self._port = await self._hci_server.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.unplug()
        await asyncio.sleep(0)

    def unplug(self) -> None:
        """The controller goes away under its hosts."""
        self._hci_server.close()

    async def peripheral(
        self,
        services: list[Service] | None = None,
        *,
        address: str = ADDRESS,
        name: str = "Bench",
        advertised: list[str] | None = None,
        service_data: bytes = b"",
        mtu: int = 517,
    ) -> Peripheral:
        """A device on the air."""
        device = Peripheral(self.radio, address, services or [], name, mtu)
        await device.stack.power_on()
        await device.advertise(name, advertised or [], service_data)
        return device

    def broadcast(self, address: str, data: bytes, scan_response: bytes = b"", rssi: int = -50) -> None:
        """One advertisement of a device that is nothing but this."""
        peer = hci.Address(address, hci.Address.PUBLIC_DEVICE_ADDRESS)
        self.radio.broadcast(None, Advertisement(peer, data, scan_response, rssi))


def characteristic(
    uuid: str,
    properties: Properties,
    read: Callable[[Any], bytes] | bytes = b"",
    write: Callable[[Any, bytes], None] | None = None,
    descriptors: Sequence[Descriptor] = (),
) -> Characteristic[bytes]:
    """A characteristic whose value is computed, and whose writes are told."""
    permissions = Attribute.Permissions(0)
    if properties & Properties.READ:
        permissions |= Attribute.READABLE
    if properties & (Properties.WRITE | Properties.WRITE_WITHOUT_RESPONSE):
        permissions |= Attribute.WRITEABLE
    value = read if callable(read) else lambda _, constant=read: constant
    return Characteristic(uuid, properties, permissions, AttributeValue(read=value, write=write), descriptors)


async def sighted(scan: Scan, address: str = ADDRESS) -> Any:
    """bleak's device, once the scan has heard its advertisement and its scan response."""
    await scan.wait_until(
        lambda seen: next((s for s in seen if s.address == address and s.advert.name), None), timeout=10
    )
    return scan.ble_device(address)


async def connected(adapter: Adapter, address: str = ADDRESS, catalogue: Catalogue | None = None) -> OurConnection:
    """Scan for the device and connect."""
    async with Scan(adapter, registry.detector(catalogue or load()), settle=0) as scan:
        device = await sighted(scan, address)
    return await OurConnection.open(adapter, device)
