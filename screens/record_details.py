"""The screen of one record: the device, each step with its time, each failure; and the retry of a failed one."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from installer.errors import ErrorCode, InstallerError
from installer.ledger.text_table import ended, record_fields
from installer.timing.durations import compact_duration, local_time_of_iso
from screens.engine_interface import Ledger
from screens.labels import shown
from screens.widgets import Callout, Facts, Text, deferred_call
from screens.wizard_screen import WizardScreen

RETRYABLE_OUTCOMES = ("failed", "cancelled", "interrupted")


class RecordDetailsScreen(WizardScreen):
    """All that the ledger has about one installation."""

    TRAIL = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "again", "Try again", id="record.again", tooltip="Install that device again, with its choices"),
        Binding("escape", "back", "Back", id="record.back", tooltip="Back to the list"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="record.up", tooltip="A line up or down"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="record.down", tooltip="A line up or down"),
        Binding("pageup", "scroll(-12)", "Page up", show=False, id="record.page_up", tooltip="A page up or down"),
        Binding(
            "pagedown,space", "scroll(12)", "Page down", show=False, id="record.page_down", tooltip="A page up or down"
        ),
    ]

    def __init__(self, ledger: Ledger, installation: str) -> None:
        super().__init__()
        self._ledger = ledger
        self._installation = installation
        self._record: dict[str, Any] | None = None

    def heading(self) -> str:
        return f"Record {self._installation}"

    def body(self) -> Iterable[Widget]:
        yield Callout("", "error", id="problem")
        with VerticalScroll(id="record", can_focus=False):
            yield Facts(id="facts")
            yield Text("", id="history")

    def on_mount(self) -> None:
        self.run_worker(deferred_call(self._read))

    async def _read(self) -> None:
        try:
            record = self._record = await self._ledger.one(self._installation)
        except InstallerError as error:
            self.query_one("#problem", Callout).show_text(str(error))
            return
        name = shown(record["name"] or record["model"] or "No device", 40)
        self.set_header(heading=f"{name}: {ended(record)}", hint=f"Record {self._installation}{_error_meaning(record)}")
        self.query_one("#facts", Facts).set_pairs([(n, v) for n, v in record_fields(record) if n != "Outcome"])
        self.query_one("#history", Text).update(self._history(record))
        self.refresh_bindings()

    def _history(self, record: dict[str, Any]) -> Content:
        muted = self.app.theme_variables.get("muted", "#9fabbd")
        error = self.app.theme_variables["error"]
        lines: list[Content] = []
        if record["steps"]:
            lines.append(Content.styled("Steps", "bold"))
        for step in record["steps"]:
            line = f"{shown(step['step'], 12).title():<13}{compact_duration(step['took']):<10}"
            lines.append(Content.assemble(line, (local_time_of_iso(step["done"], seconds=True)[11:], muted)))
        if record["failures"]:
            lines += [Content(""), Content.styled("Failures", "bold")]
        for failure in record["failures"]:
            step = shown(failure["step"] or "-", 12).title()
            head = (
                f"{step:<13}",
                (shown(failure["code"]), error),
                f"  {local_time_of_iso(failure['time'], seconds=True)[11:]}",
            )
            lines += [Content.assemble(*head), Content.styled(shown(failure["what"], 400), muted)]
        return Content("\n").join(lines)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A failed installation can be tried again; there are no answers to save."""
        if action == "save":
            return False
        if action == "again":
            return self._record is not None and can_retry(self._record)
        return super().check_action(action, parameters)

    def action_scroll(self, by: int) -> None:
        """A line up or down."""
        self.query_one("#record", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_again(self) -> None:
        """Install that device again."""
        self.run_worker(deferred_call(retry_installation, self, self._ledger, self._installation), exclusive=True)

    def action_back(self) -> None:
        """Back to the list."""
        self.app.pop_screen()


def _error_meaning(record: dict[str, Any]) -> str:
    """The meaning of its error code, if it failed."""
    if record["outcome"] != "failed":
        return ""
    code = next((c for c in ErrorCode if c.value == record["error"]), None)
    return f": {code.meaning}" if code is not None else ""


def can_retry(record: dict[str, Any]) -> bool:
    """Whether the installation ended without success."""
    return record["outcome"] in RETRYABLE_OUTCOMES


async def retry_installation(screen: WizardScreen, ledger: Ledger, installation: str) -> None:
    """Start an installation with the answers of a record. The passphrase is asked again."""
    from installer.ledger.archive import answers_of

    try:
        answers = answers_of(await ledger.one(installation))
    except InstallerError as error:
        screen.query_one("#problem", Callout).show_text(str(error))
        return
    screen.wizard.begin_with_answers(answers)
