"""What a batch tells of its rows: that it begins, where each row is, how it ended; and keeps in its result."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import installer
from installer.batch.plan import Plan, Unit
from installer.batch.row_state import BatchOptions, Result, RowState, ShowEvent
from installer.errors import ErrorCode, InstallerError
from installer.events.batch import BatchDone, BatchRow, BatchStarted, PlannedRow
from installer.events.stream import Notice

if TYPE_CHECKING:
    from installer.batch.row_claims import RowRecord


class RowEvents:
    """Tells `show` of one run of a plan; where a row has come to its end, it is in `result`, too."""

    def __init__(self, plan: Plan, options: BatchOptions, show: ShowEvent) -> None:
        self.result = Result()
        self._plan = plan
        self._options = options
        self._show = show

    def begun(self, past: Mapping[str, RowRecord], left: int, adapters: Iterable[str], remarks: Sequence[str]) -> None:
        """The batch begins. `past`: what earlier runs did, by the units' keys; `left`: how many are still to do."""
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
        for text in (*self._plan.remarks, *remarks):
            self._show(Notice(code="plan", text=text))

    def over(self, work: RowState, state: str, error: InstallerError | None = None, **more: object) -> None:
        """The row has come to its end."""
        self.result.states[work.unit.name] = state
        self.result.failures.pop(work.unit.name, None)
        if error is not None and state == "failed":
            self.result.failures[work.unit.name] = error
        self.say(work, state, error, **more)

    def say(self, work: RowState, state: str, error: InstallerError | None = None, **more: object) -> None:
        """The row is somewhere else now. `more`: further fields of the event."""
        took = None
        if work.began is not None and state not in ("started", "retrying", "waiting", "elsewhere"):
            took = round(time.monotonic() - work.began, 3)
        self._show(
            BatchRow.model_validate(
                {
                    "row": work.unit.name,
                    "state": state,
                    "device": work.unit.device or work.bound or "",
                    "model": work.unit.model or "",
                    "attempt": work.attempt,
                    "took": took,
                    "code": error.code.value if error else "",
                    "what": error.what if error else "",
                    "todo": error.todo if error else "",
                    **more,
                }
            )
        )

    def ended(self, took: float) -> None:
        """It is over, after so many seconds."""
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


def _planned(unit: Unit, before: RowRecord | None) -> PlannedRow:
    return PlannedRow(
        row=unit.name,
        device=unit.device or (before.address if before is not None else ""),
        model=unit.model or "",
        sync=unit.sync.value if unit.sync is not None else "",
        site=unit.site,
        label=unit.label,
        state=before.state if before is not None and before.done else "waiting",
    )
