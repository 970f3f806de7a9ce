"""The last values of each device as a table, with a picture of how they went: pure, but for the width it is given."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from installer.measurements import moments, units
from installer.measurements.row import Row
from installer.measurements.store import Device
from installer.text import printable

BLOCKS = "▁▂▃▄▅▆▇█"
# For an output that has no block characters.
PLAIN = "_.-=+*#@"
LAST = 16
DECIMALS = Decimal("0.001")
_ORDER = [
    kind
    for kind, _ in (*units.MEASURE_TYPES.values(), *units.NIGHT_FIELDS.values(), *units.DAY_FIELDS.values())
]  # fmt: skip


@dataclass(frozen=True)
class Series:
    """The values of one kind, the newest first."""

    kind: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Section:
    """One device, as one user used it. `title`: what it is called; `notes`: its id, account and user."""

    title: str
    notes: str
    series: tuple[Series, ...]


def sections(rows: Sequence[Row], devices: dict[str, Device]) -> list[Section]:
    """Rows (of `Store.latest`) by device and user; the device with the newest value first."""
    found: dict[tuple[str, str, str, str], dict[str, list[Row]]] = {}
    for row in sorted(rows, key=lambda r: r.ended or r.taken, reverse=True):
        typed = row.origin if not row.device else ""
        found.setdefault((row.source, row.device, row.user, typed), {}).setdefault(row.kind, []).append(row)
    return [_section(by_kind, devices) for by_kind in found.values()]


def _section(by_kind: dict[str, list[Row]], devices: dict[str, Device]) -> Section:
    series = tuple(
        Series(kind, tuple(rows)) for kind, rows in sorted(by_kind.items(), key=lambda item: _place(item[0]))
    )
    first = series[0].rows[0]
    known = devices.get(first.device)
    notes = [
        (known.address if known else "") or first.device[:17],
        "over Bluetooth" if first.source == "bluetooth" else "",
    ]
    notes += [f"account {first.account}" if first.account else "", f"user {first.user}" if first.user else ""]
    return Section(name(first, devices), printable(", ".join(n for n in notes if n), 60), series)


def name(row: Row, devices: dict[str, Device]) -> str:
    """What a row's device is called."""
    known = devices.get(row.device)
    called = (known.name if known else "") or row.model or row.device[:17]
    return printable(called or ("typed by hand" if row.origin == "person" else "unknown device"), 24)


def _place(kind: str) -> tuple[int, str]:
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER), kind)


def value(row: Row) -> str:
    """A value for a person: rounded to three decimals, a long stretch of time in hours and minutes."""
    if row.unit == "s" and row.value >= 60:
        minutes = round(row.value / 60)
        return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
    number = row.value.quantize(DECIMALS) if row.value != row.value.quantize(DECIMALS) else row.value
    unit = "" if row.unit == row.kind else row.unit
    return f"{units.plain(number):f} {unit}".strip()


def line(row: Row, devices: dict[str, Device]) -> str:
    """One value as one line."""
    return f"{moments.shown(row):<16}  {name(row, devices):<16}  {printable(row.kind, 40)} {value(row)}"


def spark(values: Iterable[Decimal], blocks: str = BLOCKS) -> str:
    """One character for each value, from the lowest to the highest of them. One value alone is no picture."""
    numbers = list(values)
    if len(numbers) < 2:
        return ""
    low, high = min(numbers), max(numbers)
    if low == high:
        return blocks[len(blocks) // 2 - 1] * len(numbers)
    top = len(blocks) - 1
    return "".join(blocks[int((n - low) * top / (high - low) + Decimal("0.5"))] for n in numbers)


def table(found: Sequence[Section], width: int, blocks: str = BLOCKS) -> list[str]:
    """The lines of the tables, at most `width` cells wide."""
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console
    from rich.table import Table

    lines: list[str] = []
    # The tables stand below each other; their columns should too.
    every = [series for section in found for series in section.series]
    kinds_width = max((len(printable(series.kind, 34)) for series in every), default=0)
    value_width = max((len(value(series.rows[0])) for series in every), default=0)
    for section in found:
        shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
        shown.add_column("KIND", no_wrap=True, min_width=kinds_width)
        shown.add_column("LAST VALUE", no_wrap=True, justify="right", min_width=value_width)
        shown.add_column("WHEN", no_wrap=True)
        shown.add_column("OLDEST TO NEWEST", no_wrap=True)
        for series in section.series:
            last = series.rows[0]
            shown.add_row(
                printable(series.kind, 34),
                printable(value(last), 20),
                moments.shown(last),
                spark((r.value for r in reversed(series.rows)), blocks),
            )
        stream = io.StringIO()
        Console(file=stream, width=width - 2, no_color=True, markup=False, highlight=False, emoji=False).print(shown)
        title = f"{section.title}  ({section.notes})" if section.notes else section.title
        lines.append(title if cell_len(title) <= width else set_cell_size(title, width - 1).rstrip() + "…")
        lines += [f"  {text}".rstrip() for text in stream.getvalue().splitlines()]
        lines.append("")
    return lines[:-1]
