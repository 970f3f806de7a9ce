"""Takes hosts over TCP: each connection speaks HCI (H4) to a controller of its own on the lab's radio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bumble import hci
from bumble.core import InvalidPacketError
from bumble.transport.common import PacketParser

from installer.lab.virtual_controller import LabController
from installer.lab.virtual_radio import Radio

# A host that does not read loses advertising reports first, as a slow real one does.
FULL = 1 << 20


class HostPort(asyncio.Protocol):
    """One connection. The controller lives as long as it does."""

    def __init__(self, doorway: Doorway) -> None:
        self._doorway = doorway
        self._parser = PacketParser()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put a new controller on the air."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.controller = self._doorway.admit(self)
        self.controller.host = self
        self._parser.set_packet_sink(self.controller)

    def data_received(self, data: bytes) -> None:
        """Bytes of the host; a host that does not speak HCI is shown the door."""
        try:
            self._parser.feed_data(data)
        except InvalidPacketError:
            self._transport.close()

    def on_packet(self, packet: bytes) -> None:
        """A packet for the host."""
        if self._transport.is_closing():
            return
        report = packet[0] == hci.HCI_EVENT_PACKET and packet[1] == hci.HCI_LE_META_EVENT and packet[3] == 0x02
        if report and self._transport.get_write_buffer_size() > FULL:
            return
        self._transport.write(packet)

    def connection_lost(self, exc: Exception | None) -> None:
        """The host ended, or was killed: its links end by the supervision timeout."""
        self.controller.vanish()
        self._doorway.ports.discard(self)
        self._doorway.changed()

    def close(self) -> None:
        """End this connection."""
        self._transport.abort()


class Doorway:
    """The TCP port for hosts; any number may attach at once. `changed` is called when one came or went."""

    def __init__(self, radio: Radio, jitter: int = 0) -> None:
        self._radio = radio
        self._jitter = jitter
        self._count = 0
        self._server: asyncio.Server | None = None
        self.ports: set[HostPort] = set()
        self.changed: Callable[[], None] = lambda: None

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; the port that was taken."""
        self._server = await asyncio.get_running_loop().create_server(lambda: HostPort(self), host, port)
        return int(self._server.sockets[0].getsockname()[1])

    def admit(self, port: HostPort) -> LabController:
        """A controller for one more host."""
        self._count += 1
        number = self._count & 0xFFFFFF
        address = f"02:1A:B0:{number >> 16:02X}:{number >> 8 & 255:02X}:{number & 255:02X}"
        self.ports.add(port)
        self.changed()
        return LabController(f"host-{self._count}", self._radio, address, rssi=-45, jitter=self._jitter)

    def unplug(self) -> None:
        """All adapters are pulled out: every host's connection ends. A host may attach again at once."""
        for port in tuple(self.ports):
            port.close()

    def close(self) -> None:
        """Stop listening and end all connections."""
        if self._server is not None:
            self._server.close()
        self.unplug()
