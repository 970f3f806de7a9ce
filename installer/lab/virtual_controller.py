"""A virtual Bluetooth controller: Bumble's, plus features of real ones that Bumble lacks (`facts/bench.md`).

Legacy advertising and scanning only: it does not announce extended advertising, periodic advertising, LL privacy.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from bumble import hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser

from installer.lab.virtual_radio import LOCAL_HOST, NOT_ESTABLISHED, SUPERVISION, Advertisement, Radio, Wire

ADV_IND, ADV_NONCONN_IND, SCAN_RSP = 0, 3, 4
ACTIVE = 1


@dataclass
class Advertiser(LegacyAdvertiser):
    """Advertises what its host set; a device's firmware can give a `cycle` of payloads that take turns."""

    cycle: Callable[[], tuple[bytes, ...]] | None = None
    turn: int = 0
    controller: LabController = field(kw_only=True)

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        self.timer_handle = asyncio.get_running_loop().call_later(
            max(0.02, self.advertising_interval_min * 0.000625), self._on_timer_fired
        )

    def send_advertising_data(self) -> None:
        """Send the next payload."""
        radio = self.controller.radio
        if not self.enabled or not radio.has_listener:
            return
        data = self.advertising_data
        if self.cycle is not None:
            payloads = self.cycle()
            data = payloads[self.turn % len(payloads)]
            self.turn += 1
        radio.broadcast(
            self.controller,
            Advertisement(
                self.address, data, self.scan_response_data, self.controller.signal(), self.advertising_type == ADV_IND
            ),
        )


