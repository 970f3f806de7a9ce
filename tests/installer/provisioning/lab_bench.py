"""A lab with one device, and the driver's connection to it: real bleak, over HCI on a TCP socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from pydantic import SecretStr

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.open_adapter import open_adapter
from installer.errors import InstallerError
from installer.lab.device import LabDevice
from installer.lab.peripheral import LabEnvironment
from installer.lab.scenario import DeviceScenario, Faults, Scenario
from installer.lab.world import World
from installer.provisioning.provisioner import Progress, Provisioner
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Network, Security

D = TypeVar("D", bound=LabDevice)

ADDRESS = "A8:03:2A:BE:54:DC"
HOME = Network(ssid="Home", security=Security.WPA2)
RIGHT = Credentials(network=HOME, passphrase=SecretStr("correct horse"))
WRONG = Credentials(network=HOME, passphrase=SecretStr("incorrect horse"))

NETWORKS: list[dict[str, Any]] = [
    {"ssid": "Home", "passphrase": "correct horse", "access_points": [{"rssi": -50}, {"rssi": -61}]},
    {"ssid": "Cafe", "security": "open"},
    {"ssid": "Office", "security": "wpa2/wpa3", "passphrase": "battery staple"},
    {"ssid": 'Gäste ☕ "1"', "passphrase": 'staple \\ "battery"'},
    {"ssid": "Attic", "passphrase": "under the roof", "hidden": True},
]
WORLD: dict[str, Any] = {
    "radio": {"advertising_interval": 0.02, "supervision_timeout": 0.2, "rssi_jitter": 0},
    "timing": {"join": 0.06, "scan": 0.03},
}


class Bench(Generic[D]):
    """The lab's side and the installer's side, within one event loop."""

    def __init__(self, world: World, adapter: Adapter, device: D) -> None:
        self.world = world
        self.adapter = adapter
        self.device = device
        self.opened: list[Connection] = []
        self.advert: AdvertisementData | None = None

    async def find(self) -> BLEDevice:
        """Scan until the device is heard with its name."""
        found: asyncio.Future[BLEDevice] = asyncio.get_running_loop().create_future()

        def heard(device: BLEDevice, advert: AdvertisementData) -> None:
            if device.address.upper() == self.device.address and device.name and not found.done():
                self.advert = advert
                found.set_result(device)

        scanner = self.adapter.scanner(heard)
        async with asyncio.timeout(20), scanner:
            return await found

    async def connect(self) -> Connection:
        """Connect."""
        connection = await Connection.open(self.adapter, await self.find(), timeout=20)
        self.opened.append(connection)
        return connection

    def generic_faults(self, **faults: Any) -> None:
        """The faults that every kind of device has."""
        self.device.set_faults(Faults.model_validate(faults))


B = TypeVar("B", bound=Bench[Any])


@asynccontextmanager
async def running(
    make: Callable[[DeviceScenario, LabEnvironment], D],
    *,
    bench_class: type[B] = Bench,  # type: ignore[assignment]
    networks: list[dict[str, Any]] = NETWORKS,
    **device: Any,
) -> AsyncIterator[B]:
    """A running lab whose one device is the one that `make` makes."""
    entry = {"model": "generic", "address": ADDRESS, "information": False, "battery": False, **device}
    scenario = Scenario.model_validate({**WORLD, "network": networks, "device": [entry]})
    world = World(scenario)
    environment = LabEnvironment(scenario, world.radio, world.wifi, world.store, lambda _words: None)
    unit = make(scenario.device[0], environment)
    world.devices[unit.address] = unit
    port = await world.start()
    try:
        async with await open_adapter(f"hci:tcp-client:127.0.0.1:{port}") as adapter:
            bench = bench_class(world, adapter, unit)
            try:
                yield bench
            finally:
                for connection in bench.opened:
                    await connection.close()
    finally:
        await world.stop()


async def until(holds: Callable[[], Any]) -> None:
    """Wait until `holds()` is true."""
    deadline = asyncio.get_running_loop().time() + 20
    while True:
        if holds():
            return
        assert asyncio.get_running_loop().time() < deadline, "it did not come to that"
        await asyncio.sleep(0.01)


async def stages(driver: Provisioner, credentials: Credentials = RIGHT) -> list[Progress]:
    """All that `provision` yields."""
    return [progress async for progress in driver.provision(credentials)]


async def failure(work: Any) -> InstallerError:
    """The error that `work` ends with; no passphrase is in it, or in what led to it."""
    with pytest.raises(InstallerError) as caught:
        await work
    link: BaseException | None = caught.value
    while link is not None:
        assert "horse" not in f"{link} {link!r} {vars(link)}"
        link = link.__cause__ or link.__context__
    return caught.value
