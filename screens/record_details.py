"""One record: the device, each step with its time, each failure; and another try where it failed."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from installer.errors import ErrorCode, InstallerError
from installer.ledger.text_table import ended, facts, spoken, when
from screens.engine_interface import RecordsDesk
from screens.frame import Frame
from screens.records import can_try_again, try_again
from screens.widgets import Callout, Facts, Text, later, shown


class RecordScreen(Frame):
    """Everything that is kept of one installation."""

    TRAIL = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "again", "Try again", id="record.again", tooltip="Install that device again, with its choices"),
        Binding("escape", "back", "Back", id="record.back", tooltip="Back to the list"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="record.up", tooltip="What is above or below"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="record.down", tooltip="What is above or below"),
        Binding("pageup", "scroll(-12)", "Page up", show=False, id="record.page_up", tooltip="A page up or down"),
        Binding(
            "pagedown,space", "scroll(12)", "Page down", show=False, id="record.page_down", tooltip="A page up or down"
        ),
    ]

    def __init__(self, desk: RecordsDesk, installation: str) -> None:
        super().__init__()
        self._desk = desk
        self._installation = installation
        self._record: dict[str, Any] | None = None

    def heading(self) -> str:
        return f"Record {self._installation}"

    def body(self) -> Iterable[Widget]:
        yield Callout("", "error", id="problem")
        with VerticalScroll(id="record", can_focus=False):
            yield Facts(id="facts")
            yield Text("", id="past")

    def on_mount(self) -> None:
        self.run_worker(later(self._read))

    async def _read(self) -> None:
        try:
            record = self._record = await self._desk.one(self._installation)
        except InstallerError as error:
            self.query_one("#problem", Callout).say(str(error))
            return
        name = shown(record["name"] or record["model"] or "No device", 40)
        self.say(heading=f"{name}: {ended(record)}", hint=f"Record {self._installation}{_why(record)}")
        self.query_one("#facts", Facts).tell([(n, v) for n, v in facts(record) if n != "Outcome"])
        self.query_one("#past", Text).update(self._past(record))
        self.refresh_bindings()

    def _past(self, record: dict[str, Any]) -> Content:
        muted = self.app.theme_variables.get("muted", "#9fabbd")
        error = self.app.theme_variables["error"]
        lines: list[Content] = []
        if record["steps"]:
            lines.append(Content.styled("Steps", "bold"))
        for step in record["steps"]:
            words = f"{step['step'].title():<13}{spoken(step['took']):<10}"
            lines.append(Content.assemble(words, (when(step["done"], seconds=True)[11:], muted)))
        if record["failures"]:
            lines += [Content(""), Content.styled("Failures", "bold")]
        for failure in record["failures"]:
            step = str(failure["step"] or "-").title()
            head = (f"{step:<13}", (shown(failure["code"]), error), f"  {when(failure['time'], seconds=True)[11:]}")
            lines += [Content.assemble(*head), Content.styled(shown(failure["what"], 400), muted)]
        return Content("\n").join(lines)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What failed can be tried again; there are no answers to save."""
        if action == "save":
            return False
        if action == "again":
            return self._record is not None and can_try_again(self._record)
        return super().check_action(action, parameters)

    def action_scroll(self, by: int) -> None:
        """A line up or down."""
        self.query_one("#record", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_again(self) -> None:
        """Install that device again."""
        self.run_worker(later(try_again, self, self._desk, self._installation), exclusive=True)

    def action_back(self) -> None:
        """Back to the list."""
        self.app.pop_screen()


def _why(record: dict[str, Any]) -> str:
    """The meaning of the code with which it failed."""
    if record["outcome"] != "failed":
        return ""
    code = next((c for c in ErrorCode if c.value == record["error"]), None)
    return f": {code.meaning}" if code is not None else ""
