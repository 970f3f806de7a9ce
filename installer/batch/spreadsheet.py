"""Reads CSV tables as spreadsheets save them, in any usual encoding and separator, with the position of each cell.

Encodings: UTF-8 with or without BOM, UTF-16, else Windows-1252. Separators: comma, semicolon, tab or bar, detected from
the first line. Blank lines, lines of separators only and lines that begin with # are skipped. A part that cannot be
read becomes a mistake, not an exception.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from installer.text import written_by_people
from installer.text.written_by_people import NotThisEncoding, UnreadableText

MAX_BYTES = 4 * 1024 * 1024
MAX_ROWS = 10_000
SEPARATORS = (";", "\t", ",", "|")


@dataclass(frozen=True)
class FilePosition:
    """A position in a file: line and column from 1 (0: unknown). `name`: of the column or key.

    In a table `column` counts cells, in a TOML file characters.
    """

    line: int = 0
    column: int = 0
    name: str = ""

    def __str__(self) -> str:
        parts = [f"line {self.line}"] if self.line else []
        if self.column:
            parts.append(f"column {self.column}")
        where = ", ".join(parts)
        if not self.name:
            return where or "file"
        return f"{where} ({self.name})" if where else self.name


@dataclass(frozen=True)
class Mistake:
    """One mistake of a plan: its position, what is wrong, and what to do. It never contains a secret."""

    position: FilePosition
    what: str
    todo: str = ""

    def __str__(self) -> str:
        return f"{self.position}: {self.what} {self.todo}".strip()


@dataclass(frozen=True)
class Cell:
    """A text and its position."""

    text: str
    position: FilePosition


@dataclass
class Sheet:
    """The header and the rows as cells. `mistakes`: of the table itself. `remarks`: hints for the person."""

    header: list[Cell] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read(raw: bytes) -> Sheet:
    """The table in `raw`. Never raises; errors are in `mistakes`."""
    sheet = Sheet()
    text = _text(raw, sheet)
    if text is None:
        return sheet
    skip, separator = _separator(text)
    for line, cells in _records(text, skip, separator, sheet):
        located = [Cell(c.strip(), FilePosition(line, i)) for i, c in enumerate(cells, 1)]
        if not any(c.text for c in located) or located[0].text.startswith("#"):
            continue
        if not sheet.header:
            sheet.header = located
        elif len(sheet.rows) >= MAX_ROWS:
            sheet.rows.clear()  # nobody wants to know the mistakes of ten thousand rows first
            sheet.mistakes = [too_many_rows(FilePosition(line))]
            break
        else:
            sheet.rows.append(located)
    return sheet


def too_many_rows(position: FilePosition) -> Mistake:
    """The mistake of a plan with too many rows."""
    return Mistake(position, f"The plan has more than {MAX_ROWS} rows.", "Split it into several files.")


def _text(raw: bytes, sheet: Sheet) -> str | None:
    try:
        # The guess: some programs save tables as UTF-16 without a mark.
        return written_by_people.decode(raw, guess=True)
    except NotThisEncoding as error:
        if not error.line:
            sheet.mistakes.append(Mistake(FilePosition(), f"The file {error.why}.", error.todo))
            return None
        sheet.remarks.append("The file is not UTF-8 text; it was read as Windows-1252. Check names with accents.")
        return raw.decode("cp1252", "replace")
    except UnreadableText:
        sheet.mistakes.append(
            Mistake(
                FilePosition(),
                "This is not a text table.",
                "In the spreadsheet program save it as CSV, not as XLSX or ODS.",
            )
        )
        return None


def _separator(text: str) -> tuple[int, str]:
    """How many lines to skip before the header (some spreadsheets write `sep=;` first), and the separator."""
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), 0)
    line = lines[first] if lines else ""
    if line.lower().startswith("sep=") and len(line.strip("\r\n")) == 5:
        return first + 1, line[4]
    unquoted, quoted = [], False
    for character in line:
        quoted ^= character == '"'
        if not quoted:
            unquoted.append(character)
    counts = {s: unquoted.count(s) for s in SEPARATORS}
    best = max(SEPARATORS, key=lambda s: counts[s])
    return first, best if counts[best] else ","


def _records(text: str, skip: int, separator: str, sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of its first line."""
    lines = io.StringIO(text, newline="").readlines()[skip:]
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    begins = skip + 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            sheet.mistakes.append(
                Mistake(FilePosition(begins), f"This line cannot be read: {error}.", "Shorten or correct it.")
            )
            return
        raw = "".join(lines[begins - skip - 1 : reader.line_num])
        if reader.line_num == len(lines) and _is_open(raw, separator):
            sheet.mistakes.append(
                Mistake(
                    FilePosition(begins),
                    "A quoted text that starts here does not end.",
                    'End it with ", or write "" for a quote inside a text.',
                )
            )
            return
        yield begins, cells
        begins = skip + reader.line_num + 1


def _is_open(raw: str, separator: str) -> bool:
    """Whether the last quoted cell has no end. Then the CSV reader takes the rest of the file as its text."""
    return raw.count('"') % 2 == 1 and bool(re.search(rf'(^|{re.escape(separator)})\s*"[^"]*$', raw))
