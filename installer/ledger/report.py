"""The report: one HTML page with the numbers that a lead wants; no script, nothing from outside, good to print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

import installer
from installer.errors import ErrorCode
from installer.ledger.query_types import Filter, Group, Numbers, Times
from installer.ledger.text_table import spoken, when
from installer.text import printable

MOST_ROWS = 60  # of a table; what is left out is said
LAST_FAILURES = 25
NONE = "not told"


@dataclass(frozen=True)
class _Row:
    """A line of a table, as texts and counts."""

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
    numbers: Numbers,
    failures: Iterable[Mapping[str, Any]] = (),
    *,
    wanted: Filter | None = None,
    names: Mapping[str, str] | None = None,
    station: str = "",
    made: datetime | None = None,
) -> str:
    """The page. `failures`: whole records, the newest first; `names`: of the models; `made`: when it is made."""
    from jinja2 import Environment

    wanted, names = wanted or Filter(), names or {}
    made = made or datetime.now().astimezone()
    template = resources.files("assets").joinpath("report.html").read_text("utf-8")
    page = Environment(autoescape=True).from_string(template)
    whole = numbers.all
    most = max((g.total for g in numbers.spans), default=1)
    return page.render(
        title=title(numbers, wanted),
        filters=_filters(wanted, names),
        made=made.strftime("%Y-%m-%d %H:%M"),
        station=printable(station),
        version=installer.__version__,
        total=whole.total,
        all=_row("", whole, whole.total),
        linked_later=whole.outcomes.get("to_be_linked", 0),
        others=", ".join(f"{n} {o}" for o, n in whole.outcomes.items() if o in ("running", "interrupted", "cancelled")),
        reasons=_reasons(numbers.failures, whole.failed),
        steps=_steps(numbers),
        models=_rows(numbers.models, names),
        step_names=[step for step, _ in numbers.steps],
        steps_by_model=_by_step(numbers.models, numbers, names),
        steps_by_site=_by_step(numbers.sites, numbers, {}) if any(g.name for g in numbers.sites) else [],
        models_left_out=_left_out(numbers.models, "model"),
        sites=_named(numbers.sites),
        sites_left_out=_left_out(numbers.sites, "site"),
        operators=_named(numbers.operators),
        operators_left_out=_left_out(numbers.operators, "operator"),
        unit=numbers.unit,
        spans=[_row(_span(numbers.unit, group.name), group, most) for group in numbers.spans],
        failures=[_failure(record, names) for record in failures],
    )


def title(numbers: Numbers, wanted: Filter) -> str:
    """“Installations, 2026-11-01 to 2026-11-30”: the period asked for, else that of the records."""
    first = wanted.since.astimezone().strftime("%Y-%m-%d") if wanted.since else when(numbers.first)[:10]
    last = when(numbers.last)[:10]
    if wanted.until:
        # Until the beginning of a day means: the day before, whole.
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


def _row(name: str, group: Group, most: int) -> _Row:
    other = group.total - group.installed - group.failed
    ended = group.installed + group.failed
    share = 100 / max(most, 1)
    return _Row(
        name=printable(name),
        total=group.total,
        installed=group.installed,
        failed=group.failed,
        other=other,
        success=_percent(group.installed, ended) if ended else "–",
        median=spoken(group.times.median) or "–",
        p90=spoken(group.times.p90) or "–",
        bar=(("good", group.installed * share), ("bad", group.failed * share), ("open", other * share)),
    )


def _rows(groups: Sequence[Group], names: Mapping[str, str]) -> list[_Row]:
    most = max((g.total for g in groups), default=1)
    return [_row(names.get(g.name, g.name) or NONE, g, most) for g in groups[:MOST_ROWS]]


def _named(groups: Sequence[Group]) -> list[_Row]:
    """None where nobody ever told it."""
    return _rows(groups, {}) if any(g.name for g in groups) else []


def _by_step(groups: Sequence[Group], numbers: Numbers, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The median of each step, a group a line; nothing where it was not counted."""
    return [
        {
            "name": printable(names.get(group.name, group.name) or NONE),
            "medians": [spoken(group.steps.get(step, Times()).median) or "–" for step, _ in numbers.steps],
        }
        for group in groups[:MOST_ROWS]
        if group.steps
    ]


def _left_out(groups: Sequence[Group], what: str) -> str:
    rest = groups[MOST_ROWS:]
    if not rest:
        return ""
    return f"{len(rest)} more {what}s with {sum(g.total for g in rest)} installations; `records export` has them all."


def _percent(part: int, whole: int) -> str:
    # Never 100 % or 0 % where it is not quite so.
    value = round(part * 100 / whole, 1)
    if part not in (0, whole):
        value = min(max(value, 0.1), 99.9)
    return f"{value:.1f} %"


def _reasons(failures: list[tuple[str, int]], failed: int) -> list[dict[str, Any]]:
    meanings = {code.value: code.meaning for code in ErrorCode}
    most = max((count for _, count in failures), default=1)
    return [
        {
            "code": printable(code),
            "meaning": meanings.get(code, ""),
            "count": count,
            "share": _percent(count, max(failed, count)),
            "width": count * 100 / most,
        }
        for code, count in failures
    ]


def _steps(numbers: Numbers) -> list[dict[str, Any]]:
    most = max((t.p90 or 0 for _, t in numbers.steps), default=0) or 1
    return [
        {
            "name": printable(step),
            "count": times.count,
            "median": spoken(times.median),
            "p90": spoken(times.p90),
            "width": (times.median or 0) * 100 / most,
        }
        for step, times in numbers.steps
    ]


def _span(unit: str, first: str) -> str:
    return {"week": f"from {first}", "month": first[:7], "year": first[:4]}.get(unit, first)


def _failure(record: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    def text(name: str) -> str:
        return printable(str(record.get(name) or ""))

    last = record["failures"][-1] if record.get("failures") else {"what": ""}
    model = names.get(text("model"), text("model"))
    return {
        "id": text("id"),
        "began": when(record["started"]),
        "device": " ".join(p for p in (text("name") or model, text("address")) if p) or "none was found",
        "place": ", ".join(p for p in (text("site"), text("operator"), text("label")) if p),
        "code": text("error"),
        "what": printable(str(last["what"]), 300),
    }
