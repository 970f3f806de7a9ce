"""One open connection to a device: its GATT table, reads, writes, notifications, and the loss of the link.

Every call has a deadline, and whatever waits when the link drops gets CONNECTION_LOST at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)
from bleak.uuids import normalize_uuid_str

from installer.bluetooth.sighting import Advert
from installer.bluetooth.system_errors import SYSTEM_ERRORS
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic

    from installer.bluetooth.adapter import Adapter

T = TypeVar("T")

CONNECT_SECONDS = 30.0
REQUEST_SECONDS = 5.0
CLOSE_SECONDS = 5.0
# What every link carries in one packet (ATT_MTU of 23 bytes less the header of 3).
SMALLEST_WRITE = 20
# GATT errors of a device that answers only those it is paired with: authentication, authorization, encryption.
WANTS_PAIRING = frozenset({0x05, 0x08, 0x0C, 0x0F})
PAIR = "It wants to be paired with this computer: pair it in the system's Bluetooth settings, and try again."
USER_DESCRIPTION = normalize_uuid_str("2901")


class Connection:
    """Made by `open`; an async context manager that closes at its end. UUIDs in any of bleak's spellings.

    `address`, `name`: of the device; `advert`: what it advertised, if a scan of this adapter heard it;
    `lost`: set when the link is down.
    """

    def __init__(self, client: BleakClient, device: BLEDevice, lost: asyncio.Event, advert: Advert | None) -> None:
        self.address = device.address.upper()
        self.name = printable(device.name or "", 32)
        self.advert = advert
        self.lost = lost
        self._client = client
        self._table = client.services

    @classmethod
    async def open(
        cls, adapter: Adapter, ble_device: BLEDevice, timeout: float = CONNECT_SECONDS, attempts: int = 3
    ) -> Self:
        """Connect and discover the GATT table; up to `attempts` tries within `timeout` seconds.

        Raises CONNECTION_FAILED, or ADAPTER_FAILED and the like when the adapter itself is the cause.
        """
        from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

        lost = asyncio.Event()

        def make(device: BLEDevice, disconnected_callback: Any, **kwargs: Any) -> BleakClient:
            return adapter.client(device, disconnected_callback, timeout / max(attempts, 1), **kwargs)

        try:
            async with asyncio.timeout(timeout):
                client = await establish_connection(
                    cast("type[BleakClientWithServiceCache]", make),
                    ble_device,
                    ble_device.name or ble_device.address,
                    disconnected_callback=lambda _: lost.set(),
                    max_attempts=attempts,
                    use_services_cache=False,
                )
        except SYSTEM_ERRORS as error:
            raise _not_connected(adapter, ble_device, error) from error
        # An attempt that failed half-way has set it, too.
        lost.clear() if client.is_connected else lost.set()
        return cls(client, ble_device, lost, adapter.heard.pop(ble_device.address, None))

    @property
    def is_open(self) -> bool:
        """Whether the link is up."""
        return not self.lost.is_set() and self._client.is_connected

    @property
    def mtu(self) -> int:
        """The ATT MTU in bytes, as far as the system tells (BlueZ says 23)."""
        return self._client.mtu_size

    @property
    def services(self) -> frozenset[str]:
        """The UUIDs of all services."""
        return frozenset(service.uuid for service in self._table)

    @property
    def characteristics(self) -> frozenset[str]:
        """The UUIDs of all characteristics."""
        return frozenset(c.uuid for c in self._table.characteristics.values())

    def has_service(self, uuid: str) -> bool:
        """Whether the device has this service."""
        return normalize_uuid_str(uuid) in self.services

    def has_characteristic(self, uuid: str, service: str | None = None) -> bool:
        """Whether the device has this characteristic, in `service` if that is given."""
        return self._find(uuid, service) is not None

    def characteristics_of(self, service: str) -> tuple[str, ...]:
        """The UUIDs of the characteristics of this service, in the order of the table."""
        home = normalize_uuid_str(service)
        return tuple(c.uuid for c in self._table.characteristics.values() if c.service_uuid == home)

    def max_write(self, uuid: str) -> int:
        """How many bytes go to this characteristic in one packet; at least 20."""
        size = self._characteristic(uuid).max_write_without_response_size
        return max(size, self.mtu - 3, SMALLEST_WRITE)

    async def read(self, uuid: str, timeout: float = REQUEST_SECONDS) -> bytes:
        """The whole value. Raises CONNECTION_LOST, DEVICE_REFUSED, DEVICE_MISBEHAVED."""
        found = self._characteristic(uuid)
        return bytes(await self._call(self._client.read_gatt_char(found), timeout, "reading from the device"))

    async def describe(self, uuid: str, timeout: float = REQUEST_SECONDS) -> bytes | None:
        """The User Description (0x2901) of a characteristic, None if it has none. Raises as `read` does."""
        found = self._characteristic(uuid).get_descriptor(USER_DESCRIPTION)
        if found is None:
            return None
        return bytes(await self._call(self._client.read_gatt_descriptor(found), timeout, "reading from the device"))

    async def write(self, uuid: str, data: bytes, response: bool = True, timeout: float = REQUEST_SECONDS) -> None:
        """Write `data`; with `response`, the device has taken it. Raises as `read` does, never with the data."""
        found = self._characteristic(uuid)
        await self._call(self._client.write_gatt_char(found, data, response=response), timeout, "writing to the device")

    async def subscribe(self, uuid: str, callback: Callable[[bytes], None], timeout: float = REQUEST_SECONDS) -> None:
        """Call `callback` with every notification or indication, in order. Raises as `read` does."""
        found = self._characteristic(uuid)

        def deliver(_: BleakGATTCharacteristic, data: bytearray) -> None:
            callback(bytes(data))

        await self._call(self._client.start_notify(found, deliver), timeout, "listening to the device")

    async def unsubscribe(self, uuid: str, timeout: float = REQUEST_SECONDS) -> None:
        """Stop the notifications. Does nothing on a link that is down."""
        if self.is_open:
            found = self._characteristic(uuid)
            await self._call(self._client.stop_notify(found), timeout, "listening to the device")

    async def race(self, work: Awaitable[T], timeout: float, what: str) -> T:
        """The result of `work`. Raises CONNECTION_LOST when the link drops first, TimeoutError after `timeout` s.

        `what` names the work for the error, for example "waiting for the button".
        """
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(self.lost.wait())
        try:
            await asyncio.wait({task, gone}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if gone.done():
                raise self.dropped(what)
            raise TimeoutError(what)
        finally:
            gone.cancel()
            task.cancel()
            # Let the cancelled work clean up, and look at its outcome so that none is reported as lost.
            await asyncio.wait({task, gone})
            if not task.cancelled():
                task.exception()

    async def wait_lost(self) -> None:
        """Wait until the link is down."""
        await self.lost.wait()

    def dropped(self, what: str) -> InstallerError:
        """CONNECTION_LOST while doing `what`."""
        return InstallerError(
            ErrorCode.CONNECTION_LOST,
            f"The Bluetooth connection to {self.address} dropped while {what}.",
            "Keep the device close to this computer and awake, then try again.",
            address=self.address,
        )

    async def close(self) -> None:
        """End the link. Never raises."""
        with contextlib.suppress(*SYSTEM_ERRORS):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._client.disconnect()
        self.lost.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _call(self, work: Awaitable[T], timeout: float, what: str) -> T:
        try:
            return await self.race(work, timeout, what)
        except BleakGATTProtocolError as error:
            raise InstallerError(
                ErrorCode.DEVICE_REFUSED,
                f"The device {self.address} refused while {what} (GATT error 0x{int(error.args[0]):02x}).",
                PAIR if int(error.args[0]) in WANTS_PAIRING else "Switch the device off and on, and try again.",
                address=self.address,
                gatt_error=int(error.args[0]),
            ) from None
        except TimeoutError:
            raise self._misbehaved(f"did not answer within {timeout:g} s while {what}") from None
        except (BleakError, EOFError, OSError) as error:
            if not self.is_open or isinstance(error, (EOFError, OSError)):
                raise self.dropped(what) from None
            detail = error.dbus_error if isinstance(error, BleakDBusError) else str(error)
            raise self._misbehaved(f"gave no usable answer while {what} ({printable(detail, 120)})") from None

    def _misbehaved(self, how: str) -> InstallerError:
        return InstallerError(
            ErrorCode.DEVICE_MISBEHAVED,
            f"The device {self.address} {how}.",
            "Switch the device off and on, and try again.",
            address=self.address,
        )

    def _characteristic(self, uuid: str) -> BleakGATTCharacteristic:
        if not self.is_open:
            raise self.dropped("using it")
        found = self._find(uuid)
        if found is None:
            raise self._misbehaved(f"lacks the characteristic {normalize_uuid_str(uuid)}")
        return found

    def _find(self, uuid: str, service: str | None = None) -> BleakGATTCharacteristic | None:
        wanted = normalize_uuid_str(uuid)
        home = normalize_uuid_str(service) if service is not None else None
        for found in self._table.characteristics.values():
            if found.uuid == wanted and home in (None, found.service_uuid):
                return found
        return None


def _not_connected(adapter: Adapter, device: BLEDevice, error: BaseException) -> InstallerError:
    # bleak-retry-connector wraps the real reason; a deadline's own cause is only its mechanics.
    wrapped = isinstance(error, BleakError) and error.__cause__ is not None
    cause = error.__cause__ if wrapped and error.__cause__ is not None else error
    for candidate in (cause, error):
        if isinstance(candidate, (BleakBluetoothNotAvailableError, FileNotFoundError, PermissionError)):
            return adapter.error(candidate)
    if adapter.failure is not None:
        return adapter.failure
    if isinstance(cause, (TimeoutError, BleakDeviceNotFoundError)):
        why = "it did not answer in time"
    else:
        why = printable(str(cause) or type(cause).__name__, 160)
    name = printable(device.name or "", 32) or "the device"
    return InstallerError(
        ErrorCode.CONNECTION_FAILED,
        f"No connection to {name} {device.address.upper()} came about: {why}.",
        "Bring it within a metre, wake it, end its connection to any phone, and try again.",
        address=device.address.upper(),
    )
