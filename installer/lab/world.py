"""The lab's world: everything that a scenario describes, brought up together and put back together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from installer.lab.access_points import WifiEnvironment
from installer.lab.bystanders import Bystanders
from installer.lab.cloud.store import CloudStore
from installer.lab.hci_server import HciServer
from installer.lab.peripheral import LabEnvironment
from installer.lab.protocols import make_device
from installer.lab.refusal_log import RefusalLog
from installer.lab.scenario import Scenario
from installer.lab.virtual_radio import Radio


class World:
    """Radio, devices, access points and cloud. All methods belong to the event loop's thread."""

    def __init__(self, scenario: Scenario, log: Callable[[str], None] = lambda _words: None) -> None:
        self.scenario = scenario
        self.radio = Radio(scenario.radio.supervision_timeout)
        self.wifi = WifiEnvironment(scenario.network)
        self.store = CloudStore(scenario.cloud)
        self.hci_server = HciServer(self.radio, scenario.radio.rssi_jitter)
        environment = LabEnvironment(scenario, self.radio, self.wifi, self.store, log)
        self.devices = {d.address: make_device(d, environment) for d in scenario.device}
        self._bystanders = Bystanders(self.radio, scenario.bystanders, scenario.radio.bystander_interval, scenario.seed)
        self.store.on_linked.append(self._linked)
        self._log = log
        self.hci_server.on_refused = RefusalLog("a host", log).refused

    async def start(self, port: int = 0) -> int:
        """Bring everything up; the TCP port for hosts."""
        for device in self.devices.values():
            cloud = device.kind.cloud
            if cloud is not None:
                self.store.add_device(device.address, model_id=cloud.model_id, model=cloud.model, type=cloud.type)
        await asyncio.gather(*(device.power_on() for device in self.devices.values()))
        self._bystanders.start()
        return await self.hci_server.open(port=port)

    async def stop(self) -> None:
        """Take everything down."""
        self._bystanders.stop()
        self.hci_server.close()
        for device in self.devices.values():
            await device.power_off()
        self.store.close()

    def reset(self) -> None:
        """Back to the scenario; hosts stay attached, their links end."""
        self.wifi.reset()
        self.store.reset()
        for device in self.devices.values():
            device.restore()
        self._log("the world is back to its scenario")

    def set_network(self, ssid: str, up: bool) -> None:
        """The network vanishes or comes back. Raises KeyError for one that there is not."""
        self.wifi.networks[ssid].up = up
        self._log(f"network {ssid!r} is {'up' if up else 'down'}")
        for device in self.devices.values():
            if up:
                device.network_up(ssid)

    def describe(self) -> dict[str, Any]:
        """What `GET /lab/state` answers."""
        return {
            "devices": [d.describe() for d in self.devices.values()],
            "networks": [n.describe() for n in self.wifi.networks.values()],
            "hosts": len(self.hci_server.connections),
            "cloud": self.store.describe(),
        }

    def _linked(self, mac: str) -> None:
        device = self.devices.get(mac.upper())
        if device is not None:
            device.on_linked()
