"""Events of a batch and of its rows, and the front end of one row, which passes on the events of its installation."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import installer
from installer.batch.options_and_result import BatchOptions, BatchResult
from installer.batch.plan import Plan, Unit
from installer.batch.row_state import RowState, ShowEvent
from installer.errors import ErrorCode, InstallerError
from installer.events.batch import BatchDone, BatchRow, BatchStarted, PlannedRow
from installer.events.installation import Notice, Provisioning
from installer.events.json_lines import Event
from installer.flow.front_end import Failure, Recovery
from installer.flow.questions import Question
from installer.flow.situation import answer_missing
from installer.provisioning.provisioner import Stage

if TYPE_CHECKING:
    from installer.batch.row_claims import RowRecord


class RowEvents:
    """Emits the events of one run to `show`, and saves the state of each ended row in `result`."""

    def __init__(self, plan: Plan, options: BatchOptions, show: ShowEvent) -> None:
        self.result = BatchResult()
        self._plan = plan
        self._options = options
        self._show = show

    def batch_started(
        self, past: Mapping[str, RowRecord], left: int, adapters: Iterable[str], remarks: Sequence[str]
    ) -> None:
        """The batch starts. `past`: what earlier runs did, by the key of the unit; `left`: how many rows are to do."""
        self._show(
            BatchStarted(
                batch=self._plan.name,
                plan=self._plan.source,
                version=installer.__version__,
                dry_run=self._options.dry_run,
                rows=tuple(_planned(unit, past.get(unit.key)) for unit in self._plan.units),
                left=left,
                adapters=tuple(adapters),
                parallel=self._options.parallel,
            )
        )
        for text in self._plan.secrets:
            self._show(Notice(code="secrets", text=text))
        for text in (*self._plan.remarks, *remarks):
            self._show(Notice(code="plan", text=text))

    def row_ended(self, row: RowState, state: str, error: InstallerError | None = None, **fields: object) -> None:
        """The row reached its final state."""
        self.result.states[row.unit.name] = state
        self.result.failures.pop(row.unit.name, None)
        if error is not None and state == "failed":
            self.result.failures[row.unit.name] = error
        self.row_changed(row, state, error, **fields)

    def row_changed(self, row: RowState, state: str, error: InstallerError | None = None, **fields: object) -> None:
        """The row is in a new state. `fields`: further fields of the event."""
        took = None
        if row.began is not None and state not in ("started", "retrying", "waiting", "elsewhere"):
            took = round(time.monotonic() - row.began, 3)
        self._show(
            BatchRow.model_validate(
                {
                    "row": row.unit.name,
                    "state": state,
                    "device": row.unit.device or row.bound_address or "",
                    "model": row.unit.model or "",
                    "attempt": row.attempt,
                    "took": took,
                    "code": error.code.value if error else "",
                    "what": error.what if error else "",
                    "todo": error.todo if error else "",
                    **fields,
                }
            )
        )

    def batch_ended(self, took: float) -> None:
        """The batch ended after `took` seconds."""
        counts: dict[str, int] = {}
        for state in self.result.states.values():
            counts[state] = counts.get(state, 0) + 1
        failures: dict[str, tuple[str, ...]] = {}
        for unit in self._plan.units:
            error = self.result.failures.get(unit.name)
            if error is not None:
                failures[error.code.value] = (*failures.get(error.code.value, ()), unit.name)
        status = 0 if self.result.complete else ErrorCode.BATCH_INCOMPLETE.exit_status
        if self.result.stopped and not self.result.complete:
            status = ErrorCode.INTERRUPTED.exit_status
        self._show(
            BatchDone(batch=self._plan.name, counts=counts, failures=failures, took=round(took, 3), exit_status=status)
        )


class RowFrontEnd:
    """The front end of one row's installation. It adds the row to each event, and asks no questions."""

    def __init__(self, row: RowState, show: ShowEvent) -> None:
        self._row = row
        self._show = show

    def show(self, event: Event) -> None:
        """Pass the event on, with the name of the row."""
        if isinstance(event, Provisioning) and event.stage is Stage.SENDING:
            self._row.sent = True
        self._show(event.model_copy(update={"row": self._row.unit.name}))

    async def ask(self, question: Question) -> object:
        """A batch asks no questions. Raises ANSWER_MISSING."""
        raise answer_missing(question.step)

    async def recover(self, failure: Failure) -> Recovery:
        """Stop: the batch decides about retries of the whole row."""
        return Recovery.STOP


def _planned(unit: Unit, past: RowRecord | None) -> PlannedRow:
    return PlannedRow(
        row=unit.name,
        device=unit.device or (past.address if past is not None else ""),
        model=unit.model or "",
        sync=unit.sync.value if unit.sync is not None else "",
        site=unit.site,
        label=unit.label,
        state=past.state if past is not None and past.done else "waiting",
    )
