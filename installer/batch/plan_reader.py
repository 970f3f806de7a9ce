"""A plan's file, CSV or TOML, as raw rows: for every value the place where it stands. Nothing is judged here yet."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installer.batch import spreadsheet
from installer.batch.plan_format import Defaults, Row
from installer.batch.spreadsheet import Cell, Mistake, Place
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

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
_SECRET = re.compile(r"pass(phrase|word|wort|code)?$|psk|secret|token|^pop$|^pin$|key$|kennwort")


@dataclass
class RawRow:
    """Values by column or key, as the file has them, and the place of each. `place`: of the row itself."""

    place: Place
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def at(self, name: str) -> Place:
        """The place of a value, or of the row."""
        return self.places.get(name, self.place)


@dataclass
class RawPlan:
    """A plan as its file has it."""

    source: str
    name: str
    rows: list[RawRow] = field(default_factory=list)
    defaults: RawRow = field(default_factory=lambda: RawRow(Place()))
    mistakes: list[Mistake] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read(path: Path) -> RawPlan:
    """The plan in this file; TOML by its ending, else a table. Raises PLAN_INVALID if it cannot be read at all."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(spreadsheet.MAX_BYTES + 1)
    except OSError as error:
        raise InstallerError(
            ErrorCode.PLAN_INVALID,
            f"The plan {path} cannot be read: {error.strerror}.",
            "Check the path and the permissions; `device-installer batch --template csv` prints a plan to begin with.",
            file=str(path),
        ) from None
    plan = RawPlan(source=str(path), name=printable(path.stem, 64) or "plan")
    if path.suffix.lower() == ".toml":
        _toml(raw, plan)
    else:
        _table(raw, plan)
    if not plan.rows and not plan.mistakes:
        plan.mistakes.append(Mistake(Place(), "The plan has no row.", "Write one row for each device."))
    return plan


def _table(raw: bytes, plan: RawPlan) -> None:
    table = spreadsheet.read(raw)
    plan.mistakes += table.mistakes
    plan.remarks += table.remarks
    if not table.header:
        if not table.mistakes:
            plan.mistakes.append(Mistake(Place(1), "The file is empty.", f"Its first line names columns: {_names()}."))
        return
    names = _header(table.header, plan)
    if not set(names) & set(COLUMNS):
        return
    for cells in table.rows:
        row = RawRow(Place(cells[0].place.line))
        for index, cell in enumerate(cells):
            if not cell.text:
                continue
            if index >= len(names):
                plan.mistakes.append(
                    Mistake(
                        cell.place, "There is a cell without a column.", "A text that holds the separator needs quotes."
                    )
                )
                break
            if names[index] is not None:
                row.values[str(names[index])] = cell.text
                row.places[str(names[index])] = Place(cell.place.line, cell.place.column, names[index] or "")
        if row.values:
            plan.rows.append(row)


def _header(header: list[Cell], plan: RawPlan) -> list[str | None]:
    """The column that each cell of the header names; None for one that is passed over."""
    names: list[str | None] = []
    for cell in header:
        name = _known(cell.text)
        shown = printable(cell.text, 40)
        place = Place(cell.place.line, cell.place.column, shown)
        if name is None and cell.text:
            if _is_secret(cell.text):
                plan.mistakes.append(secret_column(place, shown))
            else:
                near = difflib.get_close_matches(_plain(cell.text), COLUMNS, 1, 0.75)
                hint = f" Did you mean “{near[0]}”?" if near else ""
                plan.remarks.append(f"Line {cell.place.line}: the column “{shown}” is passed over.{hint}")
        elif name is not None and name in names:
            plan.mistakes.append(Mistake(place, f"The column “{name}” is there twice.", "Leave one of them out."))
            name = None
        names.append(name)
    if not set(names) & set(COLUMNS) and not plan.mistakes:
        plan.mistakes.append(
            Mistake(Place(header[0].place.line), "The first line names no column of a plan.", f"There are: {_names()}.")
        )
    return names


