"""One open BLE connection: GATT table, reads, writes, notifications, and loss of the link.

Every call has a timeout. When the link drops, all pending calls raise CONNECTION_LOST at once. A request that the
device answers only to a paired computer leads to a pairing, and is then made again (`pairing_on_demand`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from bleak import BleakClient
from bleak.backends import BleakBackend
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError, BleakError, BleakGATTProtocolError
from bleak.uuids import normalize_uuid_str

from installer.bluetooth.connecting import CONNECT_SECONDS, connect
from installer.bluetooth.gatt_table import GattTable
from installer.bluetooth.last_answer import has_no_answer
from installer.bluetooth.outage import LinkWatch
from installer.bluetooth.pairing import PairingDialog
from installer.bluetooth.pairing_on_demand import PairingOnDemand, Wish
from installer.bluetooth.sighting import Advert
from installer.bluetooth.system_errors import SYSTEM_ERRORS
from installer.bluetooth.uuids import expand_uuid16
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic

    from installer.bluetooth.adapter import Adapter

T = TypeVar("T")

REQUEST_SECONDS = 5.0
# How long another program may ask a person for a pairing that a request began; the system ends it after 30 s.
OTHERS_SECONDS = 26.0
CLOSE_SECONDS = 5.0
# Every link carries this many bytes in one packet (ATT_MTU of 23 bytes minus the 3-byte header).
MIN_WRITE_BYTES = 20
# The HCI reason of a link on which nothing was heard any more.
CONNECTION_TIMEOUT = 0x08
USER_DESCRIPTION = expand_uuid16(0x2901)


class Connection(GattTable):
    """Created by `open`; an async context manager that closes the link. Accepts UUIDs in any form that bleak accepts.

    `address`, `name`: of the device; `advert`: its advertisement, if a scan of this adapter received it;
    `lost`: set when the link is down; `lost_at`: when that was, in the loop's time.
    """

    def __init__(
        self, client: BleakClient, device: BLEDevice, lost: asyncio.Event, advert: Advert | None, adapter: Adapter
    ) -> None:
        self.address = device.address.upper()
        self.name = printable(device.name or "", 32)
        self.advert = advert
        self.lost = lost
        self.lost_at: float | None = None
        self._client = client
        self._adapter = adapter
        self._device = device
        self._table = client.services
        self._subscribers: dict[str, Callable[[bytes], None]] = {}
        self._renewing = False
        self._pairing = PairingOnDemand(adapter, device)
        self._watch = LinkWatch(adapter, device, lost)

    @classmethod
    async def open(
        cls,
        adapter: Adapter,
        ble_device: BLEDevice,
        timeout: float = CONNECT_SECONDS,
        attempts: int = 3,
        *,
        dialog: PairingDialog | None = None,
        pair: bool = False,
    ) -> Self:
        """Connect and discover the GATT table, with up to `attempts` attempts within `timeout` seconds.

        `dialog`: who answers if the device wants to be paired; None: it is not paired. `pair`: pair right now, unless
        it is paired. Raises CONNECTION_FAILED; BOND_LOST; DEVICE_TAKEN; PAIRING_NEEDED, PAIRING_FAILED and what the
        dialog raises; or an adapter error (for example ADAPTER_FAILED) if the adapter is the cause.
        """
        lost = asyncio.Event()
        connections: list[Self] = []

        def on_lost(client: BleakClient) -> None:
            # An attempt that failed halfway calls it, too.
            for connection in connections:
                connection._on_lost(client)

        client = await connect(adapter, ble_device, timeout, attempts, on_lost)
        opened = cls(client, ble_device, lost, adapter.heard.pop(ble_device.address, None), adapter)
        connections.append(opened)
        opened._pairing.dialog = dialog
        if not client.is_connected:
            lost.set()
        if pair:
            await opened.pair("its set-up")
        return opened

    @property
    def is_open(self) -> bool:
        """Whether the link is up."""
        return not self.lost.is_set() and self._client.is_connected

    @property
    def radio_failed(self) -> bool:
        """Whether the link went without anybody ending it: nothing was heard any more, or the adapter went away.

        False where the system does not tell why a link went. BlueZ, macOS and Windows do not.
        """
        unheard = getattr(self._client._backend, "end_reason", None) == CONNECTION_TIMEOUT
        return unheard or self._adapter.failure is not None

    @property
    def repeats_values(self) -> bool:
        """Whether the system may tell each value several times. BlueZ does, once for each program that listens."""
        return self._client.backend_id is BleakBackend.BLUEZ_DBUS

    def max_write(self, uuid: str) -> int:
        """How many bytes fit into one write to this characteristic; at least 20.

        BlueZ tells the MTU of each characteristic since 5.62; bleak's `mtu_size` does not know it there.
        """
        return max(self._characteristic(uuid).max_write_without_response_size, MIN_WRITE_BYTES)

    async def read(self, uuid: str, timeout: float = REQUEST_SECONDS) -> bytes:
        """The whole value. Raises CONNECTION_LOST, DEVICE_REFUSED, DEVICE_MISBEHAVED."""
        request = lambda: self._client.read_gatt_char(self._characteristic(uuid))  # noqa: E731
        return bytes(await self._call(request, timeout, "reading from the device"))

    async def read_user_description(self, uuid: str, timeout: float = REQUEST_SECONDS) -> bytes | None:
        """The User Description (0x2901) of a characteristic, None if it has none. Raises as `read`."""
        if self._characteristic(uuid).get_descriptor(USER_DESCRIPTION) is None:
            return None

        async def request() -> bytearray:
            found = self._characteristic(uuid).get_descriptor(USER_DESCRIPTION)
            return bytearray() if found is None else await self._client.read_gatt_descriptor(found)

        return bytes(await self._call(request, timeout, "reading from the device"))

    async def write(self, uuid: str, data: bytes, response: bool = True, timeout: float = REQUEST_SECONDS) -> None:
        """Write `data`; with `response`, wait for the confirmation. Raises as `read`; no error contains the data."""
        request = lambda: self._client.write_gatt_char(self._characteristic(uuid), data, response=response)  # noqa: E731
        await self._call(request, timeout, "writing to the device")

    async def subscribe(self, uuid: str, callback: Callable[[bytes], None], timeout: float = REQUEST_SECONDS) -> None:
        """Call `callback` with every notification or indication, in order. Raises as `read`."""
        await self._call(lambda: self._start_notify(uuid, callback), timeout, "listening to the device")
        self._subscribers[normalize_uuid_str(uuid)] = callback

    async def unsubscribe(self, uuid: str, timeout: float = REQUEST_SECONDS) -> None:
        """Stop the notifications. Does nothing when the link is down."""
        self._subscribers.pop(normalize_uuid_str(uuid), None)
        if self.is_open:
            request = lambda: self._client.stop_notify(self._characteristic(uuid))  # noqa: E731
            await self._call(request, timeout, "listening to the device")

    async def pair(self, activity: str, *, anew: bool = False) -> None:
        """Pair with the device, unless it is paired; afterwards the link is up, with the same subscriptions.

        `activity`: what it is wanted for. `anew`: a request was not answered, and must not hold up others.
        Raises PAIRING_NEEDED, PAIRING_FAILED, what the dialog raises, CONNECTION_FAILED and the adapter's errors; then
        the link is down.
        """
        self._pairing.require_dialog(activity)
        self._renewing = True
        if anew:
            self._watch.close()
        try:
            await self._pairing.pair(self._client, activity, anew=anew)
            if not self._client.is_connected:
                await self._reconnect()
        except BaseException:
            # After a pairing that failed, the system often keeps the link.
            await self.close()
            raise
        finally:
            self._renewing = False

    def pair_with(self, dialog: PairingDialog) -> None:
        """From now on `dialog` answers if the device wants to be paired."""
        self._pairing.dialog = dialog

    @property
    def paired_now(self) -> bool:
        """Whether the device was paired by this connection."""
        return self._pairing.done

    @asynccontextmanager
    async def time_limit(self, seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
        """As `asyncio.timeout`; but the time in which a person answers for a pairing does not count."""
        async with asyncio.timeout(seconds) as limit:
            with self._pairing.stops(limit):
                yield limit

    async def run_while_connected(self, work: Awaitable[T], timeout: float, activity: str) -> T:
        """The result of `work`. Raises CONNECTION_LOST if the link drops first, TimeoutError after `timeout` seconds.

        `activity` is for the error text, for example "waiting for the button".
        """
        task = asyncio.ensure_future(work)
        link_lost = asyncio.ensure_future(self.lost.wait())
        try:
            await asyncio.wait({task, link_lost}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and link_lost.done() and await has_no_answer(task):
                await self._watch.find_reason()
                raise self.connection_lost_error(activity)
            if task.done():
                return task.result()
            raise TimeoutError(activity)
        finally:
            link_lost.cancel()
            task.cancel()
            # Let the cancelled task clean up, and read its exception so that asyncio does not report it as unhandled.
            await asyncio.wait({task, link_lost})
            if not task.cancelled():
                task.exception()

    async def wait_until_lost(self) -> None:
        """Wait until the link is down."""
        await self.lost.wait()

    def connection_lost_error(self, activity: str) -> InstallerError:
        """CONNECTION_LOST during `activity`; if this computer's Bluetooth ended the link, its error."""
        failure = self._watch.failure
        if failure is not None:
            what = f"{failure.what} This ended the connection to {self.address} while {activity}."
            return InstallerError(failure.code, what, failure.todo, **{**failure.data, "address": self.address})
        return InstallerError(
            ErrorCode.CONNECTION_LOST,
            f"The Bluetooth connection to {self.address} dropped while {activity}.",
            "Keep the device awake and close to this computer, then try again.",
            address=self.address,
        )

    async def close(self) -> None:
        """End the link, and wait until it is down. Never raises."""
        await self._end(self._client.disconnect())

    async def let_go(self) -> None:
        """End the link for good: as `close`, but where the system takes its time it is not waited for. Never raises."""
        await self._end(self._adapter.let_go(self._client, self._device))

    async def _end(self, ending: Awaitable[None]) -> None:
        self._watch.close()
        with contextlib.suppress(*SYSTEM_ERRORS):
            async with asyncio.timeout(CLOSE_SECONDS):
                await ending
        self.lost.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _call(self, request: Callable[[], Awaitable[T]], timeout: float, activity: str) -> T:
        """Make a request. If the device wants to be paired for it: pair, and make it again unless it is answered."""
        self._require_open()
        pending = asyncio.ensure_future(request())
        try:
            wish = await self._answer_or_wish(pending, timeout, activity)
            if isinstance(wish, Wish) and not wish.certain and await self._pairing.others_may_ask():
                with self._pairing.clocks_stopped():
                    wish = await self._answer_or_wish(pending, OTHERS_SECONDS, activity)
        finally:
            await _drop(pending)
        if not isinstance(wish, Wish):
            return wish
        with self._pairing.explained(wish):
            self._pairing.require_dialog(activity)
            await self.pair(activity, anew=not wish.certain)
        repeated = asyncio.ensure_future(request())
        try:
            again = await self._answer_or_wish(repeated, timeout, activity)
        finally:
            await _drop(repeated)
        if isinstance(again, Wish):
            raise self._pairing.too_weak() if again.certain else again.error
        return again

    async def _answer_or_wish(self, pending: asyncio.Future[T], timeout: float, activity: str) -> T | Wish:
        """The answer, or that the device wants to be paired first. Raises the InstallerError of any other failure."""
        try:
            return await self.run_while_connected(asyncio.shield(pending), timeout, activity)
        except BleakGATTProtocolError as error:
            if await self._watch.gone_after(error):
                await self._watch.find_reason()
                raise self.connection_lost_error(activity) from None
            gatt_error = int(error.args[0])
            failure = InstallerError(
                ErrorCode.DEVICE_REFUSED,
                f"The device {self.address} refused while {activity} (GATT error 0x{gatt_error:02x}).",
                "Switch the device off and on, then try again.",
                address=self.address,
                gatt_error=gatt_error,
            )
            found: BaseException = error
        except TimeoutError as error:
            await self._watch.find_reason()
            if self._watch.failure is not None:
                raise self.connection_lost_error(activity) from None
            failure, found = self._misbehaved_error(f"did not answer within {timeout:g} s while {activity}"), error
        except (BleakError, EOFError, OSError) as error:
            if await self._watch.gone_after(error) or not self.is_open or isinstance(error, (EOFError, OSError)):
                await self._watch.find_reason()
                raise self.connection_lost_error(activity) from None
            detail = error.dbus_error if isinstance(error, BleakDBusError) else str(error)
            problem = f"gave no usable answer while {activity} ({printable(detail, 120)})"
            failure, found = self._misbehaved_error(problem), error
        wish = await self._pairing.wish(found, failure)
        if wish is None:
            raise failure
        return wish

    async def _reconnect(self) -> None:
        """Connect anew, look everything up again, and subscribe to what was subscribed to."""
        self._client = await connect(self._adapter, self._device, CONNECT_SECONDS, 3, self._on_lost)
        self._table = self._client.services
        self._watch.close()
        self.lost.clear()
        self.lost_at = None
        self._watch = LinkWatch(self._adapter, self._device, self.lost)
        for uuid, callback in self._subscribers.items():
            try:
                await self.run_while_connected(
                    self._start_notify(uuid, callback), REQUEST_SECONDS, "listening to the device"
                )
            except SYSTEM_ERRORS:
                raise self.connection_lost_error("listening to the device") from None

    async def _start_notify(self, uuid: str, callback: Callable[[bytes], None]) -> None:
        def deliver(_: BleakGATTCharacteristic, data: bytearray) -> None:
            callback(bytes(data))

        await self._client.start_notify(self._characteristic(uuid), deliver)

    def _on_lost(self, client: BleakClient) -> None:
        if client is self._client and not self._renewing:
            self.lost.set()
            self.lost_at = asyncio.get_running_loop().time()

    def _misbehaved_error(self, problem: str) -> InstallerError:
        return InstallerError(
            ErrorCode.DEVICE_MISBEHAVED,
            f"The device {self.address} {problem}.",
            "Switch the device off and on, then try again.",
            address=self.address,
        )

    def _require_open(self) -> None:
        if not self.is_open:
            raise self.connection_lost_error("using it")

    def _characteristic(self, uuid: str) -> BleakGATTCharacteristic:
        self._require_open()
        found = self.find(uuid)
        if found is None:
            raise self._misbehaved_error(f"lacks the characteristic {normalize_uuid_str(uuid)}")
        return found


async def _drop(task: asyncio.Future[Any]) -> None:
    """Cancel a request, let it clean up, and read its exception, so that asyncio does not report it as unhandled."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
