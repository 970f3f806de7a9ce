"""A list to choose from: aligned columns, rows that change live, disabled rows with a reason, and a filter input.

It is drawn line by line: of 200 rows that change four times a second, only the visible ones cost time.
The cursor can go to a disabled row, to read its reason, but the row cannot be chosen.
"""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from installer.output import harmless

COLUMN_GAP = 2
CURSOR_MARKER = "❯ "
# With joiners and variation selectors, the width of an emoji depends on the terminal.
_UNSTEADY = str.maketrans("", "", "\u200d\ufe0e\ufe0f")


def steady(text: str) -> str:
    """`text` without the characters whose width depends on the terminal."""
    return text.translate(_UNSTEADY)


def fitted(text: str, width: int) -> str:
    """`text` in exactly `width` cells; a longer one is cut and ends in “…”."""
    text = steady(text)
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(set_cell_size(text, max(width - 1, 0)).rstrip() + "…", width) if width > 0 else ""


@dataclass(frozen=True)
class ChoiceColumn:
    """A column: its title and its width in cells; width 0 takes the rest."""

    title: str
    width: int = 0


@dataclass(frozen=True)
class ChoiceRow:
    """A row: its key, one text a column, and the reason if it cannot be chosen. Texts are never markup."""

    key: str
    cells: tuple[str, ...]
    reason: str = ""

    @property
    def disabled(self) -> bool:
        """Whether the row cannot be chosen."""
        return bool(self.reason)


