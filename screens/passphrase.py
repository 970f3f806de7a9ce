"""Passphrase: typed in hiding, checked while it is typed, and gone from the screen with the answer."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable

from pydantic import SecretStr
from textual import on
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input

from installer.questions import AskPassphrase
from installer.wifi import passphrase_problem
from screens.frame import QuestionScreen
from screens.widgets import SecretInput, Text, button, security_label


class PassphraseScreen(QuestionScreen[AskPassphrase]):
    """Asks for the passphrase of the network."""

    def heading(self) -> str:
        return f"The passphrase of {self.question.network.label}"

    def hint(self) -> str:
        security = security_label(self.question.network.security)
        return f"Security: {security}. Often printed on the router. Kept in no file, in no log."

    def body(self) -> Iterable[Widget]:
        yield SecretInput("passphrase", id="passphrase")
        yield Text("", id="verdict")
        with Horizontal(classes="buttons"):
            yield button("Go on", "go", "primary")
            yield button("Show it (F2)", "reveal")
            if self.question.can_go_back:
                yield button("Back", "back")

    def on_mount(self) -> None:
        self.query_one(SecretInput).focus()
        self._judge("")

    def _judge(self, value: str) -> None:
        problem = passphrase_problem(value, self.question.network.security)
        self.query_one("#go", Button).disabled = problem is not None
        verdict = self.query_one("#verdict", Text)
        verdict.set_class(problem is not None and bool(value), "-wrong")
        if not value and problem is not None:
            words = "8 to 63 characters. Capital and small letters differ."
        elif not value:
            words = "Leave it empty if the network has none."
        else:
            words = problem or f"{len(value)} characters. Enter goes on."
        verdict.update(Content(words))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        if not self.result.done():
            self._judge(event.value)

    @on(Input.Submitted)
    @on(Button.Pressed, "#go")
    def _go(self) -> None:
        value = self.query_one(SecretInput).value
        if passphrase_problem(value, self.question.network.security) is None:
            self.answer(SecretStr(value))
        else:
            self._judge(value)

    @on(Button.Pressed, "#reveal")
    def _reveal(self) -> None:
        field = self.query_one(SecretInput)
        field.action_reveal()
        field.focus()

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.action_back()

    def forget(self) -> None:
        """Hide and clear the field."""
        for field in self.query(SecretInput):
            with self.prevent(Input.Changed):
                field.forget()
