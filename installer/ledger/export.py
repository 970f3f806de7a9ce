"""Export of records as CSV and as JSON, one record at a time: a large ledger needs little memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from installer.answers import StepKey
from installer.output import harmless, harmless_json
from installer.storage.csv_cells import text_cell

COLUMNS = (
    *("id", "started", "ended", "outcome", "error", "step", "attempts", "took"),
    *("model", "certainty", "name", "address", "serial", "firmware", "protocol"),
    *("method", "ssid", "account", "device_id"),
    *("site", "operator", "label", "batch", "row", "station", "version"),
)
STEPS = tuple(key.value for key in StepKey)
HEADER = (*COLUMNS, *(f"{step}_seconds" for step in STEPS), "reasons", "failures")


def safe(value: Any) -> str:
    """A value as a cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    # Line breaks within a cell are quoted by CSV itself; a reader may take a lone carriage return for one.
    return text_cell(harmless(str(value).replace("\r", "\ufffd")))


def as_csv(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Lines of CSV (RFC 4180, UTF-8), the header first. The answers are only in the JSON export."""
    yield _line(HEADER)
    for record in records:
        took = {s["step"]: s["took"] for s in record.get("steps", ())}
        cells = [record.get(column) for column in COLUMNS] + [took.get(step) for step in STEPS]
        failures = "; ".join(f"{f['step'] or '-'}: {f['code']}" for f in record.get("failures", ()))
        yield _line([safe(c) for c in (*cells, "; ".join(record.get("reasons") or ()), failures)])


def as_json(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One JSON array, one record on each line."""
    separator = "["
    for record in records:
        yield separator + "\n" + harmless_json(json.dumps(record, ensure_ascii=False))
        separator = ","
    yield "[]\n" if separator == "[" else "\n]\n"


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
