"""Live table of a batch's progress in the terminal; plain lines or JSON where there is no terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from installer import output
from installer.batch.progress import STEP_ORDER, SUCCESS_STATES, Progress, RowProgress
from installer.events.batch import BatchRow, BatchStarted
from installer.events.installation import Notice
from installer.events.json_lines import Event
from installer.output import harmless
from installer.text import printable
from installer.timing.durations import stopwatch

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

REFRESHES_PER_SECOND = 4
OTHER_LINES = 5  # title, header and totals
_STYLES = {
    "installed": "green",
    "to_be_linked": "green",
    "done_before": "dim",
    "failed": "bold red",
    "cancelled": "yellow",
    "retrying": "yellow",
    "started": "bold",
    "elsewhere": "dim",
    "waiting": "dim",
}
_SIGNS = {"failed": "✗", "cancelled": "–", "retrying": "↻", "started": "●", "elsewhere": "→", "waiting": "○"}


def sign(row: RowProgress) -> str:
    """The state as one sign, readable without colour."""
    return "✓" if row.state in SUCCESS_STATES else _SIGNS.get(row.state, "○")


def steps_bar(row: RowProgress) -> str:
    """The six steps as a bar."""
    return "■" * row.done + "·" * (len(STEP_ORDER) - row.done)


def device_text(row: RowProgress) -> str:
    """The device in short: its name or model, the end of its address, and its label."""
    name = row.name or row.model or row.device or "any"
    address_end = row.device[-5:] if row.device and (row.name or row.model) else ""
    label = f" {row.label}" if row.label else ""
    return printable(f"{name} {address_end}".strip() + label, 60)


def status_text(row: RowProgress) -> str:
    """What happens now, or how it ended."""
    if row.state == "failed":
        return f"failed: {row.code}"
    if row.state == "retrying":
        return f"{row.words} ({row.attempt})"
    return row.todo or row.words


def totals(progress: Progress) -> str:
    """All rows in one sentence."""
    counts = progress.counts()
    installed = counts["installed"] + counts["done_before"]
    parts = [f"{installed} of {len(progress.rows)} installed"]
    parts += [f"{counts['to_be_linked']} to be linked"] if counts["to_be_linked"] else []
    parts += [f"{counts['started'] + counts['retrying']} running"] if counts["started"] + counts["retrying"] else []
    parts += [f"{counts['waiting']} waiting"] if counts["waiting"] else []
    parts += [f"{counts['elsewhere']} at other stations"] if counts["elsewhere"] else []
    parts += [f"{counts['failed']} failed"] if counts["failed"] else []
    parts += [f"{counts['cancelled']} stopped"] if counts["cancelled"] else []
    return ", ".join(parts)


def summary(progress: Progress) -> list[str]:
    """The summary at the end: the counts, then the failed rows by error, with what to do."""
    lines = [f"{progress.batch}: {totals(progress)}."]
    groups: dict[str, list[RowProgress]] = {}
    for row in progress.rows.values():
        if row.state == "failed":
            groups.setdefault(row.code, []).append(row)
    for code, rows in sorted(groups.items(), key=lambda g: -len(g[1])):
        lines.append(f"{len(rows)} × {code}: row {', '.join(r.row for r in rows)}")
        lines += [f"  {line}" for line in dict.fromkeys(r.what for r in rows[:3])]
        lines.append(f"  {rows[0].advice}")
    return lines


class TableView:
    """Draws the progress repeatedly while the batch runs; use `running()`."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress()
        self._console = console
        self._live: Any = None

    def show(self, event: Event) -> None:
        """Update the progress; the next refresh draws it."""
        self.progress.apply(event, time.monotonic())
        if isinstance(event, Notice) and event.row is None and self._live is not None:
            self._console.print(harmless(event.text), style="yellow", markup=False, highlight=False)

    def __rich__(self) -> Table:
        return self.draw(self._console.width, self._console.height)

    def draw(self, width: int, height: int) -> Table:
        """The table for a terminal of this size."""
        from rich.table import Table

        table = Table(box=None, expand=False, width=min(width, 120), pad_edge=False, padding=(0, 1, 0, 0))
        table.title = _text(f"{printable(self.progress.batch, 40)}: {totals(self.progress)}")
        table.title_justify = "left"
        table.title_style = "bold"
        table.add_column("", width=1)
        table.add_column("row", width=max(3, *(len(r) for r in self.progress.rows), 3) if self.progress.rows else 3)
        table.add_column("device", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("steps", width=len(STEP_ORDER))
        table.add_column("what goes on", width=28, no_wrap=True, overflow="ellipsis")
        table.add_column("time", width=5, justify="right")
        now = time.monotonic()
        shown = self.progress.by_interest(max(height - OTHER_LINES, 3))
        for row in shown:
            style = _STYLES.get(row.state, "")
            cells = (
                sign(row),
                row.row,
                device_text(row),
                steps_bar(row),
                status_text(row),
                stopwatch(row.seconds(now)),
            )
            table.add_row(*(_text(cell) for cell in cells), style="bold yellow" if row.todo else style)
        hidden = len(self.progress.rows) - len(shown)
        if hidden:
            table.caption = f"and {hidden} more rows"
            table.caption_justify = "left"
        return table

    @contextmanager
    def running(self) -> Iterator[None]:
        """Draw the table until the block ends. Its last state stays on the screen."""
        from rich.live import Live

        with Live(self, console=self._console, refresh_per_second=REFRESHES_PER_SECOND, transient=False) as live:
            self._live = live
            yield
        self._live = None


class PlainView:
    """One line for each change of a row, for a log or a pipe."""

    def __init__(self) -> None:
        self.progress = Progress()
        self._printed: dict[str, str] = {}

    def show(self, event: Event) -> None:
        """Print the event if it is new."""
        self.progress.apply(event, time.monotonic())
        if isinstance(event, BatchStarted):
            output.print_message(
                f"Batch {event.batch}: {event.left} of {len(event.rows)} rows to do, {event.parallel} at once."
            )
        elif isinstance(event, Notice) and event.row is None:
            output.print_message(event.text)
        elif event.row is not None and event.row in self.progress.rows:
            row = self.progress.rows[event.row]
            if row.state == "waiting":
                return
            words = f"row {row.row}  {device_text(row)}  {status_text(row)}"
            if isinstance(event, BatchRow) and row.took is not None:
                words += f"  ({row.took:.1f} s)"
            if isinstance(event, BatchRow) and event.what:
                words += f"  {event.what}"
            if self._printed.get(row.row) != words:
                self._printed[row.row] = words
                output.print_message(words)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Nothing to draw."""
        yield


class JsonView:
    """Every event as a line of JSON on standard output."""

    def __init__(self) -> None:
        self.progress = Progress()

    def show(self, event: Event) -> None:
        """Print it."""
        self.progress.apply(event, time.monotonic())
        output.print_result(event.model_dump_json())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Nothing to draw."""
        yield


def view(*, json: bool) -> TableView | PlainView | JsonView:
    """JSON if asked for, the table on a terminal, else plain lines."""
    if json:
        return JsonView()
    if sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb":
        from rich.console import Console

        return TableView(Console(stderr=True))
    return PlainView()


def _text(words: str) -> Text:
    from rich.text import Text

    return Text(printable(words, 200))
