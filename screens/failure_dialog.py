"""The failure dialog: what happened, what to do, and the choices to try again, to change an answer, or to stop."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Button

from installer.answers import StepKey
from installer.errors import ErrorCode
from installer.flow.front_end import Failure, Recovery
from screens.dialogs import Dialog
from screens.widgets import Callout, Text, button

if TYPE_CHECKING:
    from screens.app_interface import Wizard


class FailureDialog(Dialog[Recovery]):
    """Shows one failure. `result` is done when the user decided."""

    TITLES: ClassVar[dict[StepKey, str]] = {
        StepKey.FIND: "The device cannot be reached",
        StepKey.SYNC: "The sync method cannot be set",
        StepKey.NETWORK: "The network cannot be chosen",
        StepKey.PROVISION: "The device is not online yet",
        StepKey.LINK: "The device is not in the account yet",
        StepKey.VERIFY: "No data has arrived yet",
    }
    # Titles for errors that may come at any step.
    TITLES_OF_ERRORS: ClassVar[dict[ErrorCode, str]] = {
        ErrorCode.PROOF_MISSING: "The device does not know you yet",
        ErrorCode.PROOF_WRONG: "The device does not know you yet",
        ErrorCode.SECURITY_TOO_LOW: "The device has not proved itself",
        ErrorCode.DEVICE_CHANGED: "This may be another device",
    }
    CHANGE_LABELS: ClassVar[dict[StepKey, str]] = {
        StepKey.FIND: "Choose another device",
        StepKey.NETWORK: "Change network or passphrase",
        StepKey.LINK: "Choose another account",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "decide('retry')", "Try again", id="failure.retry", tooltip="The same again"),
        Binding("c", "decide('change')", "Change", id="failure.change", tooltip="Answer the question differently"),
        Binding("s", "decide('stop')", "Stop", id="failure.stop", tooltip="Stop this installation"),
    ]

    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure
        self.result: asyncio.Future[Recovery] = asyncio.get_running_loop().create_future()

    def title_text(self) -> str:
        again = f" (try {self.failure.attempt})" if self.failure.attempt > 1 else ""
        title = self.TITLES_OF_ERRORS.get(self.failure.error.code, self.TITLES[self.failure.step])
        return f"{title}{again}"

    def body(self) -> Iterable[Widget]:
        error = self.failure.error
        yield Callout(error.what, "error")
        yield Text(error.todo, id="todo")
        yield Text(f"Code for support: {error.code.value} ({error.exit_status})", classes="small")

    def buttons(self) -> Iterable[Button]:
        labels = {
            Recovery.RETRY: "Try again",
            Recovery.CHANGE: self._change_label(),
            Recovery.STOP: "Stop",
        }
        for index, recovery in enumerate(self.failure.recoveries):
            yield button(labels[recovery], recovery.value, "default" if index else "primary")

    def _change_label(self) -> str:
        return self.CHANGE_LABELS.get(self.failure.change_step or self.failure.step, "Answer differently")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what this failure allows."""
        if action == "decide":
            return Recovery(str(parameters[0])) in self.failure.recoveries
        return super().check_action(action, parameters)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_decide(str(event.button.id))

    def action_decide(self, recovery: str) -> None:
        """Decide. Stopping asks first if credentials were sent."""
        if Recovery(recovery) is Recovery.STOP:
            cast("Wizard", self.app).stop_installation()
        elif not self.result.done():
            self.result.set_result(Recovery(recovery))

    def action_close(self) -> None:
        """Escape changes the answer if that is allowed. Otherwise it does nothing: the user must decide."""
        if Recovery.CHANGE in self.failure.recoveries:
            self.action_decide(Recovery.CHANGE.value)