def _toml(raw: bytes, plan: RawPlan) -> None:
    try:
        text = raw.decode("utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError:
        plan.mistakes.append(Mistake(Place(), "The file is not UTF-8 text.", "Save it as UTF-8."))
        return
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        place = Place(int(found[1]), int(found[2])) if found else Place()
        plan.mistakes.append(Mistake(place, f"This is not TOML: {str(error).partition(' (at')[0]}.", "Mend it."))
        return
    spots = _Spots(text)
    for key, value in data.items():
        if key == "name" and isinstance(value, str) and 0 < len(value.strip()) <= 64 and value.isprintable():
            plan.name = value.strip()
        elif (key == "version" and value == 1) or key in ("defaults", "row"):
            continue
        else:
            place = Place(*spots.of("", 0, key), key)
            what = "There is no such key." if key not in ("name", "version") else f"This cannot be the {key} of a plan."
            plan.mistakes.append(Mistake(place, what, "A plan has version (1), name, [defaults] and [[row]]."))
    _toml_part(data.get("defaults", {}), plan.defaults, spots, "defaults", 0, plan, tuple(Defaults.model_fields))
    rows = data.get("row", [])
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        plan.mistakes.append(Mistake(Place(*spots.of("", 0, "row"), "row"), "The rows are tables.", "Write [[row]]."))
        return
    exact = spots.count("row") == len(rows)
    for number, values in enumerate(rows, 1):
        row = RawRow(Place(spots.table("row", number) if exact else 0, 0, "" if exact else f"row {number}"))
        _toml_part(values, row, spots if exact else None, "row", number, plan, COLUMNS)
        plan.rows.append(row)


def _toml_part(
    values: Any, row: RawRow, spots: _Spots | None, table: str, number: int, plan: RawPlan, allowed: tuple[str, ...]
) -> None:
    if not isinstance(values, dict):
        plan.mistakes.append(Mistake(row.place, f"“{table}” is no table.", f"Write [{table}] above its keys."))
        return
    for key, value in values.items():
        name = printable(str(key), 40)
        place = Place(*spots.of(table, number, key), name) if spots else Place(0, 0, f"row {number}, {name}")
        known = key if key in allowed else None
        if known is None:
            if _is_secret(key):
                plan.mistakes.append(secret_column(place, name))
            else:
                near = difflib.get_close_matches(_plain(key), allowed, 1, 0.6)
                todo = f"Did you mean “{near[0]}”?" if near else f"There are: {', '.join(allowed)}."
                plan.mistakes.append(Mistake(place, f"There is no key “{name}”.", todo))
            continue
        row.values[known], row.places[known] = value, place


class _Spots:
    """Where tables and keys stand in a TOML text; found by the beginnings of its lines."""

    def __init__(self, text: str) -> None:
        self._keys: dict[tuple[str, int, str], tuple[int, int]] = {}
        self._tables: dict[tuple[str, int], int] = {}
        self._counts: dict[str, int] = {}
        table, number = "", 0
        for line, words in enumerate(text.splitlines(), 1):
            opened = re.match(r"\s*\[\[?\s*([\w-]+)\s*\]\]?", words)
            if opened:
                table = opened[1]
                array = words.lstrip().startswith("[[")
                self._counts[table] = self._counts.get(table, 0) + array
                number = self._counts[table] if array else 0
                self._tables[table, number] = line
                continue
            key = re.match(r"\s*[\"']?([\w-]+)[\"']?\s*=", words)
            if key:
                column = len(words) - len(words.lstrip()) + 1
                self._keys.setdefault((table, number, key[1]), (line, column))

    def count(self, table: str) -> int:
        """How many [[table]] there are."""
        return self._counts.get(table, 0)

    def table(self, table: str, number: int) -> int:
        """The line of the heading; 0 if it was not found."""
        return self._tables.get((table, number), 0)

    def of(self, table: str, number: int, key: str) -> tuple[int, int]:
        """Line and column of a key; those of its table if it was not found."""
        return self._keys.get((table, number, key), (self.table(table, number), 0))


def secret_column(place: Place, name: str) -> Mistake:
    """The mistake that a plan has a place for a secret."""
    return Mistake(
        place,
        f"“{name}” would hold a secret, and a plan never does: it is copied, printed and mailed.",
        "Leave it out. Save the network on this computer (`device-installer networks add NAME`) and name it in "
        "“network”; a proof of possession is named by its place (env:NAME, file:PATH, keyring:NAME) in “proof”.",
    )


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _known(text: str) -> str | None:
    plain = _plain(text)
    return plain if plain in COLUMNS else _ALIASES.get(plain)


def _is_secret(text: str) -> bool:
    return bool(_SECRET.search(_plain(text)))


def _names() -> str:
    return ", ".join(COLUMNS)
