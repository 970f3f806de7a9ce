"""Days, weeks, months or years of this computer's calendar, for a table over time that is never longer than a page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from installer.ledger import timestamps

MOST_DAYS = 42
MOST_WEEKS = 53
MOST_YEARS = 4


def spans(first: str | None, last: str | None) -> tuple[str, list[tuple[str, str, str]]]:
    """Whether `day`, `week`, `month` or `year`, and those from the first to the last stamp: (first day, begin, end).

    Begin and end are stamps of the ledger; the end belongs to the next one.
    """
    if first is None or last is None:
        return "day", []
    begin, end = (datetime.fromisoformat(stamp).astimezone().date() for stamp in (first, last))
    days = (end - begin).days + 1
    unit, start = "month", begin.replace(day=1)
    following: Callable[[date], date] = _next_month
    if days <= MOST_DAYS:
        unit, start, following = "day", begin, lambda d: d + timedelta(days=1)
    elif days <= MOST_WEEKS * 7:
        unit, start, following = "week", begin - timedelta(days=begin.weekday()), lambda d: d + timedelta(days=7)
    elif days > MOST_YEARS * 366:
        unit, start, following = "year", begin.replace(month=1, day=1), lambda d: d.replace(year=d.year + 1)
    found = []
    while start <= end:
        after = following(start)
        found.append((start.isoformat(), _stamp(start), _stamp(after)))
        start = after
    return unit, found


def _next_month(first: date) -> date:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def _stamp(day: date) -> str:
    return timestamps.stamp(datetime.combine(day, time()).astimezone())
