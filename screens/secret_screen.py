"""A secret: typed in hiding, judged while it is typed, and gone from the screen with the answer."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from pydantic import SecretStr
from textual import on
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input

from installer.flow.questions import Question
from screens.frame import QuestionScreen
from screens.widgets import SecretInput, Text, button

Q = TypeVar("Q", bound=Question)


class Verdict(NamedTuple):
    """Whether what was typed may be sent, and what to say of it."""

    possible: bool
    words: str


class SecretScreen(QuestionScreen[Q]):
    """Asks for one secret. The answer is a `SecretStr`."""

    PLACEHOLDER = "passphrase"

    @abc.abstractmethod
    def judge(self, value: str) -> Verdict:
        """What to make of `value`; the words never hold it."""

    def secret(self, value: str) -> SecretStr:
        """The secret in what was typed and judged to be possible."""
        return SecretStr(value)

    def body(self) -> Iterable[Widget]:
        yield SecretInput(self.PLACEHOLDER, id="passphrase")
        yield Text("", id="verdict")
        with Horizontal(classes="buttons"):
            yield button("Go on", "go", "primary")
            yield button("Show it (F2)", "reveal")
            if self.question.can_go_back:
                yield button("Back", "back")

    def on_mount(self) -> None:
        self.query_one(SecretInput).focus()
        self._say("")

    def _say(self, value: str) -> None:
        verdict = self.judge(value)
        self.query_one("#go", Button).disabled = not verdict.possible
        text = self.query_one("#verdict", Text)
        text.set_class(not verdict.possible and bool(value), "-wrong")
        text.update(Content(verdict.words))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        if not self.result.done():
            self._say(event.value)

    @on(Input.Submitted)
    @on(Button.Pressed, "#go")
    def _go(self) -> None:
        value = self.query_one(SecretInput).value
        if self.judge(value).possible:
            self.answer(self.secret(value))
        else:
            self._say(value)

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
