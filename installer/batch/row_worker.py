"""Carries out one row of a batch: claims its device, installs it, tries again, or puts it back into the queue."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from installer.batch.device_assignment import BatchAdapter, DeviceAssignment, may_be_installed
from installer.batch.options_and_result import BatchOptions
from installer.batch.plan import Unit
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
    from installer.batch.row_claims import RowClaims
    from installer.bluetooth.sighting import Sighting
    from installer.flow.environment import Environment

OTHER_STATIONS_INTERVAL_SECONDS = 2.0  # how often the ledger is read for what other stations do
MAX_CUTS = 5  # how often a row whose attempt Bluetooth has cut begins again for nothing
UNSEEN_DATA_SECONDS = 120.0  # how long to wait for the first data of a device that was not seen to join


class MakeEnvironment(Protocol):
    """Makes the environment of one installation on this adapter."""

    def __call__(self, adapter: BatchAdapter, unit: Unit, options: Options) -> Environment:
        """All environments share the account, the claims and the radio."""
        ...


class RowWorker:
    """`waiting`: the queue of the batch, to which a row may go back."""

    def __init__(
        self,
        options: BatchOptions,
        installation_options: Options,
        make_environment: MakeEnvironment,
        row_claims: RowClaims,
        assignment: DeviceAssignment,
        events: RowEvents,
        show: ShowEvent,
        waiting: list[RowState],
    ) -> None:
        self._options = options
        self._installation_options = installation_options
        self._make_environment = make_environment
        self._row_claims = row_claims
        self._assignment = assignment
        self._events = events
        self._show = show
        self._waiting = waiting
        self._claims = DeviceClaims(shared=True)
        self._seen_devices: dict[str, SeenDevice] = {}

    async def run(self, row: RowState, adapter: BatchAdapter, address: str, sighting: Sighting | None) -> None:
        """Carry out the row with this device. Its end, or its way back into the queue, is told as an event."""
        unit = row.unit
        chosen = unit.device is None and row.bound_address is None
        try:
            if not await self._claim(row, address, sighting, chosen):
                return
            row.began = row.began or time.monotonic()
            error: InstallerError | None = None
            while not self._events.result.stopped or error is None:
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
                if not may_be_tried_again(error) or row.attempt >= self._options.tries:
                    break
                if row.sent:
                    # The next attempt resumes: it first asks whether the device has joined.
                    row.continue_from(await self._row_claims.record(unit.key))
                await asyncio.sleep(self._options.retry_delay * 2 ** (row.attempt - 1))
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
        answers = row.unit.answers(address, found, verify=self._options.verify)
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
