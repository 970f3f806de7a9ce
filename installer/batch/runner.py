"""Runs a plan: several installations at once on each adapter; a failing row stops no other one.

It decides only which device is next and what is tried again. What may be done with a device, and how, is the
engine's: each row is an ordinary installation, whose front end this is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from installer.batch.adapter_slots import AdapterSlot, may_be_installed
from installer.batch.device_assignment import DeviceAssignment
from installer.batch.plan import Plan, Unit
from installer.batch.row_events import RowEvents
from installer.batch.row_state import TRANSIENT, BatchOptions, Result, RowFrontEnd, RowState, ShowEvent
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import Notice
from installer.flow import resume as earlier
from installer.flow.installation import Installation
from installer.flow.outcome import Outcome
from installer.flow.steps.step import Claims, Options

if TYPE_CHECKING:
    from installer.batch.row_claims import RowClaims, RowRecord
    from installer.bluetooth.sighting import Sighting
    from installer.flow.steps.step import Environment

TICK = 0.25  # seconds between two looks at what is in reach
UNSEEN_DATA = 120.0  # seconds to wait for the first data of a device that nobody has seen join
LOOK_ELSEWHERE = 2.0  # seconds between two looks at what another station does


class Make(Protocol):
    """Makes the surroundings of one installation on this lane."""

    def __call__(self, lane: AdapterSlot, unit: Unit, options: Options) -> Environment:
        """They share the account, the claims and the radio."""
        ...


class Batch:
    """One run of a plan. `run` once; `stop` and `stop_now` from a signal handler."""

    def __init__(
        self,
        plan: Plan,
        lanes: Sequence[AdapterSlot],
        make: Make,
        history: RowClaims,
        show: ShowEvent,
        options: BatchOptions | None = None,
        base: Options | None = None,
    ) -> None:
        self.plan = plan
        self.options = options or BatchOptions()
        self._tell = RowEvents(plan, self.options, show)
        self.result = self._tell.result
        self._lanes = list(lanes)
        self._reach = DeviceAssignment(self._lanes)
        self._make = make
        self._history = history
        self._show = show
        self._base = base or Options()
        self._claims = Claims(shared=True)
        self._waiting: list[RowState] = []
        self._running: dict[asyncio.Task[None], RowState] = {}
        self._wake = asyncio.Event()
        self._defect: BaseException | None = None
        self._ticked = 0.0
        self._looked = time.monotonic()

    # From outside.

    def stop(self) -> None:
        """Begin nothing more; what has sent credentials is finished, the rest is broken off cleanly."""
        self.result.stopped = True
        for task, work in self._running.items():
            if not work.sent:
                task.cancel()
        self._wake.set()

    def stop_now(self) -> None:
        """Break everything off."""
        self.result.stopped = True
        for task in self._running:
            task.cancel()
        self._wake.set()

    async def rehearse(self) -> None:
        """Only tell what would be done."""
        await self._begin()
        await self._history.release()
        for work in self._waiting:
            self._tell.over(work, "planned")
        self._tell.ended(0.0)

    async def run(self) -> Result:
        """Every row to its end. Raises only what concerns all: no adapter, no ledger."""
        began = time.monotonic()
        await self._begin()
        try:
            await asyncio.gather(*(lane.open() for lane in self._lanes))
            self._check_lanes()
            self._ticked = time.monotonic()
            while self._waiting or self._running:
                if self.result.stopped:
                    self._give_up_waiting()
                else:
                    await self._mend_lanes()
                    await self._look_elsewhere()
                    self._start()
                if self._defect is not None:
                    raise self._defect
                if self._waiting or self._running:
                    await self._pause()
        finally:
            tasks = list(self._running)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(lane.radio.close() for lane in self._lanes), return_exceptions=True)
            await self._history.release()
        self._tell.ended(time.monotonic() - began)
        return self.result

    async def _begin(self) -> None:
        past = await self._history.load()
        for unit in self.plan.units:
            before = past.get(unit.key)
            if before is not None and before.done:
                self.result.states[unit.name] = before.state
                self._reach.used.add(before.address)
            else:
                work = RowState(unit)
                work.took_over(before)
                self._waiting.append(work)
        self._reach.used |= {w.bound for w in self._waiting if w.bound}
        self._reach.used |= {u.device for u in self.plan.units if u.device}
        names = [lane.radio.name or "system" for lane in self._lanes]
        self._tell.begun(past, len(self._waiting), names, self._history.differences(self.plan, past))

    # What is next.

    def _check_lanes(self) -> None:
        """Raise the first lane's error if none is left."""
        broken = [lane for lane in self._lanes if lane.error is not None]
        if len(broken) == len(self._lanes) and broken[0].error is not None and not self._running:
            raise broken[0].error

    async def _mend_lanes(self) -> None:
        for lane in self._lanes:
            if lane.error is None and not lane.radio.listening and not lane.busy:
                await lane.open()
        alive = [lane for lane in self._lanes if lane.error is None]
        if not alive and not self._running:
            for work in self._waiting:
                self._tell.over(work, "failed", self._lanes[0].error)
            self._waiting = []

    def _start(self) -> None:
        now = time.monotonic()
        passed, self._ticked = now - self._ticked, now
        listens = any(lane.listens for lane in self._lanes)
        self._reach.awake()
        for work in tuple(self._waiting):
            if work.elsewhere:
                continue
            lane, sighting = self._reach.fitting(work)
            address = sighting.address if sighting is not None else work.past.address if work.past is not None else ""
            if lane is None or not address:
                work.waited += passed if listens else 0.0
                continue
            self._waiting.remove(work)
            self._reach.used.add(address)
            lane.busy.add(work.unit.name)
            task = asyncio.create_task(self._one(work, lane, address, sighting))
            self._running[task] = work
            task.add_done_callback(self._finished)

    async def _pause(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(TICK):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            self._defect = task.exception()
        self._wake.set()

    def _give_up_waiting(self) -> None:
        for work in self._waiting:
            self._tell.over(work, "cancelled")
        self._waiting = []

    async def _look_elsewhere(self) -> None:
        """What other stations have: done there, failed there, or free again; and what nobody has found for too long."""
        now = time.monotonic()
        late = any(work.waited >= self.options.patience for work in self._waiting)
        if not self._waiting or (now - self._looked < LOOK_ELSEWHERE and not late):
            return
        self._looked = now
        past = await self._history.now()
        for work in tuple(self._waiting):
            before = past.get(work.unit.key)
            if before is not None and before.done:
                self._waiting.remove(work)
                self._reach.used.add(before.address)
                self._tell.over(work, before.state, device=before.address)
            elif work.elsewhere or work.waited >= self.options.patience:
                await self._look_at(work, before)

    async def _look_at(self, work: RowState, before: RowRecord | None) -> None:
        """One row that another station has or had, or whose device does not come."""
        if not await self._history.is_free(work.unit.key):
            if not work.elsewhere:
                self._tell.say(work, "elsewhere")
            # Should it come free again, its device is waited for anew.
            work.elsewhere, work.waited = True, 0.0
        elif work.elsewhere and work.failed_since(before):
            assert before is not None
            self._waiting.remove(work)
            self._tell.over(work, "failed", before.error)
        elif work.elsewhere:
            work.elsewhere = False
            # Where that one has sent credentials, this one goes on with the same device.
            work.took_over(before)
            self._reach.used |= {work.bound} if work.bound else set()
            self._tell.say(work, "waiting")
        else:
            work.unseen = True
            if not work.goes_on:
                self._waiting.remove(work)
                self._tell.over(work, "failed", self._reach.not_found(work.unit, self.options.patience))

    # One row.

    async def _one(self, work: RowState, lane: AdapterSlot, address: str, sighting: Sighting | None) -> None:
        unit = work.unit
        picked = unit.device is None and work.bound is None
        try:
            if not await self._may(work, address, sighting, picked):
                return
            work.began = work.began or time.monotonic()
            error: InstallerError | None = None
            while not self.result.stopped or error is None:
                work.attempt += 1
                again = "retrying" if work.attempt > 1 else "started"
                self._tell.say(work, again, error, device=address)
                model = unit.model or (sighting.detection.model_id if sighting is not None else None)
                outcome = await self._install(work, lane, address, model, only_new=picked and not work.sent)
                if outcome.error is None or outcome.outcome == "cancelled":
                    self._tell.over(work, outcome.outcome, device=address, installation=outcome.summary["installation"])
                    return
                error = outcome.error
                if self._set_aside(work, lane, address, picked, error):
                    return
                if error.code not in TRANSIENT or work.attempt >= self.options.tries:
                    break
                if work.sent:
                    # From here on the device is asked what became of the credentials, as after a kill.
                    work.took_over(await self._history.look(unit.key))
                await asyncio.sleep(self.options.pause * 2 ** (work.attempt - 1))
            self._tell.over(work, "failed", error, device=address)
        except asyncio.CancelledError:
            self._tell.over(work, "cancelled", device=address)
            raise
        except InstallerError as error:  # the ledger, or what no row can mend
            self._tell.over(work, "failed", error, device=address)
        finally:
            lane.busy.discard(unit.name)
            if work in self._waiting and picked:
                self._reach.used.discard(address)
            await asyncio.shield(self._history.give_back(unit.key, address if picked else None))

    async def _may(self, work: RowState, address: str, sighting: Sighting | None, picked: bool) -> bool:
        """Whether this row and this device are ours now; else the row waits, or is done elsewhere."""
        unit = work.unit
        if not await self._history.take_row(unit.key):
            work.elsewhere, work.waited = True, 0.0
            self._waiting.append(work)
            self._tell.say(work, "elsewhere")
            return False
        past = await self._history.look(unit.key)
        if past is not None and past.done:
            self._tell.over(work, past.state, device=past.address)
            return False
        if picked and past is not None and past.sent:
            # A moment ago another station has begun it, with another device.
            work.took_over(past)
            self._waiting.append(work)
            return False
        if not picked or sighting is None:
            return True
        if not await self._history.take_device(address):
            self._reach.rest(address, LOOK_ELSEWHERE)
            self._waiting.append(work)
            return False
        if may_be_installed(unit, sighting) and await self._history.was_installed(address):
            self._reach.installed_before(unit, address)
            self._waiting.append(work)
            return False
        return True

    def _set_aside(self, work: RowState, lane: AdapterSlot, address: str, picked: bool, error: InstallerError) -> bool:
        """Whether this failure is not the row's own: it waits for another device, or for its turn."""
        if error.data.get("slots"):
            if lane.full():
                text = f"The adapter {lane.radio.name} holds {lane.capacity} connections at once; no more are tried."
                self._show(Notice(code="adapter_full", text=text))
            work.attempt -= 1
        elif error.code is ErrorCode.DEVICE_TAKEN:
            self._reach.rest(address, LOOK_ELSEWHERE)
            work.attempt -= 1
        elif picked and error.code is ErrorCode.DEVICE_ALREADY_SET_UP:
            self._reach.rest(address)
            work.attempt -= 1
        else:
            return False
        self._waiting.append(work)
        self._tell.say(work, "waiting")
        return True

    async def _install(
        self, work: RowState, lane: AdapterSlot, address: str, model: str | None, *, only_new: bool
    ) -> Outcome:
        options = replace(self._base, non_interactive=True, identify=True, only_new=only_new, doubt=UNSEEN_DATA)
        surroundings = self._make(lane, work.unit, options)
        surroundings.claims = self._claims
        found = surroundings.catalogue.get(model) if model else None
        front, past = RowFrontEnd(work, self._show), await self._begun(work)
        answers = work.unit.answers(address, found, verify=self.options.verify)
        return await Installation(surroundings, front, answers, past).run()

    async def _begun(self, work: RowState) -> earlier.EarlierAttempt | None:
        """The installation that is gone on with, if it is."""
        if not work.begun or work.past is None:
            return None
        record = await self._history.record(work.past)
        return earlier.EarlierAttempt.of(record) if record is not None else None
