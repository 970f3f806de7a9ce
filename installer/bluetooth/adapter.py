"""Adapters: the system's Bluetooth, or a raw HCI controller that the installer drives itself.

`--adapter`: nothing, `system`, or `hci0` is the system's (on Linux also `hci1` and so on);
`hci:TRANSPORT` is a raw one, with TRANSPORT in Bumble's form: `usb:0`, `serial:/dev/ttyUSB0,1000000`,
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

RAW = "hci:"
START_SECONDS = 15.0
LET_GO_SECONDS = 5.0

AdvertCallback = Callable[[BLEDevice, AdvertisementData], None]
DisconnectedCallback = Callable[[BleakClient], None]


class Adapter(abc.ABC):
    """Makes bleak's scanners and clients for one controller. `name` is for people and errors.

    `quiet`: how long a device in reach may go unreported, seconds (BlueZ reports changes only).
    `heard`: what the devices about to be connected have advertised, by address.
    """

    quiet: float = 0.0

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: dict[str, Advert] = {}
        mute_logs()

    @abc.abstractmethod
    def scanner(self, callback: AdvertCallback) -> BleakScanner:
        """A scanner that calls `callback` for every advertisement; not started."""

    @abc.abstractmethod
    def client(
        self, ble_device: BLEDevice, disconnected_callback: DisconnectedCallback | None, timeout: float, **kwargs: Any
    ) -> BleakClient:
        """A client for a device of this adapter's scan; not connected."""

    @property
    def failure(self) -> InstallerError | None:
        """Why the adapter stopped working, if it did."""
        return None

    def when_failed(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the adapter stops working, where that can be noticed."""

    def error(self, error: BaseException) -> InstallerError:
        """What a failure of a scan on this adapter means."""
        return self.failure or system_errors.adapter_error(error, self.name)

    async def let_go(self, address: str) -> None:
        """End a link to this device that a killed process left behind, where the system keeps such. Never raises."""

    async def close(self) -> None:
        """Give the controller back."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class SystemAdapter(Adapter):
    """The operating system's Bluetooth, by bleak's own backends. `device`: which adapter, on Linux."""

    quiet = 30.0 if sys.platform == "linux" else 10.0

    def __init__(self, device: str | None = None) -> None:
        super().__init__(device or "system")
        self._bluez: Any = {"adapter": device} if device else {}

    def scanner(self, callback: AdvertCallback) -> BleakScanner:
        """A scanner of the system."""
        return BleakScanner(callback, bluez=self._bluez)

    def client(
        self, ble_device: BLEDevice, disconnected_callback: DisconnectedCallback | None, timeout: float, **kwargs: Any
    ) -> BleakClient:
        """A client of the system."""
        return BleakClient(ble_device, disconnected_callback, timeout=timeout, bluez=self._bluez, **kwargs)

    async def let_go(self, address: str) -> None:
        """BlueZ keeps the links of a process that is gone, and a device that is linked does not advertise."""
        from bleak_retry_connector import close_stale_connections_by_address

        with contextlib.suppress(*system_errors.SYSTEM_ERRORS):
            async with asyncio.timeout(LET_GO_SECONDS):
                await close_stale_connections_by_address(address)


class RawAdapter(Adapter):
    """A controller that this process drives by HCI."""

    def __init__(self, name: str, host: HciHost) -> None:
        super().__init__(name)
        self._host = host

    @property
    def failure(self) -> InstallerError | None:
        """Set once the transport has ended: the dongle was pulled out, the lab stopped."""
        return system_errors.failed(self.name, "it is gone") if self._host.lost.is_set() else None

    def when_failed(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the transport ends."""
        self._host.when_lost(callback)

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
        """End all links and free the controller."""
        await self._host.close()


async def open_adapter(spec: str | None = None) -> Adapter:
    """The adapter that `spec` names (see the module).

    Raises BLUETOOTH_DENIED and ADAPTER_FAILED for a raw one; the system's is first asked by a scan.
    """
    if spec is None or spec in ("", "system"):
        return SystemAdapter()
    if spec.startswith(RAW):
        return await _open_raw(spec)
    if re.fullmatch(r"hci\d+", spec):
        return SystemAdapter(spec if sys.platform == "linux" else None)
    raise InstallerError(
        ErrorCode.ADAPTER_FAILED,
        f"“{spec}” is not the name of a Bluetooth adapter.",
        "Use hci0 (the system's), or hci:TRANSPORT for a raw one, for example hci:usb:0." + system_errors.LAB,
        adapter=spec,
    )


async def check(spec: str | None = None) -> str:
    """Switch the adapter's scan on and off; one sentence about it for `doctor`. Raises the BLUETOOTH_* errors."""
    async with await open_adapter(spec) as adapter:
        scanner = adapter.scanner(lambda _device, _advert: None)
        await start(adapter, scanner)
        with contextlib.suppress(*system_errors.SYSTEM_ERRORS):
            await scanner.stop()
        return f"Bluetooth adapter {adapter.name} scans ({scanner.backend_id})"


async def start(adapter: Adapter, scanner: BleakScanner, timeout: float = START_SECONDS) -> None:
    """Start a scanner. Raises BLUETOOTH_MISSING, BLUETOOTH_OFF, BLUETOOTH_DENIED or ADAPTER_FAILED."""
    try:
        async with asyncio.timeout(timeout):
            await scanner.start()
    except system_errors.SYSTEM_ERRORS as error:
        raise adapter.error(error) from error


async def _open_raw(spec: str) -> Adapter:
    transport = spec.removeprefix(RAW)
    kind, _, place = transport.partition(":")
    if not kind or (not place and kind not in ("pty", "vhci", "hci-socket", "android-emulator", "android-netsim")):
        raise system_errors.failed(spec, "it must look like hci:usb:0 or hci:tcp-client:HOST:PORT")
    from installer.bluetooth.hci.host import HciHost

    try:
        host = await HciHost.open(transport)
    except PermissionError:
        raise system_errors.denied() from None
    except TimeoutError:
        raise system_errors.failed(spec, "nothing there answers as a Bluetooth controller") from None
    except ImportError as error:
        raise system_errors.failed(spec, f"this needs {error.name or 'a library'}, which is not installed") from None
    except OSError as error:
        raise system_errors.failed(spec, f"it cannot be reached ({error.strerror or type(error).__name__})") from None
    except (ValueError, AssertionError) as error:
        raise system_errors.failed(spec, f"it must look like hci:usb:0 or hci:tcp-client:HOST:PORT ({error})") from None
    except _transport_errors() as error:
        raise system_errors.failed(spec, str(error) or type(error).__name__) from None
    return RawAdapter(spec, host)


def _transport_errors() -> tuple[type[BaseException], ...]:
    """The errors of the transports' own libraries, of those that are loaded."""
    found: list[type[BaseException]] = []
    for module, name in (("bumble.core", "BaseBumbleError"), ("usb1", "USBError"), ("grpc", "RpcError")):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)


def mute_logs() -> None:
    """Keep the libraries' debug lines out of every log: they hold each byte that is sent, also a passphrase."""
    for name in ("bleak", "bumble", "dbus_fast"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.setLevel(max(logger.level, logging.WARNING))
