"""Batch: several devices at once, a line for each; who must be touched now; labels at the end."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input

from installer.batch.labels import Label
from installer.batch.progress import GOOD, Progress, RowProgress
from installer.batch.progress_table import clock, progress, sign, totals, what
from installer.errors import InstallerError
from installer.events.stream import Event
from screens.choice_list import ChoiceList, ChoiceTable, Column, Row
from screens.dialogs import ConfirmDialog, Dialog
from screens.engine_interface import BatchRun
from screens.frame import Frame
from screens.widgets import Callout, Text, button, shown

POLL = 0.25
COLUMNS = (Column("", 1), Column("Device"), Column("Steps", 6), Column("What goes on", 24), Column("Time", 5))


class BatchScreen(Frame):
    """The live table. `run` is what runs; `board` what its events say."""

    TRAIL = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop", id="batch.stop", tooltip="Begin nothing more, or stop at once"),
        Binding("l", "labels", "Labels", id="batch.labels", tooltip="Write a sheet of labels to print"),
        Binding("r", "again", "Try the rest", id="batch.again", tooltip="Try once more what is not installed"),
        Binding("h,escape", "home", "Home", id="batch.home", tooltip="Back to the first screen"),
    ]

    def __init__(self, run: BatchRun) -> None:
        super().__init__()
        self.run = run
        self.board = Progress()
        self.problem: InstallerError | None = None
        self._done = False
        self._all_labels: dict[str, Label] = {}

    def heading(self) -> str:
        return "Preparing…"

    def body(self) -> Iterable[Widget]:
        yield Callout("", "action", id="touch")
        yield Callout("", "error", id="problem")
        yield ChoiceTable(COLUMNS, list_id="rows")
        yield Text("", id="detail")

    def on_mount(self) -> None:
        self.query_one(ChoiceList).focus()
        self.poll()
        self.set_interval(POLL, self.poll)

    def take(self, event: Event) -> None:
        """Take in an event; the next look draws it."""
        self.board.apply(event, self.wizard.clock())

    def ended(self) -> None:
        """Nothing runs any more."""
        self._done = True
        self.poll()
        self.refresh_bindings()

    def poll(self) -> None:
        """Draw the board as it is now."""
        if not self.is_mounted:
            return
        now = self.wizard.clock()
        rows = [self._row(row, now) for row in self.board.rows.values()]
        self.query_one(ChoiceList).set_rows(rows)
        if self.board.rows:
            self.say(heading=self._title(), hint=totals(self.board).capitalize() + ".")
        self.query_one("#touch", Callout).say(self._touch())
        self.query_one("#problem", Callout).say(str(self.problem) if self.problem is not None else "")

    def _title(self) -> str:
        count = len(self.board.rows)
        devices = "1 device" if count == 1 else f"{count} devices"
        if not self._done:
            return f"Installing {devices}"
        good = sum(row.state in GOOD for row in self.board.rows.values())
        return f"All {devices} are done" if good == count else f"{good} of {devices} are done"

    def _touch(self) -> str:
        """Whom to touch now: the devices blink, where they can."""
        waiting = [row for row in self.board.rows.values() if row.todo and row.running]
        if not waiting:
            return ""
        first, others = waiting[0], len(waiting) - 1
        more = f"  ({others} more after it)" if others else ""
        return f"{shown(first.name or first.device, 30)} waits for you; it blinks if it can. {first.todo}{more}"

    def _row(self, row: RowProgress, now: float) -> Row:
        name = shown(row.name or row.model or row.device, 30)
        tail = f"  {row.device[-5:]}" if row.device else ""
        words = (row.todo and "needs you now") or what(row)
        return Row(row.row, (sign(row), name + tail, progress(row), words, clock(row.seconds(now))))

    @on(ChoiceList.Moved)
    def _moved(self, event: ChoiceList.Moved) -> None:
        row = self.board.rows.get(event.row.key) if event.row else None
        words = ""
        if row is not None:
            words = f"{row.device}   {shown(row.model)}"
            if row.state == "failed":
                words = f"{shown(row.what, 160)} {shown(row.advice, 160)}"
            elif row.state in GOOD:
                words += "   Enter shows its label."
        self.query_one("#detail", Text).update(Content(words))

    @on(ChoiceList.Chosen)
    async def _chosen(self, event: ChoiceList.Chosen) -> None:
        row = self.board.rows.get(event.row.key)
        if row is None or row.state not in GOOD:
            return
        label = next((one for one in await self.run.labels() if one.address == row.device), None)
        if label is not None:
            self.app.push_screen(LabelDialog(label))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Stopping while it runs; the rest afterwards. There are no answers to save."""
        if action == "save":
            return False
        if action == "stop":
            return not self._done
        if action == "home":
            return self._done
        if action == "labels":
            return any(row.state in GOOD for row in self.board.rows.values()) or False
        if action == "again":
            return self._done and any(row.state not in GOOD for row in self.board.rows.values())
        return super().check_action(action, parameters)

    def action_stop(self) -> None:
        """Ask how."""
        self.wizard.stop_installation()

    def ask_to_stop(self, *, leave: bool) -> None:
        """Stop after what runs, or at once."""
        if leave:
            self.wizard.leave_after_batch()

        def decide(stop: bool | None) -> None:
            if stop:
                self.run.stop()

        self.app.push_screen(
            ConfirmDialog(
                "Stop installing?",
                "Devices that have their credentials are finished, the others are left as they are, and nothing more "
                "is begun. It can be taken up again.",
                yes="Stop",
                no="Go on",
            ),
            decide,
        )

    def action_again(self) -> None:
        """What is left, once more."""
        self._done, self.problem = False, None
        self.refresh_bindings()
        self.wizard.again_batch()

    def action_home(self) -> None:
        """Back to the first screen."""
        self.wizard.go_home()

    async def action_labels(self) -> None:
        """Where to write the sheet."""
        found = await self.run.labels()

        def saved(path: str | None) -> None:
            if path:
                self.notify(path, title="Labels written", markup=False)

        self.app.push_screen(LabelsDialog(found), saved)


class LabelDialog(Dialog[None]):
    """One label: its words and its code."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "code", "QR code", id="label.code", tooltip="The label's code over the whole window"),
    ]

    def __init__(self, label: Label) -> None:
        super().__init__()
        self._label = label

    def title_text(self) -> str:
        return self._label.lines[0]

    def body(self) -> Iterable[Widget]:
        from installer.qr.draw import qr_lines

        size = self.app.size
        lines = qr_lines(self._label.code, size.width - 12, size.height - 8 - len(self._label.lines))
        yield Text("\n".join(self._label.lines[1:]))
        if lines is not None:
            yield Text(Content("\n".join(lines)), id="qr")
        else:
            yield Text(self._label.code)

    def buttons(self) -> Iterable[Button]:
        yield button("QR code (Q)", "code")
        yield button("Close", "close", "primary")

    @on(Button.Pressed, "#code")
    def action_code(self) -> None:
        """The code over the whole window, where it has room more often."""
        from screens.qr_code import QrScreen

        words = "its text is what `device-installer link` takes"
        self.app.push_screen(QrScreen(self._label.code, words))

    @on(Button.Pressed, "#close")
    def _pressed(self) -> None:
        self.dismiss(None)


class LabelsDialog(Dialog[str]):
    """Where to write the sheet of labels. The result is the path, or None."""

    def __init__(self, labels: list[Label] | tuple[Label, ...] | Iterable[Label]) -> None:
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
            self.query_one("#unwritable", Callout).say(str(error))
        else:
            self.dismiss(str(path))

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)
