"""One open BLE connection: GATT table, reads, writes, notifications, and loss of the link.

Every call has a timeout. When the link drops, all pending calls raise CONNECTION_LOST at once.
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

from installer.bluetooth.last_answer import has_no_answer
from installer.bluetooth.pairing import PAIRING_REQUIRED_ERRORS, pairing_required
from installer.bluetooth.sighting import Advert
from installer.bluetooth.system_errors import SYSTEM_ERRORS
from installer.bluetooth.uuids import expand_uuid16
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic

    from installer.bluetooth.adapter import Adapter

T = TypeVar("T")

CONNECT_SECONDS = 30.0
REQUEST_SECONDS = 5.0
CLOSE_SECONDS = 5.0
# Every link carries this many bytes in one packet (ATT_MTU of 23 bytes minus the 3-byte header).
MIN_WRITE_BYTES = 20
USER_DESCRIPTION = expand_uuid16(0x2901)


class Connection:
    """Created by `open`; an async context manager that closes the link. Accepts UUIDs in any form that bleak accepts.

    `address`, `name`: of the device; `advert`: its advertisement, if a scan of this adapter received it;
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
        """Connect and discover the GATT table, with up to `attempts` attempts within `timeout` seconds.

        Raises CONNECTION_FAILED, or an adapter error (for example ADAPTER_FAILED) if the adapter is the cause.
        """
        from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

        lost = asyncio.Event()

        def create_client(device: BLEDevice, disconnected_callback: Any, **kwargs: Any) -> BleakClient:
            return adapter.client(device, disconnected_callback, timeout / max(attempts, 1), **kwargs)

        try:
            async with asyncio.timeout(timeout):
                client = await establish_connection(
                    cast("type[BleakClientWithServiceCache]", create_client),
                    ble_device,
                    ble_device.name or ble_device.address,
                    disconnected_callback=lambda _: lost.set(),
                    max_attempts=attempts,
                    use_services_cache=False,
                )
        except SYSTEM_ERRORS as error:
            raise _connect_error(adapter, ble_device, error) from error
        # An attempt that failed halfway has set it too.
        lost.clear() if client.is_connected else lost.set()
        return cls(client, ble_device, lost, adapter.heard.pop(ble_device.address, None))

    @property
    def is_open(self) -> bool:
        """Whether the link is up."""
        return not self.lost.is_set() and self._client.is_connected

    @property
    def mtu(self) -> int:
        """The ATT MTU in bytes, if the system reports it (BlueZ reports 23)."""
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
        """Whether the device has this characteristic; with `service`, in that service."""
        return self._find(uuid, service) is not None

    def characteristics_of(self, service: str) -> tuple[str, ...]:
        """The UUIDs of the characteristics of this service, in the order of the table."""
        service_uuid = normalize_uuid_str(service)
        return tuple(c.uuid for c in self._table.characteristics.values() if c.service_uuid == service_uuid)

    def max_write(self, uuid: str) -> int:
        """How many bytes fit into one write to this characteristic; at least 20."""
        size = self._characteristic(uuid).max_write_without_response_size
        return max(size, self.mtu - 3, MIN_WRITE_BYTES)

    async def read(self, uuid: str, timeout: float = REQUEST_SECONDS) -> bytes:
        """The whole value. Raises CONNECTION_LOST, DEVICE_REFUSED, DEVICE_MISBEHAVED."""
        found = self._characteristic(uuid)
        return bytes(await self._call(self._client.read_gatt_char(found), timeout, "reading from the device"))

    async def read_user_description(self, uuid: str, timeout: float = REQUEST_SECONDS) -> bytes | None:
        """The User Description (0x2901) of a characteristic, None if it has none. Raises as `read`."""
        found = self._characteristic(uuid).get_descriptor(USER_DESCRIPTION)
        if found is None:
            return None
        return bytes(await self._call(self._client.read_gatt_descriptor(found), timeout, "reading from the device"))

    async def write(self, uuid: str, data: bytes, response: bool = True, timeout: float = REQUEST_SECONDS) -> None:
        """Write `data`; with `response`, wait for the confirmation. Raises as `read`; no error contains the data."""
        found = self._characteristic(uuid)
        await self._call(self._client.write_gatt_char(found, data, response=response), timeout, "writing to the device")

    async def subscribe(self, uuid: str, callback: Callable[[bytes], None], timeout: float = REQUEST_SECONDS) -> None:
        """Call `callback` with every notification or indication, in order. Raises as `read`."""
        found = self._characteristic(uuid)

        def deliver(_: BleakGATTCharacteristic, data: bytearray) -> None:
            callback(bytes(data))

        await self._call(self._client.start_notify(found, deliver), timeout, "listening to the device")

    async def unsubscribe(self, uuid: str, timeout: float = REQUEST_SECONDS) -> None:
        """Stop the notifications. Does nothing when the link is down."""
        if self.is_open:
            found = self._characteristic(uuid)
            await self._call(self._client.stop_notify(found), timeout, "listening to the device")

    async def run_while_connected(self, work: Awaitable[T], timeout: float, activity: str) -> T:
        """The result of `work`. Raises CONNECTION_LOST if the link drops first, TimeoutError after `timeout` seconds.

        `activity` is for the error text, for example "waiting for the button".
        """
        task = asyncio.ensure_future(work)
        link_lost = asyncio.ensure_future(self.lost.wait())
        try:
            await asyncio.wait({task, link_lost}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and link_lost.done() and await has_no_answer(task):
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
        """CONNECTION_LOST during `activity`."""
        return InstallerError(
            ErrorCode.CONNECTION_LOST,
            f"The Bluetooth connection to {self.address} dropped while {activity}.",
            "Keep the device awake and close to this computer, then try again.",
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

    async def _call(self, work: Awaitable[T], timeout: float, activity: str) -> T:
        try:
            return await self.run_while_connected(work, timeout, activity)
        except BleakGATTProtocolError as error:
            gatt_error = int(error.args[0])
            if gatt_error in PAIRING_REQUIRED_ERRORS:
                raise pairing_required(self.address, activity, gatt_error) from None
            raise InstallerError(
                ErrorCode.DEVICE_REFUSED,
                f"The device {self.address} refused while {activity} (GATT error 0x{gatt_error:02x}).",
                "Switch the device off and on, then try again.",
                address=self.address,
                gatt_error=gatt_error,
            ) from None
        except TimeoutError:
            raise self._misbehaved_error(f"did not answer within {timeout:g} s while {activity}") from None
        except (BleakError, EOFError, OSError) as error:
            if not self.is_open or isinstance(error, (EOFError, OSError)):
                raise self.connection_lost_error(activity) from None
            detail = error.dbus_error if isinstance(error, BleakDBusError) else str(error)
            raise self._misbehaved_error(f"gave no usable answer while {activity} ({printable(detail, 120)})") from None

    def _misbehaved_error(self, problem: str) -> InstallerError:
        return InstallerError(
            ErrorCode.DEVICE_MISBEHAVED,
            f"The device {self.address} {problem}.",
            "Switch the device off and on, then try again.",
            address=self.address,
        )

    def _characteristic(self, uuid: str) -> BleakGATTCharacteristic:
        if not self.is_open:
            raise self.connection_lost_error("using it")
        found = self._find(uuid)
        if found is None:
            raise self._misbehaved_error(f"lacks the characteristic {normalize_uuid_str(uuid)}")
        return found

    def _find(self, uuid: str, service: str | None = None) -> BleakGATTCharacteristic | None:
        wanted = normalize_uuid_str(uuid)
        service_uuid = normalize_uuid_str(service) if service is not None else None
        for found in self._table.characteristics.values():
            if found.uuid == wanted and service_uuid in (None, found.service_uuid):
                return found
        return None


def _connect_error(adapter: Adapter, device: BLEDevice, error: BaseException) -> InstallerError:
    # bleak-retry-connector wraps the real reason. The cause of a TimeoutError says nothing more.
    wrapped = isinstance(error, BleakError) and error.__cause__ is not None
    cause = error.__cause__ if wrapped and error.__cause__ is not None else error
    for candidate in (cause, error):
        if isinstance(candidate, (BleakBluetoothNotAvailableError, FileNotFoundError, PermissionError)):
            return adapter.to_installer_error(candidate)
    if adapter.failure is not None:
        return adapter.failure
    if isinstance(cause, (TimeoutError, BleakDeviceNotFoundError)):
        why = "it did not answer in time"
    else:
        why = printable(str(cause) or type(cause).__name__, 160)
    name = printable(device.name or "", 32) or "the device"
    return InstallerError(
        ErrorCode.CONNECTION_FAILED,
        f"The connection to {name} {device.address.upper()} failed: {why}.",
        "Bring it within a metre, wake it, end its connection to any phone, then try again.",
        address=device.address.upper(),
    )
