"""An adapter: what scans and connections need of a Bluetooth controller, whichever it is (see `open_adapter`)."""

from __future__ import annotations

import abc
import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDBusError

from installer.bluetooth import system_errors
from installer.bluetooth.pairing import PairingDialog
from installer.bluetooth.sighting import Advert
from installer.errors import InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.bluez.known_devices import Seen

RAW_HCI_PREFIX = "hci:"
SCANNER_START_SECONDS = 15.0
# How long a scan is tried that another program, or one that has died, still holds up.
BUSY_SECONDS = 6.0
BUSY_PAUSE_SECONDS = 0.5

AdvertCallback = Callable[[BLEDevice, AdvertisementData], None]
DisconnectedCallback = Callable[[BleakClient], None]


class RequestForRoom(Protocol):
    """Other programs of this user leave Bluetooth alone as long as it stands (`installer/gateway/radio_room.py`)."""

    def renew(self) -> None:
        """It is still needed."""
        ...

    def remove(self) -> None:
        """It is not needed any more."""
        ...


class Adapter(abc.ABC):
    """Creates bleak scanners and clients for one controller. `name` is shown to the user and in errors.

    `max_report_gap`: seconds without a report of a device that is in range (BlueZ reports only changes).
    `heard`: the advertisements of the devices that will be connected next, by address.
    `pairing_dialog`: who answers when a device wants to be paired; None: nobody. `pairing_turn`: held while it is set.
    `leaves_requests_unanswered`: a request that wants a pairing is not answered when that pairing fails.
    `room`: for which this user's gateway leaves Bluetooth to this program; given back by `close`.
    `on_left_link`: called with the address of a device when a link to it that an earlier run left open was ended.
    """

    max_report_gap: float = 0.0
    leaves_requests_unanswered: bool = False
    # Whether what it does is shared with other programs of this user: then they make room for each other.
    shared_by_programs: ClassVar[bool] = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: dict[str, Advert] = {}
        self.pairing_dialog: PairingDialog | None = None
        self.on_left_link: Callable[[str], None] = lambda _: None
        self.room: RequestForRoom | None = None
        self.pairing_turn = asyncio.Lock()
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
    def description(self) -> str:
        """Which adapter it is, for `doctor`."""
        return self.name

    @property
    def others(self) -> str:
        """The other adapters of this computer as the rest of a sentence; empty if there are none."""
        return ""

    @property
    def failure(self) -> InstallerError | None:
        """Why the adapter does not work; None while it works, as far as is known."""
        return None

    @property
    def comes_back(self) -> bool:
        """Whether its `failure` ends by itself when Bluetooth works again. If not, another one must be opened."""
        return False

    def add_failure_listener(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the adapter stops working, and when it works again (see `failure`).

        Returns what removes the listener. macOS and Windows do not tell.
        """
        return lambda: None

    def on_device_removed(self, device: BLEDevice, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the system forgets this device, which ends its link without a word from bleak.

        Returns what removes the listener.
        """
        return lambda: None

    async def why_lost(self) -> InstallerError | None:
        """After a link was lost or a call failed: what is wrong with this computer's Bluetooth, None if nothing is.

        May take a moment: the reason often comes after the loss.
        """
        return self.failure

    async def wait_until_back(self, seconds: float) -> bool:
        """Wait until it works, for so many seconds at most. Whether it does. At once if it cannot come back."""
        return self.failure is None

    def to_installer_error(self, error: BaseException) -> InstallerError:
        """The InstallerError for an exception of a scan on this adapter."""
        return self.failure or system_errors.adapter_error(error, self.name)

    @abc.abstractmethod
    async def pair(self, client: BleakClient, device: BLEDevice) -> None:
        """Pair with this connected device, and keep the keys. Asks `pairing_dialog`.

        Without a deadline of its own for the person; the device and the system have theirs (30 s). The connection may
        be down afterwards, also if it succeeded.
        """

    async def look_anew(self, device: BLEDevice) -> None:
        """Let the system forget this device, which is not paired, and find it again; the link ends.

        Raises CONNECTION_LOST if it is not heard any more, and adapter errors.
        """

    async def lasting_address(self, device: BLEDevice) -> str:
        """The address by which the system knows the device now, in upper case. Never raises.

        A device with a changing address shows its lasting one (identity address) when it is paired.
        """
        return device.address.upper()

    async def is_bonded(self, device: BLEDevice) -> bool:
        """Whether this computer is known to have keys of the device. Never raises."""
        return False

    async def others_may_pair(self, device: BLEDevice) -> bool:
        """Whether another program of this computer answers for pairings that a request begins. Never raises."""
        return False

    async def bond_is_lost(self, device: BLEDevice) -> bool:
        """Whether the device has lost its keys, and this computer has them. Asked when no connection came about."""
        return False

    async def forget_bond(self, address: str) -> None:
        """Erase this computer's keys of the device. Raises ERASURE_INCOMPLETE, and the adapter's errors."""
        from installer.bluetooth.bonds import forget_bonds

        await forget_bonds([address], self.name)

    async def let_go(self, client: BleakClient, device: BLEDevice) -> None:
        """End the link of a client that is not used again. Returns when it ends, whatever becomes of this program.

        Where the system takes its time for that, the link may still be up for a moment. Raises what bleak raises.
        """
        await client.disconnect()

    async def cancel_connecting(self, device: BLEDevice) -> None:
        """End an attempt to connect that another program, or one that died, began in the system. Never raises."""

    async def end_left_links(self) -> None:
        """End the links that programs of this user have left open, and call `on_left_link`. Never raises."""

    async def heard_lately(self) -> list[Seen]:
        """The devices that the system heard before, while this adapter scans. Never raises."""
        return []

    async def connected_devices(self) -> list[Seen]:
        """The devices that are connected to this computer, by whichever program. Never raises."""
        return []

    def need_room(self) -> None:
        """This program begins to scan or to connect: it still needs the room that was made for it."""
        if self.room is not None:
            self.room.renew()

    async def close(self) -> None:
        """Release the controller, and the room that was made for this program."""
        room, self.room = self.room, None
        if room is not None:
            room.remove()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def start_scanner(adapter: Adapter, scanner: BleakScanner, timeout: float = SCANNER_START_SECONDS) -> None:
    """Start a scanner. Raises BLUETOOTH_MISSING, BLUETOOTH_OFF, BLUETOOTH_DENIED or ADAPTER_FAILED."""
    if adapter.failure is not None:
        raise adapter.failure
    busy_until = asyncio.get_running_loop().time() + BUSY_SECONDS
    try:
        async with asyncio.timeout(timeout):
            while True:
                try:
                    await scanner.start()
                    return
                except BleakDBusError as error:
                    # A program that died a moment ago may still be on the list of those that scan.
                    if not system_errors.is_busy(error) or asyncio.get_running_loop().time() > busy_until:
                        raise
                    await asyncio.sleep(BUSY_PAUSE_SECONDS)
    except system_errors.SYSTEM_ERRORS as error:
        raise (await adapter.why_lost()) or adapter.to_installer_error(error) from error


def disable_library_debug_logs() -> None:
    """Keep debug lines of the Bluetooth libraries out of every log: they show all bytes sent, also a passphrase."""
    for name in ("bleak", "bumble", "dbus_fast"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.setLevel(max(logger.level, logging.WARNING))
