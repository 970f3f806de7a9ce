"""A small Bluetooth client for the lab's own tests: Bumble's host stack over HCI over TCP, nothing of the installer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bumble import hci
from bumble.core import AdvertisingData
from bumble.device import Advertisement, Connection, Device, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.transport import open_transport

PATIENCE = 15.0
IMPROV = "00467768-6228-2272-4663-27747826800"


@dataclass
class Seen:
    """What was heard of one address: every advertised payload, names, signals."""

    payloads: set[bytes] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    rssi: list[int] = field(default_factory=list)
    reports: int = 0


class Client:
    """One attached host."""

    def __init__(self, device: Device) -> None:
        self.device = device

    async def scan(
        self, enough: Callable[[dict[str, Seen]], Any], *, active: bool = True, duplicates: bool = True
    ) -> dict[str, Seen]:
        """Listen until `enough(seen)`; what was heard, by address."""
        seen: dict[str, Seen] = {}
        done = asyncio.Event()

        def heard(report: Advertisement) -> None:
            one = seen.setdefault(str(report.address).removesuffix("/P"), Seen())
            one.reports += 1
            one.rssi.append(report.rssi)
            one.payloads.add(bytes(report.data))
            name = report.data.get(AdvertisingData.COMPLETE_LOCAL_NAME)
            if name:
                one.names.add(name if isinstance(name, str) else bytes(name).decode())
            if enough(seen):
                done.set()

        self.device.on(Device.EVENT_ADVERTISEMENT, heard)
        try:
            await self.device.start_scanning(active=active, legacy=True, filter_duplicates=not duplicates)
            async with asyncio.timeout(PATIENCE):
                await done.wait()
            await self.device.stop_scanning(legacy=True)
        finally:
            self.device.remove_listener(Device.EVENT_ADVERTISEMENT, heard)
        return seen

    async def connect(self, address: str, mtu: int | None = 517) -> Link:
        """Connect to the device with this public address and learn its table."""
        connection = await self.device.connect(
            hci.Address(address, hci.Address.PUBLIC_DEVICE_ADDRESS),
            own_address_type=hci.OwnAddressType.RANDOM,
            timeout=PATIENCE,
        )
        peer = Peer(connection)
        if mtu is not None:
            await peer.request_mtu(mtu)
        await peer.discover_all()
        return Link(connection, peer)


class Link:
    """One connection, with what came over it."""

    def __init__(self, connection: Connection, peer: Peer) -> None:
        self.connection = connection
        self.peer = peer
        self.events: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        connection.on(Connection.EVENT_DISCONNECTION, self.ended.set_result)

    def characteristic(self, uuid: str) -> CharacteristicProxy[bytes]:
        """By 128-bit UUID, or four hexadecimal digits of a short one."""
        wanted = uuid.lower()
        for service in self.peer.services:
            for characteristic in service.characteristics:
                text = str(characteristic.uuid).lower()
                if text == wanted or (len(wanted) == 4 and characteristic.uuid.to_hex_str().lower() == wanted):
                    return characteristic
        raise LookupError(uuid)

    async def subscribe(self, *uuids: str) -> None:
        """Put what these characteristics send into `events`."""
        for uuid in uuids:
            characteristic = self.characteristic(uuid)

            def put(value: bytes, uuid: str = uuid) -> None:
                self.events.put_nowait((uuid, bytes(value)))

            await characteristic.subscribe(put)

    async def read(self, uuid: str) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return bytes(await self.characteristic(uuid).read_value())

    async def write(self, uuid: str, value: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.characteristic(uuid).write_value(value, with_response=True)

    async def next(self) -> tuple[str, bytes]:
        """The next notification or indication."""
        async with asyncio.timeout(PATIENCE):
            return await self.events.get()

    async def end(self) -> int:
        """Wait until the link is over; the reason."""
        async with asyncio.timeout(PATIENCE):
            return await asyncio.shield(self.ended)

    async def disconnect(self) -> None:
        await self.connection.disconnect()


@asynccontextmanager
async def attached(transport: str) -> AsyncIterator[Client]:
    """A host attached to the lab."""
    async with await open_transport(transport) as hci_transport:
        device = Device.with_hci(
            "test client", hci.Address.generate_static_address(), hci_transport.source, hci_transport.sink
        )
        await device.power_on()
        yield Client(device)
