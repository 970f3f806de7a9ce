"""The Bluetooth side of a lab device: controller, host stack, advertising, connections, and dropped links."""

from __future__ import annotations

import abc
import asyncio
import hashlib
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

from installer.lab.access_points import WifiEnvironment
from installer.lab.bonding import Bonding
from installer.lab.cloud.store import CloudStore
from installer.lab.device_faults import FaultCounter, MessageFaults
from installer.lab.protocols import lab_models
from installer.lab.scenario import DeviceScenario, Scenario
from installer.lab.timers import Timers
from installer.lab.virtual_controller import LabController
from installer.lab.virtual_radio import Radio

PENDING_DATA_SECONDS = 0.02


@dataclass(frozen=True)
class LabEnvironment:
    """The surroundings of a lab device: scenario, radio, Wi-Fi, cloud and log."""

    scenario: Scenario
    radio: Radio
    wifi: WifiEnvironment
    store: CloudStore
    log: Callable[[str], None]


class Peripheral(abc.ABC):
    """A device with its own controller and GATT server. A subclass defines the GATT table and the advertisements."""

    def __init__(self, scenario: DeviceScenario, environment: LabEnvironment) -> None:
        self.scenario = scenario
        self.kind = lab_models()[scenario.model]
        self.address = scenario.address
        self.name = scenario.name or self.kind.name
        self.timing = environment.scenario.timing.changed(scenario.timing)
        self.faults = FaultCounter(scenario.faults)
        self._environment = environment
        self.controller = LabController(
            self.name, environment.radio, self.address, scenario.rssi, environment.scenario.radio.rssi_jitter
        )
        self.controller.refuse = lambda: self.faults.consume("refuse_connections") is not None
        self._stack = Device(
            name=self.name,
            address=hci.Address(f"F{self.address[1:]}", hci.Address.RANDOM_DEVICE_ADDRESS),
            host=Host(self.controller, AsyncPipeSink(self.controller)),
        )
        # Made up of the address, so that a client knows the device again after a restart of the lab.
        self._stack.irk = hashlib.sha256(f"lab {self.address}".encode()).digest()[:16]
        self._stack.le_privacy_enabled = scenario.private_address
        self.bonding = Bonding(scenario, self._stack, self.faults, self.log)
        self._timers = Timers()
        self._hung = False
        self.connection: Connection | None = None
        self.messages = MessageFaults(self.faults, self.log, self._drop_by_fault, self.taken_over)
        self.att_requests = 0

    @property
    def server(self) -> Server:
        """The GATT server."""
        return self._stack.gatt_server

    def log(self, words: str) -> None:
        """Write a line to the lab's log."""
        self._environment.log(f"{self.address} {self.name}: {words}")

    # For subclasses.

    @abc.abstractmethod
    def _payloads(self) -> tuple[bytes, ...]:
        """The advertisements that take turns, each at most 31 bytes."""

    def _subscribed(self, bearer: Any, characteristic: Characteristic[bytes], notify: bool, indicate: bool) -> None:
        """A client subscribed to a characteristic, or unsubscribed."""

    def taken_over(self) -> None:
        """Another app sends wrong credentials to the device."""

    # Start.

    async def power_on(self) -> None:
        """Start to advertise. The GATT table must be complete."""
        server = self._stack.gatt_server
        server.max_mtu = self.scenario.mtu
        server.on(server.EVENT_CHARACTERISTIC_SUBSCRIPTION, self._subscribed)
        self._answer_pdu = server.on_gatt_pdu
        server.on_gatt_pdu = self._on_incoming_pdu  # type: ignore[method-assign, assignment]
        self._send_pdu = server.send_gatt_pdu
        server.send_gatt_pdu = self._on_outgoing_pdu  # type: ignore[method-assign]
        self._stack.on(Device.EVENT_CONNECTION, self._connected)
        await self._stack.power_on()
        self.controller.le_legacy_advertiser.cycle = self._payloads
        if self.scenario.advertising:
            await self._advertise()

    async def _advertise(self) -> None:
        interval = 1000 * (self.scenario.advertising_interval or self._environment.scenario.radio.advertising_interval)
        await self._stack.start_advertising(
            own_address_type=hci.OwnAddressType.RANDOM if self.scenario.private_address else hci.OwnAddressType.PUBLIC,
            auto_restart=True,
            advertising_data=self._payloads()[0],
            scan_response_data=bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode()[:29])])),
            advertising_interval_min=interval,
            advertising_interval_max=interval,
        )

    async def change_address(self) -> None:
        """Advertise with another private address, as such a device does every quarter of an hour."""
        await self._stack.stop_advertising()
        await self._stack.update_rpa()
        await self._advertise()

    async def power_off(self) -> None:
        """Off the air; returns when no command of its host is under way.

        Bumble's host cannot bear the answer to a command whose task was cancelled, as the end of the loop does.
        """
        self.drop()
        # Its host hears of that, and would advertise again; Bumble calls that off between two commands.
        await asyncio.sleep(0)
        await self._stack.power_off()
        self.controller.vanish()

    # Connections.

    def _connected(self, connection: Connection) -> None:
        self.connection = connection
        self.bonding.connected(connection)
        connection.on(Connection.EVENT_DISCONNECTION, lambda reason: self._on_disconnection(connection, reason))
        others = len(self.controller.le_connections) - 1
        if not others:
            self.messages.start()
        if others + 1 < self.scenario.connections:
            self._advertise_again = asyncio.create_task(self._advertise())
        self._hung = self.faults.consume("silent", "att") is not None
        self.log("connected" + (" (fault: it does not answer)" if self._hung else ""))

    def _on_disconnection(self, connection: Connection, reason: int) -> None:
        if not self.controller.le_connections:
            self._disconnected(reason)
            return
        self.log(f"one of its clients disconnected (reason 0x{reason:02x})")
        self.client_left(connection)

    def client_left(self, connection: Connection) -> None:
        """One of several clients disconnected."""

    def _disconnected(self, reason: int) -> None:
        self.connection = None
        self._hung = False
        self.log(f"disconnected (reason 0x{reason:02x})")
        self._timers.cancel_all()

    def _on_incoming_pdu(self, bearer: Any, pdu: att.ATT_PDU) -> None:
        self.att_requests += 1
        if self._hung or not self.messages.on_received(pdu):
            return
        refused, answer = self.bonding.refusal(bearer, pdu)
        if not refused:
            self._answer_pdu(bearer, pdu)
        elif answer is not None:
            self._on_outgoing_pdu(bearer, bytes(answer))

    def _on_outgoing_pdu(self, bearer: Any, pdu: bytes) -> None:
        data = self.messages.on_sent(pdu, bearer.att_mtu)
        if data is not None:
            self._send_pdu(bearer, data)

    def drop_at(self, point: str) -> bool:
        """Apply the fault `drop` if it happens at this point; whether the link will end."""
        if self.faults.consume("drop", point) is None:
            return False
        self.log(f"fault: the link drops at {point}")
        self.drop_soon()
        return True

    def drop(self) -> None:
        """End the link now, as if it was lost: both ends see a supervision timeout."""
        self.controller.lose_links()

    def hang_up(self) -> None:
        """End the link, as a device does that has nothing more to say."""
        self.controller.lose_links(int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR))

    def _drop_by_fault(self) -> None:
        if self.faults.drops_by_device:
            self.hang_up()
        else:
            self.drop()

    def drop_soon(self) -> None:
        """End the link after pending data has arrived."""
        self._timers.schedule("drop", PENDING_DATA_SECONDS, self._drop_by_fault)
