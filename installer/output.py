"""Writes to standard output (results) and to standard error (messages). No other module writes to them.

Names and texts come from devices, servers and the rows of a shared ledger. So nothing that acts on a terminal gets
through here, whoever forgot to care about it before. Only `print_drawing` writes what it is given.

What happens when nobody reads the output any more, or a disk is full: two kinds of commands differ.

- One that only prints ends at once, as `cat` does in `cat FILE | head -1`: without a word, with the status 141 that a
  shell gives a program which SIGPIPE ended. If the disk is full or the output was closed, it says so (FILE_UNWRITABLE).
- One that changes something (a device, an account, a store) has called `go_on_without_output`. It is brought to its
  end, because half an installation is worse than one that nobody watches; the record is kept. Its exit status is its
  own after a reader went away. If the output was full, and nothing else failed, FILE_UNWRITABLE is raised at the end.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, TextIO

STANDARD_OUTPUT = "standard output"
READER_GONE_STATUS = 128 + 13  # SIGPIPE; Windows has none, but scripts there need a status, too
_CLOSED = "it is closed"
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
        if not _check_open():
            return
        for text in parts:
            sys.stdout.write(harmless_json(text) if text.startswith(("{", "[", "]", ",")) else harmless(text))
        sys.stdout.flush()
    except OSError as error:
        error.filename = STANDARD_OUTPUT
        _results_failed(error)


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
    _write_words(text + "\n")


def print_drawing(lines: Sequence[str]) -> None:
    """Write lines of a drawing to standard error as they are: with their colours, and not wrapped."""
    _write_words("".join(f"{line}\n" for line in lines))


def _write_words(text: str) -> None:
    """Write to standard error. If nobody reads it any more, or it is full, the words are lost and nothing else."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _detach(sys.stderr)


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
    _write_words(harmless(text))


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


class ReaderGone(SystemExit):
    """Nobody reads the results any more. As a SystemExit it gets through an event loop, and blocks are left tidily."""

    def __init__(self) -> None:
        super().__init__(READER_GONE_STATUS)


class _State:
    """What is known of the two streams of this process."""

    def __init__(self) -> None:
        self.goes_on = False
        self.closed = False  # standard output was closed when the program began
        self.lost = ""  # why results were lost, although the command went on


_state = _State()


def reset() -> None:
    """Forget what an earlier command of this process has met."""
    closed = _state.closed
    _state.__init__()  # type: ignore[misc]
    _state.closed = closed


def go_on_without_output() -> None:
    """Say that this command changes something, and is brought to its end although nobody sees it."""
    _state.goes_on = True


def why_lost() -> str:
    """Why results were lost although the command went on to its end, in words; empty if none were."""
    return _state.lost


def open_closed_streams() -> None:
    """Give the streams that were closed at the start (`>&-`) the empty device.

    Else the next file that is opened, such as a database, would get the number of the stream, and be written into by
    whoever writes to that.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        with suppress(OSError):
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
            _state.closed = _state.closed or name == "stdout"


def _check_open() -> bool:
    """Whether results can be written. Raises OSError if standard output was closed, and this command only prints."""
    if _state.closed and not _state.goes_on:
        raise OSError(errno.EBADF, _CLOSED)
    return not _state.closed


def _results_failed(error: OSError) -> None:
    """Standard output cannot be written. Returns if the command goes on without it.

    Raises ReaderGone, or the error itself.
    """
    _detach(sys.stdout)
    if isinstance(error, BrokenPipeError):
        if not _state.goes_on:
            raise ReaderGone from None
        return
    if not _state.goes_on:
        raise error
    _state.lost = _state.lost or error.strerror or type(error).__name__


def _detach(stream: TextIO) -> None:
    """Let this stream write to the empty device from now on: also Python itself, at its end, what it still holds."""
    with suppress(OSError, ValueError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(descriptor, stream.fileno())
        finally:
            os.close(descriptor)
        stream.flush()
