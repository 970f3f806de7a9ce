"""The last values of each device as a table with a sparkline (a row of small bars). Pure functions."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from installer.cloud import measure_types
from installer.measurements import units
from installer.measurements.own_day import DAY_PERIOD
from installer.measurements.store import Device
from installer.measurements.stored_value import BLUETOOTH, Row
from installer.text import printable
from installer.timing.durations import hours_and_minutes, local_time
from installer.timing.zones import is_repeated, offset_name

BLOCKS = "▁▂▃▄▅▆▇█"
# For an output without block characters.
ASCII_BLOCKS = "_.-=+*#@"
SHOWN_PRECISION = Decimal("0.001")
_ORDER = [
    kind
    for kind, _ in (
        *measure_types.MEASURE_TYPES.values(),
        *measure_types.NIGHT_FIELDS.values(),
        *measure_types.DAY_FIELDS.values(),
    )
]  # fmt: skip


@dataclass(frozen=True)
class Series:
    """The values of one kind, newest first."""

    kind: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Section:
    """The values of one user on one device. `title`: the device's name; `notes`: its id, account and user."""

    title: str
    notes: str
    series: tuple[Series, ...]


def sections(rows: Sequence[Row], devices: dict[str, Device]) -> list[Section]:
    """Rows (of `Store.latest`) grouped by device and user; the device with the newest value first."""
    found: dict[tuple[str, str, str, str], dict[str, list[Row]]] = {}
    for row in sorted(rows, key=lambda r: r.ended or r.taken, reverse=True):
        typed = row.origin if not row.device else ""
        found.setdefault((row.source, row.device, row.user, typed), {}).setdefault(row.kind, []).append(row)
    return [_section(by_kind, devices) for by_kind in found.values()]


def _section(by_kind: dict[str, list[Row]], devices: dict[str, Device]) -> Section:
    series = tuple(
        Series(kind, tuple(rows)) for kind, rows in sorted(by_kind.items(), key=lambda item: _sort_key(item[0]))
    )
    first = series[0].rows[0]
    known = devices.get(first.device)
    notes = [
        (known.address if known else "") or first.device[:17],
        "over Bluetooth" if first.source == "bluetooth" else "",
    ]
    notes += [f"account {first.account}" if first.account else "", f"user {first.user}" if first.user else ""]
    return Section(device_name(first, devices), printable(", ".join(n for n in notes if n), 60), series)


def device_name(row: Row, devices: dict[str, Device]) -> str:
    """The name of a row's device."""
    known = devices.get(row.device)
    known_name = (known.name if known else "") or row.model or row.device[:17]
    return printable(known_name or ("typed by hand" if row.origin == "person" else "unknown device"), 24)


def _sort_key(kind: str) -> tuple[int, str]:
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER), kind)


def value_text(row: Row) -> str:
    """A value as text: rounded to three decimals; durations from 60 s on in hours and minutes."""
    if row.unit == "s" and row.value >= 60:
        return hours_and_minutes(Decimal(60 * round(row.value / 60)))
    number = row.value.quantize(SHOWN_PRECISION) if row.value != row.value.quantize(SHOWN_PRECISION) else row.value
    unit = "" if row.unit == row.kind else row.unit
    return f"{units.plain_decimal(number):f} {printable(unit, 16)}".strip()


def when_taken(row: Row) -> str:
    """When a value was measured, on the person's own clock: a day by its date, a night by its end.

    With the offset if it is not that of this computer, or if the clocks showed this time twice. In UTC, and marked so,
    if the person's time zone is not known.
    """
    if row.period.startswith(DAY_PERIOD):
        return printable(row.period.removeprefix(DAY_PERIOD), 16)
    when = row.ended or row.taken
    own = row.local(when)
    if own is not None:
        shown = f"{own:%Y-%m-%d %H:%M}"
        usual = own.utcoffset() == when.astimezone().utcoffset() and not is_repeated(own)
        return shown if usual else f"{shown} {offset_name(own).removeprefix('UTC')}"
    # An earlier version kept no offset of this computer, near which the person was.
    return local_time(when) if row.source == BLUETOOTH else f"{when:%Y-%m-%d %H:%M} UTC"


def value_line(row: Row, devices: dict[str, Device]) -> str:
    """One value as one line."""
    return f"{when_taken(row):<16}  {device_name(row, devices):<16}  {printable(row.kind, 40)} {value_text(row)}"


def sparkline(values: Iterable[Decimal], blocks: str = BLOCKS) -> str:
    """One character for each value, scaled from the lowest to the highest value. Empty for a single value."""
    numbers = list(values)
    if len(numbers) < 2:
        return ""
    low, high = min(numbers), max(numbers)
    if low == high:
        return blocks[len(blocks) // 2 - 1] * len(numbers)
    top = len(blocks) - 1
    return "".join(blocks[int((n - low) * top / (high - low) + Decimal("0.5"))] for n in numbers)


def table_lines(found: Sequence[Section], width: int, blocks: str = BLOCKS) -> list[str]:
    """The lines of the tables, at most `width` cells wide."""
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console
    from rich.table import Table

    lines: list[str] = []
    # All tables get the same column widths.
    all_series = [series for section in found for series in section.series]
    kinds_width = max((len(printable(series.kind, 34)) for series in all_series), default=0)
    value_width = max((len(value_text(series.rows[0])) for series in all_series), default=0)
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
                printable(value_text(last), 20),
                when_taken(last),
                sparkline((r.value for r in reversed(series.rows)), blocks),
            )
        stream = io.StringIO()
        Console(file=stream, width=width - 2, no_color=True, markup=False, highlight=False, emoji=False).print(shown)
        title = f"{section.title}  ({section.notes})" if section.notes else section.title
        lines.append(title if cell_len(title) <= width else set_cell_size(title, width - 1).rstrip() + "…")
        lines += [f"  {text}".rstrip() for text in stream.getvalue().splitlines()]
        lines.append("")
    return lines[:-1]
