"""Progress of a batch, computed from its events, for the terminal's table and the wizard's screen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from installer.answers import StepKey
from installer.events.batch import BatchDone, BatchRow, BatchStarted
from installer.events.installation import (
    DeviceConnected,
    DeviceFound,
    InstallationDone,
    Linked,
    Linking,
    Notice,
    Provisioning,
    StepDone,
    StepSkipped,
    StepStarted,
    WaitingForData,
)
from installer.events.json_lines import Event
from installer.provisioning.provisioner import Stage

STEP_ORDER = tuple(StepKey)
SUCCESS_STATES = ("installed", "to_be_linked", "done_before", "planned")
FINAL_STATES = (*SUCCESS_STATES, "failed", "cancelled")
_STEP_TEXTS = {
    StepKey.FIND: "connecting",
    StepKey.SYNC: "choosing the sync",
    StepKey.NETWORK: "asking for networks",
    StepKey.PROVISION: "sending credentials",
    StepKey.LINK: "linking",
    StepKey.VERIFY: "first data",
}
_STAGE_TEXTS = {
    Stage.AUTHORIZATION_NEEDED: "press its button",
    Stage.AUTHORIZED: "button pressed",
    Stage.SENDING: "sending credentials",
    Stage.JOINING: "joining the network",
    Stage.JOINED: "on the network",
    Stage.STORED: "keeps its network",
}
_STATE_TEXTS = {
    "waiting": "waiting for it",
    "started": "connecting",
    "retrying": "trying again",
    "elsewhere": "at another station",
    "installed": "installed",
    "to_be_linked": "to be linked",
    "failed": "failed",
    "cancelled": "stopped",
    "done_before": "done before",
    "planned": "would be installed",
}


@dataclass
class RowProgress:
    """One row. Times are in seconds on the caller's clock. `done`: how many of the six steps are done."""

    row: str
    device: str = ""
    name: str = ""
    model: str = ""
    site: str = ""
    label: str = ""
    state: str = "waiting"
    words: str = "waiting for it"
    todo: str = ""
    done: int = 0
    since: float | None = None
    took: float | None = None
    attempt: int = 0
    code: str = ""
    what: str = ""
    advice: str = ""
    installation: str = ""

    @property
    def running(self) -> bool:
        """Whether this station installs it now."""
        return self.state in ("started", "retrying")

    @property
    def over(self) -> bool:
        """Whether it has its final state."""
        return self.state in FINAL_STATES

    def seconds(self, now: float) -> float | None:
        """How long it has taken so far, or took in all."""
        if self.took is not None or self.since is None:
            return self.took
        return max(now - self.since, 0.0)


@dataclass
class Progress:
    """All rows of a batch by name, in the order of the plan."""

    batch: str = ""
    rows: dict[str, RowProgress] = field(default_factory=dict)
    adapters: tuple[str, ...] = ()
    parallel: int = 0
    notices: list[str] = field(default_factory=list)
    ended: BatchDone | None = None

    def apply(self, event: Event, now: float) -> None:
        """Update it with one event. Events of anything else change nothing."""
        match event:
            case BatchStarted():
                self.batch, self.adapters, self.parallel = event.batch, event.adapters, event.parallel
                for planned in event.rows:
                    self.rows[planned.row] = RowProgress(
                        row=planned.row,
                        device=planned.device,
                        model=planned.model,
                        site=planned.site,
                        label=planned.label,
                        state=planned.state,
                        words=_STATE_TEXTS.get(planned.state, planned.state),
                    )
            case BatchDone():
                self.ended = event
            case BatchRow():
                self._row(event, now)
            case Notice() if event.row is None:
                self.notices.append(event.text)
            case _:
                row = self.rows.get(event.row or "")
                if row is not None:
                    row.installation = event.installation or row.installation
                    _step(row, event)

    def _row(self, event: BatchRow, now: float) -> None:
        row = self.rows.get(event.row)
        if row is None:
            return
        row.state, row.words = event.state, _STATE_TEXTS[event.state]
        row.device, row.model = event.device or row.device, event.model or row.model
        row.attempt = event.attempt or row.attempt
        row.code, row.what, row.advice = event.code, event.what, event.todo
        row.installation = event.installation or row.installation
        row.todo = ""
        if event.state == "started" and row.since is None:
            row.since = now
        if event.state == "waiting":
            row.since = None
        row.took = event.took
        if event.state in SUCCESS_STATES:
            row.done = len(STEP_ORDER)

    def counts(self) -> Counter[str]:
        """How many rows are in which state."""
        return Counter(row.state for row in self.rows.values())

    def by_interest(self, limit: int) -> list[RowProgress]:
        """At most `limit` rows in the plan's order. Running rows first, then failed, waiting and done ones."""
        if len(self.rows) <= limit:
            return list(self.rows.values())
        groups: list[Iterable[str]] = [("started", "retrying"), ("failed",), ("waiting", "elsewhere")]
        chosen: list[str] = []
        for group in groups:
            chosen += [r.row for r in self.rows.values() if r.state in group]
        # Of the done rows, the newest.
        chosen += [r.row for r in reversed(self.rows.values()) if r.row not in set(chosen)]
        kept = set(chosen[:limit])
        return [r for r in self.rows.values() if r.row in kept]


def _step(row: RowProgress, event: Event) -> None:
    match event:
        case StepStarted():
            row.words, row.todo = _STEP_TEXTS[event.step], ""
            row.done = STEP_ORDER.index(event.step)
        case StepDone() | StepSkipped():
            row.done, row.todo = STEP_ORDER.index(event.step) + 1, ""
        case DeviceFound():
            row.device, row.name, row.model = event.address, event.name, event.model
        case DeviceConnected():
            row.words = "connected"
        case Provisioning():
            row.words, row.todo = _STAGE_TEXTS[event.stage], event.todo
        case Linking():
            row.words = "linking" if event.way == "link" else "watching the account"
        case Linked():
            row.words = "in the account"
        case WaitingForData():
            row.words, row.todo = "first data", event.todo
        case InstallationDone():
            row.todo = ""
        case _:
            pass
