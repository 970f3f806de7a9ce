"""Runs a plan: several installations at once on each adapter. A failed row does not stop the others.

The runner decides only which row is next; `row_worker.py` carries it out. Each row is an ordinary installation, and
the flow decides what may be done with a device.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from installer.batch.device_assignment import BatchAdapter, DeviceAssignment
from installer.batch.options_and_result import BatchOptions, BatchResult
from installer.batch.plan import Plan
from installer.batch.row_events import RowEvents
from installer.batch.row_state import RowState, ShowEvent
from installer.batch.row_worker import OTHER_STATIONS_INTERVAL_SECONDS, MakeEnvironment, RowWorker
from installer.errors import InstallerError
from installer.events.installation import Notice
from installer.flow.run_options import Options

if TYPE_CHECKING:
    from installer.batch.row_claims import RowClaims, RowRecord

DISPATCH_INTERVAL_SECONDS = 0.25  # how often devices in reach are assigned to waiting rows


class Batch:
    """One run of a plan. Call `run` once; a signal handler calls `stop` and `stop_now`."""

    def __init__(
        self,
        plan: Plan,
        adapters: Sequence[BatchAdapter],
        make_environment: MakeEnvironment,
        row_claims: RowClaims,
        show: ShowEvent,
        options: BatchOptions | None = None,
        installation_options: Options | None = None,
    ) -> None:
        self.plan = plan
        self.options = options or BatchOptions()
        self._events = RowEvents(plan, self.options, show)
        self.result = self._events.result
        self._adapters = list(adapters)
        self._assignment = DeviceAssignment(self._adapters)
        self._row_claims = row_claims
        self._show = show
        self._waiting: list[RowState] = []
        self._worker = RowWorker(
            self.options,
            installation_options or Options(),
            make_environment,
            row_claims,
            self._assignment,
            self._events,
            show,
            self._waiting,
        )
        self._running: dict[asyncio.Task[None], RowState] = {}
        self._wake = asyncio.Event()
        self._bug: BaseException | None = None
        self._dispatched_at = 0.0
        self._read_others_at = time.monotonic()

    def stop(self) -> None:
        """Start nothing more. Rows that have sent credentials are finished, the others are cancelled."""
        self.result.stopped = True
        for task, row in self._running.items():
            if not row.sent:
                task.cancel()
        self._wake.set()

    def stop_now(self) -> None:
        """Cancel everything."""
        self.result.stopped = True
        for task in self._running:
            task.cancel()
        self._wake.set()

    async def dry_run(self) -> None:
        """Only emit what would be done."""
        await self._begin()
        await self._row_claims.close()
        for row in self._waiting:
            self._events.row_ended(row, "planned")
        self._events.batch_ended(0.0)

    async def run(self) -> BatchResult:
        """Run every row to its end. Raises only what stops all of them: no adapter, no ledger."""
        began = time.monotonic()
        await self._begin()
        try:
            await asyncio.gather(*(adapter.scan() for adapter in self._adapters))
            self._check_adapters()
            self._dispatched_at = time.monotonic()
            while self._waiting or self._running:
                if self.result.stopped:
                    self._cancel_waiting()
                else:
                    await self._restart_scans()
                    await self._check_other_stations()
                    self._start_rows()
                if self._bug is not None:
                    raise self._bug
                if self._waiting or self._running:
                    await self._pause()
        finally:
            tasks = list(self._running)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(adapter.radio.close() for adapter in self._adapters), return_exceptions=True)
            await self._row_claims.close()
        self._events.batch_ended(time.monotonic() - began)
        return self.result

    async def _begin(self) -> None:
        past = await self._row_claims.open()
        failed: list[tuple[RowState, InstallerError]] = []
        for unit in self.plan.units:
            record = past.get(unit.key)
            if record is not None and record.damage is not None:
                failed.append((RowState(unit), record.damage))
            elif record is not None and record.done:
                self.result.states[unit.name] = record.state
                self._assignment.assigned.add(record.address)
            else:
                row = RowState(unit)
                row.continue_from(record)
                if row.refusal is not None:
                    failed.append((row, row.refusal))
                else:
                    self._waiting.append(row)
        self._assignment.assigned |= {row.bound_address for row in self._waiting if row.bound_address}
        self._assignment.assigned |= {unit.device for unit in self.plan.units if unit.device}
        names = [adapter.radio.name or "system" for adapter in self._adapters]
        differences = self._row_claims.differences(self.plan, past)
        self._events.batch_started(past, len(self._waiting), names, differences)
        for row, error in failed:
            self._events.row_ended(row, "failed", error)

    # Which row is next.

    def _check_adapters(self) -> None:
        """Raise the error of the first adapter if none can be used."""
        failed = [adapter for adapter in self._adapters if adapter.error is not None]
        if len(failed) == len(self._adapters) and failed[0].error is not None and not self._running:
            raise failed[0].error

    async def _restart_scans(self) -> None:
        for adapter in self._adapters:
            before = adapter.outage
            await adapter.keep_scanning()
            self._tell_outage(adapter, before)
        if all(adapter.error is not None for adapter in self._adapters) and not self._running:
            for row in self._waiting:
                self._events.row_ended(row, "failed", self._adapters[0].error)
            self._waiting.clear()

    def _tell_outage(self, adapter: BatchAdapter, before: InstallerError | None) -> None:
        name, outage = adapter.radio.name or "system", adapter.outage
        if outage is not None and before is None:
            text = f"{outage} The batch waits for the adapter {name}, and then goes on."
            self._show(Notice(code="bluetooth_away", text=text))
        elif outage is None and before is not None and adapter.error is None:
            self._show(Notice(code="bluetooth_back", text=f"The adapter {name} works again: the batch goes on."))

    def _start_rows(self) -> None:
        now = time.monotonic()
        passed, self._dispatched_at = now - self._dispatched_at, now
        scanning = any(adapter.can_find for adapter in self._adapters)
        self._assignment.end_expired_skips()
        for row in tuple(self._waiting):
            if row.at_other_station:
                continue
            adapter, sighting = self._assignment.find(row)
            address = sighting.address if sighting is not None else row.past.address if row.past is not None else ""
            if adapter is None or not address:
                row.waited += passed if scanning else 0.0
                continue
            self._waiting.remove(row)
            self._assignment.assigned.add(address)
            adapter.busy.add(row.unit.name)
            task = asyncio.create_task(self._worker.run(row, adapter, address, sighting))
            self._running[task] = row
            task.add_done_callback(self._row_task_done)

    async def _pause(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(DISPATCH_INTERVAL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _row_task_done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            self._bug = task.exception()
        self._wake.set()

    def _cancel_waiting(self) -> None:
        for row in self._waiting:
            self._events.row_ended(row, "cancelled")
        self._waiting.clear()

    async def _check_other_stations(self) -> None:
        """Update waiting rows that another station did, failed or released; end those whose device did not appear."""
        now = time.monotonic()
        timed_out = any(row.waited >= self.options.device_timeout for row in self._waiting)
        if not self._waiting or (now - self._read_others_at < OTHER_STATIONS_INTERVAL_SECONDS and not timed_out):
            return
        self._read_others_at = now
        records = await self._row_claims.records()
        for row in tuple(self._waiting):
            record = records.get(row.unit.key)
            if record is not None and record.done:
                self._waiting.remove(row)
                self._assignment.assigned.add(record.address)
                self._events.row_ended(row, record.state, device=record.address)
            elif row.at_other_station or row.waited >= self.options.device_timeout:
                await self._check_row(row, record)

    async def _check_row(self, row: RowState, record: RowRecord | None) -> None:
        """One row that another station has or had, or whose device does not appear."""
        if not await self._row_claims.is_row_free(row.unit.key):
            if not row.at_other_station:
                self._events.row_changed(row, "elsewhere")
            # If the row becomes free, the wait for its device starts again.
            row.at_other_station, row.waited = True, 0.0
        elif row.at_other_station and row.failed_elsewhere(record):
            assert record is not None
            self._waiting.remove(row)
            self._events.row_ended(row, "failed", record.error)
        elif row.at_other_station:
            row.at_other_station = False
            # If the other station has sent credentials, this one continues with the same device.
            row.continue_from(record)
            if row.refusal is not None:
                self._waiting.remove(row)
                self._events.row_ended(row, "failed", row.refusal)
                return
            self._assignment.assigned |= {row.bound_address} if row.bound_address else set()
            self._events.row_changed(row, "waiting")
        else:
            row.out_of_reach = True
            if not row.resumes_out_of_reach:
                self._waiting.remove(row)
                not_found = self._assignment.not_found(row.unit, self.options.device_timeout)
                self._events.row_ended(row, "failed", not_found)