class ChoiceList(ScrollView, can_focus=True):
    """The rows. Posts `Moved` when another row is under the cursor, `Chosen` when a row is chosen.

    `user_moved`: whether the user has moved the cursor. Before that, it stays on the first row that can be chosen.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"list--row", "list--cursor", "list--disabled", "list--hover"}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Choose", id="list.choose", tooltip="Choose the marked row"),
        Binding("up,k", "move(-1)", "Up", show=False, id="list.up", tooltip="The row above or below"),
        Binding("down,j", "move(1)", "Down", show=False, id="list.down", tooltip="The row above or below"),
        Binding("pageup", "move_page(-1)", "Page up", show=False, id="list.page_up", tooltip="A page up or down"),
        Binding("pagedown", "move_page(1)", "Page down", show=False, id="list.page_down", tooltip="A page up or down"),
        Binding("home", "move(-100000)", "First", show=False, id="list.first", tooltip="The first or the last row"),
        Binding("end", "move(100000)", "Last", show=False, id="list.last", tooltip="The first or the last row"),
    ]

    cursor: reactive[int] = reactive(0)
    hover: reactive[int] = reactive(-1)

    class Moved(Message):
        """Another row is under the cursor, or its cells changed; `row` is None in an empty list."""

        def __init__(self, row: ChoiceRow | None) -> None:
            super().__init__()
            self.row = row

    class Chosen(Message):
        """A row that is not disabled was chosen."""

        def __init__(self, row: ChoiceRow) -> None:
            super().__init__()
            self.row = row

    def __init__(self, columns: Sequence[ChoiceColumn], rows: Sequence[ChoiceRow] = (), id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.rows: list[ChoiceRow] = list(rows)
        self.user_moved = False

    @property
    def row(self) -> ChoiceRow | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    def on_mount(self) -> None:
        self.virtual_size = Size(0, len(self.rows))
        self._to_first_enabled_row()

    def _to_first_enabled_row(self) -> None:
        self.cursor = next((i for i, row in enumerate(self.rows) if not row.disabled), 0)

    def set_rows(self, rows: Sequence[ChoiceRow]) -> None:
        """Show `rows`. The cursor stays on its row, even if that moved. Only changed lines are drawn again."""
        old, self.rows = self.rows, list(rows)
        before = old[self.cursor] if 0 <= self.cursor < len(old) else None
        if len(old) != len(self.rows):
            self.virtual_size = Size(0, len(self.rows))
        if not self.user_moved:
            self._to_first_enabled_row()
        elif before is not None:
            self.cursor = next(
                (i for i, row in enumerate(self.rows) if row.key == before.key),
                max(0, min(self.cursor, len(self.rows) - 1)),
            )
        top, height = self.scroll_offset.y, self.size.height
        for y in range(top, min(top + height, max(len(old), len(self.rows)))):
            if y >= len(old) or y >= len(self.rows) or old[y] != self.rows[y]:
                self.refresh_line(y)
        if self.row != before:
            self.post_message(self.Moved(self.row))

    def select(self, key: str) -> bool:
        """Put the cursor on the row with this key; False if there is none."""
        for index, row in enumerate(self.rows):
            if row.key == key:
                self.user_moved = True
                self.cursor = index
                return True
        return False

    def watch_cursor(self, old: int, new: int) -> None:
        self.refresh_line(old)
        self.refresh_line(new)
        self._scroll_to_cursor()
        self.post_message(self.Moved(self.row))

    def watch_hover(self, old: int, new: int) -> None:
        self.refresh_line(old)
        self.refresh_line(new)

    def _scroll_to_cursor(self) -> None:
        height = self.size.height
        if not height:
            return
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)

    def on_resize(self) -> None:
        self._scroll_to_cursor()

    def widths(self, total: int) -> list[int]:
        """The width of each column if the list has `total` cells."""
        taken = sum(c.width for c in self.columns) + COLUMN_GAP * (len(self.columns) - 1) + len(CURSOR_MARKER)
        return [c.width or max(total - taken, 4) for c in self.columns]

    def line(self, cells: Sequence[str], total: int) -> str:
        """The text of one row, without the cursor marker."""
        texts = (harmless(cell).replace("\n", " ") for cell in cells)
        return (" " * COLUMN_GAP).join(fitted(c, w) for c, w in zip(texts, self.widths(total), strict=True))

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.size.width
        base = self.get_component_rich_style("list--row")
        if not 0 <= index < len(self.rows):
            return Strip.blank(width, base)
        row = self.rows[index]
        current = index == self.cursor
        style = base
        if row.disabled:
            style = self.get_component_rich_style("list--disabled")
        if current and self.has_focus:
            cursor = self.get_component_rich_style("list--cursor")
            style = Style(bgcolor=cursor.bgcolor, bold=True, color=style.color if row.disabled else cursor.color)
        elif index == self.hover:
            style += Style(bgcolor=self.get_component_rich_style("list--hover").bgcolor)
        text = (CURSOR_MARKER if current else " " * len(CURSOR_MARKER)) + self.line(row.cells, width)
        return Strip([Segment(fitted(text, width), style)], width)

    def on_focus(self) -> None:
        self.refresh_line(self.cursor)

    def on_blur(self) -> None:
        self.refresh_line(self.cursor)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self.hover = event.y + self.scroll_offset.y

    def on_leave(self) -> None:
        self.hover = -1

    def on_click(self, event: events.Click) -> None:
        index = event.y + self.scroll_offset.y
        if 0 <= index < len(self.rows):
            self.user_moved = True
            self.cursor = index
            self.action_choose()

    def action_move(self, by: int) -> None:
        """Move the cursor by this many rows, at most to the first or last one."""
        if self.rows:
            self.user_moved = True
            self.cursor = max(0, min(self.cursor + by, len(self.rows) - 1))

    def action_move_page(self, direction: int) -> None:
        """Move the cursor by a page."""
        self.action_move(direction * max(self.size.height - 1, 1))

    def action_choose(self) -> None:
        """Choose the row under the cursor if it is enabled."""
        row = self.row
        if row is None:
            return
        self.user_moved = True
        if row.disabled:
            self.app.bell()
            self.post_message(self.Moved(row))
        else:
            self.post_message(self.Chosen(row))


class _ColumnTitles(Widget, can_focus=False):
    """The column titles above a list."""

    def __init__(self, source: ChoiceList) -> None:
        super().__init__()
        self._source = source

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        text = " " * len(CURSOR_MARKER) + self._source.line([c.title for c in self._source.columns], width)
        return Strip([Segment(fitted(text, width), self.rich_style)], width)


class ChoiceTable(Vertical):
    """A `ChoiceList` under the titles of its columns."""

    def __init__(self, columns: Sequence[ChoiceColumn], rows: Sequence[ChoiceRow] = (), list_id: str = "list") -> None:
        super().__init__()
        self.list = ChoiceList(columns, rows, id=list_id)

    def compose(self) -> ComposeResult:
        yield _ColumnTitles(self.list)
        yield self.list

    def set_columns(self, columns: Sequence[ChoiceColumn]) -> None:
        """Change the columns. Call `set_rows` right after."""
        if self.list.columns != tuple(columns):
            self.list.columns = tuple(columns)
            self.list.rows = []
            self.query_one(_ColumnTitles).refresh()


class FilterInput(Input):
    """The filter above a list. Escape clears and leaves it; enter and down go back to the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "done(True)", "Clear filter", id="filter.clear", tooltip="Show all rows again"),
        Binding("enter,down", "done(False)", "To the list", id="filter.done", tooltip="Back to the list"),
    ]

    def on_blur(self) -> None:
        """Hide an empty filter."""
        if not self.value:
            self.display = False

    def action_done(self, clear: bool) -> None:
        """Back to the list."""
        if clear:
            self.value = ""
        self.screen.query_one(ChoiceList).focus()
