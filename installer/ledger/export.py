"""Records as CSV and as JSON, written one after the other: a large ledger needs little memory."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from installer.answers import StepKey

COLUMNS = (
    *("id", "started", "ended", "outcome", "error", "step", "attempts", "took"),
    *("model", "certainty", "name", "address", "serial", "firmware", "protocol"),
    *("method", "ssid", "account", "device_id"),
    *("site", "operator", "label", "batch", "row", "station", "version"),
)
STEPS = tuple(key.value for key in StepKey)
HEAD = (*COLUMNS, *(f"{step}_seconds" for step in STEPS), "reasons", "failures")

# A cell that begins so is a formula to a spreadsheet (OWASP, “CSV injection”); the wide ones are to some as well.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def safe(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula: texts that begin like one get an apostrophe before them."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    # No control character reaches a terminal; line breaks within a cell are quoted by CSV itself.
    text = "".join(c if c in "\n\t" or unicodedata.category(c) != "Cc" else "\ufffd" for c in str(value))
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def as_csv(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Lines of CSV (RFC 4180, UTF-8), the head first. Nothing of the answers: they are in JSON."""
    yield _line(HEAD)
    for record in records:
        took = {s["step"]: s["took"] for s in record.get("steps", ())}
        cells = [record.get(column) for column in COLUMNS] + [took.get(step) for step in STEPS]
        bad = "; ".join(f"{f['step'] or '-'}: {f['code']}" for f in record.get("failures", ()))
        yield _line([safe(c) for c in (*cells, "; ".join(record.get("reasons") or ()), bad)])


def as_json(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One JSON array, a record a line."""
    before = "["
    for record in records:
        yield before + "\n" + json.dumps(record, ensure_ascii=False)
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
