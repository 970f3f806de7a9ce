"""The lab's TCP server for hosts: each connection speaks HCI (H4) to its own controller on the virtual radio.

Other users of this computer are refused where the system tells whose a connection is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bumble import hci
from bumble.core import InvalidPacketError
from bumble.transport.common import PacketParser

from installer.cloud.guarded_web_server import stranger_at
from installer.lab.virtual_controller import LabController
from installer.lab.virtual_radio import Radio

# A host that reads too slowly loses advertising reports first, as with a real controller.
MAX_BUFFERED_BYTES = 1 << 20


class HostConnection(asyncio.Protocol):
    """The connection of one host. The controller exists as long as the connection."""

    def __init__(self, hci_server: HciServer) -> None:
        self._hci_server = hci_server
        self._parser = PacketParser()
        self.controller: LabController | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Add a new controller to the radio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        other_user = stranger_at(transport)
        if other_user is not None:
            self._hci_server.on_refused(other_user)
            transport.abort()
            return
        self.controller = self._hci_server.add_controller(self)
        self.controller.host = self
        self._parser.set_packet_sink(self.controller)

    def data_received(self, data: bytes) -> None:
        """Bytes of the host; bytes that are not HCI end the connection."""
        if self.controller is None:
            return
        try:
            self._parser.feed_data(data)
        except InvalidPacketError:
            self._transport.close()

    def on_packet(self, packet: bytes) -> None:
        """Send a packet to the host."""
        if self._transport.is_closing():
            return
        report = packet[0] == hci.HCI_EVENT_PACKET and packet[1] == hci.HCI_LE_META_EVENT and packet[3] == 0x02
        if report and self._transport.get_write_buffer_size() > MAX_BUFFERED_BYTES:
            return
        self._transport.write(packet)

    def connection_lost(self, exc: Exception | None) -> None:
        """The host ended or was killed: its links end after the supervision timeout."""
        if self.controller is None:
            return
        self.controller.vanish()
        self._hci_server.connections.discard(self)
        self._hci_server.on_change()

    def close(self) -> None:
        """End this connection."""
        self._transport.abort()


class HciServer:
    """The TCP port for hosts; any number may connect. `on_change` is called when one connects or disconnects.

    `on_refused`: gets whose connection was refused, in words.
    """

    def __init__(self, radio: Radio, jitter: int = 0) -> None:
        self._radio = radio
        self._jitter = jitter
        self._count = 0
        self._server: asyncio.Server | None = None
        self.connections: set[HostConnection] = set()
        self.on_change: Callable[[], None] = lambda: None
        self.on_refused: Callable[[str], None] = lambda _who: None

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Start listening; returns the port."""
        self._server = await asyncio.get_running_loop().create_server(lambda: HostConnection(self), host, port)
        return int(self._server.sockets[0].getsockname()[1])

    def add_controller(self, connection: HostConnection) -> LabController:
        """A new controller for this connection."""
        self._count += 1
        number = self._count & 0xFFFFFF
        address = f"02:1A:B0:{number >> 16:02X}:{number >> 8 & 255:02X}:{number & 255:02X}"
        self.connections.add(connection)
        self.on_change()
        return LabController(f"host-{self._count}", self._radio, address, rssi=-45, jitter=self._jitter)

    def unplug(self) -> None:
        """End every connection, as if all adapters were unplugged. A host may connect again at once."""
        for connection in tuple(self.connections):
            connection.close()

    def close(self) -> None:
        """Stop listening and end all connections."""
        if self._server is not None:
            self._server.close()
        self.unplug()