class LabController(Controller):
    """One controller on the lab's radio, for a lab device or for a host that is connected over TCP.

    `rssi` (dBm): how strong others receive it; `jitter` (dB): its variation, the same in every run.
    `refuse`: called for each connection request; True lets it fail.
    """

    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
        | hci.LeFeatureMask.LL_PRIVACY
    )
    le_connections: dict[hci.Address, Connection]
    le_legacy_advertiser: Advertiser

    def __init__(self, name: str, radio: Radio, address: str, rssi: int = -50, jitter: int = 0) -> None:
        self.radio = radio
        self.rssi, self.jitter = rssi, jitter
        self.refuse: Callable[[], bool] = lambda: False
        self._noise = random.Random(address)
        self._seen: set[tuple[bytes, bytes, bytes]] = set()
        self._encrypted: set[int] = set()  # handles
        self._newest: Connection | None = None  # made, and its host has said nothing since
        super().__init__(name, link=radio, public_address=hci.Address(address, hci.Address.PUBLIC_DEVICE_ADDRESS))
        self.le_legacy_advertiser = Advertiser(controller=self)

    @property
    def listening(self) -> bool:
        """Whether it scans or waits for a device to connect to."""
        return self.le_scan_enable or self.pending_le_connection is not None

    def signal(self) -> int:
        """The strength of its next packet at a receiver, dBm."""
        return max(-127, min(20, self.rssi + self._noise.randint(-self.jitter, self.jitter)))

    # Scanning.

    def on_hci_le_set_scan_enable_command(
        self, command: hci.HCI_LE_Set_Scan_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Vol 4, Part E, 7.8.11; the duplicate filter starts empty."""
        self._seen.clear()
        return super().on_hci_le_set_scan_enable_command(command)

    def hear(self, advertisement: Advertisement) -> None:
        """Report an advertisement, with its scan response if scanning actively; complete a pending connection to it."""
        if self.le_scan_enable and not self._is_duplicate(advertisement):
            kind = ADV_IND if advertisement.connectable else ADV_NONCONN_IND
            self._report(advertisement, kind, advertisement.data)
            if self.le_scan_type == ACTIVE and advertisement.scan_response:
                self._report(advertisement, SCAN_RSP, advertisement.scan_response)
        pending = self.pending_le_connection
        if pending is not None and advertisement.connectable and pending.peer_address == advertisement.address:
            self.create_le_connection(advertisement.address)

    def _is_duplicate(self, advertisement: Advertisement) -> bool:
        """Whether the host has heard it and wants nothing twice.

        A scan response goes with its advertisement: Linux keeps an advertisement back until its response comes.
        """
        if not self.filter_duplicates:
            return False
        content = (bytes(advertisement.address), advertisement.data, advertisement.scan_response)
        heard = content in self._seen
        self._seen.add(content)
        return heard

    def _report(self, advertisement: Advertisement, kind: int, data: bytes) -> None:
        address = advertisement.address
        raw = bytes(address)
        # LE Advertising Report (Vol 4, Part E, 7.7.65.2), built by hand for speed: there are many of them.
        parameters = (
            struct.pack("<BBBB6sB", 0x02, 1, kind, address.address_type, raw, len(data))
            + data
            + struct.pack("b", advertisement.rssi)
        )
        if self.host:
            asyncio.get_running_loop().call_soon(
                self.host.on_packet, bytes((hci.HCI_EVENT_PACKET, hci.HCI_LE_META_EVENT, len(parameters))) + parameters
            )

    # Connecting.

    def accepts(self, address: hci.Address) -> bool:
        """Whether it advertises with `address` and accepts this connection."""
        advertiser = self.le_legacy_advertiser
        return (
            advertiser.enabled
            and advertiser.advertising_type == ADV_IND
            and advertiser.address == address
            and not self.refuse()
        )

    def send_advertising_pdu(self, packet: ll.AdvertisingPdu) -> None:
        """Bumble calls this to send a connection request, after it created its own end of the link."""
        if not isinstance(packet, ll.ConnectInd):
            return
        connection = self.le_connections[packet.advertiser_address]
        self._newest = connection
        if not self.radio.connect(self, connection, packet):
            # As on the air: the central believes in the link until nobody answers on it.
            asyncio.get_running_loop().call_soon(self.on_le_disconnected, connection, NOT_ESTABLISHED)

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """A packet of the host: it knows of the newest link, unless it still wants to cancel it."""
        if not isinstance(packet, hci.HCI_LE_Create_Connection_Cancel_Command):
            self._newest = None
        super().on_hci_packet(packet)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Vol 4, Part E, 7.8.13: the pending connection ends with “unknown connection identifier”.

        It comes too late for a link that is just made. Linux then forgets the link, which would block the device until
        the adapter is reset; the lab's devices end a link on which nobody speaks.
        """
        newest, self._newest = self._newest, None
        if newest is not None:
            asyncio.get_running_loop().call_soon(self._end, newest)
        if self.pending_le_connection is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        peer = self.pending_le_connection.peer_address
        self.pending_le_connection = None
        event = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=peer.address_type,
            peer_address=peer,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, event)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_read_rssi_command(self, command: hci.HCI_Read_RSSI_Command) -> hci.HCI_Read_RSSI_ReturnParameters:
        """Vol 4, Part E, 7.5.4: the strength of the other end."""
        connection = self.find_le_connection_by_handle(command.handle)
        wire = connection.link if connection is not None else None
        if not isinstance(wire, Wire):
            unknown = hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
            return hci.HCI_Read_RSSI_ReturnParameters(status=unknown, handle=command.handle, rssi=127)
        return hci.HCI_Read_RSSI_ReturnParameters(
            status=hci.HCI_ErrorCode.SUCCESS, handle=command.handle, rssi=wire.there.signal()
        )

    # Encryption: Bumble's controller asks the peripheral's host for the key and compares the two.

    def on_le_encryption_change(self, connection: Connection, status: int) -> None:
        """Vol 4, Part E, 7.7.39: the host of a link that is encrypted already hears of a new key."""
        if status != hci.HCI_ErrorCode.SUCCESS or connection.handle not in self._encrypted:
            if status == hci.HCI_ErrorCode.SUCCESS:
                self._encrypted.add(connection.handle)
            super().on_le_encryption_change(connection, status)
            return
        self.send_hci_packet(
            hci.HCI_Encryption_Key_Refresh_Complete_Event(status=status, connection_handle=connection.handle)
        )

    # Ending links.

    def on_le_disconnected(self, connection: Connection, reason: int) -> None:
        """The link is over; a second report of the same end is ignored."""
        if self.le_connections.get(connection.peer_address) is connection:
            self._encrypted.discard(connection.handle)
            super().on_le_disconnected(connection, reason)

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        """Vol 4, Part E, 7.1.6: the other end hears the host's reason, the own host “terminated by local host”."""
        connection = self.find_le_connection_by_handle(command.connection_handle)
        if connection is None:
            self._send_hci_command_status(hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, command.op_code)
            return
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        _tell(connection, command.reason)
        self.on_le_disconnected(connection, LOCAL_HOST)

    def _end(self, connection: Connection) -> None:
        if self.le_connections.get(connection.peer_address) is connection:
            _tell(connection, LOCAL_HOST)
            self.on_le_disconnected(connection, SUPERVISION)

    def lose_links(self, reason: int = SUPERVISION) -> None:
        """End every link at both ends, as when the two went out of reach of each other."""
        for connection in tuple(self.le_connections.values()):
            _tell(connection, reason)
            self.on_le_disconnected(connection, reason)

    def on_hci_reset_command(self, _command: hci.HCI_Reset_Command) -> hci.HCI_StatusReturnParameters:
        """Vol 4, Part E, 7.3.2: everything stops; who was connected finds out by the supervision timeout."""
        self._fall_silent()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def vanish(self) -> None:
        """Its host is gone: off the air."""
        self._fall_silent()
        self.host = None
        self.radio.controllers.discard(self)

    def _fall_silent(self) -> None:
        loop = asyncio.get_running_loop()
        self.le_scan_enable = False
        self.pending_le_connection = None
        self.le_legacy_advertiser.stop()
        for connection in tuple(self.le_connections.values()):
            loop.call_later(self.radio.supervision_timeout, _tell, connection, SUPERVISION)
        self.le_connections.clear()
        self._encrypted.clear()


def _tell(connection: Connection, reason: int) -> None:
    if isinstance(connection.link, Wire):
        connection.link.end(reason)
