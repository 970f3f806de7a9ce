"""HTML report of the ledger's statistics: one page for print and screen, without scripts or external files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

import installer
from installer.errors import ErrorCode
from installer.ledger.query_types import Durations, Filter, Group, Statistics
from installer.text import printable
from installer.timing.durations import compact_duration, local_time_of_iso

MAX_ROWS = 60  # of a table; a line below it says what is left out
LAST_FAILURES = 25
NOT_GIVEN = "not given"


@dataclass(frozen=True)
class _Row:
    """One line of a table."""

    name: str
    total: int
    installed: int
    failed: int
    other: int
    success: str
    median: str
    p90: str
    bar: tuple[tuple[str, float], ...]


def render(
    statistics: Statistics,
    failures: Iterable[Mapping[str, Any]] = (),
    *,
    wanted: Filter | None = None,
    names: Mapping[str, str] | None = None,
    station: str = "",
    made: datetime | None = None,
) -> str:
    """The page. `failures`: complete records, the newest first; `names`: {model id: name}; `made`: the current time."""
    from jinja2 import Environment

    wanted, names = wanted or Filter(), names or {}
    made = made or datetime.now().astimezone()
    template = resources.files("assets").joinpath("report.html").read_text("utf-8")
    page = Environment(autoescape=True).from_string(template)
    every = statistics.all
    largest = max((g.total for g in statistics.periods), default=1)
    return page.render(
        title=title(statistics, wanted),
        filters=_filters(wanted, names),
        made=made.strftime("%Y-%m-%d %H:%M"),
        station=printable(station),
        version=installer.__version__,
        total=every.total,
        all=_row("", every, every.total),
        linked_later=every.outcomes.get("to_be_linked", 0),
        others=", ".join(f"{n} {o}" for o, n in every.outcomes.items() if o in ("running", "interrupted", "cancelled")),
        reasons=_reasons(statistics.failures, every.failed),
        steps=_steps(statistics),
        models=_rows(statistics.models, names),
        step_names=[step for step, _ in statistics.steps],
        steps_by_model=_by_step(statistics.models, statistics, names),
        steps_by_site=_by_step(statistics.sites, statistics, {}) if any(g.name for g in statistics.sites) else [],
        models_left_out=_left_out(statistics.models, "model"),
        sites=_rows_if_named(statistics.sites),
        sites_left_out=_left_out(statistics.sites, "site"),
        operators=_rows_if_named(statistics.operators),
        operators_left_out=_left_out(statistics.operators, "operator"),
        unit=statistics.unit,
        periods=[_row(_period(statistics.unit, group.name), group, largest) for group in statistics.periods],
        failures=[_failure(record, names) for record in failures],
    )


def title(statistics: Statistics, wanted: Filter) -> str:
    """“Installations, 2026-11-01 to 2026-11-30”: the period of the filter, or else that of the records."""
    first = wanted.since.astimezone().strftime("%Y-%m-%d") if wanted.since else local_time_of_iso(statistics.first)[:10]
    last = local_time_of_iso(statistics.last)[:10]
    if wanted.until:
        # `until` is exclusive: midnight means the whole day before.
        until = wanted.until.astimezone()
        last = datetime.fromtimestamp(until.timestamp() - 1).astimezone().strftime("%Y-%m-%d")
    if not first and not last:
        return "Installations"
    return f"Installations, {first}" if first == last else f"Installations, {first or '…'} to {last or '…'}"


def _filters(wanted: Filter, names: Mapping[str, str]) -> str:
    parts = []
    for name in ("outcome", "model", "site", "operator", "batch", "address", "station"):
        values = getattr(wanted, name)
        if values:
            shown = [printable(names.get(v, v) if name == "model" else v.replace("_", " ")) for v in values]
            parts.append(f"{name} {' or '.join(shown)}")
    if wanted.text:
        parts.append(f"with “{printable(wanted.text)}”")
    return "Only: " + "; ".join(parts) if parts else ""


def _row(name: str, group: Group, largest: int) -> _Row:
    other = group.total - group.installed - group.failed
    ended = group.installed + group.failed
    share = 100 / max(largest, 1)
    return _Row(
        name=printable(name),
        total=group.total,
        installed=group.installed,
        failed=group.failed,
        other=other,
        success=_percent(group.installed, ended) if ended else "–",
        median=compact_duration(group.durations.median) or "–",
        p90=compact_duration(group.durations.p90) or "–",
        bar=(("good", group.installed * share), ("bad", group.failed * share), ("open", other * share)),
    )


def _rows(groups: Sequence[Group], names: Mapping[str, str]) -> list[_Row]:
    largest = max((g.total for g in groups), default=1)
    return [_row(names.get(g.name, g.name) or NOT_GIVEN, g, largest) for g in groups[:MAX_ROWS]]


def _rows_if_named(groups: Sequence[Group]) -> list[_Row]:
    """No rows if no record has a name."""
    return _rows(groups, {}) if any(g.name for g in groups) else []


def _by_step(groups: Sequence[Group], statistics: Statistics, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The median of each step, one line for each group. Empty if the steps were not counted."""
    return [
        {
            "name": printable(names.get(group.name, group.name) or NOT_GIVEN),
            "medians": [
                compact_duration(group.steps.get(step, Durations()).median) or "–" for step, _ in statistics.steps
            ],
        }
        for group in groups[:MAX_ROWS]
        if group.steps
    ]


def _left_out(groups: Sequence[Group], what: str) -> str:
    left_out = groups[MAX_ROWS:]
    if not left_out:
        return ""
    count = sum(group.total for group in left_out)
    return f"{len(left_out)} more {what}s with {count} installations; `records export` contains all."


def _percent(part: int, total: int) -> str:
    # Only exact shares are 100 % or 0 %.
    value = round(part * 100 / total, 1)
    if part not in (0, total):
        value = min(max(value, 0.1), 99.9)
    return f"{value:.1f} %"


def _reasons(failures: list[tuple[str, int]], failed: int) -> list[dict[str, Any]]:
    meanings = {code.value: code.meaning for code in ErrorCode}
    largest = max((count for _, count in failures), default=1)
    return [
        {
            "code": printable(code),
            "meaning": meanings.get(code, ""),
            "count": count,
            "share": _percent(count, max(failed, count)),
            "width": count * 100 / largest,
        }
        for code, count in failures
    ]


def _steps(statistics: Statistics) -> list[dict[str, Any]]:
    longest = max((t.p90 or 0 for _, t in statistics.steps), default=0) or 1
    return [
        {
            "name": printable(step),
            "count": times.count,
            "median": compact_duration(times.median),
            "p90": compact_duration(times.p90),
            "width": (times.median or 0) * 100 / longest,
        }
        for step, times in statistics.steps
    ]


def _period(unit: str, first: str) -> str:
    return {"week": f"from {first}", "month": first[:7], "year": first[:4]}.get(unit, first)


def _failure(record: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    def text(name: str) -> str:
        return printable(str(record.get(name) or ""))

    last = record["failures"][-1] if record.get("failures") else {"what": ""}
    model = names.get(text("model"), text("model"))
    return {
        "id": text("id"),
        "started": local_time_of_iso(record["started"]),
        "device": " ".join(p for p in (text("name") or model, text("address")) if p) or "none found",
        "site": ", ".join(p for p in (text("site"), text("operator"), text("label")) if p),
        "code": text("error"),
        "what": printable(str(last["what"]), 300),
    }
