"""A lab device that speaks Improv Wi-Fi: its GATT service and its advertisement (`facts/improv-ble.md` §1 and §11)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bumble import att
from bumble.gatt import Characteristic, Service

from installer.lab import gatt_services
from installer.lab.device import LabDevice
from installer.lab.gatt_services import Properties
from installer.lab.improv import frames
from installer.lab.improv.firmware import ImprovFirmware
from installer.lab.peripheral import LabEnvironment
from installer.lab.scenario import DeviceScenario

SERVICE_DATA = b"\x09\x16\x77\x46"  # length, type (service data of a 16-bit UUID), 0x4677


class ImprovDevice(LabDevice):
    """One device with the Improv service. With `improv = false` it has none, and is like a retail unit."""

    def __init__(self, scenario: DeviceScenario, environment: LabEnvironment) -> None:
        super().__init__(scenario, environment)
        self.improv = ImprovFirmware(
            self,
            self.faults,
            info=("Lab firmware", "1.0.0", "ESP32", self.name),
            hostname=self.hostname,
            url=scenario.url,
            wifi=self.kind.wifi,
            authorization=scenario.authorization,
            expires=self.timing.authorization_expires,
        )
        self._table: dict[str, Characteristic[bytes]] = {}

    def provisioning_services(self) -> tuple[Service, ...]:
        """The Improv service."""
        if not self.scenario.improv:
            return ()
        service, self._table = improv_service(self.improv.read, self.improv.write)
        return (service,)

    def provisioning_payloads(self) -> tuple[bytes, ...]:
        """The service's UUID, and the service data with the state."""
        if not self.scenario.improv:
            return ()
        uuid = bytes.fromhex(frames.SERVICE.replace("-", ""))[::-1]
        return (b"\x11\x07" + uuid + SERVICE_DATA + self.improv.service_data(),)

    def link_began(self) -> None:
        """A client is connected."""
        self.improv.connected()

    def _disconnected(self, reason: int) -> None:
        super()._disconnected(reason)
        self.improv.disconnected()

    def changed(self, characteristic: str, value: bytes) -> None:
        """Notify the new value."""
        if characteristic in self._table and not self._hung:
            gatt_services.notify(self._stack.gatt_server, self._table[characteristic], value)

    def reboot(self) -> None:
        """Restart with an empty memory."""
        self.improv.reset()
        super().reboot()

    def taken_over(self) -> None:
        """Another app sends the device wrong credentials."""
        self.improv.taken_over()

    def press(self) -> None:
        """Somebody presses the button."""
        super().press()
        self.improv.press()

    def start_over(self) -> None:
        """Forget everything, as after a factory reset."""
        super().start_over()
        self.improv.reset()

    def describe(self) -> dict[str, Any]:
        """The device as `/lab/state` shows it: JSON types, no secrets."""
        return {
            **super().describe(),
            "state": self.improv.state.name.lower(),
            "identified": self.improv.identified,
            "hostname": self.improv.hostname,
            "credentials_received": self.improv.credentials_received,
            "wifi_commands": self.improv.wifi_commands,
        }


def improv_service(
    read: Callable[[str], bytes], write: Callable[[bytes], None]
) -> tuple[Service, dict[str, Characteristic[bytes]]]:
    """The service with its five characteristics (`facts/improv-ble.md` §1), each with a 0x2902, as ESPHome has."""

    def readable(uuid: str, notify: bool) -> Characteristic[bytes]:
        return Characteristic(
            uuid,
            Properties.READ | (Properties.NOTIFY if notify else Properties(0)),
            att.Attribute.READABLE,
            att.AttributeValue(read=lambda _connection: read(uuid)),
            [] if notify else [gatt_services.client_configuration()],
        )

    def received(_connection: object, value: bytes) -> None:
        # Later, so that the client has its write response before any notification, as with a real stack.
        asyncio.get_running_loop().call_soon(write, value)

    command: Characteristic[bytes] = Characteristic(
        frames.COMMAND,
        Properties.WRITE,
        att.Attribute.WRITEABLE,
        att.AttributeValue(read=gatt_services.unreadable, write=received),
        [gatt_services.client_configuration()],
    )
    table = {
        frames.STATE: readable(frames.STATE, True),
        frames.ERROR: readable(frames.ERROR, True),
        frames.COMMAND: command,
        frames.RESULT: readable(frames.RESULT, True),
        frames.CAPABILITIES: readable(frames.CAPABILITIES, False),
    }
    return Service(frames.SERVICE, list(table.values())), table
