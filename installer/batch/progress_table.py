"""The live table of a batch, one line per device in 80 columns; plain lines where there is no terminal; or JSON."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from installer import output
from installer.batch.progress import GOOD, ORDER, Progress, RowProgress
from installer.events.batch import BatchRow, BatchStarted
from installer.events.stream import Event, Notice
from installer.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

REFRESH = 4  # times a second
CHROME = 5  # lines of title, header and totals
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
    """The state as one sign, so that it can be told without colour."""
    return "✓" if row.state in GOOD else _SIGNS.get(row.state, "○")


def progress(row: RowProgress) -> str:
    """The six steps as a bar."""
    return "■" * row.done + "·" * (len(ORDER) - row.done)


def who(row: RowProgress) -> str:
    """The device in a few words: its name, or its model, and what tells it from others."""
    name = row.name or row.model or row.device or "any"
    tail = row.device[-5:] if row.device and (row.name or row.model) else ""
    label = f" {row.label}" if row.label else ""
    return printable(f"{name} {tail}".strip() + label, 60)


def what(row: RowProgress) -> str:
    """What goes on with it, or how it ended."""
    if row.state == "failed":
        return f"failed: {row.code}"
    if row.state == "retrying":
        return f"{row.words} ({row.attempt})"
    return row.todo or row.words


def clock(seconds: float | None) -> str:
    """A duration as 0:07."""
    return "" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def totals(board: Progress) -> str:
    """All rows in one sentence."""
    counts = board.counts()
    good = counts["installed"] + counts["done_before"]
    parts = [f"{good} of {len(board.rows)} installed"]
    parts += [f"{counts['to_be_linked']} to be linked"] if counts["to_be_linked"] else []
    parts += [f"{counts['started'] + counts['retrying']} running"] if counts["started"] + counts["retrying"] else []
    parts += [f"{counts['waiting']} waiting"] if counts["waiting"] else []
    parts += [f"{counts['elsewhere']} at other stations"] if counts["elsewhere"] else []
    parts += [f"{counts['failed']} failed"] if counts["failed"] else []
    parts += [f"{counts['cancelled']} stopped"] if counts["cancelled"] else []
    return ", ".join(parts)


def summary(board: Progress) -> list[str]:
    """The end in words: how many, then what failed by its reason, with what to do."""
    lines = [f"{board.batch}: {totals(board)}."]
    groups: dict[str, list[RowProgress]] = {}
    for row in board.rows.values():
        if row.state == "failed":
            groups.setdefault(row.code, []).append(row)
    for code, rows in sorted(groups.items(), key=lambda g: -len(g[1])):
        lines.append(f"{len(rows)} × {code}: row {', '.join(r.row for r in rows)}")
        lines += [f"  {line}" for line in dict.fromkeys(r.what for r in rows[:3])]
        lines.append(f"  {rows[0].advice}")
    return lines


class TableView:
    """Draws the board again and again while the batch runs; use `running()`."""

    def __init__(self, console: Console) -> None:
        self.board = Progress()
        self._console = console
        self._live: Any = None

    def show(self, event: Event) -> None:
        """Take in an event; the next refresh draws it."""
        self.board.apply(event, time.monotonic())
        if isinstance(event, Notice) and event.row is None and self._live is not None:
            self._console.print(event.text, style="yellow", markup=False, highlight=False)

    def __rich__(self) -> Table:
        return self.draw(self._console.width, self._console.height)

    def draw(self, width: int, height: int) -> Table:
        """The table for a terminal of this size."""
        from rich.table import Table

        table = Table(box=None, expand=False, width=min(width, 120), pad_edge=False, padding=(0, 1, 0, 0))
        table.title = f"{printable(self.board.batch, 40)}: {totals(self.board)}"
        table.title_justify = "left"
        table.title_style = "bold"
        table.add_column("", width=1)
        table.add_column("row", width=max(3, *(len(r) for r in self.board.rows), 3) if self.board.rows else 3)
        table.add_column("device", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("steps", width=len(ORDER))
        table.add_column("what goes on", width=28, no_wrap=True, overflow="ellipsis")
        table.add_column("time", width=5, justify="right")
        now = time.monotonic()
        shown = self.board.by_interest(max(height - CHROME, 3))
        for row in shown:
            style = _STYLES.get(row.state, "")
            cells = (sign(row), row.row, who(row), progress(row), what(row), clock(row.seconds(now)))
            table.add_row(*(_text(cell) for cell in cells), style="bold yellow" if row.todo else style)
        hidden = len(self.board.rows) - len(shown)
        if hidden:
            table.caption = f"and {hidden} more rows"
            table.caption_justify = "left"
        return table

    @contextmanager
    def running(self) -> Iterator[None]:
        """Draw the table until the block ends; what it shows then stays on the screen."""
        from rich.live import Live

        with Live(self, console=self._console, refresh_per_second=REFRESH, transient=False) as live:
            self._live = live
            yield
        self._live = None


class PlainView:
    """One line for what happens to a row, for a log or a pipe."""

    def __init__(self) -> None:
        self.board = Progress()
        self._said: dict[str, str] = {}

    def show(self, event: Event) -> None:
        """Say it if it is new."""
        self.board.apply(event, time.monotonic())
        if isinstance(event, BatchStarted):
            output.words(
                f"Batch {event.batch}: {event.left} of {len(event.rows)} rows to do, {event.parallel} at once."
            )
        elif isinstance(event, Notice) and event.row is None:
            output.words(event.text)
        elif event.row is not None and event.row in self.board.rows:
            row = self.board.rows[event.row]
            if row.state == "waiting":
                return
            words = f"row {row.row}  {who(row)}  {what(row)}"
            if isinstance(event, BatchRow) and row.took is not None:
                words += f"  ({row.took:.1f} s)"
            if isinstance(event, BatchRow) and event.what:
                words += f"  {event.what}"
            if self._said.get(row.row) != words:
                self._said[row.row] = words
                output.words(words)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Nothing to draw."""
        yield


class JsonView:
    """Every event as a line of JSON on standard output."""

    def __init__(self) -> None:
        self.board = Progress()

    def show(self, event: Event) -> None:
        """Print it."""
        self.board.apply(event, time.monotonic())
        output.result(event.model_dump_json())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Nothing to draw."""
        yield


def view(*, json: bool) -> TableView | PlainView | JsonView:
    """What fits: JSON where it was asked for, the table on a terminal, else plain lines."""
    if json:
        return JsonView()
    if sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb":
        from rich.console import Console

        return TableView(Console(stderr=True))
    return PlainView()


def _text(words: str) -> Text:
    from rich.text import Text

    return Text(words)
