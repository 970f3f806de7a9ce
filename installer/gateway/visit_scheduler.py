"""Scans in the background, and visits each device that is due when it shows up.

A device that has something to tell advertises; many do so only then. So a device is due when it comes into range, and
again after a while as long as it stays; one that failed waits longer each time. All waiting is counted on the clock
that nobody can set.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.scan import Scan
from installer.bluetooth.sighting import Sighting
from installer.catalogue.catalogue import Catalogue
from installer.errors import ErrorCode, InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Outbox
from installer.gateway.outbox_writer import OutboxWriter
from installer.gateway.visit import Waits, collect
from installer.gateway.visit_history import VisitHistory

# A device that was not heard for so long, seconds, and is heard again, has shown up anew.
AWAY = 20.0
LOOK_SECONDS = 1.0
FAILED_FIRST, FAILED_LONGEST = 5.0, 600.0
# What a device does wrong it does wrong again; what the radio does may pass.
HARD = (ErrorCode.DEVICE_MISBEHAVED, ErrorCode.MEASUREMENT_FAILED)
# Failures of this computer, not of the device: the visit is not to be blamed.
OWN = (ErrorCode.DATABASE_FAILED, ErrorCode.OUTBOX_INVALID, ErrorCode.FILE_UNWRITABLE)


@dataclass
class _Plan:
    """When a device is visited next. Monotonic seconds: `due`; `heard`; `left`, the end of the last visit."""

    target: GatewayDevice
    due: float = 0.0
    heard: float = float("-inf")
    left: float = float("-inf")
    failures: int = 0
    visiting: asyncio.Task[None] | None = None
    visited: bool = False


@dataclass(frozen=True)
class Visited:
    """What came of a visit. `taken`: new measurements; `failure`: why it ended early, if it did."""

    target: GatewayDevice
    taken: int
    failure: InstallerError | None = None


@dataclass
class Pace:
    """Seconds and numbers. `every`: between two visits of a device that stays; `parallel`: visits at the same time.

    `rest`: between two visits at least, however often somebody wakes the gateway.
    """

    every: float = 300.0
    rest: float = 5.0
    parallel: int = 2
    waits: Waits = field(default_factory=Waits)
    failed_first: float = FAILED_FIRST
    failed_longest: float = FAILED_LONGEST


class VisitScheduler:
    """The collecting half of the gateway. `told` hears of every visit; `arrived` of every new measurement."""

    def __init__(
        self,
        outbox: Outbox,
        visits: VisitHistory,
        catalogue: Catalogue,
        sinks_of: Callable[[GatewayDevice], Sequence[str]],
        pace: Pace,
        *,
        told: Callable[[Visited], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._visits = visits
        self._catalogue = catalogue
        self._sinks_of = sinks_of
        self._pace = pace
        self._told = told
        self._clock = clock
        self._plans: dict[str, _Plan] = {}
        self._connecting = asyncio.Lock()
        self._look = asyncio.Event()
        self._away = AWAY

    def follow(self, targets: Sequence[GatewayDevice]) -> None:
        """Collect from these devices from now on, and from no other."""
        wanted = {target.address: target for target in targets}
        for address in [a for a in self._plans if a not in wanted]:
            del self._plans[address]
        for address, target in wanted.items():
            plan = self._plans.get(address)
            if plan is None or plan.target != target:
                self._visits.know(target)
                if plan is None:
                    self._plans[address] = _Plan(target)
                else:
                    plan.target = target

    def wake(self, address: str | None) -> None:
        """Somebody says that there is something: visit the device, or all of them, as soon as it is heard."""
        for plan in self._plans.values():
            if address in (None, plan.target.address):
                # What was delivered a moment ago makes the cloud tell of it, and that wakes the gateway once more.
                plan.due = min(plan.due, plan.left + self._pace.rest)
        self._look.set()

    @property
    def waiting_for(self) -> list[GatewayDevice]:
        """The devices that this agent has still to visit: none was heard, or the visit failed and may yet succeed."""
        return [plan.target for plan in self._plans.values() if not plan.visited]

    @property
    def visiting(self) -> bool:
        """Whether a visit is going on."""
        return any(plan.visiting is not None for plan in self._plans.values())

    async def run(self, adapter: Adapter, until: Callable[[], bool] = lambda: False) -> None:
        """Scan and visit until `until` says so or it is cancelled. Raises the BLUETOOTH_* errors and ADAPTER_FAILED."""
        self._away = max(AWAY, adapter.quiet + 5.0)
        async with Scan(adapter, self._catalogue, settle=0, forget_after=self._away) as scan:
            try:
                while not until():
                    self._hear(scan.current())
                    self._start_visits(adapter, scan)
                    await self._wait(scan)
            finally:
                tasks = [plan.visiting for plan in self._plans.values() if plan.visiting is not None]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, scan: Scan) -> None:
        """Until something changes, or it is time to look again. Raises the scan's failure."""
        version = scan.version
        changed = asyncio.ensure_future(
            scan.wait_until(lambda _: True if scan.version != version else None, LOOK_SECONDS)
        )
        woken = asyncio.ensure_future(self._look.wait())
        try:
            await asyncio.wait({changed, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            changed.cancel()
            self._look.clear()
            # Not awaited itself: being cancelled here, and being cancelled from outside, would look the same.
            await asyncio.wait({changed, woken})
        if not changed.cancelled():
            changed.result()

    def _hear(self, sightings: Sequence[Sighting]) -> None:
        now = time.monotonic()
        for sighting in sightings:
            plan = self._plans.get(sighting.address)
            if plan is None or sighting.seen <= plan.heard:
                continue
            if sighting.seen - plan.heard > self._away and not plan.failures:
                plan.due = min(plan.due, now)
            plan.heard = sighting.seen
            with suppress(InstallerError):  # told by whoever has a measurement to write
                self._visits.seen(sighting.address, self._clock())

    def _start_visits(self, adapter: Adapter, scan: Scan) -> None:
        now = time.monotonic()
        going = sum(plan.visiting is not None for plan in self._plans.values())
        due = [p for p in self._plans.values() if p.visiting is None and p.due <= now and now - p.heard < self._away]
        for plan in sorted(due, key=lambda p: p.due)[: max(0, self._pace.parallel - going)]:
            plan.visiting = asyncio.create_task(self._visit(plan, adapter, scan))

    async def _visit(self, plan: _Plan, adapter: Adapter, scan: Scan) -> None:
        target = plan.target
        intake: OutboxWriter | None = None
        failure: InstallerError | None = None
        try:
            visit = self._visits.begin(target.address, self._clock())
            intake = OutboxWriter(self._outbox, target, visit, self._sinks_of(target), self._clock)
            await self._collect(plan, adapter, scan, intake)
            self._visits.end(target.address, self._clock())
        except InstallerError as error:
            failure = error
            if error.code not in OWN:
                with suppress(InstallerError):
                    self._visits.failed(target.address, error, self._clock())
        finally:
            plan.visiting = None
            # What passes may succeed with the next try; what does not is done with.
            plan.visited = failure is None or failure.code in (*HARD, *OWN)
            plan.failures = plan.failures + 1 if failure else 0
            # While it was connected it could not be heard; that it is heard now is nothing new.
            plan.heard = plan.left = time.monotonic()
            plan.due = plan.heard + self._wait_after(plan, failure)
            self._look.set()
        self._told(Visited(target, intake.taken if intake else 0, failure))

    async def _collect(self, plan: _Plan, adapter: Adapter, scan: Scan, intake: OutboxWriter) -> None:
        # Many adapters cannot scan and connect at once, and none makes two connections at once.
        async with self._connecting:
            device = scan.ble_device(plan.target.address)
            await scan.pause()
            up = asyncio.Event()
            work = asyncio.ensure_future(
                collect(adapter, device, plan.target.profiles, intake, self._pace.waits, up.set)
            )
            try:
                await _either(work, up)
                with suppress(InstallerError):  # told by the scan
                    await scan.resume()
            except BaseException:
                await _end(work)
                raise
        try:
            await asyncio.wait({work})
        finally:
            await _end(work)
        work.result()

    def _wait_after(self, plan: _Plan, failure: InstallerError | None) -> float:
        if failure is None:
            return self._pace.every
        first = self._pace.every if failure.code in HARD else self._pace.failed_first
        longest = max(first, self._pace.failed_longest)
        wait = min(first * 2.0 ** min(plan.failures - 1, 20), longest)
        return wait * random.uniform(0.5, 1.0)  # so that devices that failed together do not come back together


async def _either(work: asyncio.Future[None], up: asyncio.Event) -> None:
    """Wait until the work is done, or the event happens."""
    happened = asyncio.ensure_future(up.wait())
    try:
        await asyncio.wait((work, happened), return_when=asyncio.FIRST_COMPLETED)
    finally:
        happened.cancel()


async def _end(work: asyncio.Future[None]) -> None:
    """Cancel the work if it goes on, and wait until it has cleaned up."""
    work.cancel()
    await asyncio.wait({work})
    if not work.cancelled():
        work.exception()
