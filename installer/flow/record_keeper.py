"""Keeps the record of one installation, and tells its failures and its end to the front end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from installer.answers import StepKey
from installer.errors import InstallerError
from installer.events.installation import Failed, InstallationDone, Notice
from installer.flow import outcome as outcomes
from installer.flow import station_choices
from installer.flow.outcome import Outcome

if TYPE_CHECKING:
    from installer.flow.situation import Situation


class RecordKeeper:
    """`may_write`: whether this process may write the record; one that resumes it first has to claim it.

    `address`: of the device, as far as it is known before it is found.
    """

    def __init__(self, situation: Situation, *, may_write: bool, address: str) -> None:
        self.may_write = may_write
        self._situation = situation
        self._address = address
        self._started = time.monotonic()

    @property
    def _writes(self) -> bool:
        return self.may_write and not self._situation.options.dry_run

    def recorded_answers(self) -> dict[str, Any]:
        """The answers for the record."""
        return outcomes.recorded_answers(self._situation)

    def recorded_outcome(self, ended: Outcome) -> str:
        """The outcome for the record."""
        return ended.outcome

    def failed(self, step: StepKey | None, error: InstallerError, *, retried: bool) -> None:
        """A step has failed. `retried`: the installation may go on."""
        self._situation.emit(
            Failed(
                step=step,
                code=error.code.value,
                exit_status=error.exit_status,
                what=error.what,
                todo=error.todo,
                retried=retried,
                data=error.data,
            )
        )
        if self._writes:
            self._situation.record.failed(step.value if step else None, error.code.value, error.what)

    async def end(self, ended: Outcome, step: StepKey | None) -> Outcome:
        """The installation is over; `step`: the one that it had reached. The outcome, which the ledger may change."""
        situation, record = self._situation, self._situation.record
        if ended.error is not None and ended.outcome == "failed":
            ended.error = outcomes.with_steps_done(ended.error, situation)
            self.failed(step, ended.error, retried=False)
        # A person who only looked at the list leaves no record.
        if self._writes and (record.opened or ended.outcome != "cancelled"):
            try:
                await record.end(self.recorded_outcome(ended))
            except InstallerError as error:
                if ended.error is None:
                    ended = outcomes.outcome_of(situation, "failed", outcomes.with_steps_done(error, situation))
                    self.failed(None, error, retried=False)
        unrecorded = self.may_write and not record.opened
        if not situation.options.dry_run and (ended.outcome == "installed" or unrecorded):
            # Nothing is left to resume.
            station_choices.remove(situation.id)
        took = round(time.monotonic() - self._started, 3)
        situation.emit(InstallationDone(outcome=ended.outcome, took=took, summary=ended.summary))
        return ended

    async def keep_choices(self) -> None:
        """Keep what this station chose in a file of its own if the ledger is not this user's alone."""
        situation = self._situation
        environment, sighting = situation.environment, situation.sighting
        if situation.options.dry_run or environment.records.private:
            return
        address = sighting.address if sighting is not None else self._address
        choices = station_choices.StationChoices(address, self.recorded_answers(), dict(environment.context.options))
        problem = await station_choices.keep(situation.id, choices)
        if problem:
            situation.emit(Notice(code="choices_not_kept", text=problem))
