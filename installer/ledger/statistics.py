"""Statistics for a report: how many devices were installed, why others failed, and how long each step takes.

Medians are exact. For the whole ledger they come from indexes that hold sorted durations. For a selection of records
each row is read once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, bindparam, func, select

from installer.answers import StepKey
from installer.ledger import queries, timestamps
from installer.ledger.damaged_records import is_moment, names, seconds
from installer.ledger.damaged_records import outcomes as readable_outcomes
from installer.ledger.query_types import OUTCOMES, Durations, Filter, Group, Statistics
from installer.ledger.sql_tables import TIMED_STEPS, installations, steps
from installer.timing.zones import local_moment

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

columns = installations.c
STEP_ORDER = tuple(key.value for key in StepKey)
STEP_SECONDS = tuple(columns[f"seconds_{step}"] for step in TIMED_STEPS)
INSTALLED = "installed"
FAILED = "failed"
MAX_DETAILED_RECORDS = 20_000  # steps by model and by site take 0.2 s for this many records
# A report has at most this many rows for each unit of time.
MAX_DAYS = 42
# More damaged times than this before the first one that can be read: the report has no periods.
MOST_DAMAGED_AT_AN_END = 100
MAX_WEEKS = 53
MAX_YEARS_IN_MONTHS = 4

Period = tuple[str, str, str]  # first day, start, end


def report_statistics(connection: Connection, wanted: Filter, max_detailed: int = MAX_DETAILED_RECORDS) -> Statistics:
    """The statistics of the records that match. Up to `max_detailed` records: also each step by model and by site."""
    conditions = queries.filter_conditions(wanted)
    count = select(func.count()).select_from(installations)
    # Two statements, because each of them is one index lookup.
    first, last = (_end(connection, conditions, order) for order in (columns.started.asc(), columns.started.desc()))
    total = connection.execute(count).scalar_one()
    matching = connection.execute(count.where(*conditions)).scalar_one() if conditions else total
    if matching == total > max_detailed:
        return _whole_ledger(connection, first, last)
    return _selection(connection, conditions, first, last, detail=matching <= max_detailed)


def _end(connection: Connection, conditions: list[ColumnElement[bool]], order: Any) -> str | None:
    """The first time in this order that can be read."""
    query = select(columns.started).where(*conditions).order_by(order).limit(MOST_DAMAGED_AT_AN_END)
    return next((text for text in connection.execute(query).scalars() if is_moment(text)), None)


def calendar_periods(first: str | None, last: str | None) -> tuple[str, list[Period]]:
    """`day`, `week`, `month` or `year`, and these periods from the first to the last timestamp.

    They follow this computer's calendar. Start and end are timestamps; the end belongs to the next period.
    """
    if first is None or last is None:
        return "day", []
    begin, end = (datetime.fromisoformat(text).astimezone().date() for text in (first, last))
    days = (end - begin).days + 1
    unit, start = "month", begin.replace(day=1)
    following: Callable[[date], date] = _next_month
    if days <= MAX_DAYS:
        unit, start, following = "day", begin, lambda d: d + timedelta(days=1)
    elif days <= MAX_WEEKS * 7:
        unit, start, following = "week", begin - timedelta(days=begin.weekday()), lambda d: d + timedelta(days=7)
    elif days > MAX_YEARS_IN_MONTHS * 366:
        unit, start, following = "year", begin.replace(month=1, day=1), lambda d: d.replace(year=d.year + 1)
    periods = []
    while start <= end:
        after = following(start)
        periods.append((start.isoformat(), _midnight(start), _midnight(after)))
        start = after
    return unit, periods


def _next_month(first: date) -> date:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def _midnight(day: date) -> str:
    return timestamps.timestamp(local_moment(datetime.combine(day, time())))


# The whole ledger: from its indexes.


def _whole_ledger(connection: Connection, first: str | None, last: str | None) -> Statistics:
    reasons = (
        select(columns.error, func.count())
        .where(columns.outcome == FAILED, columns.error.is_not(None))
        .group_by(columns.error)
    )
    by_outcome = select(columns.outcome, func.count(), func.count(columns.took)).group_by(columns.outcome)
    outcomes = [(o, n, timed) for o, n, timed in connection.execute(by_outcome) if o in OUTCOMES]
    unit, periods = calendar_periods(first, last)
    timed = next((took for outcome, _, took in outcomes if outcome == INSTALLED), 0)
    return Statistics(
        all=Group("", {o: n for o, n, _ in outcomes}, _indexed_durations(connection, _nth_installed(), {}, timed)),
        first=first,
        last=last,
        failures=_most_frequent(Counter({code: n for code, n in connection.execute(reasons) if isinstance(code, str)})),
        steps=_indexed_steps(connection),
        models=_indexed_groups(connection, columns.model),
        sites=_indexed_groups(connection, columns.site),
        operators=_indexed_groups(connection, columns.operator),
        unit=unit,
        periods=_indexed_periods(connection, periods, [o for o, _, _ in outcomes]),
    )


def _indexed_periods(connection: Connection, periods: list[Period], outcomes: list[str]) -> list[Group]:
    query = select(func.count()).where(
        columns.outcome == bindparam("outcome"),
        columns.started >= bindparam("begin"),
        columns.started < bindparam("end"),
    )
    counts = (
        (name, outcome, connection.execute(query, {"outcome": outcome, "begin": begin, "end": end}).scalar_one())
        for name, begin, end in periods
        for outcome in outcomes
    )
    return _groups(((name, outcome, count) for name, outcome, count in counts if count), {})


def _nth_installed(*conditions: ColumnElement[bool]) -> tuple[Any, Any]:
    """Queries of one duration of the installed ones: the nth shortest, and the nth longest."""
    return _nth(
        columns.took, select(columns.took).where(*conditions, columns.outcome == INSTALLED, columns.took.is_not(None))
    )


def _nth(column: Column[Any], query: Any) -> tuple[Any, Any]:
    # The index is sorted; a value near its end is counted from the end.
    return tuple(query.order_by(o).limit(1).offset(bindparam("skip")) for o in (column, column.desc()))


def _indexed_groups(connection: Connection, column: Column[Any]) -> list[Group]:
    """Groups by the values of a column, the most frequent first."""
    query = select(column, columns.outcome, func.count(), func.count(columns.took)).group_by(column, columns.outcome)
    counts = [
        (names([name])[0], outcome, count, timed)
        for name, outcome, count, timed in connection.execute(query)
        if outcome in OUTCOMES
    ]
    nth = _nth_installed(column.is_not_distinct_from(bindparam("name")))
    durations = {
        name: _indexed_durations(connection, nth, {"name": name}, timed)
        for name, outcome, _, timed in counts
        if outcome == INSTALLED
    }
    return _largest_first(_groups(((name, outcome, count) for name, outcome, count, _ in counts), durations))


def _indexed_steps(connection: Connection) -> list[tuple[str, Durations]]:
    found_steps = connection.execute(select(steps.c.step, func.count()).group_by(steps.c.step))
    counts: dict[str, int] = {name: n for name, n in found_steps if isinstance(name, str)}
    nth = _nth(steps.c.took, select(steps.c.took).where(steps.c.step == bindparam("name")))
    found = {name: _indexed_durations(connection, nth, {"name": name}, count) for name, count in counts.items()}
    known = [step for step in STEP_ORDER if step in found]
    return [(step, found[step]) for step in (*known, *sorted(found.keys() - set(known)))]


def _indexed_durations(connection: Connection, nth: tuple[Any, Any], values: dict[str, Any], count: int) -> Durations:
    if not count:
        return Durations()
    middle, high = _median_and_p90_index(count)
    median = connection.execute(nth[0], values | {"skip": middle}).scalar()
    p90 = connection.execute(nth[1], values | {"skip": count - 1 - high}).scalar()
    return Durations(count, *seconds((median, p90)))


# A selection: read once, counted here.


def _selection(
    connection: Connection, conditions: list[ColumnElement[bool]], first: str | None, last: str | None, *, detail: bool
) -> Statistics:
    # One tuple for each column: much faster than row by row.
    query = select(
        columns.outcome,
        columns.error,
        columns.took,
        columns.started,
        columns.model,
        columns.site,
        columns.operator,
        *STEP_SECONDS,
    ).where(*conditions)
    rows = connection.execute(query).all()
    raw = list(zip(*rows, strict=True)) if rows else [()] * (len(STEP_SECONDS) + 7)
    outcomes, errors, took, started = readable_outcomes(raw[0]), names(raw[1]), seconds(raw[2]), raw[3]
    unit, periods = calendar_periods(first, last)
    begins, first_days = [begin for _, begin, _ in periods], [name for name, _, _ in periods]
    dated = [(text, outcome) for text, outcome in zip(started, outcomes, strict=True) if _is_between(text, first, last)]
    period_of = [first_days[max(bisect_right(begins, text) - 1, 0)] for text, _ in dated]
    model_names, site_names, operator_names = (names(column) for column in raw[4:7])
    step_seconds = [seconds(column) for column in raw[7:]]
    per_step = step_seconds if detail else ()
    installed = [s for outcome, s in zip(outcomes, took, strict=True) if outcome == INSTALLED and s is not None]
    steps_of = zip(TIMED_STEPS, step_seconds, strict=True)
    return Statistics(
        all=Group("", dict(Counter(outcomes)), _durations(installed)),
        first=first,
        last=last,
        failures=_most_frequent(
            Counter(e for o, e in zip(outcomes, errors, strict=True) if o == FAILED and e is not None)
        ),
        steps=[
            (step, _durations([s for s in seconds if s is not None]))
            for step, seconds in steps_of
            if any(s is not None for s in seconds)
        ],
        models=_largest_first(_groups_by_name(model_names, outcomes, took, per_step)),
        sites=_largest_first(_groups_by_name(site_names, outcomes, took, per_step)),
        operators=_largest_first(_groups_by_name(operator_names, outcomes, took)),
        unit=unit,
        periods=sorted(_groups(_counted(period_of, [outcome for _, outcome in dated]), {}), key=lambda g: g.name),
    )


def _is_between(text: Any, first: str | None, last: str | None) -> bool:
    return isinstance(text, str) and first is not None and last is not None and first <= text <= last


def _groups_by_name(
    names: Sequence[Any],
    outcomes: Sequence[str],
    took: Sequence[float | None],
    step_seconds: Sequence[Sequence[float | None]] = (),
) -> list[Group]:
    """Groups by name. `step_seconds`: the seconds of each step, if they are wanted by name."""
    installed: defaultdict[Any, list[float]] = defaultdict(list)
    for name, outcome, duration in zip(names, outcomes, took, strict=True):
        if outcome == INSTALLED and duration is not None:
            installed[name].append(duration)
    by_step: defaultdict[Any, dict[str, Durations]] = defaultdict(dict)
    for step, column in zip(TIMED_STEPS, step_seconds, strict=False):
        of_step: defaultdict[Any, list[float]] = defaultdict(list)
        for name, duration in zip(names, column, strict=True):
            if duration is not None:
                of_step[name].append(duration)
        for name, each in of_step.items():
            by_step[name][step] = _durations(each)
    return _groups(_counted(names, outcomes), {name: _durations(each) for name, each in installed.items()}, by_step)


def _counted(names: Sequence[Any], outcomes: Sequence[str]) -> Iterable[tuple[Any, str, int]]:
    return ((name, outcome, count) for (name, outcome), count in Counter(zip(names, outcomes, strict=True)).items())


def _durations(seconds: list[float]) -> Durations:
    if not seconds:
        return Durations()
    seconds.sort()
    median, p90 = _median_and_p90_index(len(seconds))
    return Durations(len(seconds), float(seconds[median]), float(seconds[p90]))


# Both.


def _median_and_p90_index(count: int) -> tuple[int, int]:
    """The positions of the median and the 90th percentile among `count` sorted values: the nearest rank."""
    return (count - 1) // 2, -(-count * 9 // 10) - 1


def _groups(
    counts: Iterable[Sequence[Any]],
    durations: dict[Any, Durations],
    by_step: dict[Any, dict[str, Durations]] | None = None,
) -> list[Group]:
    outcomes: defaultdict[Any, dict[str, int]] = defaultdict(dict)
    for name, outcome, count in counts:
        outcomes[name][outcome] = outcomes[name].get(outcome, 0) + count
    steps_of = by_step or {}
    return [
        Group(name or "", each, durations.get(name, Durations()), steps_of.get(name, {}))
        for name, each in outcomes.items()
    ]


def _largest_first(groups: list[Group]) -> list[Group]:
    """The largest first; the group without a name last."""
    return sorted(groups, key=lambda g: (not g.name, -g.total, g.name))


def _most_frequent(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda c: (-c[1], c[0]))
