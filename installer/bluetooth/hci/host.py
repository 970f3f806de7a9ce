"""One opened HCI controller, shared by all scanners and clients of an adapter.

A controller has one scanner and one pending connection: scans are counted, connects are
serialised (Core Specification vol. 4 part E §7.8.12, "Command Disallowed").
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bleak.exc import BleakDeviceNotFoundError, BleakError

from installer.bluetooth.hci.advertising_reports import Report, Tap

if TYPE_CHECKING:
    from bumble.device import Connection, Device
    from bumble.transport.common import Transport

POWER_ON_SECONDS = 10.0
COMMAND_SECONDS = 5.0
CANCEL_SECONDS = 2.0
_IMPORTS = ("bumble.transport", "bumble.device")

# What Bumble's parsers raise for bytes that make no sense.
NONSENSE = (struct.error, ValueError, IndexError, KeyError, TypeError, AttributeError, AssertionError)

AdvertListener = Callable[[Report], None]


class HciHost:
    """Bumble's host stack on one transport. Made by `open`; `close` ends the links and frees the transport."""

    def __init__(self, spec: str, transport: Transport, device: Device) -> None:
        self.spec = spec
        self.device = device
        self.lost = asyncio.Event()
        self._transport = transport
        self._connecting = asyncio.Lock()
        self._scanning = asyncio.Lock()
        self._listeners: list[AdvertListener] = []
        self._on_lost: set[Callable[[], None]] = set()
        self._closed = False
        transport.source.set_packet_sink(Tap(device.host, self._on_report))
        # What the tap leaves: events with several reports.
        device.host.remove_listener("advertising_report", device.on_advertising_report)
        device.host.on("advertising_report", self._on_parsed_report)
        transport.source.terminated.add_done_callback(self._terminated)

    @classmethod
    async def open(cls, spec: str, timeout: float = POWER_ON_SECONDS) -> HciHost:
        """Open the transport `spec` (Bumble's form, without `hci:`) and switch the controller on.

        Raises TimeoutError, and what the transport raises: OSError, ValueError, ImportError, Bumble's errors.
        """
        # In a thread, so that a screen stays alive meanwhile.
        await asyncio.to_thread(_import_bumble)
        from bumble.device import Device, DeviceConfiguration
        from bumble.hci import Address
        from bumble.host import Host
        from bumble.transport import open_transport

        async with asyncio.timeout(timeout):
            transport = await open_transport(spec)
            try:
                config = DeviceConfiguration(name="device-installer", address=Address.ANY_RANDOM)
                device = Device(config=config, host=Host(transport.source, transport.sink))
                await device.power_on()
            except BaseException:
                await transport.close()
                raise
        return cls(spec, transport, device)

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when the transport ends without `close`."""
        self._on_lost.add(callback)

    def forget(self, callback: Callable[[], None]) -> None:
        """Take back `when_lost`."""
        self._on_lost.discard(callback)

    def check(self) -> None:
        """Raise BleakError if the controller is gone."""
        if self._closed or self.lost.is_set():
            raise BleakError("The Bluetooth controller is gone")

    async def listen(self, listener: AdvertListener) -> None:
        """Give every advertising report to `listener`; switches scanning on for the first one."""
        async with self._scanning:
            self.check()
            if not self._listeners:
                await self.command(self.device.start_scanning(filter_duplicates=False))
            self._listeners.append(listener)

    async def unlisten(self, listener: AdvertListener) -> None:
        """Stop giving reports to `listener`; switches scanning off after the last one."""
        async with self._scanning:
            if listener not in self._listeners:
                return
            self._listeners.remove(listener)
            if not self._listeners and not self._closed and not self.lost.is_set():
                await self.command(self.device.stop_scanning())

    async def connect(self, peer: tuple[int, bytes], timeout: float) -> Connection:
        """Connect as central to `peer`, an address type and the six bytes of the address.

        `timeout` (s) holds for waiting in line and for the device together.

        Raises BleakDeviceNotFoundError when the device did not answer, BleakError for the rest.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                await self._connecting.acquire()
        except TimeoutError:
            raise BleakError("The Bluetooth controller is busy with another connection") from None
        try:
            self.check()
            return await self._connect(peer, deadline)
        finally:
            self._connecting.release()

    async def _connect(self, peer: tuple[int, bytes], deadline: float) -> Connection:
        from bumble.core import BaseBumbleError
        from bumble.hci import Address, AddressType

        address = Address(peer[1], AddressType(peer[0]))
        attempt = asyncio.ensure_future(self.device.connect_le(address, timeout=None))
        gone = asyncio.ensure_future(self.lost.wait())
        try:
            remaining = deadline - asyncio.get_running_loop().time()
            await asyncio.wait({attempt, gone}, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not attempt.done():
                await asyncio.shield(self._withdraw(attempt))
        self.check()
        if attempt.cancelled():
            raise BleakDeviceNotFoundError(str(address), "The device did not answer in time")
        try:
            return attempt.result()
        except (BaseBumbleError, TimeoutError) as error:
            raise BleakError(f"The connection did not come about: {error}") from None

    async def _withdraw(self, attempt: asyncio.Future[Connection]) -> None:
        """Take a pending connection request back, and drop the link if it came about in that very moment."""
        from bumble.core import BaseBumbleError

        with contextlib.suppress(BaseBumbleError, TimeoutError, BleakError):
            await self.command(self.device.cancel_connection())  # type: ignore[no-untyped-call]
        await asyncio.wait({attempt}, timeout=CANCEL_SECONDS)
        if not attempt.done():
            attempt.cancel()
            await asyncio.wait({attempt})
        elif not attempt.cancelled() and attempt.exception() is None:
            with contextlib.suppress(BaseBumbleError, TimeoutError, BleakError):
                await self.command(attempt.result().disconnect())
        if not attempt.cancelled():
            attempt.exception()

    async def command(self, work: Any) -> Any:
        """Await a Bumble coroutine that only talks to the controller. Raises BleakError when it fails.

        A caller who is cancelled leaves it to its end: Bumble would mistake its answer for the next command's.
        """
        from bumble.core import BaseBumbleError

        task = asyncio.ensure_future(work)
        task.add_done_callback(_looked_at)
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                return await asyncio.shield(task)
        except TimeoutError:
            task.cancel()
            raise BleakError("The Bluetooth controller does not answer") from None
        except BaseBumbleError as error:
            raise BleakError(f"The Bluetooth controller refused: {error}") from None

    async def close(self) -> None:
        """End all links and close the transport. Never raises for a controller that is gone."""
        if self._closed:
            return
        if not self.lost.is_set():
            with contextlib.suppress(BleakError):
                if self._listeners:
                    await self.command(self.device.stop_scanning())
            for connection in list(self.device.connections.values()):
                with contextlib.suppress(BleakError):
                    await self.command(connection.disconnect())
        self._listeners.clear()
        self._closed = True
        await self._transport.close()

    def _on_report(self, report: Report) -> None:
        for listener in tuple(self._listeners):
            listener(report)

    def _on_parsed_report(self, parsed: Any) -> None:
        address = parsed.address
        extended = hasattr(parsed, "primary_phy")
        is_response = bool(parsed.event_type & 0x08) if extended else parsed.event_type == 0x04
        partial = extended and (parsed.event_type >> 5) & 3 == 1
        peer = (int(address.address_type), bytes(address))
        self._on_report(Report(peer, parsed.data, parsed.rssi, is_response, partial))

    def _terminated(self, _: Any) -> None:
        if self._closed:
            return
        self.lost.set()
        for callback in tuple(self._on_lost):
            callback()


def _looked_at(task: asyncio.Future[Any]) -> None:
    """So that nobody complains of a failure that its caller did not wait for."""
    if not task.cancelled():
        task.exception()


def _import_bumble() -> None:
    """Import what is needed of Bumble."""
    # Half a million new objects that stay: collecting garbage among them is a third of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        for name in _IMPORTS:
            importlib.import_module(name)
    finally:
        if collecting:
            gc.enable()
