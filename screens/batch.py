"""The batch screen: a row for each device, which device needs the user now, and labels at the end."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.widgets import Button, Input

from installer.batch.labels import Label
from installer.batch.progress import SUCCESS_STATES, Progress, RowProgress
from installer.batch.progress_table import sign, status_text, steps_bar, totals
from installer.errors import InstallerError
from installer.events.json_lines import Event
from installer.timing.durations import stopwatch
from screens.choice_list import ChoiceColumn, ChoiceList, ChoiceRow, ChoiceTable
from screens.dialogs import ConfirmDialog, Dialog
from screens.engine_interface import BatchRun
from screens.labels import shown
from screens.widgets import Callout, QrCode, Text, button
from screens.wizard_screen import WizardScreen

REFRESH_SECONDS = 0.25
DIALOG_WIDTH = 70  # cells of a dialog (wizard.tcss)
ROWS_OUTSIDE_QR = 9  # a dialog's border, spaces and buttons
COLUMNS = (
    ChoiceColumn("", 1),
    ChoiceColumn("Device"),
    ChoiceColumn("Steps", 6),
    ChoiceColumn("What goes on", 24),
    ChoiceColumn("Time", 5),
)


class BatchScreen(WizardScreen):
    """The live table of a batch. `run` is the batch; `progress` is what its events told."""

    TRAIL = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop", id="batch.stop", tooltip="Start no more devices"),
        Binding("l", "labels", "Labels", id="batch.labels", tooltip="Write a sheet of labels to print"),
        Binding("r", "again", "Try the rest", id="batch.again", tooltip="Try the devices again that are not installed"),
        Binding("h,escape", "home", "Home", id="batch.home", tooltip="Back to the first screen"),
    ]

    def __init__(self, run: BatchRun) -> None:
        super().__init__()
        self.run = run
        self.progress = Progress()
        self.problem: InstallerError | None = None
        self._has_ended = False

    def heading(self) -> str:
        return "Preparing…"

    def body(self) -> Iterable[Widget]:
        yield Callout("", "action", id="touch")
        yield Callout("", "error", id="problem")
        yield ChoiceTable(COLUMNS, list_id="rows")
        yield Text("", id="detail")

    def on_mount(self) -> None:
        self.query_one(ChoiceList).focus()
        self.refresh_rows()
        self.set_interval(REFRESH_SECONDS, self.refresh_rows)

    def apply_event(self, event: Event) -> None:
        """Apply an event; the next refresh shows it."""
        self.progress.apply(event, self.wizard.clock())

    def batch_ended(self) -> None:
        """Show that the batch has ended."""
        self._has_ended = True
        self.refresh_rows()
        self.refresh_bindings()

    def refresh_rows(self) -> None:
        """Show the current progress of all devices."""
        if not self.is_mounted:
            return
        # When the program ends, the screen is taken apart piece by piece while the batch still tells its end.
        with suppress(NoMatches):
            self._show_rows()

    def _show_rows(self) -> None:
        now = self.wizard.clock()
        rows = [self._table_row(row, now) for row in self.progress.rows.values()]
        self.query_one(ChoiceList).set_rows(rows)
        if self.progress.rows:
            self.set_header(heading=self._title(), hint=totals(self.progress).capitalize() + ".")
        self.query_one("#touch", Callout).show_text(self._device_that_waits())
        self.query_one("#problem", Callout).show_text(str(self.problem) if self.problem is not None else "")

    def _title(self) -> str:
        count = len(self.progress.rows)
        devices = "1 device" if count == 1 else f"{count} devices"
        if not self._has_ended:
            return f"Installing {devices}"
        good = sum(row.state in SUCCESS_STATES for row in self.progress.rows.values())
        return f"All {devices} are done" if good == count else f"{good} of {devices} are done"

    def _device_that_waits(self) -> str:
        """Which device needs the user now. It blinks if it can."""
        waiting = [row for row in self.progress.rows.values() if row.todo and row.running]
        if not waiting:
            return ""
        first, others = waiting[0], len(waiting) - 1
        more = f"  ({others} more after it)" if others else ""
        return f"{shown(first.name or first.device, 30)} waits for you; it blinks if it can. {first.todo}{more}"

    def _table_row(self, row: RowProgress, now: float) -> ChoiceRow:
        name = shown(row.name or row.model or row.device, 30)
        tail = f"  {row.device[-5:]}" if row.device else ""
        status = (row.todo and "needs you now") or status_text(row)
        return ChoiceRow(row.row, (sign(row), name + tail, steps_bar(row), status, stopwatch(row.seconds(now))))

    @on(ChoiceList.Moved)
    def _moved(self, event: ChoiceList.Moved) -> None:
        row = self.progress.rows.get(event.row.key) if event.row else None
        detail = ""
        if row is not None:
            detail = f"{row.device}   {shown(row.model)}"
            if row.state == "failed":
                detail = f"{shown(row.what, 160)} {shown(row.advice, 160)}"
            elif row.state in SUCCESS_STATES:
                detail += "   Enter shows its label."
        self.query_one("#detail", Text).update(Content(detail))

    @on(ChoiceList.Chosen)
    async def _chosen(self, event: ChoiceList.Chosen) -> None:
        row = self.progress.rows.get(event.row.key)
        if row is None or row.state not in SUCCESS_STATES:
            return
        label = next((one for one in await self.run.labels() if one.address == row.device), None)
        if label is not None:
            self.app.push_screen(LabelDialog(label))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Stop while the batch runs; home and retry after it. There are no answers to save."""
        if action == "save":
            return False
        if action == "stop":
            return not self._has_ended
        if action == "home":
            return self._has_ended
        if action == "labels":
            return any(row.state in SUCCESS_STATES for row in self.progress.rows.values()) or False
        if action == "again":
            return self._has_ended and any(row.state not in SUCCESS_STATES for row in self.progress.rows.values())
        return super().check_action(action, parameters)

    def action_stop(self) -> None:
        """Ask whether to stop the batch."""
        self.wizard.stop_installation()

    def ask_to_stop(self, *, leave: bool) -> None:
        """Ask whether to stop; running devices are finished. `leave`: then quit."""
        if leave:
            self.wizard.quit_after_batch()

        def decide(stop: bool | None) -> None:
            if stop:
                self.run.stop()

        self.app.push_screen(
            ConfirmDialog(
                "Stop installing?",
                "Devices that have their credentials are finished, the others are left as they are, and no more are "
                "started. You can continue the batch later.",
                yes="Stop",
                no="Go on",
            ),
            decide,
        )

    def action_again(self) -> None:
        """Try the devices again that are not installed."""
        self._has_ended, self.problem = False, None
        self.refresh_bindings()
        self.wizard.retry_batch()

    def action_home(self) -> None:
        """Back to the first screen."""
        self.wizard.go_home()

    async def action_labels(self) -> None:
        """Ask where to write the sheet of labels."""
        labels = await self.run.labels()

        def saved(path: str | None) -> None:
            if path:
                self.notify(path, title="Labels written", markup=False)

        self.app.push_screen(LabelSheetDialog(labels), saved)


