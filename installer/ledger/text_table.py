"""Records as lines for a terminal: a table that fits its width, and one record whole."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from installer.text import printable, without_score

GAP = 2
WIDTH = 100  # of one record whole


@dataclass(frozen=True)
class _Column:
    """`least`: the cells that it can be cut to; 0: never cut."""

    title: str
    least: int = 0


# In the order of what matters; what does not fit is left out from the end.
_COLUMNS = (
    *(_Column("ID"), _Column("STARTED"), _Column("RESULT", 23), _Column("MODEL", 11), _Column("SITE", 6)),
    *(_Column("LABEL", 8), _Column("ADDRESS"), _Column("OPERATOR", 8), _Column("NAME", 8)),
)
_SIGNS = {"installed": "✓", "to_be_linked": "✓", "failed": "✗", "running": "…", "interrupted": "!", "cancelled": "-"}
_WORDS = {"to_be_linked": "to be linked"}


def result(record: Mapping[str, Any]) -> str:
    """How it ended, with the code of a failure."""
    outcome = str(record["outcome"])
    code = record.get("error") if outcome == "failed" else None
    return f"{_SIGNS.get(outcome, '?')} {code or ended(record)}"


def ended(record: Mapping[str, Any]) -> str:
    """How it ended, in words: `installed`, `failed at provision`."""
    outcome = str(record["outcome"])
    step = record.get("step") if outcome in ("failed", "running", "interrupted") else None
    return _WORDS.get(outcome, outcome) + (f" at {step}" if step else "")


def when(stamp: str | None, seconds: bool = False) -> str:
    """A stamp of the ledger in this computer's time."""
    try:
        moment = datetime.fromisoformat(stamp or "").astimezone()
    except (ValueError, OverflowError):
        return printable(stamp or "", 19)
    return moment.strftime("%Y-%m-%d %H:%M" + (":%S" if seconds else ""))


def spoken(seconds: float | None) -> str:
    """A duration: `0.4 s`, `12 s`, `1:05 min`, `2:10 h`."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def lines(records: Sequence[Mapping[str, Any]], width: int | None) -> list[str]:
    """A table. `width`: of the terminal, in cells; None: whatever it takes, nothing cut."""
    from rich.cells import cell_len

    rows = [_cells(record) for record in records]
    used = [i for i in range(len(_COLUMNS)) if i < 4 or any(row[i] for row in rows)]
    widths = {i: max(cell_len(t) for t in (_COLUMNS[i].title, *(row[i] for row in rows))) for i in used}
    if width is not None:
        used = _fitting(used, widths, width)
    table = [_COLUMNS[i].title for i in used], *([row[i] for i in used] for row in rows)
    return [_line(cells, [widths[i] for i in used]) for cells in table]


def _fitting(used: list[int], widths: dict[int, int], width: int) -> list[int]:
    """The columns that fit; their widths are cut."""
    chosen: list[int] = []
    for i in used:
        least = [min(widths[n], _COLUMNS[n].least or widths[n]) for n in (*chosen, i)]
        if sum(least) + GAP * len(chosen) <= width or len(chosen) < 3:
            chosen.append(i)
    spare = width - GAP * (len(chosen) - 1) - sum(widths[i] for i in chosen)
    while spare < 0:
        # The widest of those that can be cut gives a cell.
        widest = max(
            (i for i in chosen if _COLUMNS[i].least and widths[i] > _COLUMNS[i].least),
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
    return (" " * GAP).join(fitted).rstrip()


def _cells(record: Mapping[str, Any]) -> tuple[str, ...]:
    def text(name: str) -> str:
        return printable(str(record.get(name) or ""), 64)

    return (
        *(text("id"), when(record["started"]), printable(result(record), 64), text("model"), text("site")),
        *(text("label"), text("address"), text("operator"), text("name")),
    )


def facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of one record, those that are there."""

    def text(name: str) -> str:
        return printable(str(record.get(name) or ""), 200)

    def joined(*parts: str) -> str:
        return ", ".join(p for p in parts if p)

    reasons = (without_score(str(reason)) for reason in record.get("reasons") or ())
    sure = text("certainty")
    sent = record.get("sent")
    row = f"row {text('row')}" if record.get("row") else ""
    pairs = [
        ("Outcome", result(record)[2:] + (f" at {text('step')}" if record["outcome"] == "failed" else "")),
        ("Device", joined(text("name"), text("address"))),
        ("Model", f"{text('model')} ({sure})" if sure else text("model")),
        ("Known by", printable("; ".join(reasons), 400)),
        ("Serial number", text("serial")),
        ("Firmware", text("firmware")),
        ("Protocol", text("protocol")),
        ("Sync", {"wifi": "Wi-Fi", "bluetooth": "Bluetooth only"}.get(text("method"), text("method"))),
        ("Network", text("ssid")),
        ("Credentials", f"sent {when(sent['time'], seconds=True)} for {printable(sent['ssid'])}" if sent else ""),
        ("Account", joined(text("account"), f"device {text('device_id')}" if record.get("device_id") else "")),
        ("Site", text("site")),
        ("Operator", text("operator")),
        ("Label", text("label")),
        ("Batch", joined(text("batch"), row)),
        ("Station", text("station")),
        ("Began", when(record["started"], seconds=True)),
        ("Ended", when(record.get("ended"), seconds=True)),
        ("Work", spoken(record.get("took"))),
        ("Attempts", str(record["attempts"]) if record["attempts"] > 1 else ""),
        ("Program", text("version")),
    ]
    return [(name, value) for name, value in pairs if value]


def whole(record: Mapping[str, Any]) -> list[str]:
    """One record: facts, steps, failures."""
    found = [f"Record {printable(str(record['id']))}"]
    for name, value in facts(record):
        found += textwrap.wrap(value, WIDTH, initial_indent=f"  {name:<14} ", subsequent_indent=" " * 17)
    if record["steps"]:
        found += ["", "Steps"]
        found += [f"  {s['step']:<14} {spoken(s['took']):<10} {when(s['done'], seconds=True)}" for s in record["steps"]]
    if record["failures"]:
        found += ["", "Failures"]
        for failure in record["failures"]:
            head = f"{failure['step'] or '-':<14} {when(failure['time'], seconds=True)}  {failure['code']}"
            found += [f"  {printable(head)}", f"  {'':<14} {printable(failure['what'], 500)}"]
    return found
