"""A controller of Bumble that Linux can drive through /dev/vhci, with the gaps of Bumble 0.0.236 closed."""

from __future__ import annotations

import asyncio
from typing import Any

from bumble import hci, ll
from bumble.controller import Connection, Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink

RSSI = -50
# Linux waits for events of these features that this controller never sends.
UNSUPPORTED = (
    hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
)


class Air(LocalLink):
    """Data comes from the address of the link. Bumble's own takes the random one, and Linux has none."""

    def send_acl_data(
        self, sender_controller: Controller, destination_address: hci.Address, transport: PhysicalTransport, data: bytes
    ) -> None:
        if transport is not PhysicalTransport.LE:
            super().send_acl_data(sender_controller, destination_address, transport, data)
            return
        link = sender_controller.le_connections.get(destination_address)
        peer = self.find_le_controller(destination_address)
        if link and peer:
            asyncio.get_running_loop().call_soon(peer.on_link_acl_data, link.self_address, transport, data)


class VirtualController(Controller):
    """One controller in the air: of the kernel, or of a peripheral."""

    _newest: Connection | None = None  # made, and Linux has said nothing since

    def create_le_connection(self, peer_address: hci.Address) -> None:
        """Remember the link: Linux may cancel it as it is made."""
        before = self.le_connections.get(peer_address)
        super().create_le_connection(peer_address)
        self._newest = None if before is not None else self.le_connections.get(peer_address)

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """A packet of Linux: it knows of the newest link, unless it still wants to cancel it."""
        if not isinstance(packet, hci.HCI_LE_Create_Connection_Cancel_Command):
            self._newest = None
        super().on_hci_packet(packet)

    def on_hci_le_create_connection_cancel_command(self, _command: Any) -> Any:
        """Bumble's own does nothing, and Linux waits for the end of the attempt for ever.

        If it comes too late, Linux forgets the link that is just made: it would block the device until a reset.
        """
        newest, self._newest = self._newest, None
        if newest is not None and self.link is not None:
            self._tell(newest, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
            asyncio.get_running_loop().call_soon(
                self.on_le_disconnected, newest, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
            )
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        ended = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=0,
            peer_address_type=pending.peer_address.address_type,
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, ended)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> Any:
        """Tell the other side the reason, and our own that it was this side."""
        link = self.find_le_connection_by_handle(command.connection_handle)
        if link is None or self.link is None:
            return super().on_hci_disconnect_command(command)
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        self._tell(link, command.reason)
        self.on_le_disconnected(link, hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)
        return None

    def on_hci_reset_command(self, _command: Any) -> Any:
        """Vol 4, Part E, 7.3.2: everything stops. Bumble's own keeps its links, and refuses to connect there again."""
        self.le_scan_enable = False
        self.pending_le_connection = None
        self.le_legacy_advertiser.stop()
        for link in list(self.le_connections.values()):
            self._tell(link, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        self.le_connections.clear()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def _tell(self, link: Connection, reason: int) -> None:
        """Tell the other side that the link is over, if there still is one: it may have left the air."""
        assert self.link is not None
        if self.link.find_le_controller(link.peer_address) is not None:
            link.send_ll_control_pdu(ll.TerminateInd(reason))

    def on_le_disconnected(self, connection: Connection, reason: int) -> None:
        """The link is over; a second report of the same end is ignored."""
        if self.le_connections.get(connection.peer_address) is connection:
            super().on_le_disconnected(connection, reason)

    def send_hci_packet(self, packet: Any) -> None:
        """Bumble repeats the advertisement as the scan response; here it is the scan response."""
        if isinstance(packet, hci.HCI_LE_Advertising_Report_Event):
            for report in packet.reports:
                report.rssi = RSSI
                if report.event_type == hci.HCI_LE_Advertising_Report_Event.EventType.SCAN_RSP:
                    report.data = self._scan_response(report.address)
            packet = type(packet)(packet.reports)
        super().send_hci_packet(packet)

    def _scan_response(self, address: hci.Address) -> bytes:
        assert self.link is not None
        for other in self.link.controllers:
            advertiser = other.le_legacy_advertiser
            if advertiser.enabled and advertiser.address == address:
                return bytes(advertiser.scan_response_data)
        return b""

    def lose_links(self) -> None:
        """As if this side had gone out of reach: both sides hear of a time-out."""
        timeout = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
        for link in list(self.le_connections.values()):
            peer = self.link.find_le_controller(link.peer_address) if self.link else None
            for theirs in list(peer.le_connections.values()) if peer else ():
                if theirs.peer_address == link.self_address:
                    peer.on_le_disconnected(theirs, timeout)
            self.on_le_disconnected(link, timeout)


def kernel_controller(air: LocalLink, transport: Any, address: str = "00:AA:BB:CC:DD:01") -> VirtualController:
    """The controller that Linux gets as its next adapter. `transport` is an open Bumble transport "vhci"."""
    made = VirtualController(
        "kernel", host_source=transport.source, host_sink=transport.sink, link=air, public_address=address
    )
    made.le_features &= ~UNSUPPORTED
    return made
