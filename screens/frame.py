"""The frame of every screen: the bar with the product's name and the trail of steps, a title, a body, a footer."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from installer.answers import StepKey
from installer.flow.questions import Back, Cancelled, Question
from screens.key_footer import KeyLine
from screens.run_state import Mark
from screens.widgets import Callout, Text

if TYPE_CHECKING:
    from screens.app import WizardApp

PRODUCT = "Device Installer"
LAB = " LAB "
LAB_WORDS = "practice, no real device"
DRY_RUN = " DRY RUN "
DRY_RUN_WORDS = "nothing is sent"

Q = TypeVar("Q", bound=Question)


class TopBar(Widget, can_focus=False):
    """Product, lab badge and, during an installation, the trail: where one is, what is done, what is to come."""

    def __init__(self, *, trail: bool) -> None:
        super().__init__()
        self._trail = trail
        self.set_class(trail, "-trail")

    def render(self) -> Content:
        app = cast("WizardApp", self.app)
        width = self.content_size.width
        variables = app.theme_variables
        first = Content.styled(PRODUCT, f"bold {variables['primary']}")
        words = [(DRY_RUN, DRY_RUN_WORDS)] if app.state.dry_run else []
        words += [(LAB, LAB_WORDS)] if app.lab else []
        if words:
            pad = width - cell_len(PRODUCT) - sum(len(b) + len(w) + 3 for b, w in words) + 2
            badge = f"bold {variables['background']} on {variables['accent']}"
            first = first + Content(" " * max(pad, 1))
            for index, (label, meaning) in enumerate(words):
                gap = "  " if index else ""
                first = Content.assemble(first, (f"{gap}{meaning} ", variables["accent"]), (label, badge))
        if not self._trail:
            return first
        muted = variables.get("muted", "#9fabbd")
        styles = {Mark.DONE: variables["success"], Mark.NOW: f"bold {variables['foreground']}", Mark.TODO: muted}
        parts: list[Content] = []
        for key, mark in app.state.marks.items():
            if mark is not Mark.SKIPPED:
                parts.append(Content.styled(f"{mark.value} {key.value.title()}", styles[mark]))
        return Content("\n").join([first, Content.styled("  ›  ", muted).join(parts)])


class Frame(Screen[None]):
    """Base of the full screens. A subclass gives `heading()`, `hint()` and `body()`."""

    TRAIL: ClassVar[bool] = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", "Save answers", id="save", tooltip="Save the choices made so far, for a script"),
        Binding(
            "ctrl+s",
            "save",
            "Save answers",
            show=False,
            id="save.anywhere",
            tooltip="Save the choices made so far, for a script",
        ),
        Binding("f1,question_mark", "help", "Help", key_display="F1", id="help", tooltip="All keys of this screen"),
        Binding("tab", "app.focus_next", "Next", show=False, id="next", tooltip="The next field, or the one before"),
        Binding(
            "shift+tab",
            "app.focus_previous",
            "Previous",
            show=False,
            id="previous",
            tooltip="The next field, or the one before",
        ),
    ]

    @property
    def wizard(self) -> WizardApp:
        """The app, with its own type."""
        return cast("WizardApp", self.app)

    def heading(self) -> str:
        """The title: the question, or what goes on."""
        return ""

    def hint(self) -> str:
        """A sentence below the title."""
        return ""

    def body(self) -> Iterable[Widget]:
        """What is between the title and the footer."""
        return ()

    def compose(self) -> ComposeResult:
        yield TopBar(trail=self.TRAIL)
        with Vertical(id="page"):
            yield Text(self.heading(), id="heading")
            yield self._hint_line()
            yield from self.body()
        yield KeyLine()

    def say(self, heading: str | None = None, hint: str | None = None) -> None:
        """Change the title or the sentence below it."""
        if heading is not None:
            self.query_one("#heading", Text).update(Content(heading))
        if hint is not None:
            line = self.query_one("#hint", Text)
            line.update(Content(hint))
            line.set_class(not hint, "-empty")

    def _hint_line(self) -> Text:
        hint = self.hint()
        return Text(hint, id="hint", classes="" if hint else "-empty")

    def refresh_trail(self) -> None:
        """Draw the trail again."""
        for bar in self.query(TopBar):
            bar.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Saving is there as soon as a choice was made."""
        if action == "save":
            return self.wizard.has_answers
        return super().check_action(action, parameters)

    def action_save(self) -> None:
        """Save the answers as a file."""
        self.wizard.save_answers()

    def action_help(self) -> None:
        """Show the keys of this screen."""
        from screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self))


class QuestionScreen(Frame, Generic[Q]):
    """Base of the screens that ask. `result` is done when the person answered, went back, or stopped."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="back", tooltip="The question before this one"),
        Binding("escape", "stop", "Stop", id="stop", tooltip="Stop this installation"),
    ]

    def __init__(self, question: Q) -> None:
        super().__init__()
        self.question = question
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @property
    def step(self) -> StepKey:
        """The step that asks."""
        return self.question.step

    def compose(self) -> ComposeResult:
        yield TopBar(trail=True)
        with Vertical(id="page"):
            yield Text(self.heading(), id="heading")
            yield self._hint_line()
            problem = self.question.problem
            yield Callout(f"{problem.what} {problem.todo}" if problem else "", "error", id="problem")
            yield from self.body()
        yield KeyLine()

    def say_problem(self, text: str) -> None:
        """Show a problem above the body; an empty text takes it away."""
        self.query_one("#problem", Callout).say(text)

    def answer(self, value: Any) -> None:
        """Give the answer. Only the first one counts."""
        if not self.result.done():
            self.result.set_result(value)
            self.forget()

    def end(self) -> None:
        """The person ends the installation here."""
        if not self.result.done():
            self.result.set_exception(Cancelled())
            self.forget()

    def forget(self) -> None:
        """Called when the screen is left: clear whatever is secret."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Either back or stop lies on the escape key; an answered question takes no more keys."""
        if action in ("back", "stop"):
            return not self.result.done() and self.question.can_go_back == (action == "back")
        return super().check_action(action, parameters)

    def action_back(self) -> None:
        """Back to the question before."""
        if not self.result.done():
            self.result.set_exception(Back())
            self.forget()

    def action_stop(self) -> None:
        """Stop the installation."""
        self.wizard.stop_installation()