class LabelDialog(Dialog[None]):
    """One label: its text and its QR code."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "code", "QR code", id="label.code", tooltip="The label's code over the whole window"),
    ]

    def __init__(self, label: Label) -> None:
        super().__init__()
        self._label = label

    def title_text(self) -> str:
        return self._label.lines[0]

    def body(self) -> Iterable[Widget]:
        yield Text("\n".join(self._label.lines[1:]))
        yield QrCode(id="qr")
        yield Text(f"{self._label.code}\nThe window is too small for its QR code.", id="code-text")

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        size = self.app.size
        room = (min(size.width, DIALOG_WIDTH) - 8, size.height - ROWS_OUTSIDE_QR - len(self._label.lines))
        self.query_one("#code-text").display = not self.query_one(QrCode).show_code(self._label.code, *room)

    def buttons(self) -> Iterable[Button]:
        yield button("QR code (Q)", "code")
        yield button("Close", "close", "primary")

    @on(Button.Pressed, "#code")
    def action_code(self) -> None:
        """Show the QR code over the whole window, which has more room."""
        from screens.qr_code import QrScreen

        self.app.push_screen(QrScreen(self._label.code, "its text is what `device-installer link` takes"))

    @on(Button.Pressed, "#close")
    def _pressed(self) -> None:
        self.dismiss(None)


class LabelSheetDialog(Dialog[str]):
    """Asks where to write the sheet of labels. The result is the path, or None."""

    def __init__(self, labels: Iterable[Label]) -> None:
        super().__init__()
        self._labels = list(labels)

    def title_text(self) -> str:
        count = len(self._labels)
        return f"Labels for {'1 device' if count == 1 else f'{count} devices'}"

    def body(self) -> Iterable[Widget]:
        yield Text("A sheet to print from a browser (.html), or a text (.txt). No passphrase is on it.")
        yield Input("labels.html", id="path", placeholder="path of the file")
        yield Callout("", "error", id="unwritable")

    def buttons(self) -> Iterable[Button]:
        yield button("Write", "write", "primary")
        yield button("Cancel", "cancel")

    @on(Input.Submitted)
    @on(Button.Pressed, "#write")
    def _write(self) -> None:
        from installer.batch.labels import write

        name = self.query_one("#path", Input).value.strip()
        if not name:
            return
        path = Path(name).expanduser()
        try:
            write(self._labels, path)
        except InstallerError as error:
            self.query_one("#unwritable", Callout).show_text(str(error))
        else:
            self.dismiss(str(path))

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)
