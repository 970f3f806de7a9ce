"""The one place that writes to standard output (results) and standard error (words)."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

STANDARD_OUTPUT = "standard output"


class Row(NamedTuple):
    """A row of a table, and sentences that belong to it."""

    cells: tuple[str, ...]
    notes: tuple[str, ...] = ()


def result(text: str) -> None:
    """One line of result for whoever reads standard output; flushed, so that a pipe sees it at once."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        error.filename = STANDARD_OUTPUT
        raise


def table(titles: Sequence[str], rows: Sequence[Row], width: int | None = None) -> list[str]:
    """Lines with a title above each column, no column wider than it needs; notes of a row stand below it, wrapped.

    `width`: of the terminal, in cells, for the notes (as a rule: the one that is there, between 60 and 100).
    """
    width = width or min(max(shutil.get_terminal_size((80, 24)).columns, 60), 100)
    widths = [max(len(cells[i]) for cells in (titles, *(row.cells for row in rows))) for i in range(len(titles))]
    lines = [_line(titles, widths)]
    for row in rows:
        lines.append(_line(row.cells, widths))
        for note in row.notes:
            lines += textwrap.wrap(note, width, initial_indent="    ", subsequent_indent="    ")
    return lines


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True)).rstrip()


def words(text: str) -> None:
    """One line for the person at the terminal, broken between words where it is longer than the terminal is wide."""
    if sys.stderr.isatty():
        width = max(shutil.get_terminal_size((80, 24)).columns, 20)
        text = "\n".join(_broken(line, width) for line in text.split("\n"))
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _broken(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    # An address stays whole, so that a terminal makes a link of it.
    return textwrap.fill(
        line.strip(),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def ask(prompt: str) -> str:
    """Ask the person for one line; the prompt goes to standard error. Raises EOFError at the end of input."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\r\n")
