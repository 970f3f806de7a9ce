"""The Bluetooth of a lab device: its controller and host stack, how it advertises, its links, and how they drop."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bumble import att, hci
from bumble.core import AdvertisingData
from bumble.device import Connection, Device
from bumble.gatt import Characteristic
from bumble.gatt_server import Server
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from installer.lab.access_points import Airspace
from installer.lab.cloud.store import CloudStore
from installer.lab.fault_counter import FaultBox
from installer.lab.message_faults import Messages
from installer.lab.models import KINDS
from installer.lab.scenario import DeviceScenario, Scenario
from installer.lab.timers import Timers
from installer.lab.virtual_controller import LabController
from installer.lab.virtual_radio import Radio

ON_ITS_WAY = 0.02


@dataclass(frozen=True)
class LabEnvironment:
    """What a device lives in."""

    scenario: Scenario
    radio: Radio
    airspace: Airspace
    store: CloudStore
    log: Callable[[str], None]


class Peripheral(abc.ABC):
    """A device with its own controller and GATT server. A subclass fills the table and says what is advertised."""

    def __init__(self, scenario: DeviceScenario, around: LabEnvironment) -> None:
        self.scenario = scenario
        self.kind = KINDS[scenario.model]
        self.address = scenario.address
        self.name = scenario.name or self.kind.name
        self.timing = around.scenario.timing.changed(scenario.timing)
        self.faults = FaultBox(scenario.faults)
        self._around = around
        self.controller = LabController(
            self.name, around.radio, self.address, scenario.rssi, around.scenario.radio.rssi_jitter
        )
        self.controller.refuse = lambda: self.faults.take("refuse_connections") is not None
        self._stack = Device(
            name=self.name,
            address=hci.Address(f"F{self.address[1:]}", hci.Address.RANDOM_DEVICE_ADDRESS),
            host=Host(self.controller, AsyncPipeSink(self.controller)),
        )
        self._timers = Timers()
        self._hung = False
        self.connection: Connection | None = None
        self.messages = Messages(self.faults, self.log, self.drop, self.taken_over)
        self.att_requests = 0

    @property
    def server(self) -> Server:
        """Its GATT server."""
        return self._stack.gatt_server

    def log(self, words: str) -> None:
        """A line for the lab's log."""
        self._around.log(f"{self.address} {self.name}: {words}")

    # What a subclass says.

    @abc.abstractmethod
    def _payloads(self) -> tuple[bytes, ...]:
        """The advertisements that take turns, each at most 31 bytes."""

    def _subscribed(self, bearer: Any, characteristic: Characteristic[bytes], notify: bool, indicate: bool) -> None:
        """A client wants to hear of a characteristic, or no more."""

    def taken_over(self) -> None:
        """Another app gives the device credentials, and they are wrong ones."""

    # Coming up.

    async def power_on(self) -> None:
        """Start to advertise; the GATT table is filled."""
        server = self._stack.gatt_server
        server.max_mtu = self.scenario.mtu
        server.on(server.EVENT_CHARACTERISTIC_SUBSCRIPTION, self._subscribed)
        self._answer_pdu = server.on_gatt_pdu
        server.on_gatt_pdu = self._on_pdu  # type: ignore[method-assign, assignment]
        self._send_pdu = server.send_gatt_pdu
        server.send_gatt_pdu = self._sending  # type: ignore[method-assign]
        self._stack.on(Device.EVENT_CONNECTION, self._connected)
        await self._stack.power_on()
        self.controller.le_legacy_advertiser.cycle = self._payloads
        if self.scenario.advertising:
            await self._advertise()

    async def _advertise(self) -> None:
        interval = 1000 * (self.scenario.advertising_interval or self._around.scenario.radio.advertising_interval)
        await self._stack.start_advertising(
            own_address_type=hci.OwnAddressType.PUBLIC,
            auto_restart=True,
            advertising_data=self._payloads()[0],
            scan_response_data=bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode()[:29])])),
            advertising_interval_min=interval,
            advertising_interval_max=interval,
        )

    # The link.

    def _connected(self, connection: Connection) -> None:
        self.connection = connection
        connection.on(Connection.EVENT_DISCONNECTION, lambda reason: self._gone(connection, reason))
        others = len(self.controller.le_connections) - 1
        if not others:
            self.messages.start()
        if others + 1 < self.scenario.connections:
            self._more = asyncio.create_task(self._advertise())
        self._hung = self.faults.take("silent", "att") is not None
        self.log("connected" + (" (fault: it answers nothing)" if self._hung else ""))

    def _gone(self, connection: Connection, reason: int) -> None:
        if not self.controller.le_connections:
            self._disconnected(reason)
            return
        self.log(f"one of its clients disconnected (reason 0x{reason:02x})")
        self.one_left(connection)

    def one_left(self, connection: Connection) -> None:
        """One of several clients is gone."""

    def _disconnected(self, reason: int) -> None:
        self.connection = None
        self._hung = False
        self.log(f"disconnected (reason 0x{reason:02x})")
        self._timers.clear()

    def _on_pdu(self, bearer: Any, pdu: att.ATT_PDU) -> None:
        self.att_requests += 1
        if not self._hung and self.messages.heard(pdu):
            self._answer_pdu(bearer, pdu)

    def _sending(self, bearer: Any, pdu: bytes) -> None:
        data = self.messages.sent(pdu, bearer.att_mtu)
        if data is not None:
            self._send_pdu(bearer, data)

    def drop_at(self, point: str) -> bool:
        """Whether the fault `drop` happens at this point; then the link ends soon."""
        if self.faults.take("drop", point) is None:
            return False
        self.log(f"fault: the link drops at {point}")
        self.drop_soon()
        return True

    def drop(self) -> None:
        """End the link now, as a lost one; both ends see a supervision timeout."""
        self.controller.lose_links()

    def drop_soon(self) -> None:
        """End it when what is on its way has arrived."""
        self._timers.later("drop", ON_ITS_WAY, self.drop)
