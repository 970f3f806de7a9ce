"""A lab device that speaks Espressif provisioning in place of Improv: its GATT table, its advertisement, its end."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from bumble import att, hci
from bumble.device import Connection
from bumble.gatt import Characteristic, Descriptor, Service
from pydantic import SecretStr, ValidationError

from installer.catalogue.catalogue import problems
from installer.lab.access_points import Join
from installer.lab.device import LabDevice
from installer.lab.espressif.crypto import HandlerFailed
from installer.lab.espressif.firmware import SESSION, EspressifFirmware, Lost
from installer.lab.espressif.scenario import EspressifFaults, EspressifScenario
from installer.lab.peripheral import LabEnvironment
from installer.lab.scenario import DeviceScenario

Properties = Characteristic.Properties

USER_DESCRIPTION = "2901"
INVALID_PDU, UNLIKELY = 0x04, 0x0E
TERMINATED = int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)


def endpoint_uuid(service: str, number: int) -> str:
    """§2: the number takes the place of the second pair of bytes."""
    return service[:4] + format(number, "04x") + service[8:]


def own_uuid(service: str, name: str) -> str:
    """A UUID in which nothing of the service's or of the endpoint's number is left, the same in every run."""
    return str(uuid.uuid5(uuid.UUID(service), name))


class EspressifDevice(LabDevice):
    """One device with the service of `facts/esp-provisioning.md` §2."""

    def __init__(self, scenario: DeviceScenario, around: LabEnvironment, espressif: EspressifScenario) -> None:
        name = scenario.name or "PROV_" + scenario.address.replace(":", "")[-6:]
        super().__init__(
            scenario.model_copy(update={"name": name, "improv": False, "vendor_advertisement": False}), around
        )
        self.espressif = EspressifFirmware(self, espressif)
        self._responses: dict[str, bytes] = {}
        self._holder: Connection | None = None  # whose session it is

    async def power_on(self) -> None:
        """Fill the GATT table and start to advertise."""
        self._stack.gatt_server.add_service(self._service())
        await super().power_on()

    def _service(self) -> Service:
        service = self.espressif.scenario.service
        own = self.espressif.scenario.own_uuids
        characteristics = [
            self._endpoint(name, own_uuid(service, name) if own else endpoint_uuid(service, number))
            for name, number in self.espressif.endpoints.items()
        ]
        return Service(service, characteristics)

    def _endpoint(self, name: str, number: str) -> Characteristic[bytes]:
        async def write(connection: Connection, value: bytes) -> None:
            if name == SESSION:
                self._holder = connection
            await self._written(name, value)

        def read(_connection: object) -> bytes:
            self.espressif.was_read(name)
            return self._responses.get(name, b"")

        described = self.espressif.scenario.descriptors
        return Characteristic(
            number,
            Properties.READ | Properties.WRITE,
            att.Attribute.READABLE | att.Attribute.WRITEABLE,
            att.AttributeValue(read=read, write=write),
            [Descriptor(USER_DESCRIPTION, att.Attribute.READABLE, name.encode())] if described else [],
        )

    async def _written(self, name: str, value: bytes) -> None:
        try:
            self._responses[name] = await self.espressif.write(name, value)
        except HandlerFailed as failed:
            self.log(f"{name}: {failed}")
            if self.espressif.scenario.stack == "bluedroid":
                asyncio.get_running_loop().call_later(0.01, self.controller.lose_links, TERMINATED)
                raise att.ATT_Error(UNLIKELY) from None
            raise att.ATT_Error(INVALID_PDU) from None
        except Lost:
            raise att.ATT_Error(UNLIKELY) from None

    def _payloads(self) -> tuple[bytes, ...]:
        """Flags and the service's UUID (§1); the name is in the scan response."""
        service = bytes.fromhex(self.espressif.scenario.service.replace("-", ""))[::-1]
        return (b"\x02\x01\x06\x11\x07" + service,)

    def _connected(self, connection: Connection) -> None:
        self._responses.clear()
        super()._connected(connection)

    def one_left(self, connection: Connection) -> None:
        """The session ends with the client that began it."""
        if connection is self._holder:
            self.espressif.disconnected()

    def _disconnected(self, reason: int) -> None:
        self.espressif.disconnected()
        super()._disconnected(reason)

    # What the firmware asks of the device.

    async def try_join(self, ssid: str, passphrase: SecretStr) -> Join:
        """Join a network, and how it ended."""
        if await self.join(ssid, passphrase):
            return Join.JOINED
        outcome = self._around.airspace.join(ssid, passphrase, self.scenario.bands)
        # It would work now, so the network vanished for a moment.
        return Join.DOWN if outcome is Join.JOINED else outcome

    def taken_over(self) -> None:
        """Another app begins a session: there is one at a time, and the new one replaces the old one (§1)."""
        self.espressif.session.forget()

    def reboot(self) -> None:
        """Start anew with nothing in memory."""
        self.espressif.reset()
        self.joined = None
        self.controller.lose_links()

    def stop_service(self) -> None:
        """The service has done its work: no link and no advertisement any more."""
        self.log("ends its provisioning service")
        task = asyncio.create_task(self._stack.stop_advertising())
        task.add_done_callback(lambda _task: self.controller.lose_links(TERMINATED))

    def set_espressif_faults(self, data: Any) -> None:
        """These faults of the provisioning from now on. Raises ValueError with the mistakes in words."""
        try:
            self.espressif.set_faults(EspressifFaults.model_validate(data))
        except ValidationError as error:
            raise ValueError("; ".join(problems(error, data))) from None

    def restore(self) -> None:
        """Back to the scenario, faults too."""
        self.espressif.set_faults(self.espressif.scenario.faults)
        super().restore()

    def _start_over(self) -> None:
        super()._start_over()
        self.espressif.reset()
        if self.scenario.advertising and not self._stack.is_advertising:
            self._again = asyncio.create_task(self._advertise())

    def describe(self) -> dict[str, Any]:
        """What `/lab/state` shows: JSON types, nothing secret."""
        return {
            **super().describe(),
            "state": self.espressif.phase,
            "credentials_received": self.espressif.credentials_received,
            "wifi_commands": self.espressif.applied,
            "sessions": self.espressif.session.count,
            "security": self.espressif.scenario.security,
            "faults": {**super().describe()["faults"], **self.espressif.faults.describe()},
        }
