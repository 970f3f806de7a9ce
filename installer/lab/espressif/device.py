"""A lab device that speaks Espressif provisioning: its GATT table, its advertisement, and the end of its service."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from bumble import att, hci
from bumble.device import Connection
from bumble.gatt import Characteristic, Descriptor, Service
from pydantic import ValidationError

from installer.errors import problems
from installer.lab.device import LabDevice
from installer.lab.espressif.crypto import HandlerFailed
from installer.lab.espressif.firmware import SESSION, EspressifFirmware, LinkDropped
from installer.lab.espressif.scenario import EspressifFaults, EspressifScenario
from installer.lab.peripheral import LabEnvironment
from installer.lab.protobuf_wire import InvalidMessage
from installer.lab.scenario import DeviceScenario

Properties = Characteristic.Properties

USER_DESCRIPTION = "2901"
INVALID_PDU, UNLIKELY = 0x04, 0x0E
TERMINATED = int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)


def endpoint_uuid(service: str, number: int) -> str:
    """§2: the number takes the place of the second pair of bytes."""
    return service[:4] + format(number, "04x") + service[8:]


def unrelated_uuid(service: str, name: str) -> str:
    """A UUID that shows neither the service nor the number of the endpoint; the same in every run."""
    return str(uuid.uuid5(uuid.UUID(service), name))


class EspressifDevice(LabDevice):
    """One device with the service of `facts/esp-provisioning.md` §2."""

    def __init__(self, scenario: DeviceScenario, environment: LabEnvironment, espressif: EspressifScenario) -> None:
        name = scenario.name or "PROV_" + scenario.address.replace(":", "")[-6:]
        super().__init__(scenario.model_copy(update={"name": name, "vendor_advertisement": False}), environment)
        self.espressif = EspressifFirmware(self, espressif)
        self._responses: dict[str, bytes] = {}
        self._session_owner: Connection | None = None

    def provisioning_services(self) -> tuple[Service, ...]:
        """The service, with one characteristic for each endpoint."""
        service = self.espressif.scenario.service
        own_uuids = self.espressif.scenario.own_uuids
        characteristics = [
            self._endpoint(name, unrelated_uuid(service, name) if own_uuids else endpoint_uuid(service, number))
            for name, number in self.espressif.endpoints.items()
        ]
        return (Service(service, characteristics),)

    def _endpoint(self, name: str, number: str) -> Characteristic[bytes]:
        async def write(connection: Connection, value: bytes) -> None:
            if name == SESSION:
                self._session_owner = connection
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
        except (HandlerFailed, InvalidMessage) as failed:
            self.log(f"{name}: {failed}")
            if self.espressif.scenario.stack == "bluedroid":
                asyncio.get_running_loop().call_later(0.01, self.controller.lose_links, TERMINATED)
                raise att.ATT_Error(UNLIKELY) from None
            raise att.ATT_Error(INVALID_PDU) from None
        except LinkDropped:
            raise att.ATT_Error(UNLIKELY) from None

    def provisioning_payloads(self) -> tuple[bytes, ...]:
        """The service's UUID (§1); the name is in the scan response."""
        service = bytes.fromhex(self.espressif.scenario.service.replace("-", ""))[::-1]
        return (b"\x11\x07" + service,)

    def _connected(self, connection: Connection) -> None:
        self._responses.clear()
        super()._connected(connection)

    def link_began(self) -> None:
        """A client is connected, perhaps to a device that takes the place of this one."""
        super().link_began()
        self.espressif.connected(self.connections)

    def client_left(self, connection: Connection) -> None:
        """The session ends when its client disconnects."""
        if connection is self._session_owner:
            self.espressif.disconnected()

    def _disconnected(self, reason: int) -> None:
        self.espressif.disconnected()
        super()._disconnected(reason)

    # Used by the firmware.

    def taken_over(self) -> None:
        """Another app begins a session. The device has only one, so the new one replaces the old one (§1)."""
        self.espressif.session.forget()

    def reboot(self) -> None:
        """Restart with an empty memory."""
        self.espressif.reset()
        self.joined = None
        self.controller.lose_links()

    def stop_service(self) -> None:
        """End the service: no link and no advertisement."""
        self.log("ends its provisioning service")
        task = asyncio.create_task(self._stack.stop_advertising())
        task.add_done_callback(lambda _task: self.controller.lose_links(TERMINATED))

    def set_protocol_faults(self, data: Any) -> None:
        """Set the faults of the provisioning. Raises ValueError with the mistakes in words."""
        try:
            self.espressif.set_faults(EspressifFaults.model_validate(data))
            self.connections = 0
        except ValidationError as error:
            raise ValueError("; ".join(problems(error, data))) from None

    def restore(self) -> None:
        """Go back to the scenario, with its faults."""
        self.espressif.restore_faults()
        super().restore()

    def start_over(self) -> None:
        """Forget everything, as after a factory reset."""
        super().start_over()
        self.espressif.reset()
        if self.scenario.advertising and not self._stack.is_advertising:
            self._again = asyncio.create_task(self._advertise())

    def describe(self) -> dict[str, Any]:
        """The device as `/lab/state` shows it: JSON types, no secrets."""
        return {
            **super().describe(),
            "state": self.espressif.phase,
            "credentials_received": self.espressif.credentials_received,
            "wifi_commands": self.espressif.applied,
            "sessions": self.espressif.session.count,
            "security": self.espressif.scenario.security,
            "faults": {**super().describe()["faults"], **self.espressif.faults.describe()},
        }
