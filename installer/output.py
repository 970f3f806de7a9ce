"""Writes to standard output (results) and to standard error (messages). No other module writes to them.

Names and texts come from devices, servers and the rows of a shared ledger. So nothing that acts on a terminal gets
through here, whoever forgot to care about it before. Only `print_drawing` writes what it is given.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

STANDARD_OUTPUT = "standard output"
# What makes a terminal do something, or turns the direction of the text. Line breaks and tabs are not among it.
_ACTING = re.compile(
    "\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class Row(NamedTuple):
    """A row of a table, and sentences that belong to it."""

    cells: tuple[str, ...]
    notes: tuple[str, ...] = ()


def harmless(text: str) -> str:
    """The text with a replacement character in place of each that acts on a terminal. Its lines stay."""
    return _ACTING.sub("\ufffd", text)


def harmless_json(text: str) -> str:
    """The same for JSON, which keeps its values: such a character is written as its escape."""
    return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_result(text: str) -> None:
    """Write one line to standard output. It is flushed, so that the reader of a pipe gets it at once."""
    print_parts([text + "\n"])


def print_parts(parts: Iterable[str]) -> None:
    """Write a document to standard output. A piece of JSON (begins with `{`, `[`, `]` or `,`) keeps its values."""
    try:
        for text in parts:
            sys.stdout.write(harmless_json(text) if text.startswith(("{", "[", "]", ",")) else harmless(text))
        sys.stdout.flush()
    except OSError as error:
        error.filename = STANDARD_OUTPUT
        raise


def table_lines(titles: Sequence[str], rows: Sequence[Row], width: int | None = None) -> list[str]:
    """The lines of a table: titles, one line for each row, the notes of a row wrapped below it.

    `width`: where notes are wrapped, in characters. Default: the terminal's width, between 60 and 100.
    """
    width = width or min(max(shutil.get_terminal_size((80, 24)).columns, 60), 100)
    widths = [max(len(cells[i]) for cells in (titles, *(row.cells for row in rows))) for i in range(len(titles))]
    lines = [_table_line(titles, widths)]
    for row in rows:
        lines.append(_table_line(row.cells, widths))
        for note in row.notes:
            lines += textwrap.wrap(note, width, initial_indent="    ", subsequent_indent="    ")
    return lines


def _table_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True)).rstrip()


def print_message(text: str) -> None:
    """Write lines for the user to standard error. On a terminal they are wrapped to its width."""
    text = harmless(text)
    if sys.stderr.isatty():
        width = max(shutil.get_terminal_size((80, 24)).columns, 20)
        text = "\n".join(_wrapped(line, width) for line in text.split("\n"))
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def print_drawing(lines: Sequence[str]) -> None:
    """Write lines of a drawing to standard error as they are: with their colours, and not wrapped."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()


def _wrapped(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    # A web address stays whole, so that the terminal can make it a link.
    return textwrap.fill(
        line.strip(),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def print_prompt(text: str) -> None:
    """Write a question to standard error, without an end of the line."""
    sys.stderr.write(harmless(text))
    sys.stderr.flush()


def ask_line(prompt: str) -> str:
    """Ask the user for one line. The prompt goes to standard error. Raises EOFError at the end of input."""
    while True:
        print_prompt(prompt)
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError as error:
            print_message(f"This cannot be read as {error.encoding.upper()} text. Type it anew.")
            continue
        if not line:
            raise EOFError
        return line.rstrip("\r\n")
