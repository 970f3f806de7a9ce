"""A lab device with Nordic's Wi-Fi provisioning in place of Improv: its GATT table and its advertisement."""

from __future__ import annotations

import asyncio
from typing import Any

from bumble import att
from bumble.device import Connection
from bumble.gatt import Characteristic, Service
from pydantic import SecretStr, ValidationError

from installer.catalogue.catalogue import problems
from installer.lab import gatt_services
from installer.lab.access_points import Join
from installer.lab.device import LabDevice
from installer.lab.nordic.firmware import NordicFirmware
from installer.lab.nordic.scenario import NordicFaults, NordicScenario
from installer.lab.peripheral import LabEnvironment
from installer.lab.scenario import DeviceScenario

Properties = Characteristic.Properties

SERVICE = "14387800-130c-49e7-b877-2881c89cb258"
VERSION = "14387801-130c-49e7-b877-2881c89cb258"
CONTROL_POINT = "14387802-130c-49e7-b877-2881c89cb258"
DATA_OUT = "14387803-130c-49e7-b877-2881c89cb258"
STATES = ("disconnected", "authentication", "association", "obtaining ip", "connected", "failed")


class NordicDevice(LabDevice):
    """One device with the service of `facts/other-ble-provisioning.md` §2."""

    def __init__(self, scenario: DeviceScenario, around: LabEnvironment, nordic: NordicScenario) -> None:
        name = scenario.name or "PV" + scenario.address.replace(":", "")[-6:]
        super().__init__(
            scenario.model_copy(update={"name": name, "improv": False, "vendor_advertisement": False}), around
        )
        self.nordic = NordicFirmware(self, nordic)
        self._control: Characteristic[bytes]
        self._out: Characteristic[bytes]

    async def power_on(self) -> None:
        """Fill the GATT table and start to advertise."""
        self._stack.gatt_server.add_service(self._service())
        await super().power_on()

    def _service(self) -> Service:
        writeable = att.Attribute.WRITEABLE
        if self.nordic.scenario.pairing:
            writeable |= att.Attribute.Permissions.WRITE_REQUIRES_ENCRYPTION

        def write(_connection: Connection, value: bytes) -> None:
            # Later, so that the client has its write response before any notification, as with a real stack.
            asyncio.get_running_loop().call_soon(self.nordic.write, value)

        self._control = Characteristic(
            CONTROL_POINT, Properties.WRITE | Properties.INDICATE, writeable, att.AttributeValue(write=write)
        )
        self._out = Characteristic(DATA_OUT, Properties.NOTIFY, att.Attribute.READABLE)
        version: Characteristic[bytes] = Characteristic(
            VERSION,
            Properties.READ,
            att.Attribute.READABLE,
            att.AttributeValue(read=lambda _connection: self.nordic.version()),
        )
        return Service(SERVICE, [version, self._control, self._out])

    def _payloads(self) -> tuple[bytes, ...]:
        """Flags and the service data under the 128-bit UUID (§2); the name is in the scan response."""
        data = bytes.fromhex(SERVICE.replace("-", ""))[::-1] + self.nordic.service_data()
        return (b"\x02\x01\x06" + bytes((len(data) + 1, 0x21)) + data,)

    def _disconnected(self, reason: int) -> None:
        self.nordic.disconnected()
        super()._disconnected(reason)

    # What the firmware asks of the device.

    def respond(self, message: bytes) -> None:
        """Indicate a response, if somebody listens."""
        sending = asyncio.ensure_future(self.server.indicate_subscribers(self._control, message))
        sending.add_done_callback(lambda done: done.cancelled() or done.exception())

    def tell(self, message: bytes) -> None:
        """Notify a result, if somebody listens."""
        gatt_services.notify(self.server, self._out, message)

    async def try_join(self, ssid: str, passphrase: SecretStr) -> Join:
        """Join a network, and how it ended."""
        if await self.join(ssid, passphrase):
            return Join.JOINED
        outcome = self._around.airspace.join(ssid, passphrase, self.scenario.bands)
        # It would work now, so the network vanished for a moment.
        return Join.DOWN if outcome is Join.JOINED else outcome

    def set_nordic_faults(self, data: Any) -> None:
        """These faults of the provisioning from now on. Raises ValueError with the mistakes in words."""
        try:
            self.nordic.set_faults(NordicFaults.model_validate(data))
        except ValidationError as error:
            raise ValueError("; ".join(problems(error, data))) from None

    def reboot(self) -> None:
        """Start anew with nothing in memory."""
        self.nordic.reset()
        super().reboot()

    def taken_over(self) -> None:
        """Another app talks to the device as well."""
        self.nordic.taken_over()

    def restore(self) -> None:
        """Back to the scenario, faults too."""
        self.nordic.set_faults(self.nordic.scenario.faults)
        super().restore()

    def _start_over(self) -> None:
        super()._start_over()
        self.nordic.reset()

    def describe(self) -> dict[str, Any]:
        """What `/lab/state` shows: JSON types, nothing secret."""
        return {
            **super().describe(),
            "state": STATES[self.nordic.state],
            "credentials_received": self.nordic.credentials_received,
            "wifi_commands": self.nordic.requests.count("credentials"),
            "faults": {**super().describe()["faults"], **self.nordic.faults.describe()},
        }
