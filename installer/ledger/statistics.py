"""The numbers of a report: how many were installed, why others failed, and how long each step takes.

Medians are exact. Over the whole ledger they are looked up in indexes that hold the times in order; over a part of
it, its rows are read once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, bindparam, func, select

from installer.answers import StepKey
from installer.ledger import queries, report_periods
from installer.ledger.query_types import Filter, Group, Numbers, Times
from installer.ledger.sql_tables import TIMED, installations, steps

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

I = installations.c  # noqa: E741 - the columns, in every line below
ORDER = tuple(key.value for key in StepKey)
TIMES = tuple(I[f"seconds_{step}"] for step in TIMED)
INSTALLED = "installed"
FAILED = "failed"
DETAILED = 20_000  # records that are counted by model and step, by site and step in a fifth of a second


def numbers(connection: Connection, wanted: Filter, detailed: int = DETAILED) -> Numbers:
    """The numbers of the records that fit. Up to `detailed` of them: each step's time by model and by site, too."""
    conditions = queries.where(wanted)
    count = select(func.count()).select_from(installations)
    # Apart from each other: each of the two ends is one look into an index.
    first, last = (
        connection.execute(select(end(I.started)).where(*conditions)).scalar() for end in (func.min, func.max)
    )
    total = connection.execute(count).scalar_one()
    some = connection.execute(count.where(*conditions)).scalar_one() if conditions else total
    if some == total > detailed:
        return _of_all(connection, first, last)
    return _of_a_part(connection, conditions, first, last, detail=some <= detailed)


def _of_all(connection: Connection, first: str | None, last: str | None) -> Numbers:
    reasons = select(I.error, func.count()).where(I.outcome == FAILED, I.error.is_not(None)).group_by(I.error)
    by_outcome = select(I.outcome, func.count(), func.count(I.took)).group_by(I.outcome)
    outcomes = connection.execute(by_outcome).all()
    unit, spans = report_periods.spans(first, last)
    timed = next((took for outcome, _, took in outcomes if outcome == INSTALLED), 0)
    return Numbers(
        all=Group("", {o: n for o, n, _ in outcomes}, _times(connection, _one(), {}, timed)),
        first=first,
        last=last,
        failures=_most(Counter(dict(connection.execute(reasons).all()))),
        steps=_steps_of_all(connection),
        models=_groups(connection, I.model),
        sites=_groups(connection, I.site),
        operators=_groups(connection, I.operator),
        unit=unit,
        spans=_spans_of_all(connection, spans, [o for o, _, _ in outcomes]),
    )


def _spans_of_all(connection: Connection, spans: list[tuple[str, str, str]], outcomes: list[str]) -> list[Group]:
    query = select(func.count()).where(
        I.outcome == bindparam("outcome"), I.started >= bindparam("begin"), I.started < bindparam("end")
    )
    counts = (
        (name, outcome, connection.execute(query, {"outcome": outcome, "begin": begin, "end": end}).scalar_one())
        for name, begin, end in spans
        for outcome in outcomes
    )
    return _grouped(((name, outcome, count) for name, outcome, count in counts if count), {})


def _one(*conditions: ColumnElement[bool]) -> tuple[Any, Any]:
    """One of the times of those that were installed, in order: from the shortest, and from the longest."""
    return _ordered(I.took, select(I.took).where(*conditions, I.outcome == INSTALLED, I.took.is_not(None)))


def _ordered(column: Column[Any], query: Any) -> tuple[Any, Any]:
    # An index holds them in this order; what stands near the end is counted from there.
    return tuple(query.order_by(o).limit(1).offset(bindparam("skip")) for o in (column, column.desc()))


def _groups(connection: Connection, column: Column[Any]) -> list[Group]:
    """By the values of a column, the most frequent first."""
    query = select(column, I.outcome, func.count(), func.count(I.took)).group_by(column, I.outcome)
    counts = connection.execute(query).all()
    one = _one(column.is_not_distinct_from(bindparam("name")))
    times = {
        name: _times(connection, one, {"name": name}, timed)
        for name, outcome, _, timed in counts
        if outcome == INSTALLED
    }
    return _by_size(_grouped(((name, outcome, count) for name, outcome, count, _ in counts), times))


def _steps_of_all(connection: Connection) -> list[tuple[str, Times]]:
    counts: dict[str, int] = dict(connection.execute(select(steps.c.step, func.count()).group_by(steps.c.step)).all())
    one = _ordered(steps.c.took, select(steps.c.took).where(steps.c.step == bindparam("name")))
    return _in_order({name: _times(connection, one, {"name": name}, count) for name, count in counts.items()})


