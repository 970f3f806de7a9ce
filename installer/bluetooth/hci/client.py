"""The GATT client of the bleak backend: one connection, its GATT table, reads, writes and notifications.

A request whose caller was cancelled still runs to its end on the link: ATT allows one request at a time, and a
late response must not be taken for the next one (Core Specification vol. 3 part F §3.3.2). When the link drops,
pending requests fail at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from bleak.args import SizedBuffer
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError

from installer.bluetooth.hci.encryption import encrypt
from installer.bluetooth.hci.gatt_discovery import discover_gatt_table
from installer.bluetooth.hci.host import PARSER_ERRORS, HciHost
from installer.bluetooth.hci.scanner import peer_address
from installer.bluetooth.last_answer import has_no_answer
from installer.bluetooth.uuids import expand_uuid16

if TYPE_CHECKING:
    from bumble.device import Connection
    from bumble.gatt_client import Client

    from installer.bluetooth.pairing import PairingDialog

T = TypeVar("T")

REQUESTED_MTU = 517
DEFAULT_MTU = 23
MAX_VALUE_BYTES = 512
ABANDONED_SECONDS = 0.1
_NOTIFY, _INDICATE = b"\x01\x00", b"\x02\x00"
_CCCD = expand_uuid16(0x2902)


class HciClient(BaseBleakClient):
    """A GATT client on `host`, the opened controller. `timeout` (s) covers connecting and discovery."""

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        host: HciHost,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        self._host = host
        self._device = address_or_ble_device if isinstance(address_or_ble_device, BLEDevice) else None
        self._link: Connection | None = None
        self._link_lost: asyncio.Event = asyncio.Event()
        self._requests: set[asyncio.Task[Any]] = set()
        self._subscribers: dict[int, Callable[[bytes], None]] = {}
        self._disconnecting: asyncio.Future[None] | None = None
        # The HCI reason with which the link ended; None while it is up, and if the controller went away.
        self.end_reason: int | None = None

    @property
    def name(self) -> str:
        """The advertised name, or the address."""
        return (self._device.name if self._device else None) or self.address

    @property
    def mtu_size(self) -> int:
        """The ATT MTU, bytes; 23 before the exchange."""
        return self._link.att_mtu if self._link is not None else DEFAULT_MTU

    @property
    def is_connected(self) -> bool:
        """Whether the link is up."""
        return self._link is not None and not self._link_lost.is_set()

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        """Connect, encrypt the link to a paired device, agree on the MTU, and discover everything.

        Raises BleakError, TimeoutError; BOND_LOST, SECRET_UNAVAILABLE.
        """
        if self.is_connected:
            raise BleakError("Already connected")
        if self._device is None:
            raise BleakDeviceNotFoundError(self.address, "Connect with the device of a scan, not with its address")
        timeout = min(float(kwargs.get("timeout", self._timeout)), self._timeout)
        deadline = asyncio.get_running_loop().time() + timeout
        self._link_lost = asyncio.Event()
        self.end_reason = None
        self._subscribers = {}
        peer = peer_address(self._device)
        bond = self._host.keys.bond_of(peer)
        link = await self._host.connect(peer, timeout)
        self._link = link
        link.on("disconnection", self._on_link_lost)
        self._host.add_lost_listener(self._on_link_lost)
        try:
            if self._host.device.connections.get(link.handle) is not link:
                # The link ended before the listener was set: the device did not answer the request (error 0x3E).
                self._link_lost.set()
                raise BleakError("The connection ended immediately")
            async with asyncio.timeout_at(deadline):
                if bond is not None:
                    await encrypt(self._host, link, bond)
                elif pair:
                    await self.pair()
                client: Client = link.gatt_client
                await self._request(client.request_mtu(REQUESTED_MTU))
                self.services = await self._request(discover_gatt_table(client, lambda: self.mtu_size - 3))
        except BaseException:
            await asyncio.shield(self.disconnect())
            raise

    async def disconnect(self) -> None:
        """End the link. Does nothing if the link is down."""
        link = self._link
        if link is None:
            return
        try:
            if not self._link_lost.is_set():
                await self._host.command(link.disconnect())
        except BleakError:
            self._on_link_lost()
        finally:
            self._host.remove_lost_listener(self._on_link_lost)
            self._link, self.services = None, None

    async def pair(self, *args: Any, dialog: PairingDialog | None = None, **kwargs: Any) -> None:
        """Pair, and keep the keys. `dialog`: who answers if the device asks something.

        Raises BleakError if the link is down; PAIRING_NEEDED, PAIRING_FAILED, and what the dialog raises;
        FILE_UNWRITABLE and SECRET_UNAVAILABLE for the keys.
        """
        if self._link is None or self._link_lost.is_set():
            raise BleakError("Not connected")
        from installer.bluetooth.hci.pairing import pair

        name = self._device.name if self._device is not None else None
        made = await pair(self._host.device, self._link, self._link_lost, dialog, self.address.upper(), name or "")
        if made is not None:
            await self._host.keys.add(*made)

    async def unpair(self) -> None:
        """Forget the keys of the device."""
        if self._device is not None and (bond := self._host.keys.bond_of(peer_address(self._device))) is not None:
            await self._host.keys.forget({bond.address})

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Read a value; a value longer than the MTU is read in parts."""
        return bytearray(await self._request(self._client.read_value(characteristic.handle)))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Read a descriptor's value."""
        return bytearray(await self._request(self._client.read_value(descriptor.handle)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """Write a value. With response, a value longer than the MTU is sent in parts (at most 512 bytes)."""
        value = bytes(data)
        limit = MAX_VALUE_BYTES if response else self.mtu_size - 3
        if len(value) > limit:
            raise BleakError(f"{len(value)} bytes cannot be written in one request; the limit is {limit}")
        await self._request(self._client.write_value(characteristic.handle, value, with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor's value."""
        await self._request(self._client.write_value(descriptor.handle, bytes(data), with_response=True))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        """Subscribe to notifications; to indications if the characteristic has no notifications.

        An indication is confirmed after `callback` returned, so the callback can store the value before the device
        deletes it. If the callback raises, the indication is not confirmed and the link ends, so the device sends the
        value again on the next connection.
        """
        client, handle = self._client, characteristic.handle
        if handle in self._subscribers:
            raise BleakError("Notifications of this characteristic are already on")
        indicated = "notify" not in characteristic.properties
        if not indicated:
            value, registry = _NOTIFY, client.notification_subscribers
        elif "indicate" in characteristic.properties:
            value, registry = _INDICATE, client.indication_subscribers
        else:
            raise BleakError("This characteristic has neither notifications nor indications")
        cccd = characteristic.get_descriptor(_CCCD)
        if cccd is None:
            raise BleakError("This characteristic has no descriptor to switch notifications on")
        loop = asyncio.get_running_loop()

        def deliver(data: bytes) -> None:
            if not indicated:
                loop.call_soon(callback, bytearray(data))
                return
            succeeded = False
            try:
                callback(bytearray(data))
                succeeded = True
            finally:
                # Bumble confirms when this returns, not when it raises.
                if not succeeded:
                    self._disconnecting = asyncio.ensure_future(self._disconnect_quietly())

        self._subscribers[handle] = deliver
        registry.setdefault(handle, set()).add(deliver)
        try:
            await self.write_gatt_descriptor(cccd, value)
        except BaseException:
            self._remove_subscriber(handle)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe. Does nothing if not subscribed. Values that arrive before the device stops are delivered."""
        if characteristic.handle not in self._subscribers:
            return
        cccd = characteristic.get_descriptor(_CCCD)
        try:
            if cccd is not None:
                # Before the subscriber is removed: Bumble confirms every indication, so it must be delivered.
                await self.write_gatt_descriptor(cccd, b"\x00\x00")
        finally:
            self._remove_subscriber(characteristic.handle)

    async def _disconnect_quietly(self) -> None:
        with contextlib.suppress(BleakError):
            await self.disconnect()

    def _remove_subscriber(self, handle: int) -> None:
        deliver = self._subscribers.pop(handle, None)
        if self._link is None or deliver is None:
            return
        client: Client = self._link.gatt_client
        for registry in (client.notification_subscribers, client.indication_subscribers):
            registry.get(handle, set()).discard(deliver)

    @property
    def _client(self) -> Client:
        if self._link is None or self._link_lost.is_set():
            raise BleakError("Not connected")
        client: Client = self._link.gatt_client
        return client

    async def _request(self, work: Coroutine[Any, Any, T]) -> T:
        """Run an ATT transaction to its end. Raises BleakError at once when the link drops."""
        from bumble.att import ATT_Error
        from bumble.core import BaseBumbleError

        task = asyncio.ensure_future(work)
        self._requests.add(task)
        task.add_done_callback(self._on_request_done)
        link_lost = asyncio.ensure_future(self._link_lost.wait())
        try:
            await asyncio.wait({task, link_lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            link_lost.cancel()
        if await has_no_answer(task):
            task.cancel()
            raise BleakError("Disconnected")
        try:
            return task.result()
        except ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from None
        except (BaseBumbleError, TimeoutError) as error:
            raise BleakError(f"The request failed: {type(error).__name__}") from None
        except PARSER_ERRORS as error:
            raise BleakError(f"The device sent an invalid response ({type(error).__name__})") from None

    def _on_request_done(self, task: asyncio.Task[Any]) -> None:
        self._requests.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved, also if the caller was cancelled

    def _on_link_lost(self, reason: int | None = None) -> None:
        if self._link is None or self._link_lost.is_set():
            return
        self.end_reason = reason
        self._link_lost.set()
        loop = asyncio.get_running_loop()
        # Those whose callers were cancelled; the others are cancelled by their callers.
        loop.call_later(ABANDONED_SECONDS, _cancel_all, tuple(self._requests))
        if self._disconnected_callback is not None:
            # After the pending notifications.
            loop.call_soon(self._disconnected_callback)


def _cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
