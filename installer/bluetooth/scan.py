"""A running scan: the devices in reach, kept up to date.

A device says different things in different packets; what it said is merged. The detection
is computed again only when that content changes, so that many devices that advertise often
stay cheap.
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

from installer.bluetooth import adapter as adapters
from installer.bluetooth.adapter import Adapter
from installer.bluetooth.detection import Detector, setup_state
from installer.bluetooth.sighting import Advert, Sighting
from installer.bluetooth.system_errors import SYSTEM_ERRORS
from installer.catalogue.catalogue import Catalogue
from installer.errors import ErrorCode, InstallerError

T = TypeVar("T")

# Share of a new packet in the signal strength that is shown; a single packet jumps by 10 dB and more.
SMOOTHING = 0.3
# How long a device is held back that is not recognised as a model of its own: its name and the
# rest of what it says come with the next packets, and only the whole tells, say, a watch from any Improv device.
SETTLE_SECONDS = 0.5
# A change of the signal smaller than this (dB) is not worth drawing again.
SIGNAL_STEP = 2
NO_SIGNAL = -127
STOP_SECONDS = 5.0
# How many times its deadline a wait may last while the scan is paused again and again.
PAUSES = 10
LOOK_SECONDS = 0.1


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
    """`async with Scan(adapter, catalogue) as scan:` scans until the block ends. Implements `LiveSightings`.

    A device that was not heard for `forget_after` seconds is dropped; one of no known model is shown after
    `settle` seconds. Entering raises the BLUETOOTH_* errors. `version` grows with every change worth showing.
    """

    def __init__(
        self,
        adapter: Adapter,
        catalogue: Catalogue,
        *,
        forget_after: float = 10.0,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self.version = 0
        self._adapter = adapter
        self._detector = Detector(catalogue)
        self._settle = settle
        self._generic = {model.id for model in catalogue.models if model.generic}
        self._forget_after = max(forget_after, adapter.quiet)
        self._seen: dict[str, _Seen] = {}
        self._scanner: BleakScanner | None = None
        self._failure: InstallerError | None = None
        self._changed = asyncio.Event()
        self._paused: float | None = None
        self._away = 0.0

    async def __aenter__(self) -> Self:
        scanner = self._adapter.scanner(self._on_advert)
        try:
            await adapters.start(self._adapter, scanner)
        except InstallerError as error:
            self._failure = error
            raise
        self._scanner = scanner
        self._adapter.when_failed(self._on_failure)
        return self

    async def __aexit__(self, *_: object) -> None:
        scanner, self._scanner = self._scanner, None
        if scanner is None:
            return
        # The adapter may be gone by now; what was seen stays valid.
        with contextlib.suppress(*SYSTEM_ERRORS):
            async with asyncio.timeout(STOP_SECONDS):
                await scanner.stop()

    async def pause(self) -> None:
        """Stop listening for a while; what was seen stays, and does not grow older. Does nothing if it is stopped."""
        if self._scanner is None or self._paused is not None:
            return
        self._paused = time.monotonic()
        with contextlib.suppress(*SYSTEM_ERRORS):
            async with asyncio.timeout(STOP_SECONDS):
                await self._scanner.stop()

    async def resume(self) -> None:
        """Go on listening after `pause`. Raises the BLUETOOTH_* errors, which are the scan's failure then."""
        if self._scanner is None or self._paused is None:
            return
        try:
            await adapters.start(self._adapter, self._scanner)
        except InstallerError as error:
            self._failure = error
            self._touch()
            raise
        away, self._paused = time.monotonic() - self._paused, None
        self._away += away
        for seen in self._seen.values():
            seen.seen += away

    @property
    def paused(self) -> bool:
        """Whether it is paused: nothing new is heard."""
        return self._paused is not None

    @property
    def failure(self) -> InstallerError | None:
        """Why the scan stopped, if it did."""
        return self._failure

    def current(self) -> Sequence[Sighting]:
        """The sightings of the last `forget_after` seconds, in the order in which the devices were first heard."""
        self._drop_silent()
        limit = time.monotonic() - self._settle
        sightings = ((seen, self._sighting(address, seen)) for address, seen in self._seen.items())
        return [sighting for seen, sighting in sightings if seen.since <= limit or self._is_known(sighting)]

    async def wait_until(self, predicate: Callable[[Sequence[Sighting]], T | None], timeout: float) -> T | None:
        """What `predicate` makes of the sightings as soon as that is not None; None after `timeout` seconds.

        Those in which the scan is paused do not count, as nothing can be heard then. Raises the scan's failure.
        """
        deadline, limit = self._listened + timeout, time.monotonic() + timeout * PAUSES
        while True:
            self._changed.clear()
            if self._failure is not None:
                raise self._failure
            found = predicate(self.current())
            if found is not None:
                return found
            left = deadline - self._listened
            if left <= 0 or time.monotonic() >= limit:
                return None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left, LOOK_SECONDS) if self.paused else left):
                    await self._changed.wait()

    def forget(self, address: str) -> None:
        """Drop what was heard of this device: it is there once it is heard anew."""
        if self._seen.pop(address.upper(), None) is not None:
            self._touch()

    @property
    def _listened(self) -> float:
        """A clock that stands still while the scan is paused, in seconds."""
        return (time.monotonic() if self._paused is None else self._paused) - self._away

    def ble_device(self, address: str) -> BLEDevice:
        """bleak's device of a sighting, to connect to it. Raises DEVICE_NOT_FOUND if it was never heard."""
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

    def _on_advert(self, device: BLEDevice, advert: AdvertisementData) -> None:
        now = time.monotonic()
        address = device.address.upper()
        seen = self._seen.get(address)
        if seen is None:
            self._drop_silent()
            seen = self._seen[address] = _Seen(device, float(advert.rssi), now, now)
            if self._settle:
                asyncio.get_running_loop().call_later(self._settle, self._touch)
        seen.device, seen.seen = device, now
        if advert.rssi != NO_SIGNAL:
            known = seen.rssi if seen.rssi != NO_SIGNAL else float(advert.rssi)
            seen.rssi = known + SMOOTHING * (advert.rssi - known)
        if seen.last is None or not _same(seen.last, advert):
            merged = _merge(seen.advert, advert)
            if seen.last is None or merged != seen.advert:
                seen.advert = merged
                seen.sighting = None
                self._touch()
            seen.last = advert
        if abs(seen.shown_rssi - seen.rssi) >= SIGNAL_STEP:
            self._touch()

    def _sighting(self, address: str, seen: _Seen) -> Sighting:
        rssi = round(seen.rssi)
        old = seen.sighting
        if old is None:
            detection = self._detector.detect(address, seen.advert)
            state = setup_state(seen.advert)
            old = Sighting(address=address, rssi=rssi, advert=seen.advert, detection=detection, state=state)
        if old.rssi != rssi or old.seen != seen.seen:
            old = old.model_copy(update={"rssi": rssi, "seen": seen.seen})
        seen.sighting, seen.shown_rssi = old, rssi
        return old

    def _is_known(self, sighting: Sighting) -> bool:
        model = sighting.detection.model_id
        return model is not None and model not in self._generic

    def _drop_silent(self) -> None:
        limit = (self._paused or time.monotonic()) - self._forget_after
        gone = [address for address, seen in self._seen.items() if seen.seen < limit]
        for address in gone:
            del self._seen[address]
        if gone:
            self.version += 1

    def _on_failure(self) -> None:
        if self._scanner is not None:
            self._failure = self._adapter.failure
            self._touch()

    def _touch(self) -> None:
        self.version += 1
        self._changed.set()


def _same(one: AdvertisementData, other: AdvertisementData) -> bool:
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
