"""The operating system's Bluetooth: BlueZ, followed by a watch; CoreBluetooth on macOS; WinRT on Windows."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice

from installer.bluetooth import system_errors
from installer.bluetooth.adapter import Adapter, AdvertCallback, DisconnectedCallback
from installer.errors import InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.bluez.bus import Bus, Interfaces
    from installer.bluetooth.bluez.known_devices import Seen
    from installer.bluetooth.bluez.watch import BluezWatch
    from installer.bluetooth.own_links import OwnLinks

ASK_SECONDS = 5.0
PARTING_SECONDS = 10.0
PARTING_LOOK_SECONDS = 0.2


class SystemAdapter(Adapter):
    """The operating system's Bluetooth, through bleak's own backends. `device`: the adapter to use, on Linux only.

    On Linux `watch` follows it; without a D-Bus there is none, and a scan says what is wrong.
    """

    max_report_gap = 30.0 if sys.platform == "linux" else 10.0
    leaves_requests_unanswered = sys.platform == "linux"

    shared_by_programs = True
    # The links that this process has let go and that are not down yet, by the path of the device.
    _partings: ClassVar[dict[str, asyncio.Future[None]]] = {}

    def __init__(
        self, device: str | None = None, watch: BluezWatch | None = None, links: OwnLinks | None = None
    ) -> None:
        """`links`: where the links of this user's programs are noted; None: nowhere."""
        super().__init__(device or "system")
        self._device = device
        self._watch = watch
        self._links = links if sys.platform == "linux" else None

    @classmethod
    async def open(cls, device: str | None = None, links: OwnLinks | None = None) -> Self:
        """With a watch where there is BlueZ. Raises ADAPTER_FAILED if there is no such adapter, but others are."""
        if sys.platform != "linux":
            return cls(device, links=links)
        from installer.bluetooth.bluez.trouble import Trouble
        from installer.bluetooth.bluez.watch import BluezWatch

        try:
            watch = await BluezWatch.open(device)
        except InstallerError:
            return cls(device, links=links)  # a scan says the same in the words for it
        if watch.trouble is Trouble.UNKNOWN_ADAPTER and watch.error is not None:
            await watch.close()
            raise watch.error
        return cls(device, watch, links)

    @property
    def description(self) -> str:
        """Which adapter it is, for `doctor`: name, address, and whether it is switched on."""
        state = self._watch.adapter if self._watch is not None else None
        return str(state) if state is not None else self.name

    @property
    def others(self) -> str:
        """Which may be chosen with --adapter."""
        names = [name for name in self.names if name != self.description]
        return f"; --adapter could choose {', '.join(names)}" if names else ""

    @property
    def names(self) -> list[str]:
        """All adapters of this computer, in words; empty where they cannot be known."""
        return [str(state) for state in self._watch.adapters] if self._watch is not None else []

    @property
    def failure(self) -> InstallerError | None:
        """Set while the service is away, the adapter is off, or it was pulled."""
        return self._watch.error if self._watch is not None else None

    @property
    def comes_back(self) -> bool:
        """Where it is watched."""
        return self._watch is not None and self._watch.lives

    def add_failure_listener(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Of the watch."""
        return self._watch.listen(callback) if self._watch is not None else super().add_failure_listener(callback)

    def on_device_removed(self, device: BLEDevice, callback: Callable[[], None]) -> Callable[[], None]:
        """Of the watch: BlueZ removes the object."""
        path = _path_of(device)
        if self._watch is None or path is None:
            return super().on_device_removed(device, callback)
        return self._watch.on_removed(path, callback)

    async def why_lost(self) -> InstallerError | None:
        """Asks BlueZ, and gives its signals a moment."""
        if self._watch is not None:
            await self._watch.check()
        return self.failure

    async def wait_until_back(self, seconds: float) -> bool:
        """Until the watch says so."""
        return self._watch is None or await self._watch.wait_until_usable(seconds)

    def scanner(self, callback: AdvertCallback) -> BleakScanner:
        """A scanner of the operating system."""
        # Without duplicates BlueZ tells nothing of a device whose data stays the same.
        bluez: Any = {**self._bluez(), "filters": {"DuplicateData": True}}
        return BleakScanner(callback, bluez=bluez)

    def client(
        self, ble_device: BLEDevice, disconnected_callback: DisconnectedCallback | None, timeout: float, **kwargs: Any
    ) -> BleakClient:
        """A client of the operating system."""
        self.need_room()
        path = _path_of(ble_device)
        if self._links is not None and path is not None:
            from installer.bluetooth.noted_client import NotedClient

            parting = self._partings.get(path)
            kwargs |= {"bluez": self._bluez(), "links": self._links, "parting": parting, "objects": self._objects}
            return NotedClient(ble_device, disconnected_callback, timeout=timeout, **kwargs)
        return BleakClient(ble_device, disconnected_callback, timeout=timeout, bluez=self._bluez(), **kwargs)

    async def let_go(self, client: BleakClient, device: BLEDevice) -> None:
        """BlueZ takes 2 to 3 s to end a link, but nobody has to wait for it."""
        path = _path_of(device)
        if self._watch is None or path is None or not await self._watch.begin_disconnect(path):
            await client.disconnect()
            return
        if self._links is not None:
            from installer.bluetooth.noted_client import NotedClient

            if isinstance(client, NotedClient):
                client.is_ending()
        # In a program that goes on, bleak tidies up when the link is down. One that ends cancels this.
        self._partings[path] = asyncio.ensure_future(_part(client))

    async def cancel_connecting(self, device: BLEDevice) -> None:
        """BlueZ goes on for a program that died, and refuses everybody else meanwhile."""
        path = _path_of(device)
        if self._watch is not None and path is not None:
            await self._watch.disconnect(path)

    def _bluez(self) -> Any:
        # Among several, bleak takes any. The first by number is the same in each run.
        state = self._watch.adapter if self._watch is not None else None
        name = state.name if state is not None else self._device
        return {"adapter": name} if name else {}

    async def close(self) -> None:
        """End the watch."""
        await super().close()
        if self._watch is not None:
            await self._watch.close()

    async def pair(self, client: BleakClient, device: BLEDevice) -> None:
        """BlueZ pairs when it is told to; macOS and Windows pair by themselves: raises PAIRING_NEEDED there."""
        from installer.bluetooth.bluez import system_pairing

        await system_pairing.pair(device, self.name, self.pairing_dialog)

    async def look_anew(self, device: BLEDevice) -> None:
        """BlueZ keeps a request that is never answered in front of the next ones."""
        from installer.bluetooth.bluez import system_pairing

        await system_pairing.look_anew(device, self.name)

    async def is_bonded(self, device: BLEDevice) -> bool:
        """BlueZ knows it; macOS and Windows do not tell."""
        from installer.bluetooth.bluez import system_pairing

        return await system_pairing.is_bonded(device, self.name, bus=self._bus)

    async def others_may_pair(self, device: BLEDevice) -> bool:
        """A desktop has an agent of its own."""
        from installer.bluetooth.bluez import system_pairing

        return await system_pairing.has_other_agent(device, self.name)

    async def bond_is_lost(self, device: BLEDevice) -> bool:
        """BlueZ does not tell it: a paired device that ends each link at once has no keys any more."""
        from installer.bluetooth.bluez import system_pairing

        return await system_pairing.bond_is_lost(device, self.name)

    async def lasting_address(self, device: BLEDevice) -> str:
        """BlueZ gives the same object another address; bleak's objects keep the first one."""
        if sys.platform == "linux" and isinstance(device.details, dict) and "path" in device.details:
            from bleak.backends.bluezdbus.manager import get_global_bluez_manager

            with contextlib.suppress(*system_errors.SYSTEM_ERRORS):
                async with asyncio.timeout(ASK_SECONDS):
                    manager = await get_global_bluez_manager()
                    return manager.get_device_address(device.details["path"]).upper()
        return device.address.upper()

    async def end_left_links(self) -> None:
        """Those of all adapters. Costs nothing if there is none."""
        left = self._links.take_left() if self._links is not None else []
        if left:
            from installer.bluetooth.bluez.left_links import end_links

            for link in await end_links(left):
                self.on_left_link(link.address)

    async def heard_lately(self) -> list[Seen]:
        """What BlueZ knows."""
        from installer.bluetooth.bluez import known_devices

        return known_devices.heard_lately(await self._objects(), self._bluez().get("adapter"))

    async def connected_devices(self) -> list[Seen]:
        """What BlueZ knows."""
        from installer.bluetooth.bluez import known_devices

        return known_devices.connected(await self._objects(), self._bluez().get("adapter"))

    async def _objects(self) -> dict[str, Interfaces]:
        if sys.platform != "linux":
            return {}
        from installer.bluetooth.bluez.bus import BluezError, system_bus

        bus = self._bus
        with contextlib.suppress(InstallerError, BluezError):
            async with system_bus(self.name) if bus is None else contextlib.nullcontext(bus) as opened:
                return await opened.objects()
        return {}

    @property
    def _bus(self) -> Bus | None:
        """The connection of the watch, while it has one."""
        return self._watch.bus if self._watch is not None and self._watch.lives else None


def _path_of(device: BLEDevice) -> str | None:
    """The path of the device's object in BlueZ; None elsewhere."""
    path = device.details.get("path") if isinstance(device.details, dict) else None
    return path if isinstance(path, str) else None


async def _part(client: BleakClient) -> None:
    """Let bleak tidy up when the link is down. Before, it would ask for its end again, and could meet the next link."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PARTING_SECONDS):
            while client.is_connected:  # noqa: ASYNC110 - bleak tells one listener only, and that one has gone
                await asyncio.sleep(PARTING_LOOK_SECONDS)
    with contextlib.suppress(*system_errors.SYSTEM_ERRORS):
        async with asyncio.timeout(PARTING_SECONDS):
            await client.disconnect()
