"""Records as text for a terminal: a table that fits its width, and the details of one record."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from installer.text import in_quotes, printable, without_score
from installer.timing.durations import compact_duration, local_time_of_iso

COLUMN_GAP = 2
DETAILS_WIDTH = 100


@dataclass(frozen=True)
class _Column:
    """`min_width`: how far it can be cut, in cells; 0: never cut."""

    title: str
    min_width: int = 0


# The most important first. Columns that do not fit are left out from the end.
_COLUMNS = (
    *(_Column("ID"), _Column("STARTED"), _Column("RESULT", 23), _Column("MODEL", 11), _Column("SITE", 6)),
    *(_Column("LABEL", 8), _Column("ADDRESS"), _Column("OPERATOR", 8), _Column("NAME", 8)),
)
_SIGNS = {"installed": "✓", "to_be_linked": "✓", "failed": "✗", "running": "…", "interrupted": "!", "cancelled": "-"}
_WORDS = {"to_be_linked": "to be linked"}


def result(record: Mapping[str, Any]) -> str:
    """The outcome with a sign, or the error code of a failure."""
    outcome = str(record["outcome"])
    code = record.get("error") if outcome == "failed" else None
    return f"{_SIGNS.get(outcome, '?')} {printable(str(code)) if code else ended(record)}"


def ended(record: Mapping[str, Any]) -> str:
    """The outcome in words: `installed`, `failed at provision`."""
    outcome = str(record["outcome"])
    step = record.get("step") if outcome in ("failed", "running", "interrupted") else None
    return _WORDS.get(outcome, outcome) + (f" at {printable(str(step), 32)}" if step else "")


def table_lines(records: Sequence[Mapping[str, Any]], width: int | None) -> list[str]:
    """A table. `width`: of the terminal, in cells; None: nothing is cut."""
    from rich.cells import cell_len

    rows = [_cells(record) for record in records]
    used = [i for i in range(len(_COLUMNS)) if i < 4 or any(row[i] for row in rows)]
    widths = {i: max(cell_len(t) for t in (_COLUMNS[i].title, *(row[i] for row in rows))) for i in used}
    if width is not None:
        used = _fitting(used, widths, width)
    table = [_COLUMNS[i].title for i in used], *([row[i] for i in used] for row in rows)
    return [_line(cells, [widths[i] for i in used]) for cells in table]


def _fitting(used: list[int], widths: dict[int, int], width: int) -> list[int]:
    """The columns that fit. Cuts their widths."""
    chosen: list[int] = []
    for i in used:
        narrowest = [min(widths[n], _COLUMNS[n].min_width or widths[n]) for n in (*chosen, i)]
        if sum(narrowest) + COLUMN_GAP * len(chosen) <= width or len(chosen) < 3:
            chosen.append(i)
    spare = width - COLUMN_GAP * (len(chosen) - 1) - sum(widths[i] for i in chosen)
    while spare < 0:
        # Cut one cell from the widest column that can be cut.
        widest = max(
            (i for i in chosen if _COLUMNS[i].min_width and widths[i] > _COLUMNS[i].min_width),
            key=lambda i: widths[i],
            default=None,
        )
        if widest is None:
            break
        widths[widest] -= 1
        spare += 1
    return chosen


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    from rich.cells import cell_len, set_cell_size

    fitted = [
        set_cell_size(cell, width)
        if cell_len(cell) <= width
        else set_cell_size(set_cell_size(cell, width - 1).rstrip() + "…", width)
        for cell, width in zip(cells, widths, strict=True)
    ]
    return (" " * COLUMN_GAP).join(fitted).rstrip()


def _cells(record: Mapping[str, Any]) -> tuple[str, ...]:
    def text(name: str) -> str:
        return printable(str(record.get(name) or ""), 64)

    return (
        *(text("id"), local_time_of_iso(record["started"]), printable(result(record), 64), text("model"), text("site")),
        *(text("label"), text("address"), text("operator"), text("name")),
    )


def record_fields(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The names and values of one record, without empty ones."""

    def text(name: str) -> str:
        return printable(str(record.get(name) or ""), 200)

    def joined(*parts: str) -> str:
        return ", ".join(p for p in parts if p)

    reasons = (without_score(str(reason)) for reason in record.get("reasons") or ())
    certainty = text("certainty")
    sent = record.get("sent")
    row = f"row {text('row')}" if record.get("row") else ""
    pairs = [
        ("Outcome", result(record)[2:] + (f" at {text('step')}" if record["outcome"] == "failed" else "")),
        ("Device", joined(text("name"), text("address"))),
        ("Model", f"{text('model')} ({certainty})" if certainty else text("model")),
        ("Known by", printable("; ".join(reasons), 400)),
        ("Serial number", text("serial")),
        ("Firmware", text("firmware")),
        ("Protocol", joined(text("protocol"), *_security(record))),
        ("Sync", {"wifi": "Wi-Fi", "bluetooth": "Bluetooth only"}.get(text("method"), text("method"))),
        ("Network", text("ssid")),
        (
            "Credentials",
            f"sent {local_time_of_iso(sent['time'], seconds=True)} for {in_quotes(sent['ssid'] or '')}" if sent else "",
        ),
        ("Account", joined(text("account"), f"device {text('device_id')}" if record.get("device_id") else "")),
        ("Site", text("site")),
        ("Operator", text("operator")),
        ("Label", text("label")),
        ("Batch", joined(text("batch"), row)),
        ("Station", text("station")),
        ("Began", local_time_of_iso(record["started"], seconds=True)),
        ("Ended", local_time_of_iso(record.get("ended"), seconds=True)),
        ("Work", compact_duration(record.get("took"))),
        ("Attempts", str(record["attempts"]) if record["attempts"] > 1 else ""),
        ("Program", text("version")),
        ("Damaged", printable(", ".join(record.get("damaged") or ()), 200)),
    ]
    return [(name, value) for name, value in pairs if value]


def _security(record: Mapping[str, Any]) -> list[str]:
    """The device's security scheme, and whether it had proved itself when it got the credentials; as far as known."""
    results = {s["step"]: s["result"] for s in record.get("steps") or () if isinstance(s.get("result"), dict)}
    scheme, proved = (results.get(step, {}).get(key) for step, key in (("find", "security"), ("provision", "proved")))
    found = [f"security {scheme}"] if isinstance(scheme, int) and not isinstance(scheme, bool) else []
    if isinstance(proved, bool):
        found.append("the device proved itself" if proved else "the device did not prove itself")
    return found


def details(record: Mapping[str, Any]) -> list[str]:
    """One record: fields, steps, failures."""
    found = [f"Record {printable(str(record['id']))}"]
    for name, value in record_fields(record):
        found += textwrap.wrap(value, DETAILS_WIDTH, initial_indent=f"  {name:<14} ", subsequent_indent=" " * 17)
    if record["steps"]:
        found += ["", "Steps"]
        for step in record["steps"]:
            done = local_time_of_iso(step["done"], seconds=True)
            found.append(f"  {printable(step['step']):<14} {compact_duration(step['took']):<10} {done}")
    if record["failures"]:
        found += ["", "Failures"]
        for failure in record["failures"]:
            head = f"{failure['step'] or '-':<14} {local_time_of_iso(failure['time'], seconds=True)}  {failure['code']}"
            found += [f"  {printable(head)}", f"  {'':<14} {printable(failure['what'], 500)}"]
    return found
