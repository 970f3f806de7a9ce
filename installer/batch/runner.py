"""Runs a plan: several installations at once on each adapter. A failed row does not stop the others.

The runner decides only which device is next and what is retried. Each row is an ordinary installation, and the flow
decides what may be done with a device.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from installer.batch.device_assignment import BatchAdapter, DeviceAssignment, may_be_installed
from installer.batch.options_and_result import BatchOptions, BatchResult
from installer.batch.plan import Plan, Unit
from installer.batch.row_events import RowEvents, RowFrontEnd
from installer.batch.row_state import RowState, ShowEvent, may_be_tried_again
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice
from installer.flow import shared_record
from installer.flow.environment import DeviceClaims
from installer.flow.installation import Installation
from installer.flow.outcome import Outcome
from installer.flow.resume import EarlierAttempt
from installer.flow.run_options import Options, RunConfig
from installer.provisioning.required_security import SeenDevice

if TYPE_CHECKING:
    from installer.batch.row_claims import RowClaims, RowRecord
    from installer.bluetooth.sighting import Sighting
    from installer.flow.environment import Environment

DISPATCH_INTERVAL_SECONDS = 0.25  # how often devices in reach are assigned to waiting rows
OTHER_STATIONS_INTERVAL_SECONDS = 2.0  # how often the ledger is read for what other stations do
MAX_CUTS = 5  # how often a row whose attempt Bluetooth has cut begins again for nothing
UNSEEN_DATA_SECONDS = 120.0  # how long to wait for the first data of a device that was not seen to join


class MakeEnvironment(Protocol):
    """Makes the environment of one installation on this adapter."""

    def __call__(self, adapter: BatchAdapter, unit: Unit, options: Options) -> Environment:
        """All environments share the account, the claims and the radio."""
        ...


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
        self._make_environment = make_environment
        self._row_claims = row_claims
        self._show = show
        self._installation_options = installation_options or Options()
        self._claims = DeviceClaims(shared=True)
        self._seen_devices: dict[str, SeenDevice] = {}
        self._waiting: list[RowState] = []
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
            self._waiting = []

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
            task = asyncio.create_task(self._run_row(row, adapter, address, sighting))
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
        self._waiting = []

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

    # One row.

    async def _run_row(self, row: RowState, adapter: BatchAdapter, address: str, sighting: Sighting | None) -> None:
        unit = row.unit
        chosen = unit.device is None and row.bound_address is None
        try:
            if not await self._claim(row, address, sighting, chosen):
                return
            row.began = row.began or time.monotonic()
            error: InstallerError | None = None
            while not self.result.stopped or error is None:
                row.attempt += 1
                state = "retrying" if row.attempt > 1 else "started"
                self._events.row_changed(row, state, error, device=address)
                model = unit.model or (sighting.detection.model_id if sighting is not None else None)
                outcome = await self._install(row, adapter, address, model, only_new=chosen and not row.sent)
                if outcome.error is None or outcome.outcome == "cancelled":
                    installation = outcome.summary["installation"]
                    self._events.row_ended(row, outcome.outcome, device=address, installation=installation)
                    return
                error = outcome.error
                cut = error.computers_bluetooth and adapter.radio.comes_back and row.cuts < MAX_CUTS
                if cut and row.sent:
                    row.continue_from(await self._row_claims.record(unit.key))
                if self._requeue(row, adapter, address, chosen, error, cut=cut):
                    return
                if not may_be_tried_again(error) or row.attempt >= self.options.tries:
                    break
                if row.sent:
                    # The next attempt resumes: it first asks whether the device has joined.
                    row.continue_from(await self._row_claims.record(unit.key))
                await asyncio.sleep(self.options.retry_delay * 2 ** (row.attempt - 1))
            self._events.row_ended(row, "failed", error, device=address)
        except asyncio.CancelledError:
            self._events.row_ended(row, "cancelled", device=address)
            raise
        except InstallerError as error:  # of the ledger, or one that no retry of a row solves
            self._events.row_ended(row, "failed", error, device=address)
        finally:
            adapter.busy.discard(unit.name)
            if row in self._waiting and chosen:
                self._assignment.assigned.discard(address)
            await asyncio.shield(self._row_claims.release(unit.key, address if chosen else None))

    async def _claim(self, row: RowState, address: str, sighting: Sighting | None, chosen: bool) -> bool:
        """Claim the row and its device. False: the row waits again, or another station has done it.

        `chosen`: the runner chose the device; the plan does not name it.
        """
        unit = row.unit
        if not await self._row_claims.claim_row(unit.key):
            row.at_other_station, row.waited = True, 0.0
            self._waiting.append(row)
            self._events.row_changed(row, "elsewhere")
            return False
        record = await self._row_claims.record(unit.key)
        if record is not None and record.damage is not None:
            raise record.damage
        if record is not None and record.done:
            self._events.row_ended(row, record.state, device=record.address)
            return False
        if chosen and record is not None and record.sent_ssid:
            # Another station has just started this row with another device.
            row.continue_from(record)
            if row.refusal is not None:
                raise row.refusal
            if row.bound_address is not None:
                self._waiting.append(row)
                return False
        if not chosen or sighting is None:
            return True
        if not await self._row_claims.claim_device(address):
            self._assignment.skip(address, OTHER_STATIONS_INTERVAL_SECONDS)
            self._waiting.append(row)
            return False
        if may_be_installed(unit, sighting) and await self._row_claims.was_installed(address):
            self._assignment.skip_installed(unit, address)
            self._waiting.append(row)
            return False
        return True

    def _requeue(
        self, row: RowState, adapter: BatchAdapter, address: str, chosen: bool, error: InstallerError, *, cut: bool
    ) -> bool:
        """Put the row back into the queue if the failure is not its own. Whether it was put back.

        `cut`: this computer's Bluetooth ended the attempt, and comes back.
        """
        if cut:
            row.cuts += 1
            row.attempt -= 1
        elif error.data.get("slots"):
            if adapter.reduce_slots():
                text = (
                    f"The adapter {adapter.radio.name} supports {adapter.slots} connections at once; no more are used."
                )
                self._show(Notice(code="adapter_full", text=text))
            row.attempt -= 1
        elif error.code is ErrorCode.DEVICE_TAKEN:
            self._assignment.skip(address, OTHER_STATIONS_INTERVAL_SECONDS)
            row.attempt -= 1
        elif chosen and error.code is ErrorCode.DEVICE_ALREADY_SET_UP:
            self._assignment.skip(address)
            row.attempt -= 1
        else:
            return False
        self._waiting.append(row)
        self._events.row_changed(row, "waiting")
        return True

    async def _install(
        self, row: RowState, adapter: BatchAdapter, address: str, model: str | None, *, only_new: bool
    ) -> Outcome:
        options = replace(
            self._installation_options,
            non_interactive=True,
            identify=True,
            only_new=only_new,
            unconfirmed_join_wait=UNSEEN_DATA_SECONDS,
        )
        environment = self._make_environment(adapter, row.unit, options)
        environment.claims = self._claims
        environment.seen_devices = self._seen_devices
        found = environment.catalogue.get(model) if model else None
        front, past = RowFrontEnd(row, self._show), await self._earlier_attempt(row)
        answers = row.unit.answers(address, found, verify=self.options.verify)
        return await Installation(environment, front, answers, past).run()

    async def _earlier_attempt(self, row: RowState) -> EarlierAttempt | None:
        """The installation to resume, or None."""
        if not row.resumes or row.past is None:
            return None
        record = await self._row_claims.complete_record(row.past)
        if record is None:
            return None
        # The answers come from the plan. The ledger says only how far the installation is.
        found = shared_record.read(
            record,
            RunConfig(options=self._installation_options),
            private=self._row_claims.private,
            account=row.unit.account or "",
            # The device of the plan, or one that this station vouches for.
            device=row.unit.device or row.bound_address,
            ssid=row.unit.network.ssid if row.unit.network is not None else None,
            only_options=True,
        )
        await shared_record.confirm(found, None)
        return found.attempt
