"""Dialogs above a screen: a message, yes or no, what to do about a failure, and where to save the answers."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input

from installer.answers import Answers, StepKey, to_toml
from installer.errors import ErrorCode, InstallerError
from installer.flow.questions import Cancelled, Failure, Recovery
from screens.widgets import Callout, Text, button, shown

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    """A title, a body and buttons in the middle of the screen; escape closes it with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="dialog.close", tooltip="Close without doing anything"),
        Binding("left", "app.focus_previous", "Left", show=False, id="dialog.left"),
        Binding("right", "app.focus_next", "Right", show=False, id="dialog.right"),
    ]

    def title_text(self) -> str:
        """The title."""
        return ""

    def body(self) -> Iterable[Widget]:
        """What is between the title and the buttons."""
        return ()

    def buttons(self) -> Iterable[Button]:
        """The buttons, the default one first."""
        return ()

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Text(self.title_text(), id="dialog-title")
            yield from self.body()
            with Horizontal(classes="buttons"):
                yield from self.buttons()

    def action_close(self) -> None:
        """Close with None."""
        self.dismiss(None)


class MessageDialog(Dialog[None]):
    """Something to read, and a button."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def title_text(self) -> str:
        return self._title

    def body(self) -> Iterable[Widget]:
        yield Text(self._text)

    def buttons(self) -> Iterable[Button]:
        yield button("OK", "ok", "primary")

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.dismiss(None)


class ConfirmDialog(Dialog[bool]):
    """Yes or no; the safe answer (no) has the focus."""

    def __init__(self, title: str, text: str, *, yes: str, no: str) -> None:
        super().__init__()
        self._title, self._text, self._yes, self._no = title, text, yes, no

    def title_text(self) -> str:
        return self._title

    def body(self) -> Iterable[Widget]:
        yield Text(self._text)

    def buttons(self) -> Iterable[Button]:
        yield button(self._no, "no", "primary")
        yield button(self._yes, "yes", "danger")

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


class RecoverDialog(Dialog[Recovery]):
    """What failed, what to do, and what may follow. `result` is done when the person decided."""

    TITLES: ClassVar[dict[StepKey, str]] = {
        StepKey.FIND: "The device cannot be reached",
        StepKey.SYNC: "The sync method cannot be set",
        StepKey.NETWORK: "The network cannot be chosen",
        StepKey.PROVISION: "The device is not online yet",
        StepKey.LINK: "The device is not in the account yet",
        StepKey.VERIFY: "No data has arrived yet",
    }
    PROOF: ClassVar[str] = "The device does not know you yet"
    CHANGES: ClassVar[dict[StepKey, str]] = {
        StepKey.FIND: "Choose another device",
        StepKey.NETWORK: "Choose another network",
        StepKey.PROVISION: "Change network or passphrase",
        StepKey.LINK: "Choose another account",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "decide('retry')", "Try again", id="recover.retry", tooltip="The same again"),
        Binding("c", "decide('change')", "Change", id="recover.change", tooltip="Answer the question differently"),
        Binding("s", "decide('stop')", "Stop", id="recover.stop", tooltip="Stop this installation"),
    ]

    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure
        self.result: asyncio.Future[Recovery] = asyncio.get_running_loop().create_future()

    def title_text(self) -> str:
        again = f" (try {self.failure.attempt})" if self.failure.attempt > 1 else ""
        proof = self.failure.error.code in (ErrorCode.PROOF_MISSING, ErrorCode.PROOF_WRONG)
        return f"{self.PROOF if proof else self.TITLES[self.failure.step]}{again}"

    def body(self) -> Iterable[Widget]:
        error = self.failure.error
        yield Callout(error.what, "error")
        yield Text(error.todo, id="todo")
        yield Text(f"Code for support: {error.code.value} ({error.exit_status})", classes="small")

    def buttons(self) -> Iterable[Button]:
        labels = {
            Recovery.RETRY: "Try again",
            Recovery.CHANGE: self.CHANGES.get(self.failure.step, "Answer differently"),
            Recovery.STOP: "Stop",
        }
        for index, recovery in enumerate(self.failure.recoveries):
            yield button(labels[recovery], recovery.value, "default" if index else "primary")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what the failure allows."""
        if action == "decide":
            return Recovery(str(parameters[0])) in self.failure.recoveries
        return super().check_action(action, parameters)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_decide(str(event.button.id))

    def action_decide(self, recovery: str) -> None:
        """Decide; stopping asks once more when credentials were sent."""
        if Recovery(recovery) is Recovery.STOP:
            self.app.stop_installation()  # type: ignore[attr-defined]
        elif not self.result.done():
            self.result.set_result(Recovery(recovery))

    def end(self) -> None:
        """The installation is stopped from elsewhere."""
        if not self.result.done():
            self.result.set_exception(Cancelled())

    def action_close(self) -> None:
        """Escape changes the answer where that is allowed, and else does nothing: a failure wants a decision."""
        if Recovery.CHANGE in self.failure.recoveries:
            self.action_decide(Recovery.CHANGE.value)


class SaveDialog(Dialog[str]):
    """Where to save the answers. The result is the path, or None."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers
        self._may_overwrite = ""

    def title_text(self) -> str:
        return "Save the answers"

    def body(self) -> Iterable[Widget]:
        yield Text("A script repeats this installation with\n  device-installer install --answers FILE")
        if self.answers.network is not None and self.answers.network.passphrase is None:
            yield Text("No passphrase is in the file: a script takes it from where you name it.")
        model = self.answers.find.model if self.answers.find else None
        yield Input(f"answers-{model}.toml" if model else "answers.toml", id="path", placeholder="path of the file")
        yield Callout("", "warning", id="overwrite")
        yield Callout("", "error", id="unwritable")

    def buttons(self) -> Iterable[Button]:
        yield button("Save", "save", "primary")
        yield button("Cancel", "cancel")

    @on(Input.Changed)
    def _changed(self) -> None:
        self._may_overwrite = ""
        self.query_one("#overwrite", Callout).say("")
        self.query_one("#unwritable", Callout).say("")

    @on(Input.Submitted)
    @on(Button.Pressed, "#save")
    def _save(self) -> None:
        name = self.query_one("#path", Input).value.strip()
        if not name:
            return
        path = Path(name).expanduser()
        if path.is_dir():
            path = path / "answers.toml"
        if path.exists() and self._may_overwrite != str(path):
            self._may_overwrite = str(path)
            words = f"{shown(path.name)} exists. Save once more to overwrite it."
            self.query_one("#overwrite", Callout).say(words)
            return
        try:
            write_answers(self.answers, path)
        except InstallerError as error:
            self.query_one("#unwritable", Callout).say(str(error))
        else:
            self.dismiss(str(path))

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)


def write_answers(answers: Answers, path: Path) -> None:
    """Write the answers as TOML, without any secret. Raises FILE_UNWRITABLE."""
    try:
        path.write_text(to_toml(answers), "utf-8")
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"{path} cannot be written: {error.strerror}.",
            "Choose another folder, or check the permissions.",
            file=str(path),
        ) from None
