"""What a front end does: it shows events, asks the person questions, and asks what to do after a failure.

It decides nothing: that is the flow's job. The wizard (`screens/front_end.py`) is one, and so are the prompts of the
command line and a script.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from installer.answers import StepKey
from installer.errors import InstallerError

if TYPE_CHECKING:
    from installer.events.json_lines import Event
    from installer.flow.questions import Question


class Back(Exception):
    """The person wants to go back to the previous question."""


class Cancelled(Exception):
    """The person ends the installation."""


class Recovery(enum.StrEnum):
    """What may follow a failure."""

    RETRY = "retry"  # the same step again, with the same answer
    CHANGE = "change"  # ask the step's question again
    STOP = "stop"


@dataclass(kw_only=True)
class Failure:
    """A failed step and the possible recoveries; the first is the default.

    `change_step`: the step that `Recovery.CHANGE` asks again; None: this one.
    """

    step: StepKey
    error: InstallerError
    recoveries: tuple[Recovery, ...]
    attempt: int = 1
    change_step: StepKey | None = None
    details: dict[str, Any] = field(default_factory=dict)


class FrontEnd(Protocol):
    """Supplies answers and renders events.

    The flow withdraws a question by cancelling the task in `ask`; the front end then removes the question.
    """

    def show(self, event: Event) -> None:
        """Render an event. Never blocks, never raises."""
        ...

    async def ask(self, question: Question) -> Any:
        """The answer; its type is in the question's docstring. Raises `Back` or `Cancelled`."""
        ...

    async def recover(self, failure: Failure) -> Recovery:
        """What to do after a failure."""
        ...
