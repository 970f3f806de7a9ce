"""The virtual radio: carries advertisements and link data between the lab's controllers.

Bumble's `LocalLink` finds the receiver of a packet by its address, so two hosts with the same random address would
get each other's data. Here each link has its own `Wire`, as each real link has its own access address.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bumble import hci, ll
from bumble.controller import Connection
from bumble.core import PhysicalTransport
from bumble.link import LocalLink

if TYPE_CHECKING:
    from installer.lab.virtual_controller import LabController

SUPERVISION = int(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)  # 0x08
LOCAL_HOST = int(hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)  # 0x16
NOT_ESTABLISHED = int(hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)  # 0x3E


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One advertisement: payloads of at most 31 bytes, `rssi` in dBm at every receiver."""

    address: hci.Address
    data: bytes
    scan_response: bytes
    rssi: int
    connectable: bool = True


class Wire(LocalLink):
    """One end of one link: carries packets of one controller to the controller at the other end."""

    def __init__(self, connection: Connection, there: LabController, other: Connection) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.connection, self.there, self.other = connection, there, other

    @property
    def _alive(self) -> bool:
        return self.there.le_connections.get(self.connection.self_address) is self.other

    def send_acl_data(
        self,
        sender_controller: object,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Carry an L2CAP packet."""
        asyncio.get_running_loop().call_soon(self._arrive, transport, data)

    def _arrive(self, transport: PhysicalTransport, data: bytes) -> None:
        if self._alive:
            self.there.on_link_acl_data(self.connection.self_address, transport, data)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """Carry a link-layer packet."""
        asyncio.get_running_loop().call_soon(self._control, packet)

    def _control(self, packet: ll.ControlPdu) -> None:
        if self._alive:
            self.there.on_ll_control_pdu(self.connection.self_address, packet)

    def end(self, reason: int) -> None:
        """Tell the other end that the link ended, after all packets that were sent before."""
        asyncio.get_running_loop().call_soon(self.there.on_le_disconnected, self.other, reason)


class Radio(LocalLink):
    """The radio channel. `supervision_timeout`: seconds until a link ends whose other end went silent."""

    controllers: set[LabController]  # type: ignore[assignment]

    def __init__(self, supervision_timeout: float = 0.4) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.supervision_timeout = supervision_timeout

    def broadcast(self, sender: LabController | None, advertisement: Advertisement) -> None:
        """Deliver an advertisement to every controller that scans or waits to connect."""
        for controller in tuple(self.controllers):
            if controller is not sender and controller.listening:
                controller.hear(advertisement)

    @property
    def has_listener(self) -> bool:
        """Whether any controller scans or waits to connect; without one, nobody needs to advertise."""
        return any(controller.listening for controller in self.controllers)

    def connect(self, central: LabController, connection: Connection, packet: ll.ConnectInd) -> bool:
        """Deliver a connection request to the advertiser; False if none with that address accepts it."""
        for peripheral in self.controllers:
            # Between two addresses there is one link at most (Core Specification vol. 6 part B §4.5).
            taken = packet.initiator_address in peripheral.le_connections
            if peripheral is not central and peripheral.accepts(packet.advertiser_address) and not taken:
                peripheral.on_le_connect_ind(packet)
                other = peripheral.le_connections[packet.initiator_address]
                connection.link = Wire(connection, peripheral, other)
                other.link = Wire(other, central, connection)
                return True
        return False
