"""Scans in the background, and visits each device that is due when it is heard.

A device with new measurements advertises; many advertise only then. So a device is due when it comes into range, and
then at an interval while it stays in range. After failures the interval grows. All waits use the monotonic clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.scan import Scan
from installer.bluetooth.sighting import Sighting
from installer.catalogue.catalogue_file import Catalogue
from installer.errors import COMPUTER_BLUETOOTH, ErrorCode, InstallerError
from installer.gateway.device_identity import DeviceIdentities
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Outbox
from installer.gateway.outbox_writer import OutboxWriter
from installer.gateway.visit import VisitEnd, VisitTimeouts, collect_options, visit_device
from installer.gateway.visit_history import VisitHistory
from installer.provisioning import registry
from installer.timing.backoff import Backoff

# A device that was not heard for so long has left the range.
LEFT_RANGE_SECONDS = 20.0
SCAN_CHECK_SECONDS = 1.0
# A device that told something and hung up is visited again after so many seconds if it is heard again: the next person
# may have used it. If it then tells nothing, the usual interval counts.
AGAIN_SECONDS = 10.0
FAILED_VISIT_BACKOFF = Backoff(5.0, 600.0, jitter=(0.5, 1.0))
# Errors of a device that come again at the next visit. Errors of the radio may not.
PERMANENT_ERRORS = (
    ErrorCode.DEVICE_MISBEHAVED,
    ErrorCode.MEASUREMENT_FAILED,
    ErrorCode.DEVICE_CHANGED,
    ErrorCode.PAIRING_NEEDED,
    ErrorCode.BOND_LOST,
)
# Errors of this computer, which are not recorded as errors of the device.
PROGRAM_ERRORS = (
    ErrorCode.DATABASE_FAILED,
    ErrorCode.OUTBOX_INVALID,
    ErrorCode.FILE_UNWRITABLE,
    ErrorCode.GATEWAY_RUNNING,
    *COMPUTER_BLUETOOTH,
)


@dataclass
class _DeviceSchedule:
    """When a device is visited next. Monotonic seconds: `due`; `heard`; `visit_ended`, the end of the last visit.

    `visited`: a visit succeeded, or failed with an error that will come again. `must_be_heard`: it has hung up and may
    sleep, so it is visited only if it was heard since.
    """

    device: GatewayDevice
    due: float = 0.0
    heard: float = float("-inf")
    visit_ended: float = float("-inf")
    failures: int = 0
    visit: asyncio.Task[None] | None = None
    visited: bool = False
    must_be_heard: bool = False


@dataclass(frozen=True)
class VisitResult:
    """The result of a visit. `collected`: new measurements; `failure`: why it ended early, if it did."""

    device: GatewayDevice
    collected: int
    failure: InstallerError | None = None


@dataclass
class VisitSettings:
    """`interval`: seconds between two visits of a device in range; `parallel`: visits at the same time.

    `min_interval`: seconds between two visits if the gateway is woken. `backoff`: after failed visits.
    """

    interval: float = 300.0
    min_interval: float = 5.0
    parallel: int = 2
    timeouts: VisitTimeouts = field(default_factory=VisitTimeouts)
    backoff: Backoff = FAILED_VISIT_BACKOFF


class VisitScheduler:
    """Collects from the devices. `on_result` is called after each visit, `check_lock` before each.

    `check_lock` raises GATEWAY_RUNNING if this is not the only gateway any more.
    """

    def __init__(
        self,
        outbox: Outbox,
        visits: VisitHistory,
        catalogue: Catalogue,
        sinks_of: Callable[[GatewayDevice], Sequence[str]],
        settings: VisitSettings,
        *,
        on_result: Callable[[VisitResult], None] = lambda _: None,
        check_lock: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._check_lock = check_lock
        self._outbox = outbox
        self._visits = visits
        self._identities = DeviceIdentities(outbox)
        self._catalogue = catalogue
        self._sinks_of = sinks_of
        self._settings = settings
        self._on_result = on_result
        self._clock = clock
        self._schedules: dict[str, _DeviceSchedule] = {}
        self._connecting = asyncio.Lock()
        self._changed = asyncio.Event()
        self._left_range_after = LEFT_RANGE_SECONDS

    def set_devices(self, devices: Sequence[GatewayDevice]) -> None:
        """Collect from these devices from now on, and from no other."""
        wanted = {device.address: device for device in devices}
        for address in [a for a in self._schedules if a not in wanted]:
            del self._schedules[address]
        for address, device in wanted.items():
            schedule = self._schedules.get(address)
            if schedule is None or schedule.device != device:
                self._visits.add_device(device)
                if schedule is None:
                    self._schedules[address] = _DeviceSchedule(device)
                else:
                    schedule.device = device

    def wake(self, address: str | None) -> None:
        """Visit this device, or all devices (None), when it is heard next."""
        for schedule in self._schedules.values():
            if address in (None, schedule.device.address):
                # A delivery makes the cloud send a notification, which wakes the gateway again. This stops the loop.
                schedule.due = min(schedule.due, schedule.visit_ended + self._settings.min_interval)
        self._changed.set()

    @property
    def unvisited(self) -> list[GatewayDevice]:
        """The devices that were not heard, or whose visit failed and can still succeed."""
        return [schedule.device for schedule in self._schedules.values() if not schedule.visited]

    @property
    def is_visiting(self) -> bool:
        """Whether a visit is running."""
        return any(schedule.visit is not None for schedule in self._schedules.values())

    async def run(
        self,
        adapter: Adapter,
        until: Callable[[], bool] = lambda: False,
        hold_back: Callable[[], bool] = lambda: False,
        on_listening: Callable[[], None] = lambda: None,
    ) -> None:
        """Scan and visit until `until()` is true, or cancelled. While `hold_back()`, no visit begins.

        `on_listening` is called when the scan runs. Raises the BLUETOOTH_* errors and ADAPTER_FAILED.
        """
        self._left_range_after = max(LEFT_RANGE_SECONDS, adapter.max_report_gap + 5.0)
        async with Scan(
            adapter, registry.detector(self._catalogue), settle=0, forget_after=self._left_range_after
        ) as scan:
            on_listening()
            self._begin_anew()
            try:
                while not until():
                    self._record_sightings(scan.current())
                    if not hold_back():
                        self._start_visits(adapter, scan)
                    await self._wait_for_change(scan)
            finally:
                tasks = [schedule.visit for schedule in self._schedules.values() if schedule.visit is not None]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _begin_anew(self) -> None:
        """Nothing was heard before this scan: a device may have had a measurement meanwhile, and is visited soon."""
        now = time.monotonic()
        for schedule in self._schedules.values():
            if not schedule.failures:
                schedule.due = min(schedule.due, max(now, schedule.visit_ended + self._settings.min_interval))

    async def _wait_for_change(self, scan: Scan) -> None:
        """Until a sighting or a schedule changes, at most `SCAN_CHECK_SECONDS`. Raises the scan's failure."""
        version = scan.version
        sighted = asyncio.ensure_future(
            scan.wait_until(lambda _: True if scan.version != version else None, SCAN_CHECK_SECONDS)
        )
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({sighted, changed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            sighted.cancel()
            self._changed.clear()
            # Not `await sighted`: its cancellation would look like a cancellation of this task.
            await asyncio.wait({sighted, changed})
        if not sighted.cancelled():
            sighted.result()

    def _record_sightings(self, sightings: Sequence[Sighting]) -> None:
        now = time.monotonic()
        for sighting in sightings:
            schedule = self._schedules.get(sighting.address)
            if schedule is None or sighting.seen <= schedule.heard:
                continue
            if sighting.seen - schedule.heard > self._left_range_after and not schedule.failures:
                schedule.due = min(schedule.due, now)
            schedule.heard = sighting.seen
            with suppress(InstallerError):  # the next measurement that is written reports it
                self._visits.record_seen(sighting.address, self._clock())

    def _start_visits(self, adapter: Adapter, scan: Scan) -> None:
        now = time.monotonic()
        running = sum(schedule.visit is not None for schedule in self._schedules.values())
        # What was heard before Bluetooth was away is not known to a new scan.
        listed = {sighting.address for sighting in scan.current()}
        due = [
            schedule
            for schedule in self._schedules.values()
            if schedule.visit is None
            and schedule.device.address in listed
            and schedule.due <= now
            and now - schedule.heard < self._left_range_after
            and not (schedule.must_be_heard and schedule.heard == schedule.visit_ended)
        ]
        due.sort(key=lambda schedule: schedule.due)
        for schedule in due[: max(0, self._settings.parallel - running)]:
            schedule.visit = asyncio.create_task(self._visit(schedule, adapter, scan))

    async def _visit(self, schedule: _DeviceSchedule, adapter: Adapter, scan: Scan) -> None:
        device = schedule.device
        writer: OutboxWriter | None = None
        failure: InstallerError | None = None
        again_soon = False
        cut = True  # by the end of the scan
        try:
            self._check_lock()  # two gateways would both answer the device
            visit = self._visits.begin_visit(device.address, self._clock())
            writer = OutboxWriter(self._outbox, device, visit, self._sinks_of(device), self._clock)
            end = await self._collect(device, adapter, scan, writer)
            again_soon = end.by_device and bool(writer.collected)
            self._visits.record_success(device.address, self._clock(), in_doubt=end.in_doubt)
            cut = False
        except InstallerError as error:
            failure = error
            cut = error.computers_bluetooth
            # Another run of this user has the device: that is nobody's failure.
            if error.code not in (*PROGRAM_ERRORS, ErrorCode.DEVICE_TAKEN):
                with suppress(InstallerError):
                    self._visits.record_failure(device.address, error, self._clock())
        finally:
            schedule.visit = None
            schedule.visited = not cut and (failure is None or failure.code in (*PERMANENT_ERRORS, *PROGRAM_ERRORS))
            schedule.failures = 0 if failure is None or cut else schedule.failures + 1
            # A connected device does not advertise. When it is heard now, it has not come into range again.
            schedule.heard = schedule.visit_ended = time.monotonic()
            schedule.must_be_heard = again_soon
            interval = 0.0 if cut else self._next_interval(schedule, failure, again_soon=again_soon)
            schedule.due = schedule.heard + interval
            self._changed.set()
        self._on_result(VisitResult(device, writer.collected if writer else 0, failure))

    async def _collect(self, device: GatewayDevice, adapter: Adapter, scan: Scan, writer: OutboxWriter) -> VisitEnd:
        options = await collect_options(device, self._outbox)
        # Many adapters cannot scan and connect at the same time, and none opens two connections at the same time.
        async with self._connecting:
            ble_device = scan.ble_device(device.address)
            await scan.pause()
            connected = asyncio.Event()
            check, timeouts = partial(self._identities.check, device), self._settings.timeouts
            visit = asyncio.ensure_future(
                visit_device(adapter, ble_device, device.profiles, writer, timeouts, connected.set, check, options)
            )
            try:
                await _wait_for_either(visit, connected)
                with suppress(InstallerError):  # the scan reports it
                    await scan.resume()
            except BaseException:
                await _cancel_and_wait(visit)
                raise
        try:
            await asyncio.wait({visit})
        finally:
            await _cancel_and_wait(visit)
        return visit.result()

    def _next_interval(self, schedule: _DeviceSchedule, failure: InstallerError | None, *, again_soon: bool) -> float:
        if failure is None:
            return min(self._settings.interval, AGAIN_SECONDS) if again_soon else self._settings.interval
        backoff = self._settings.backoff
        first = self._settings.interval if failure.code in PERMANENT_ERRORS else backoff.first
        return replace(backoff, first=first, longest=max(first, backoff.longest)).after_failures(schedule.failures)


async def _wait_for_either(task: asyncio.Future[VisitEnd], event: asyncio.Event) -> None:
    """Wait until the task is done or the event is set."""
    happened = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((task, happened), return_when=asyncio.FIRST_COMPLETED)
    finally:
        happened.cancel()


async def _cancel_and_wait(task: asyncio.Future[VisitEnd]) -> None:
    """Cancel the task if it runs, and wait until it has cleaned up."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
