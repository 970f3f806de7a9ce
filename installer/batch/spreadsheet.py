"""Reads a table as spreadsheets save it: whatever encoding, separator and quotes; every cell with its line and column.

UTF-8 with or without BOM, UTF-16, else Windows-1252; comma, semicolon, tab or bar, found from the first line; blank
lines, lines of separators only and lines that begin with # are passed over. What cannot be read is a mistake in words.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_BYTES = 4 * 1024 * 1024
MAX_ROWS = 10_000
SEPARATORS = (";", "\t", ",", "|")
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True)
class Place:
    """Where something stands in a file: line and column from 1 (0: not known); `name`: the column's or key's name.

    In a table `column` counts cells, in a TOML file characters.
    """

    line: int = 0
    column: int = 0
    name: str = ""

    def __str__(self) -> str:
        words = [f"line {self.line}"] if self.line else []
        if self.column:
            words.append(f"column {self.column}")
        where = ", ".join(words)
        if not self.name:
            return where or "file"
        return f"{where} ({self.name})" if where else self.name


@dataclass(frozen=True)
class Mistake:
    """One mistake of a plan: where, what is wrong, and what to do. Never the text of a secret."""

    place: Place
    what: str
    todo: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what} {self.todo}".strip()


@dataclass(frozen=True)
class Cell:
    """A text and its place."""

    text: str
    place: Place


@dataclass
class Sheet:
    """The header and the rows, as cells; `mistakes` of the table itself; `remarks`: what a person may want to know."""

    header: list[Cell] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read(raw: bytes) -> Sheet:
    """The table in `raw`. Never raises: what is wrong is in `mistakes`."""
    sheet = Sheet()
    text = _text(raw, sheet)
    if text is None:
        return sheet
    skip, separator = _separator(text)
    for line, cells in _records(text, skip, separator, sheet):
        placed = [Cell(c.strip(), Place(line, i)) for i, c in enumerate(cells, 1)]
        if not any(c.text for c in placed) or placed[0].text.startswith("#"):
            continue
        if not sheet.header:
            sheet.header = placed
        elif len(sheet.rows) >= MAX_ROWS:
            sheet.mistakes.append(
                Mistake(Place(line), f"The plan has more than {MAX_ROWS} rows.", "Divide it into several files.")
            )
            break
        else:
            sheet.rows.append(placed)
    return sheet


def _text(raw: bytes, sheet: Sheet) -> str | None:
    if len(raw) > MAX_BYTES:
        sheet.mistakes.append(Mistake(Place(), "The file is too long for a plan.", "It should be a table of devices."))
        return None
    encoding = next((name for mark, name in _BOMS if raw.startswith(mark)), None)
    if encoding is None and b"\0" in raw[:1024]:
        # UTF-16 without a mark: in a table of Latin letters every other byte is zero.
        encoding = "utf-16-le" if raw[1:2] == b"\0" else "utf-16-be"
    try:
        text = raw.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        if encoding is not None:
            sheet.mistakes.append(
                Mistake(Place(), f"The file is not {encoding.upper()} text, though it says so.", "Save it as UTF-8.")
            )
            return None
        text = raw.decode("cp1252", "replace")
        sheet.remarks.append("The file is not UTF-8 text; it was read as Windows-1252. Check names with accents.")
    if "\0" in text:
        sheet.mistakes.append(
            Mistake(Place(), "This is no table of text.", "Save it in the spreadsheet as CSV (not as XLSX or ODS).")
        )
        return None
    return text.removeprefix("\ufeff")


def _separator(text: str) -> tuple[int, str]:
    """How many lines to skip before the header (a spreadsheet's `sep=;`), and the separator."""
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), 0)
    line = lines[first] if lines else ""
    if line.lower().startswith("sep=") and len(line.strip("\r\n")) == 5:
        return first + 1, line[4]
    bare, quoted = [], False
    for letter in line:
        quoted ^= letter == '"'
        if not quoted:
            bare.append(letter)
    counts = {s: bare.count(s) for s in SEPARATORS}
    best = max(SEPARATORS, key=lambda s: counts[s])
    return first, best if counts[best] else ","


def _records(text: str, skip: int, separator: str, sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line on which it begins."""
    lines = io.StringIO(text, newline="").readlines()[skip:]
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    begins = skip + 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            sheet.mistakes.append(Mistake(Place(begins), f"This line cannot be read: {error}.", "Shorten or mend it."))
            return
        raw = "".join(lines[begins - skip - 1 : reader.line_num])
        if reader.line_num == len(lines) and _is_open(raw, separator):
            sheet.mistakes.append(
                Mistake(
                    Place(begins),
                    "A quoted text that begins here does not end.",
                    'Close it with ", or write "" for a quote within a text.',
                )
            )
            return
        yield begins, cells
        begins = skip + reader.line_num + 1


def _is_open(raw: str, separator: str) -> bool:
    """Whether the last record's last quoted cell has no end; the reader takes the rest of the file for its text."""
    return raw.count('"') % 2 == 1 and bool(re.search(rf'(^|{re.escape(separator)})\s*"[^"]*$', raw))
