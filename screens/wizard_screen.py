"""Base class of all full screens: the top bar with the trail of steps, a heading, a hint, a body, the key footer."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from screens.app_interface import Wizard
from screens.installation_state import Mark
from screens.key_footer import KeyFooter
from screens.widgets import Text

PRODUCT_NAME = "Device Installer"
# Badges at the right of the top bar, each with its meaning.
LAB_BADGE = (" LAB ", "practice, no real device")
DRY_RUN_BADGE = (" DRY RUN ", "nothing is sent")


class TopBar(Widget, can_focus=False):
    """The product's name, the badges and, during an installation, the trail: all steps and how far they are."""

    def __init__(self, *, trail: bool) -> None:
        super().__init__()
        self._trail = trail
        self.set_class(trail, "-trail")

    def render(self) -> Content:
        wizard = cast("Wizard", self.app)
        width = self.content_size.width
        variables = self.app.theme_variables
        first_line = Content.styled(PRODUCT_NAME, f"bold {variables['primary']}")
        badges = [DRY_RUN_BADGE] if wizard.state.dry_run else []
        badges += [LAB_BADGE] if wizard.lab else []
        if badges:
            pad = width - cell_len(PRODUCT_NAME) - sum(len(b) + len(m) + 3 for b, m in badges) + 2
            badge_style = f"bold {variables['background']} on {variables['accent']}"
            first_line = first_line + Content(" " * max(pad, 1))
            for index, (badge, meaning) in enumerate(badges):
                gap = "  " if index else ""
                first_line = Content.assemble(
                    first_line, (f"{gap}{meaning} ", variables["accent"]), (badge, badge_style)
                )
        if not self._trail:
            return first_line
        muted = variables.get("muted", "#9fabbd")
        styles = {Mark.DONE: variables["success"], Mark.NOW: f"bold {variables['foreground']}", Mark.TODO: muted}
        parts: list[Content] = []
        for key, mark in wizard.state.marks.items():
            if mark is not Mark.SKIPPED:
                parts.append(Content.styled(f"{mark.value} {key.value.title()}", styles[mark]))
        return Content("\n").join([first_line, Content.styled("  ›  ", muted).join(parts)])


class WizardScreen(Screen[None]):
    """A full screen. Subclasses define `heading()`, `hint()` and `body()`. `TRAIL`: whether to show the steps."""

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
    def wizard(self) -> Wizard:
        """The app, as far as screens may use it."""
        return cast("Wizard", self.app)

    def heading(self) -> str:
        """The question, or what is happening."""
        return ""

    def hint(self) -> str:
        """A sentence below the heading."""
        return ""

    def body(self) -> Iterable[Widget]:
        """The widgets between the hint and the footer."""
        return ()

    def above_body(self) -> Iterable[Widget]:
        """Widgets that every screen of a kind has above its body."""
        return ()

    def compose(self) -> ComposeResult:
        yield TopBar(trail=self.TRAIL)
        with Vertical(id="page"):
            yield Text(self.heading(), id="heading")
            yield self._hint_line()
            yield from self.above_body()
            yield from self.body()
        yield KeyFooter()

    def set_header(self, heading: str | None = None, hint: str | None = None) -> None:
        """Change the heading or the hint."""
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
        """Answers can be saved as soon as there is one."""
        if action == "save":
            return self.wizard.has_answers
        return super().check_action(action, parameters)

    def action_save(self) -> None:
        """Save the answers as a file."""
        self.wizard.save_answers()

    def action_help(self) -> None:
        """Show the keys of this screen."""
        from screens.help import HelpDialog

        self.app.push_screen(HelpDialog(self))
