"""Reads the file of a plan, CSV or TOML, as raw rows with the position of each value. `plan_check` checks them."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installer.answers import file_origin
from installer.batch import spreadsheet
from installer.batch.plan_format import Defaults, Row
from installer.batch.spreadsheet import Cell, FilePosition, Mistake
from installer.errors import ErrorCode, InstallerError
from installer.storage.reference_origin import Origin
from installer.text import printable
from installer.text.written_by_people import UnreadableText, decode, parse_toml, read_bytes

COLUMNS = tuple(Row.model_fields)
_ALIASES = {
    "address": "device",
    "mac": "device",
    "macaddress": "device",
    "bluetoothaddress": "device",
    "quantity": "count",
    "qty": "count",
    "number": "count",
    "syncmethod": "sync",
    "method": "sync",
    "savednetwork": "network",
    "location": "site",
    "note": "notes",
    "comment": "notes",
    "comments": "notes",
    "remark": "notes",
    "remarks": "notes",
    "proofofpossession": "proof",
    "user": "username",
}
_SECRET_NAME = re.compile(r"pass(phrase|word|wort|code)?$|psk|secret|token|^pop$|^pin$|key$|kennwort")


@dataclass
class RawRow:
    """Values by column or key, as in the file, and their positions. `position`: of the row itself."""

    position: FilePosition
    values: dict[str, Any] = field(default_factory=dict)
    positions: dict[str, FilePosition] = field(default_factory=dict)

    def position_of(self, name: str) -> FilePosition:
        """The position of a value, or else of the row."""
        return self.positions.get(name, self.position)


@dataclass
class RawPlan:
    """A plan as in its file, not checked yet. `origin`: of everything that it names."""

    source: str
    name: str
    rows: list[RawRow] = field(default_factory=list)
    defaults: RawRow = field(default_factory=lambda: RawRow(FilePosition()))
    mistakes: list[Mistake] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    origin: Origin | None = None


def read(path: Path) -> RawPlan:
    """The plan in this file: TOML if it ends in `.toml`, else CSV. Raises PLAN_INVALID if it cannot be read at all."""
    try:
        raw = read_bytes(path, spreadsheet.MAX_BYTES)
    except UnreadableText as error:
        raise InstallerError(
            ErrorCode.PLAN_INVALID,
            f"The plan {path} {error.why}.",
            f"{error.todo} `device-installer batch --template csv` prints an example plan.",
            file=str(path),
        ) from None
    plan = RawPlan(source=str(path), name=printable(path.stem, 64) or "plan", origin=file_origin(path, "plan"))
    if path.suffix.lower() == ".toml":
        _read_toml(raw, plan)
    else:
        _read_csv(raw, plan)
    if not plan.rows and not plan.mistakes:
        plan.mistakes.append(Mistake(FilePosition(), "The plan has no rows.", "Write one row for each device."))
    return plan


def _read_csv(raw: bytes, plan: RawPlan) -> None:
    table = spreadsheet.read(raw)
    plan.mistakes += table.mistakes
    plan.remarks += table.remarks
    if not table.header:
        if not table.mistakes:
            plan.mistakes.append(
                Mistake(FilePosition(1), "The file is empty.", f"The first line must name columns: {_column_list()}.")
            )
        return
    names = _header(table.header, plan)
    if not set(names) & set(COLUMNS):
        return
    for cells in table.rows:
        row = RawRow(FilePosition(cells[0].position.line))
        for index, cell in enumerate(cells):
            if not cell.text:
                continue
            if index >= len(names):
                plan.mistakes.append(
                    Mistake(
                        cell.position, "This cell has no column.", "Put a text that contains the separator in quotes."
                    )
                )
                break
            if names[index] is not None:
                row.values[str(names[index])] = cell.text
                row.positions[str(names[index])] = FilePosition(
                    cell.position.line, cell.position.column, names[index] or ""
                )
        if row.values:
            plan.rows.append(row)


def _header(header: list[Cell], plan: RawPlan) -> list[str | None]:
    """The column that each cell of the header names; None for a column that is ignored."""
    names: list[str | None] = []
    for cell in header:
        name = _column_name(cell.text)
        shown = printable(cell.text, 40)
        position = FilePosition(cell.position.line, cell.position.column, shown)
        if name is None and cell.text:
            if _is_secret(cell.text):
                plan.mistakes.append(secret_column(position, shown))
            else:
                near = difflib.get_close_matches(_normalized(cell.text), COLUMNS, 1, 0.75)
                hint = f" Did you mean “{near[0]}”?" if near else ""
                plan.remarks.append(f"Line {cell.position.line}: the column “{shown}” is ignored.{hint}")
        elif name is not None and name in names:
            plan.mistakes.append(Mistake(position, f"The column “{name}” occurs twice.", "Remove one of them."))
            name = None
        names.append(name)
    if not set(names) & set(COLUMNS) and not plan.mistakes:
        plan.mistakes.append(
            Mistake(
                FilePosition(header[0].position.line),
                "The first line names no column of a plan.",
                f"Use: {_column_list()}.",
            )
        )
    return names


def _read_toml(raw: bytes, plan: RawPlan) -> None:
    try:
        text = decode(raw)
        data = parse_toml(text)
    except UnreadableText as error:
        plan.mistakes.append(Mistake(FilePosition(error.line, error.column), f"The file {error.why}.", error.todo))
        return
    toml = _TomlPositions(text)
    for key, value in data.items():
        if key == "name" and isinstance(value, str) and 0 < len(value.strip()) <= 64 and value.isprintable():
            plan.name = value.strip()
        elif (key == "version" and value == 1) or key in ("defaults", "row"):
            continue
        else:
            position = FilePosition(*toml.of("", 0, key), key)
            what = (
                "There is no such key." if key not in ("name", "version") else f"This is not a valid {key} of a plan."
            )
            plan.mistakes.append(Mistake(position, what, "A plan has version (1), name, [defaults] and [[row]]."))
    _read_toml_table(data.get("defaults", {}), plan.defaults, toml, "defaults", 0, plan, tuple(Defaults.model_fields))
    rows = data.get("row", [])
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        plan.mistakes.append(
            Mistake(FilePosition(*toml.of("", 0, "row"), "row"), "The rows are not tables.", "Write [[row]].")
        )
        return
    if len(rows) > spreadsheet.MAX_ROWS:
        plan.mistakes = [spreadsheet.too_many_rows(FilePosition(toml.table("row", spreadsheet.MAX_ROWS + 1)))]
        return
    exact = toml.count("row") == len(rows)
    for number, values in enumerate(rows, 1):
        row = RawRow(FilePosition(toml.table("row", number) if exact else 0, 0, "" if exact else f"row {number}"))
        _read_toml_table(values, row, toml if exact else None, "row", number, plan, COLUMNS)
        plan.rows.append(row)


def _read_toml_table(
    values: Any,
    row: RawRow,
    toml: _TomlPositions | None,
    table: str,
    number: int,
    plan: RawPlan,
    allowed: tuple[str, ...],
) -> None:
    if not isinstance(values, dict):
        plan.mistakes.append(Mistake(row.position, f"“{table}” is not a table.", f"Write [{table}] above its keys."))
        return
    for key, value in values.items():
        name = printable(str(key), 40)
        position = (
            FilePosition(*toml.of(table, number, key), name) if toml else FilePosition(0, 0, f"row {number}, {name}")
        )
        known = key if key in allowed else None
        if known is None:
            if _is_secret(key):
                plan.mistakes.append(secret_column(position, name))
            else:
                near = difflib.get_close_matches(_normalized(key), allowed, 1, 0.6)
                todo = f"Did you mean “{near[0]}”?" if near else f"Use: {', '.join(allowed)}."
                plan.mistakes.append(Mistake(position, f"There is no key “{name}”.", todo))
            continue
        row.values[known], row.positions[known] = value, position


class _TomlPositions:
    """Positions of tables and keys in a TOML text, found by the starts of its lines."""

    def __init__(self, text: str) -> None:
        self._keys: dict[tuple[str, int, str], tuple[int, int]] = {}
        self._tables: dict[tuple[str, int], int] = {}
        self._counts: dict[str, int] = {}
        table, number = "", 0
        for line, content in enumerate(text.splitlines(), 1):
            opened = re.match(r"\s*\[\[?\s*([\w-]+)\s*\]\]?", content)
            if opened:
                table = opened[1]
                array = content.lstrip().startswith("[[")
                self._counts[table] = self._counts.get(table, 0) + array
                number = self._counts[table] if array else 0
                self._tables[table, number] = line
                continue
            key = re.match(r"\s*[\"']?([\w-]+)[\"']?\s*=", content)
            if key:
                column = len(content) - len(content.lstrip()) + 1
                self._keys.setdefault((table, number, key[1]), (line, column))

    def count(self, table: str) -> int:
        """The number of [[table]]."""
        return self._counts.get(table, 0)

    def table(self, table: str, number: int) -> int:
        """The line of the table's heading; 0 if not found."""
        return self._tables.get((table, number), 0)

    def of(self, table: str, number: int, key: str) -> tuple[int, int]:
        """Line and column of a key; those of its table if not found."""
        return self._keys.get((table, number, key), (self.table(table, number), 0))


def secret_column(position: FilePosition, name: str) -> Mistake:
    """The mistake of a column or key for a secret."""
    return Mistake(
        position,
        f"“{name}” would hold a secret, but a plan never does: plans are copied, printed and mailed.",
        "Remove it. Save the network on this computer (`device-installer networks add NAME`) and give its name in "
        "“network”. For a proof of possession, say where it is kept (env:NAME, file:PATH, keyring:NAME) in “proof”.",
    )


def _normalized(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _column_name(text: str) -> str | None:
    normalized = _normalized(text)
    return normalized if normalized in COLUMNS else _ALIASES.get(normalized)


def _is_secret(text: str) -> bool:
    return bool(_SECRET_NAME.search(_normalized(text)))


def _column_list() -> str:
    return ", ".join(COLUMNS)
