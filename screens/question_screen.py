"""Base class of the screens that ask a question of the engine."""

# ruff: noqa: D102 (hooks of the base class, which documents them)

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from installer.flow.front_end import Back
from installer.flow.questions import Question
from screens.widgets import Callout
from screens.wizard_screen import WizardScreen

QuestionT = TypeVar("QuestionT", bound=Question)


class QuestionScreen(WizardScreen, Generic[QuestionT]):
    """Asks one question. `result` is done when the user answered, went back, or stopped."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="back", tooltip="The question before this one"),
        Binding("escape", "stop", "Stop", id="stop", tooltip="Stop this installation"),
    ]

    def __init__(self, question: QuestionT) -> None:
        super().__init__()
        self.question = question
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def above_body(self) -> Iterable[Widget]:
        problem = self.question.problem
        yield Callout(f"{problem.what} {problem.todo}" if problem else "", "error", id="problem")

    def show_problem(self, text: str) -> None:
        """Show a problem above the body; an empty text removes it."""
        self.query_one("#problem", Callout).show_text(text)

    def answer(self, value: Any) -> None:
        """Give the answer. Only the first one counts."""
        if not self.result.done():
            self.result.set_result(value)
            self.clear_secrets()

    def clear_secrets(self) -> None:
        """Clear all secrets on the screen. Called when it is left."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The escape key goes back if that is possible, else it stops. An answered question takes no more keys."""
        if action in ("back", "stop"):
            return not self.result.done() and self.question.can_go_back == (action == "back")
        return super().check_action(action, parameters)

    def action_back(self) -> None:
        """Back to the question before."""
        if not self.result.done():
            self.result.set_exception(Back())
            self.clear_secrets()

    def action_stop(self) -> None:
        """Stop the installation."""
        self.wizard.stop_installation()
