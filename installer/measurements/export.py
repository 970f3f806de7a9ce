"""Rows as CSV or JSON, line by line, so that any number of rows fits into memory. Pure except `write_file`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from installer.measurements.stored_value import Row
from installer.output import harmless, harmless_json
from installer.storage.atomic_write import write_text_atomically
from installer.storage.csv_cells import text_cell

Format = Literal["csv", "json"]
COLUMNS = (
    "taken", "ended", "device_name", "model", "device", "kind", "value", "unit", "measured", "measured_unit",
    "origin", "source", "account", "user", "group", "period", "modified",
    "day", "taken_local", "ended_local", "zone", "zone_known",
)  # fmt: skip
NUMBER_COLUMNS = ("value", "measured", "modified")
CHUNK_LINES = 500


def document_lines(rows: Iterable[Row], names: dict[str, str], form: Format) -> Iterator[str]:
    """The lines of the whole document. `names`: of the devices by id."""
    values = ({**row.as_json(), "device_name": names.get(row.device, "")} for row in rows)
    return _csv(values) if form == "csv" else _json(values)


def _csv(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Column titles first. Numbers are plain digits, times have their offset, and no text becomes a formula."""
    buffer = io.StringIO()
    # With this line end the writer quotes cells that contain \r or \n.
    writer = csv.writer(buffer, lineterminator="\r\n")

    def line(cells: Iterable[Any]) -> str:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(cells)
        return buffer.getvalue().removesuffix("\r\n")

    yield line(COLUMNS)
    for value in values:
        value["zone_known"] = "yes" if value["zone_known"] else "no"
        yield line(value[name] if name in NUMBER_COLUMNS else _cell(value[name]) for name in COLUMNS)


def _cell(text: str | None) -> str:
    # A carriage return stays, as a line break does: CSV quotes the cell.
    return text_cell("\r".join(harmless(part) for part in (text or "").split("\r")))


def _json(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    """One array, one object a line. Exact numbers are texts, because most readers round JSON numbers."""
    held: str | None = None
    yield "["
    for value in values:
        if held is not None:
            yield f"{held},"
        held = harmless_json(json.dumps({name: value[name] for name in COLUMNS}, ensure_ascii=False))
    if held is not None:
        yield held
    yield "]"


def chunks(parts: Iterable[str]) -> Iterator[str]:
    """Several lines at once, for an output that is flushed after each write."""
    held: list[str] = []
    for part in parts:
        held.append(part)
        if len(held) >= CHUNK_LINES:
            yield "\n".join(held)
            held.clear()
    if held:
        yield "\n".join(held)


def write_file(path: Path, parts: Iterable[str]) -> None:
    """Write the whole file or nothing; only this user can read it. Raises FILE_UNWRITABLE."""
    write_text_atomically(path, (f"{part}\n" for part in parts))
