"""Bluetooth adapters: the operating system's, or a raw HCI controller that this process drives.

Values of `--adapter`: none, `system` or `hci0` is the system adapter (on Linux also `hci1` and so on);
`hci:TRANSPORT` is a raw controller, with TRANSPORT in Bumble's syntax: `usb:0`, `serial:/dev/ttyUSB0,1000000`,
`tcp-client:127.0.0.1:9000` (the lab).
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from installer.bluetooth import system_errors
from installer.bluetooth.sighting import Advert
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.hci.host import HciHost

RAW_HCI_PREFIX = "hci:"
SCANNER_START_SECONDS = 15.0
RELEASE_LINK_SECONDS = 5.0

AdvertCallback = Callable[[BLEDevice, AdvertisementData], None]
DisconnectedCallback = Callable[[BleakClient], None]


class Adapter(abc.ABC):
    """Creates bleak scanners and clients for one controller. `name` is shown to the user and in errors.

    `max_report_gap`: seconds without a report of a device that is in range (BlueZ reports only changes).
    `heard`: the advertisements of the devices that will be connected next, by address.
    """

    max_report_gap: float = 0.0

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: dict[str, Advert] = {}
        disable_library_debug_logs()

    @abc.abstractmethod
    def scanner(self, callback: AdvertCallback) -> BleakScanner:
        """A scanner that calls `callback` for every advertisement. It is not started."""

    @abc.abstractmethod
    def client(
        self, ble_device: BLEDevice, disconnected_callback: DisconnectedCallback | None, timeout: float, **kwargs: Any
    ) -> BleakClient:
        """A client for a device that this adapter's scan found. It is not connected."""

    @property
    def failure(self) -> InstallerError | None:
        """Why the adapter stopped working; None while it works."""
        return None

    def add_failure_listener(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the adapter stops working. Only a raw adapter can detect this."""

    def to_installer_error(self, error: BaseException) -> InstallerError:
        """The InstallerError for an exception of a scan on this adapter."""
        return self.failure or system_errors.adapter_error(error, self.name)

    async def release_link(self, address: str) -> None:
        """End a link to this device that a killed process left open in the system. Never raises."""

    async def close(self) -> None:
        """Release the controller."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class SystemAdapter(Adapter):
    """The operating system's Bluetooth, through bleak's own backends. `device`: the adapter to use, on Linux only."""

    max_report_gap = 30.0 if sys.platform == "linux" else 10.0

    def __init__(self, device: str | None = None) -> None:
        super().__init__(device or "system")
        self._bluez: Any = {"adapter": device} if device else {}

    def scanner(self, callback: AdvertCallback) -> BleakScanner:
        """A scanner of the operating system."""
        return BleakScanner(callback, bluez=self._bluez)

    def client(
        self, ble_device: BLEDevice, disconnected_callback: DisconnectedCallback | None, timeout: float, **kwargs: Any
    ) -> BleakClient:
        """A client of the operating system."""
        return BleakClient(ble_device, disconnected_callback, timeout=timeout, bluez=self._bluez, **kwargs)

    async def release_link(self, address: str) -> None:
        """BlueZ keeps the links of a process that ended, and a connected device does not advertise."""
        from bleak_retry_connector import close_stale_connections_by_address

        with contextlib.suppress(*system_errors.SYSTEM_ERRORS):
            async with asyncio.timeout(RELEASE_LINK_SECONDS):
                await close_stale_connections_by_address(address)


class RawAdapter(Adapter):
    """A controller that this process drives over HCI."""

    def __init__(self, name: str, host: HciHost) -> None:
        super().__init__(name)
        self._host = host

    @property
    def failure(self) -> InstallerError | None:
        """Set when the transport has ended: the dongle was unplugged, or the lab stopped."""
        return system_errors.adapter_failed(self.name, "it was disconnected") if self._host.lost.is_set() else None

    def add_failure_listener(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the transport ends."""
        self._host.add_lost_listener(callback)

    def scanner(self, callback: AdvertCallback) -> BleakScanner:
        """A scanner over HCI."""
        from installer.bluetooth.hci.scanner import HciScanner

        return BleakScanner(callback, backend=HciScanner, host=self._host)

    def client(
        self, ble_device: BLEDevice, disconnected_callback: DisconnectedCallback | None, timeout: float, **kwargs: Any
    ) -> BleakClient:
        """A client over HCI."""
        from installer.bluetooth.hci.client import HciClient

        return BleakClient(
            ble_device, disconnected_callback, timeout=timeout, backend=HciClient, host=self._host, **kwargs
        )

    async def close(self) -> None:
        """End all links and release the controller."""
        await self._host.close()


async def open_adapter(spec: str | None = None) -> Adapter:
    """The adapter that `spec` names (see the module's docstring).

    Raises BLUETOOTH_DENIED and ADAPTER_FAILED for a raw controller. The system adapter is first used by a scan.
    """
    if spec is None or spec in ("", "system"):
        return SystemAdapter()
    if spec.startswith(RAW_HCI_PREFIX):
        return await _open_raw(spec)
    if re.fullmatch(r"hci\d+", spec):
        return SystemAdapter(spec if sys.platform == "linux" else None)
    raise InstallerError(
        ErrorCode.ADAPTER_FAILED,
        f"“{spec}” is not the name of a Bluetooth adapter.",
        "Use hci0 (the system adapter), or hci:TRANSPORT for a raw controller, for example hci:usb:0."
        + system_errors.TRY_LAB_HINT,
        adapter=spec,
    )


async def check_adapter(spec: str | None = None) -> str:
    """Start and stop a scan; returns one sentence for `doctor`. Raises the BLUETOOTH_* errors."""
    async with await open_adapter(spec) as adapter:
        scanner = adapter.scanner(lambda _device, _advert: None)
        await start_scanner(adapter, scanner)
        with contextlib.suppress(*system_errors.SYSTEM_ERRORS):
            await scanner.stop()
        return f"Bluetooth adapter {adapter.name} scans ({scanner.backend_id})"


async def start_scanner(adapter: Adapter, scanner: BleakScanner, timeout: float = SCANNER_START_SECONDS) -> None:
    """Start a scanner. Raises BLUETOOTH_MISSING, BLUETOOTH_OFF, BLUETOOTH_DENIED or ADAPTER_FAILED."""
    try:
        async with asyncio.timeout(timeout):
            await scanner.start()
    except system_errors.SYSTEM_ERRORS as error:
        raise adapter.to_installer_error(error) from error


async def _open_raw(spec: str) -> Adapter:
    transport = spec.removeprefix(RAW_HCI_PREFIX)
    kind, _, target = transport.partition(":")
    if not kind or (not target and kind not in ("pty", "vhci", "hci-socket", "android-emulator", "android-netsim")):
        raise system_errors.adapter_failed(spec, "it must look like hci:usb:0 or hci:tcp-client:HOST:PORT")
    from installer.bluetooth.hci.host import HciHost

    try:
        host = await HciHost.open(transport)
    except PermissionError:
        raise system_errors.bluetooth_denied() from None
    except TimeoutError:
        raise system_errors.adapter_failed(spec, "nothing there answers as a Bluetooth controller") from None
    except ImportError as error:
        raise system_errors.adapter_failed(
            spec, f"this needs {error.name or 'a library'}, which is not installed"
        ) from None
    except OSError as error:
        raise system_errors.adapter_failed(
            spec, f"it cannot be reached ({error.strerror or type(error).__name__})"
        ) from None
    except (ValueError, AssertionError) as error:
        raise system_errors.adapter_failed(
            spec, f"it must look like hci:usb:0 or hci:tcp-client:HOST:PORT ({error})"
        ) from None
    except _transport_errors() as error:
        raise system_errors.adapter_failed(spec, str(error) or type(error).__name__) from None
    return RawAdapter(spec, host)


def _transport_errors() -> tuple[type[BaseException], ...]:
    """The error classes of the transport libraries that are loaded."""
    classes: list[type[BaseException]] = []
    for module, name in (("bumble.core", "BaseBumbleError"), ("usb1", "USBError"), ("grpc", "RpcError")):
        if module in sys.modules:
            classes.append(getattr(sys.modules[module], name))
    return tuple(classes)


def disable_library_debug_logs() -> None:
    """Keep debug lines of the Bluetooth libraries out of every log: they show all bytes sent, also a passphrase."""
    for name in ("bleak", "bumble", "dbus_fast"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.setLevel(max(logger.level, logging.WARNING))
