"""One opened HCI controller, shared by all scanners and clients of an adapter.

A controller has one scanner and one pending connection: the scan runs while it has listeners, and connection
attempts run one after the other (Core Specification vol. 4 part E §7.8.12, "Command Disallowed").
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

from installer.bluetooth.hci.advertising_reports import AdvertisingReport, ReportInterceptor
from installer.bluetooth.hci.kept_keys import KeyFile
from installer.bluetooth.hci.key_ring import KeyRing

if TYPE_CHECKING:
    from bumble.device import Connection, Device
    from bumble.transport.common import Transport

POWER_ON_SECONDS = 10.0
COMMAND_SECONDS = 5.0
CANCEL_SECONDS = 2.0
_BUMBLE_MODULES = ("bumble.transport", "bumble.device", "installer.bluetooth.hci.pairing")

# What Bumble's parsers raise for malformed bytes.
PARSER_ERRORS = (struct.error, ValueError, IndexError, KeyError, TypeError, AttributeError, AssertionError)

ReportListener = Callable[[AdvertisingReport], None]


class HciHost:
    """Bumble's host stack on one transport. Created by `open`; `close` ends the links and releases the transport."""

    def __init__(self, spec: str, transport: Transport, device: Device, keys: KeyRing) -> None:
        self.spec = spec
        self.device = device
        self.keys = keys
        self.lost = asyncio.Event()
        self._transport = transport
        self._connect_lock = asyncio.Lock()
        self._scan_lock = asyncio.Lock()
        self._report_listeners: list[ReportListener] = []
        self._lost_listeners: set[Callable[[], None]] = set()
        self._closed = False
        transport.source.set_packet_sink(ReportInterceptor(device.host, self._on_report))
        # The interceptor does not parse events with several reports.
        device.host.remove_listener("advertising_report", device.on_advertising_report)
        device.host.on("advertising_report", self._on_parsed_report)
        transport.source.terminated.add_done_callback(self._on_transport_end)

    @classmethod
    async def open(cls, spec: str, timeout: float = POWER_ON_SECONDS, *, key_file: KeyFile | None = None) -> HciHost:
        """Open the transport `spec` (Bumble's syntax, without `hci:`) and power the controller on.

        `key_file`: where the keys of paired devices are kept; None: they are forgotten by `close`. Raises
        SECRET_UNAVAILABLE if that file is damaged; TimeoutError, and the errors of the transport: OSError, ValueError,
        ImportError, Bumble's errors.
        """
        # In a thread, so that the screen stays responsive.
        await asyncio.to_thread(_import_bumble)
        from bumble.device import Device, DeviceConfiguration
        from bumble.hci import Address
        from bumble.host import Host
        from bumble.transport import open_transport

        from installer.bluetooth.hci.pairing import FreshKeys

        keys = KeyRing(key_file)
        identity = keys.identity()
        async with asyncio.timeout(timeout):
            transport = await open_transport(spec)
            try:
                address = Address(identity.address, Address.RANDOM_DEVICE_ADDRESS)
                config = DeviceConfiguration(name="device-installer", address=address, irk=identity.irk)
                device = Device(config=config, host=Host(transport.source, transport.sink))
                device.keystore = FreshKeys()
                await device.power_on()
            except BaseException:
                await transport.close()
                raise
        return cls(spec, transport, device, keys)

    def add_lost_listener(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when the transport ends without `close`."""
        self._lost_listeners.add(callback)

    def remove_lost_listener(self, callback: Callable[[], None]) -> None:
        """Undo `add_lost_listener`."""
        self._lost_listeners.discard(callback)

    def raise_if_lost(self) -> None:
        """Raise BleakError if the controller is closed or lost."""
        if self._closed or self.lost.is_set():
            raise BleakError("The Bluetooth controller was disconnected")

    async def add_report_listener(self, listener: ReportListener) -> None:
        """Call `listener` with every advertising report; the first listener starts scanning."""
        async with self._scan_lock:
            self.raise_if_lost()
            if not self._report_listeners:
                await self.command(self.device.start_scanning(filter_duplicates=False))
            self._report_listeners.append(listener)

    async def remove_report_listener(self, listener: ReportListener) -> None:
        """Stop calling `listener`; removing the last listener stops scanning."""
        async with self._scan_lock:
            if listener not in self._report_listeners:
                return
            self._report_listeners.remove(listener)
            if not self._report_listeners and not self._closed and not self.lost.is_set():
                await self.command(self.device.stop_scanning())

    async def connect(self, peer: tuple[int, bytes], timeout: float) -> Connection:
        """Connect as central to `peer`, an address type and the six bytes of the address.

        `timeout` (s) covers waiting for other attempts and waiting for the device.

        Raises BleakDeviceNotFoundError if the device did not answer, BleakError for other failures.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                await self._connect_lock.acquire()
        except TimeoutError:
            raise BleakError("The Bluetooth controller is busy with another connection attempt") from None
        try:
            self.raise_if_lost()
            await self._take_identity()
            return await self._connect(peer, deadline)
        finally:
            self._connect_lock.release()

    async def _take_identity(self) -> None:
        """Be who another process has made of this computer by a first pairing: its devices know nobody else."""
        from bumble.hci import Address, HCI_LE_Set_Random_Address_Command

        identity = self.keys.kept.identity
        if identity is None or identity.address == bytes(self.device.static_address):
            return
        address = Address(identity.address, Address.RANDOM_DEVICE_ADDRESS)
        async with self._scan_lock:
            # A controller that scans keeps its address (Core Specification vol. 4 part E §7.8.4).
            if self._report_listeners:
                await self.command(self.device.stop_scanning())
            await self.command(self.device.send_sync_command(HCI_LE_Set_Random_Address_Command(random_address=address)))
            self.device.static_address = self.device.random_address = address
            self.device.irk = identity.irk
            if self._report_listeners:
                await self.command(self.device.start_scanning(filter_duplicates=False))

    async def _connect(self, peer: tuple[int, bytes], deadline: float) -> Connection:
        from bumble.core import BaseBumbleError
        from bumble.hci import Address, AddressType

        address = Address(peer[1], AddressType(peer[0]))
        attempt = asyncio.ensure_future(self.device.connect_le(address, timeout=None))
        controller_lost = asyncio.ensure_future(self.lost.wait())
        try:
            remaining = deadline - asyncio.get_running_loop().time()
            await asyncio.wait({attempt, controller_lost}, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
        finally:
            controller_lost.cancel()
            if not attempt.done():
                await asyncio.shield(self._cancel_attempt(attempt))
        self.raise_if_lost()
        if attempt.cancelled():
            raise BleakDeviceNotFoundError(str(address), "The device did not answer in time")
        try:
            return attempt.result()
        except (BaseBumbleError, TimeoutError) as error:
            raise BleakError(f"The connection failed: {error}") from None

    async def _cancel_attempt(self, attempt: asyncio.Future[Connection]) -> None:
        """Cancel a pending connection attempt, and end the link if it was established at the same moment."""
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
        task.add_done_callback(_retrieve_exception)
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                return await asyncio.shield(task)
        except TimeoutError:
            task.cancel()
            raise BleakError("The Bluetooth controller does not answer") from None
        except BaseBumbleError as error:
            raise BleakError(f"The Bluetooth controller refused: {error}") from None

    async def close(self) -> None:
        """End all links and close the transport. Never raises for a lost controller."""
        if self._closed:
            return
        if not self.lost.is_set():
            with contextlib.suppress(BleakError):
                if self._report_listeners:
                    await self.command(self.device.stop_scanning())
            for connection in list(self.device.connections.values()):
                with contextlib.suppress(BleakError):
                    await self.command(connection.disconnect())
        self._report_listeners.clear()
        self._closed = True
        await self._transport.close()

    def _on_report(self, report: AdvertisingReport) -> None:
        for listener in tuple(self._report_listeners):
            listener(report)

    def _on_parsed_report(self, parsed: Any) -> None:
        address = parsed.address
        extended = hasattr(parsed, "primary_phy")
        is_response = bool(parsed.event_type & 0x08) if extended else parsed.event_type == 0x04
        partial = extended and (parsed.event_type >> 5) & 3 == 1
        peer = (int(address.address_type), bytes(address))
        self._on_report(AdvertisingReport(peer, parsed.data, parsed.rssi, is_response, partial))

    def _on_transport_end(self, _: Any) -> None:
        if self._closed:
            return
        self.lost.set()
        for callback in tuple(self._lost_listeners):
            callback()


def _retrieve_exception(task: asyncio.Future[Any]) -> None:
    """Read the exception of a task without a waiter, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()


def _import_bumble() -> None:
    """Import the needed modules of Bumble."""
    # The imports create half a million permanent objects; garbage collection would take a third of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        for name in _BUMBLE_MODULES:
            importlib.import_module(name)
    finally:
        if collecting:
            gc.enable()