def _times(connection: Connection, one: tuple[Any, Any], values: dict[str, Any], count: int) -> Times:
    if not count:
        return Times()
    middle, high = _places(count)
    median = connection.execute(one[0], values | {"skip": middle}).scalar_one()
    p90 = connection.execute(one[1], values | {"skip": count - 1 - high}).scalar_one()
    return Times(count, float(median), float(p90))


def _places(count: int) -> tuple[int, int]:
    """Where the median and the 90th percentile stand among `count` values in order: the nearest rank."""
    return (count - 1) // 2, -(-count * 9 // 10) - 1


# A part of the ledger: read once, counted here.


def _of_a_part(
    connection: Connection, conditions: list[ColumnElement[bool]], first: str | None, last: str | None, *, detail: bool
) -> Numbers:
    # Column by column from here on: in tuples of all values of one column, which is far faster than row by row.
    query = select(I.outcome, I.error, I.took, I.started, I.model, I.site, I.operator, *TIMES).where(*conditions)
    rows = connection.execute(query).all()
    outcomes, errors, took, started, *names = zip(*rows, strict=True) if rows else [()] * (len(TIMES) + 7)
    unit, spans = report_periods.spans(first, last)
    begins, firsts = [begin for _, begin, _ in spans], [name for name, _, _ in spans]
    by_time = [firsts[max(bisect_right(begins, moment) - 1, 0)] for moment in started]
    columns = names[3:]
    models, sites = (_of_names(each, outcomes, took, columns if detail else ()) for each in names[:2])
    operators = _of_names(names[2], outcomes, took)
    good = [time for outcome, time in zip(outcomes, took, strict=True) if outcome == INSTALLED and time is not None]
    steps_of = zip(TIMED, columns, strict=True)
    return Numbers(
        all=Group("", dict(Counter(outcomes)), _of(good)),
        first=first,
        last=last,
        failures=_most(Counter(e for o, e in zip(outcomes, errors, strict=True) if o == FAILED and e is not None)),
        steps=[(step, _of([t for t in times if t is not None])) for step, times in steps_of if _any(times)],
        models=_by_size(models),
        sites=_by_size(sites),
        operators=_by_size(operators),
        unit=unit,
        spans=sorted(_grouped(_counted(by_time, outcomes), {}), key=lambda g: g.name),
    )


def _any(times: Sequence[float | None]) -> bool:
    """Whether there is a time at all."""
    return any(time is not None for time in times)


def _of_names(
    names: Sequence[Any],
    outcomes: Sequence[str],
    took: Sequence[float | None],
    columns: Sequence[Sequence[float | None]] = (),
) -> list[Group]:
    """Groups by name. `columns`: the seconds of each step, if those are wanted by name."""
    times: defaultdict[Any, list[float]] = defaultdict(list)
    for name, outcome, time in zip(names, outcomes, took, strict=True):
        if outcome == INSTALLED and time is not None:
            times[name].append(time)
    by_step: defaultdict[Any, dict[str, Times]] = defaultdict(dict)
    for step, seconds in zip(TIMED, columns, strict=False):
        found: defaultdict[Any, list[float]] = defaultdict(list)
        for name, time in zip(names, seconds, strict=True):
            if time is not None:
                found[name].append(time)
        for name, each in found.items():
            by_step[name][step] = _of(each)
    return _grouped(_counted(names, outcomes), {name: _of(each) for name, each in times.items()}, by_step)


def _counted(names: Sequence[Any], outcomes: Sequence[str]) -> Iterable[tuple[Any, str, int]]:
    return ((name, outcome, count) for (name, outcome), count in Counter(zip(names, outcomes, strict=True)).items())


def _of(times: list[float]) -> Times:
    if not times:
        return Times()
    times.sort()
    median, p90 = _places(len(times))
    return Times(len(times), float(times[median]), float(times[p90]))


# Both.


def _grouped(
    counts: Iterable[Sequence[Any]], times: dict[Any, Times], by_step: dict[Any, dict[str, Times]] | None = None
) -> list[Group]:
    found: defaultdict[Any, dict[str, int]] = defaultdict(dict)
    for name, outcome, count in counts:
        found[name][outcome] = count
    steps_of = by_step or {}
    return [Group(name or "", o, times.get(name, Times()), steps_of.get(name, {})) for name, o in found.items()]


def _by_size(groups: list[Group]) -> list[Group]:
    """The largest first; those without a name last."""
    return sorted(groups, key=lambda g: (not g.name, -g.total, g.name))


def _most(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda c: (-c[1], c[0]))


def _in_order(found: dict[str, Times]) -> list[tuple[str, Times]]:
    known = [step for step in ORDER if step in found]
    return [(step, found[step]) for step in (*known, *sorted(found.keys() - set(known)))]
