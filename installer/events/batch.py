"""The events of a batch: start, rows, end; and the mistakes of its plan."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from installer.events.base_event import BaseEvent


class PlannedRow(BaseModel):
    """One row of a batch at its start: what it is for. `state`: where it is already."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    row: str
    device: str = ""
    model: str = ""
    sync: str = ""
    site: str = ""
    label: str = ""
    state: str = "waiting"


class BatchStarted(BaseEvent):
    """A batch begins. `batch`: what its runs are kept under; `left`: how many rows are still to do.

    `parallel`: installations at once on each of the `adapters`.
    """

    event: Literal["batch_started"] = "batch_started"
    batch: str
    plan: str
    version: str
    dry_run: bool = False
    rows: tuple[PlannedRow, ...]
    left: int
    adapters: tuple[str, ...]
    parallel: int


class BatchRow(BaseEvent):
    """A row is somewhere else now. `attempt` from 1; `code`, `what`, `todo`: why it failed or is tried again.

    `state`: waiting (for its device), started, retrying, elsewhere (another station has it), installed, to_be_linked,
    failed, cancelled, done_before (in an earlier run) or planned.
    """

    event: Literal["batch_row"] = "batch_row"
    row: str
    state: Literal[
        "waiting", "started", "retrying", "elsewhere", "installed", "to_be_linked", "failed", "cancelled",
        "done_before", "planned",
    ]  # fmt: skip
    device: str = ""
    model: str = ""
    attempt: int = 0
    took: float | None = None
    code: str = ""
    what: str = ""
    todo: str = ""


class BatchDone(BaseEvent):
    """The last event of a batch. `counts`: rows by state; `failures`: rows by error code."""

    event: Literal["batch_done"] = "batch_done"
    batch: str
    counts: dict[str, int]
    failures: dict[str, tuple[str, ...]]
    took: float
    exit_status: int


class PlanMistake(BaseEvent):
    """A mistake of a plan: `line` and `column` from 1 (0: not known), `name` of the column or key."""

    event: Literal["plan_mistake"] = "plan_mistake"
    line: int
    column: int
    name: str
    what: str
    todo: str
