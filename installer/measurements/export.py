"""Rows as CSV or JSON, one after the other, so that any number of them fits into memory: pure but for `to_file`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from installer.measurements.row import Row
from installer.storage.atomic_write import write_whole

Format = Literal["csv", "json"]
COLUMNS = (
    "taken", "ended", "device_name", "model", "device", "kind", "value", "unit", "measured", "measured_unit",
    "origin", "source", "account", "user", "group", "period", "modified",
)  # fmt: skip
NUMBERS = ("value", "measured", "modified")
# What a spreadsheet takes for a formula when a cell begins with it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
CHUNK = 500


def lines(rows: Iterable[Row], names: dict[str, str], form: Format) -> Iterator[str]:
    """The lines of the whole document. `names`: what devices are called."""
    values = ({**row.plain(), "device_name": names.get(row.device, "")} for row in rows)
    return _csv(values) if form == "csv" else _json(values)


def _csv(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    """With a line of titles; numbers are plain digits, times are UTC, no text is taken for a formula."""
    buffer = io.StringIO()
    # The writer puts quotes around what holds a sign of its line's end.
    writer = csv.writer(buffer, lineterminator="\r\n")

    def line(cells: Iterable[Any]) -> str:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(cells)
        return buffer.getvalue().removesuffix("\r\n")

    yield line(COLUMNS)
    for value in values:
        yield line(value[name] if name in NUMBERS else _harmless(value[name] or "") for name in COLUMNS)


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _json(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    """One array, an object a line. Exact numbers are texts: as JSON's numbers most readers would round them."""
    held: str | None = None
    yield "["
    for value in values:
        if held is not None:
            yield f"{held},"
        held = json.dumps({name: value[name] for name in COLUMNS}, ensure_ascii=False)
    if held is not None:
        yield held
    yield "]"


def chunks(parts: Iterable[str]) -> Iterator[str]:
    """Several lines at once, for whoever flushes after each."""
    held: list[str] = []
    for part in parts:
        held.append(part)
        if len(held) >= CHUNK:
            yield "\n".join(held)
            held.clear()
    if held:
        yield "\n".join(held)


def to_file(path: Path, parts: Iterable[str]) -> None:
    """Write the file, which only this user can read, whole or not at all. Raises FILE_UNWRITABLE."""
    write_whole(path, (f"{part}\n" for part in parts), private=True)
