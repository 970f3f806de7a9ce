"""What a person asks of the ledger, in words: a filter, a moment, an age."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from installer.errors import ErrorCode, InstallerError
from installer.ledger.query_types import OUTCOMES, Filter

_AGE = re.compile(r"(\d{1,5})\s*(h|d|w)", re.IGNORECASE)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
ADVICE = "Give a date like 2026-11-25, a time like 2026-11-25T08:00, or an age like 12h, 90d or 8w."


def age(text: str, option: str) -> timedelta:
    """`90d`, `12h` or `8w`. Raises USAGE."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise InstallerError(ErrorCode.USAGE, f"“{text}” after {option} is no age.", "Give one like 12h, 90d or 8w.")
    return int(found[1]) * _UNITS[found[2].lower()]


def moment(text: str, option: str, now: datetime, *, end: bool = False) -> datetime:
    """A date (its beginning, or its `end`), a time, or an age before `now`. Without a zone: this computer's.

    Raises USAGE.
    """
    text = text.strip()
    if _AGE.fullmatch(text):
        return now - age(text, option)
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            day = date.fromisoformat(text)
            return datetime.combine(day + timedelta(days=end), time()).astimezone()
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise InstallerError(ErrorCode.USAGE, f"“{text}” after {option} is no moment.", ADVICE) from None


def asked(
    *,
    outcome: Sequence[str] = (),
    model: Sequence[str] = (),
    site: Sequence[str] = (),
    operator: Sequence[str] = (),
    batch: Sequence[str] = (),
    since: str | None = None,
    until: str | None = None,
    text: str | None = None,
    now: datetime | None = None,
) -> Filter:
    """The filter of these options. `until`: a date counts with its whole day. Raises USAGE."""
    now = now or datetime.now(UTC)
    outcomes = tuple(o.strip().lower().replace("-", "_").replace(" ", "_") for o in outcome)
    for given in outcomes:
        if given not in OUTCOMES:
            raise InstallerError(
                ErrorCode.USAGE, f"“{given}” is no outcome.", f"There are these: {', '.join(OUTCOMES)}."
            )
    return Filter(
        outcome=outcomes,
        model=tuple(model),
        site=tuple(site),
        operator=tuple(operator),
        batch=tuple(batch),
        since=moment(since, "--since", now) if since else None,
        until=moment(until, "--until", now, end=True) if until else None,
        text=text,
    )
