"""What a run of a batch keeps of each row, how it behaves, and how it ended; and the front end of a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from installer.batch.plan import Unit
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import Event, Provisioning
from installer.flow.questions import Failure, Question, Recovery
from installer.flow.steps.step import missing
from installer.provisioning.provisioner import Stage

if TYPE_CHECKING:
    from installer.batch.row_claims import RowRecord

# What may pass by itself, and is tried again.
TRANSIENT = (
    ErrorCode.CONNECTION_FAILED,
    ErrorCode.CONNECTION_LOST,
    ErrorCode.DEVICE_MISBEHAVED,
    ErrorCode.DEVICE_NOT_FOUND,
    ErrorCode.PROVISIONING_TIMEOUT,
    ErrorCode.AUTHORIZATION_TIMEOUT,
    ErrorCode.ADAPTER_FAILED,
    ErrorCode.CLOUD_UNREACHABLE,
    ErrorCode.CLOUD_BUSY,
    ErrorCode.CLOUD_FAILED,
    ErrorCode.LINK_TIMEOUT,
)
ShowEvent = Callable[[Event], None]


@dataclass(frozen=True)
class BatchOptions:
    """How a batch behaves. `patience`: how long a device is waited for while nothing else can be done, s.

    `tries`: of one row, where what went wrong may pass by itself; `pause`: before the second one, s; then twice as
    long. `verify`: how long to wait for the first data of each device, s; None: not at all.
    """

    parallel: int = 3
    tries: int = 3
    pause: float = 1.0
    patience: float = 30.0
    verify: float | None = None
    dry_run: bool = False


@dataclass
class RowState:
    """One unit and how far it is. `bound`: the device that an earlier run gave its network to.

    `unseen`: its device does not come into reach, as one that has joined and ended its set-up.
    """

    unit: Unit
    bound: str | None = None
    past: RowRecord | None = None
    waited: float = 0.0
    began: float | None = None
    attempt: int = 0
    sent: bool = False
    elsewhere: bool = False
    unseen: bool = False

    @property
    def begun(self) -> bool:
        """Whether an earlier run has sent credentials for it: its installation is gone on with, and asks first."""
        past, network = self.past, self.unit.network
        if past is None or not (past.sent and past.open):
            return False
        return network is None or network.ssid == past.sent

    @property
    def goes_on(self) -> bool:
        """Whether it is gone on with though its device is not in reach."""
        return self.begun and self.past is not None and (self.past.joined or self.unseen)

    def took_over(self, before: RowRecord | None) -> None:
        """What an earlier run, or another station, has begun for it is gone on with here."""
        self.past = before
        if self.unit.device is None and before is not None and before.sent:
            self.bound = before.address

    def failed_since(self, before: RowRecord | None) -> bool:
        """Whether another station has tried it meanwhile, and could not install it."""
        return before is not None and before.outcome == "failed" and before.id != (self.past.id if self.past else "")


class RowFrontEnd:
    """The front end of one row's installation: passes events on with the row, and asks nobody."""

    def __init__(self, work: RowState, show: ShowEvent) -> None:
        self._work = work
        self._show = show

    def show(self, event: Event) -> None:
        """Pass it on."""
        if isinstance(event, Provisioning) and event.stage is Stage.SENDING:
            self._work.sent = True
        self._show(event.model_copy(update={"row": self._work.unit.name}))

    async def ask(self, question: Question) -> object:
        """A batch asks nobody. Raises ANSWER_MISSING."""
        raise missing(question.step)

    async def recover(self, failure: Failure) -> Recovery:
        """What is tried again is decided for the row as a whole."""
        return Recovery.STOP


@dataclass
class Result:
    """How a batch ended: the rows by state, and what failed."""

    states: dict[str, str] = field(default_factory=dict)
    failures: dict[str, InstallerError] = field(default_factory=dict)
    stopped: bool = False

    @property
    def complete(self) -> bool:
        """Whether every row is done."""
        return all(s in ("installed", "to_be_linked", "done_before", "planned") for s in self.states.values())
