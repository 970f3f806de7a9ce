"""A lab device with Nordic's Wi-Fi provisioning: its GATT table and its advertisement."""

from __future__ import annotations

import asyncio
from typing import Any

from bumble import att
from bumble.device import Connection
from bumble.gatt import Characteristic, Service
from pydantic import ValidationError

from installer.errors import problems
from installer.lab import gatt_services
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

    def __init__(self, scenario: DeviceScenario, environment: LabEnvironment, nordic: NordicScenario) -> None:
        name = scenario.name or "PV" + scenario.address.replace(":", "")[-6:]
        super().__init__(scenario.model_copy(update={"name": name, "vendor_advertisement": False}), environment)
        self.nordic = NordicFirmware(self, nordic)
        self._control: Characteristic[bytes]
        self._out: Characteristic[bytes]

    def provisioning_services(self) -> tuple[Service, ...]:
        """The service with its three characteristics."""
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
        return (Service(SERVICE, [version, self._control, self._out]),)

    def provisioning_payloads(self) -> tuple[bytes, ...]:
        """The service data under the 128-bit UUID (§2); the name is in the scan response."""
        data = bytes.fromhex(SERVICE.replace("-", ""))[::-1] + self.nordic.service_data()
        return (bytes((len(data) + 1, 0x21)) + data,)

    def _disconnected(self, reason: int) -> None:
        self.nordic.disconnected()
        super()._disconnected(reason)

    # Used by the firmware.

    def respond(self, message: bytes) -> None:
        """Indicate a response to the subscribed clients."""
        sending = asyncio.ensure_future(self.server.indicate_subscribers(self._control, message))
        sending.add_done_callback(lambda done: done.cancelled() or done.exception())

    def notify(self, message: bytes) -> None:
        """Notify a result to the subscribed clients."""
        gatt_services.notify(self.server, self._out, message)

    def set_protocol_faults(self, data: Any) -> None:
        """Set the faults of the provisioning. Raises ValueError with the mistakes in words."""
        try:
            self.nordic.set_faults(NordicFaults.model_validate(data))
        except ValidationError as error:
            raise ValueError("; ".join(problems(error, data))) from None

    def reboot(self) -> None:
        """Restart with an empty memory."""
        self.nordic.reset()
        super().reboot()

    def taken_over(self) -> None:
        """Another app uses the device as well."""
        self.nordic.taken_over()

    def restore(self) -> None:
        """Go back to the scenario, with its faults."""
        self.nordic.set_faults(self.nordic.scenario.faults)
        super().restore()

    def start_over(self) -> None:
        """Forget everything, as after a factory reset."""
        super().start_over()
        self.nordic.reset()

    def describe(self) -> dict[str, Any]:
        """The device as `/lab/state` shows it: JSON types, no secrets."""
        return {
            **super().describe(),
            "state": STATES[self.nordic.state],
            "credentials_received": self.nordic.credentials_received,
            "wifi_commands": self.nordic.requests.count("credentials"),
            "faults": {**super().describe()["faults"], **self.nordic.faults.describe()},
        }
