"""The options that choose records (`--outcome`, `--since`, …) as a filter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from installer.errors import ErrorCode, InstallerError
from installer.ledger.query_types import OUTCOMES, Filter
from installer.timing.typed_dates import typed_time


def filter_from_options(
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
    """The filter of these options. `until`: a date includes its whole day. Raises USAGE."""
    outcomes = tuple(o.strip().lower().replace("-", "_").replace(" ", "_") for o in outcome)
    for given in outcomes:
        if given not in OUTCOMES:
            raise InstallerError(ErrorCode.USAGE, f"“{given}” is not an outcome.", f"Use: {', '.join(OUTCOMES)}.")
    return Filter(
        outcome=outcomes,
        model=tuple(model),
        site=tuple(site),
        operator=tuple(operator),
        batch=tuple(batch),
        since=typed_time(since, "--since", now=now) if since else None,
        until=typed_time(until, "--until", end=True, now=now) if until else None,
        text=text,
    )
