"""A running BLE scan: the devices in range, kept up to date.

A device sends different data in different packets, so the packets are merged. Detection runs again only
when the merged content changes, so that many devices that advertise often cost little CPU time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from installer.bluetooth.adapter import Adapter, start_scanner
from installer.bluetooth.detection import Detector
from installer.bluetooth.sighting import Advert, Sighting
from installer.bluetooth.signal_strength import smoothed
from installer.bluetooth.system_errors import SYSTEM_ERRORS
from installer.errors import ErrorCode, InstallerError
from installer.timing.backoff import Backoff

T = TypeVar("T")

# How long a device is hidden while no specific model is recognised. Its name and other data come in the next
# packets, and only the complete data tells, for example, a watch from any Improv device.
SETTLE_SECONDS = 0.5
# A change of the signal smaller than this (dB) is not shown.
RSSI_STEP = 2
STOP_SECONDS = 5.0
RESTART_BACKOFF = Backoff(0.2, 10.0)
# With pauses, a wait lasts at most this many times its timeout.
MAX_TIMEOUT_FACTOR_WITH_PAUSES = 10
PAUSED_POLL_SECONDS = 0.1
# How often a long scan looks for links that another program of this user has left open meanwhile, and asks the system
# for devices of which it hears nothing: BlueZ does not repeat what does not change.
LOOK_BESIDE_SECONDS = 5.0


@dataclass
class _Seen:
    device: BLEDevice
    rssi: float
    seen: float
    since: float
    last: AdvertisementData | None = None
    advert: Advert = field(default_factory=Advert)
    sighting: Sighting | None = None
    shown_rssi: int = 0


class Scan:
    """`async with Scan(adapter, detector) as scan:` scans until the block ends. Implements `LiveSightings`.

    A device that was not heard for `forget_after` seconds is removed. A device of no known model is shown after
    `settle` seconds. Entering raises the BLUETOOTH_* errors. `version` grows with every visible change.
    """

    def __init__(
        self,
        adapter: Adapter,
        detector: Detector,
        *,
        forget_after: float = 10.0,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self.version = 0
        self._adapter = adapter
        self._detector = detector
        self._settle = settle
        self._forget_after = max(forget_after, adapter.max_report_gap)
        self._seen: dict[str, _Seen] = {}
        self._scanner: BleakScanner | None = None
        self._failure: InstallerError | None = None
        self._stop_following: Callable[[], None] = lambda: None
        self._restarting: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._paused_since: float | None = None
        self._paused_seconds = 0.0
        self._beside: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._adapter.need_room()
        # A connected device does not advertise.
        await self._adapter.end_left_links()
        scanner = self._adapter.scanner(self._on_advert)
        try:
            await start_scanner(self._adapter, scanner)
        except InstallerError as error:
            self._failure = error
            raise
        self._scanner = scanner
        self._stop_following = self._adapter.add_failure_listener(self._on_adapter_change)
        self._on_adapter_change()
        self._beside = asyncio.create_task(self._work_beside())
        return self

    async def __aexit__(self, *_: object) -> None:
        scanner, self._scanner = self._scanner, None
        self._stop_following()
        beside = {task for task in (self._beside, self._restarting) if task is not None}
        self._beside = self._restarting = None
        for task in beside:
            task.cancel()
        if beside:
            await asyncio.wait(beside)
        if scanner is None:
            return
        # The adapter may be gone by now; the sightings stay valid.
        with contextlib.suppress(*SYSTEM_ERRORS):
            async with asyncio.timeout(STOP_SECONDS):
                await scanner.stop()

    async def pause(self) -> None:
        """Stop scanning for a while. The sightings stay and do not expire. Does nothing if the scan is stopped."""
        if self._scanner is None or self._paused_since is not None:
            return
        self._paused_since = time.monotonic()
        with contextlib.suppress(*SYSTEM_ERRORS):
            async with asyncio.timeout(STOP_SECONDS):
                await self._scanner.stop()

    async def resume(self) -> None:
        """Continue scanning after `pause`. Raises the BLUETOOTH_* errors and keeps them as the scan's `failure`."""
        if self._scanner is None or self._paused_since is None:
            return
        pause, self._paused_since = time.monotonic() - self._paused_since, None
        self._paused_seconds += pause
        try:
            await start_scanner(self._adapter, self._scanner)
        except InstallerError as error:
            self._failure = error
            self._notify_change()
            # Bluetooth may have come back while this was tried.
            self._on_adapter_change()
            raise
        for seen in self._seen.values():
            seen.seen += pause

    @property
    def paused(self) -> bool:
        """Whether the scan is paused and hears nothing."""
        return self._paused_since is not None

    @property
    def listened(self) -> float:
        """A clock that goes while the scan is not paused, in seconds."""
        return self._scanning_seconds

    @property
    def failure(self) -> InstallerError | None:
        """Why the scan stopped; None while it runs."""
        return self._failure

    @property
    def restarts(self) -> bool:
        """Whether a scan that stopped goes on by itself when Bluetooth works again."""
        return self._adapter.comes_back

    def current(self) -> Sequence[Sighting]:
        """The sightings of the last `forget_after` seconds, in the order in which the devices were first heard."""
        self._remove_silent()
        limit = time.monotonic() - self._settle
        sightings = ((seen, self._sighting(address, seen)) for address, seen in self._seen.items())
        return [sighting for seen, sighting in sightings if seen.since <= limit or self._is_known(sighting)]

    async def wait_until(self, predicate: Callable[[Sequence[Sighting]], T | None], timeout: float) -> T | None:
        """The first result of `predicate` on the sightings that is not None; None after `timeout` seconds.

        Time in which the scan is paused does not count. Raises the scan's failure.
        """
        deadline = self._scanning_seconds + timeout
        limit = time.monotonic() + timeout * MAX_TIMEOUT_FACTOR_WITH_PAUSES
        while True:
            self._changed.clear()
            if self._failure is not None:
                raise self._failure
            found = predicate(self.current())
            if found is not None:
                return found
            left = deadline - self._scanning_seconds
            if left <= 0 or time.monotonic() >= limit:
                return None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left, PAUSED_POLL_SECONDS) if self.paused else left):
                    await self._changed.wait()

    async def wait_until_running(self, seconds: float) -> bool:
        """Wait until a scan that stopped runs again, for so many seconds at most. Whether it does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._failure is not None and self.restarts:
                    self._changed.clear()
                    await self._changed.wait()
        return self._failure is None

    def forget(self, address: str) -> None:
        """Remove this device. It is listed again when it is heard again."""
        if self._seen.pop(address.upper(), None) is not None:
            self._notify_change()

    def ble_device(self, address: str) -> BLEDevice:
        """The bleak device with this address, to connect to. Raises DEVICE_NOT_FOUND if the scan does not list it."""
        seen = self._seen.get(address.upper())
        if seen is None:
            raise InstallerError(
                ErrorCode.DEVICE_NOT_FOUND,
                f"The device {address} is not within reach.",
                "Bring it close to this computer and wake it.",
                address=address,
            )
        self._adapter.heard[seen.device.address] = seen.advert
        return seen.device

    async def _work_beside(self) -> None:
        """Take what the system knows for sightings, first of all and then again and again; look for left links."""
        while True:
            silent = time.monotonic() - LOOK_BESIDE_SECONDS
            if not self._seen or any(seen.seen < silent for seen in self._seen.values()):
                for device, advert in await self._adapter.heard_lately():
                    seen = self._seen.get(device.address.upper())
                    if not self.paused and (seen is None or seen.seen < silent):
                        self._on_advert(device, advert)
            await asyncio.sleep(LOOK_BESIDE_SECONDS)
            await self._adapter.end_left_links()

    @property
    def _scanning_seconds(self) -> float:
        """A monotonic clock that stops while the scan is paused, in seconds."""
        now = time.monotonic() if self._paused_since is None else self._paused_since
        return now - self._paused_seconds

    def _on_advert(self, device: BLEDevice, advert: AdvertisementData) -> None:
        now = time.monotonic()
        address = device.address.upper()
        seen = self._seen.get(address)
        if seen is None:
            self._remove_silent()
            seen = self._seen[address] = _Seen(device, float(advert.rssi), now, now)
            if self._settle:
                asyncio.get_running_loop().call_later(self._settle, self._notify_change)
        seen.device, seen.seen = device, now
        seen.rssi = smoothed(seen.rssi, advert.rssi)
        if seen.last is None or not _same_content(seen.last, advert):
            merged = _merge(seen.advert, advert)
            if seen.last is None or merged != seen.advert:
                seen.advert = merged
                seen.sighting = None
                self._notify_change()
            seen.last = advert
        if abs(seen.shown_rssi - seen.rssi) >= RSSI_STEP:
            self._notify_change()

    def _sighting(self, address: str, seen: _Seen) -> Sighting:
        rssi = round(seen.rssi)
        old = seen.sighting
        if old is None:
            detection = self._detector.detect(address, seen.advert)
            state = self._detector.setup_state(seen.advert)
            old = Sighting(address=address, rssi=rssi, advert=seen.advert, detection=detection, state=state)
        if old.rssi != rssi or old.seen != seen.seen:
            old = old.model_copy(update={"rssi": rssi, "seen": seen.seen})
        seen.sighting, seen.shown_rssi = old, rssi
        return old

    def _is_known(self, sighting: Sighting) -> bool:
        model = sighting.detection.model_id
        return model is not None and not self._detector.is_generic(model)

    def _remove_silent(self) -> None:
        limit = (self._paused_since or time.monotonic()) - self._forget_after
        gone = [address for address, seen in self._seen.items() if seen.seen < limit]
        for address in gone:
            del self._seen[address]
        if gone:
            self.version += 1

    def _on_adapter_change(self) -> None:
        if self._scanner is None:
            return
        if self._adapter.failure is not None:
            self._failure = self._adapter.failure
            self._notify_change()
        elif self._failure is not None and self._restarting is None:
            self._restarting = asyncio.ensure_future(self._restart())

    async def _restart(self) -> None:
        """Scan again, after Bluetooth has come back. It forgets every scan when it goes."""
        old, self._scanner = self._scanner, self._adapter.scanner(self._on_advert)
        if old is not None:
            with contextlib.suppress(*SYSTEM_ERRORS):
                async with asyncio.timeout(STOP_SECONDS):
                    await old.stop()
        # What BlueZ knew of the devices has gone with it.
        self._seen.clear()
        for wait in RESTART_BACKOFF.waits():
            try:
                if not self.paused:
                    await start_scanner(self._adapter, self._scanner)
                self._failure = None
                break
            except InstallerError as error:
                self._failure = error
            self._notify_change()
            if self._adapter.failure is not None:
                break  # the adapter says when it is worth another try
            # bleak learns a moment later than the watch that the adapter is there.
            await asyncio.sleep(wait)
            self._scanner = self._adapter.scanner(self._on_advert)
        self._restarting = None
        self._notify_change()
        if self._failure is None and self._adapter.failure is not None:
            self._on_adapter_change()  # it has gone again meanwhile

    def _notify_change(self) -> None:
        self.version += 1
        self._changed.set()


def _same_content(one: AdvertisementData, other: AdvertisementData) -> bool:
    return (
        one.local_name == other.local_name
        and one.service_data == other.service_data
        and one.manufacturer_data == other.manufacturer_data
        and one.service_uuids == other.service_uuids
    )


def _merge(known: Advert, new: AdvertisementData) -> Advert:
    services = tuple(uuid.lower() for uuid in new.service_uuids)
    return Advert(
        name=new.local_name if new.local_name is not None else known.name,
        services=known.services + tuple(uuid for uuid in services if uuid not in known.services),
        service_data={**known.service_data, **{uuid.lower(): data for uuid, data in new.service_data.items()}},
        manufacturer_data={**known.manufacturer_data, **new.manufacturer_data},
    )
