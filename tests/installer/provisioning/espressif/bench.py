"""A lab with one Espressif device, and the driver's connection to it: real bleak, over HCI on a TCP socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bleak.backends.device import BLEDevice
from pydantic import SecretStr

from installer.bluetooth.adapter import Adapter, open_adapter
from installer.bluetooth.connection import Connection
from installer.lab.espressif.device import EspressifDevice
from installer.lab.espressif.scenario import EspressifFaults, EspressifScenario
from installer.lab.peripheral import LabEnvironment
from installer.lab.scenario import Scenario
from installer.lab.world import World
from installer.provisioning.espressif.driver import EspressifProvisioner
from installer.provisioning.espressif.session import Timings
from installer.provisioning.provisioner import Progress
from installer.wifi.networks import Credentials, Network, Security

ADDRESS = "00:24:E4:CE:03:C0"
PROOF = "abcd1234"
HOME = Network(ssid="Home", security=Security.WPA2)
RIGHT = Credentials(network=HOME, passphrase=SecretStr("correct horse"))
WRONG = Credentials(network=HOME, passphrase=SecretStr("incorrect horse"))
# Deadlines are long, so that a busy machine fails no test; pauses are short.
FAST = Timings(request=20, scan=20, join=20, settle=0.3, goodbye=0.05, poll_first=0.02, poll_last=0.1)

WORLD: dict[str, Any] = {
    "radio": {"advertising_interval": 0.02, "supervision_timeout": 0.2, "rssi_jitter": 0},
    "timing": {"join": 0.06, "scan": 0.03},
    "device": [{"model": "generic", "address": ADDRESS, "information": False, "battery": False}],
    "network": [
        {"ssid": "Home", "passphrase": "correct horse", "access_points": [{"rssi": -50}, {"rssi": -61}]},
        {"ssid": "Cafe", "security": "open"},
        {"ssid": "Office", "security": "wpa2/wpa3", "passphrase": "battery staple"},
        {"ssid": "Gäste ☕", "passphrase": "staple battery"},
        {"ssid": "Old", "security": "wpa", "passphrase": "old passphrase"},
    ],
}


class Bench:
    """The lab's side and the installer's side, within one event loop."""

    def __init__(self, world: World, adapter: Adapter) -> None:
        self.world = world
        self.adapter = adapter
        self.opened: list[Connection] = []

    @property
    def device(self) -> EspressifDevice:
        """The lab's device."""
        device = self.world.devices[ADDRESS]
        assert isinstance(device, EspressifDevice)
        return device

    def faults(self, **faults: Any) -> None:
        """These faults from now on."""
        self.device.espressif.set_faults(EspressifFaults.model_validate(faults))

    async def find(self) -> BLEDevice:
        """Scan until the device is heard with its name."""
        found: asyncio.Future[BLEDevice] = asyncio.get_running_loop().create_future()

        def heard(device: BLEDevice, _advert: Any) -> None:
            if device.address.upper() == ADDRESS and device.name and not found.done():
                found.set_result(device)

        scanner = self.adapter.scanner(heard)
        async with asyncio.timeout(20), scanner:
            return await found

    async def connect(self) -> Connection:
        """Connect."""
        connection = await Connection.open(self.adapter, await self.find(), timeout=20)
        self.opened.append(connection)
        return connection

    async def driver(self, proof: str | None = PROOF, *, opened: bool = True, **more: Any) -> EspressifProvisioner:
        """A driver over a new connection."""
        more.setdefault("timings", FAST)
        secret = SecretStr(proof) if proof is not None else None
        driver = EspressifProvisioner(await self.connect(), proof=secret, **more)
        if opened:
            await driver.open()
        return driver


@asynccontextmanager
async def bench(espressif: dict[str, Any] | None = None, **device: Any) -> AsyncIterator[Bench]:
    """A running lab whose one device is an Espressif one with these settings."""
    entry = {**WORLD["device"][0], **device}
    scenario = Scenario.model_validate({**WORLD, "device": [entry]})
    world = World(scenario)
    around = LabEnvironment(scenario, world.radio, world.airspace, world.store, lambda _words: None)
    settings = EspressifScenario.model_validate(espressif or {})
    world.devices[ADDRESS] = EspressifDevice(scenario.device[0], around, settings)
    port = await world.start()
    try:
        async with await open_adapter(f"hci:tcp-client:127.0.0.1:{port}") as adapter:
            running = Bench(world, adapter)
            try:
                yield running
            finally:
                for connection in running.opened:
                    await connection.close()
    finally:
        world.stop()


async def stages(driver: EspressifProvisioner, credentials: Credentials = RIGHT) -> list[Progress]:
    """All that `provision` yields."""
    return [progress async for progress in driver.provision(credentials)]
