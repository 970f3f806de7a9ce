"""Removes old records, but none that is still needed: running, to be taken up again, or read by the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, func, literal, or_, select

from installer.ledger.tables import installations
from installer.ledger.view import Pruned

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

I = installations.c  # noqa: E741 - the columns, in every line below
REMOVED = ""
RUNNING = "running"
UNFINISHED = "to be taken up again"
TO_BE_LINKED = "to be linked by their users"
COLLECTED = "needed by the gateway to know its devices"


def count(connection: Connection, before: str, *, force: bool) -> Pruned:
    """What `remove` would do. `before`: a stamp; `force`: only what is running stays."""
    reason = _reason(force=force)
    found = connection.execute(select(reason, func.count()).where(*_old(before)).group_by(reason))
    counts = {str(why): int(number) for why, number in found}
    return Pruned(counts.pop(REMOVED, 0), counts)


def remove(connection: Connection, before: str, limit: int, *, force: bool) -> int:
    """Remove up to `limit` of them, with all that belongs to them; how many."""
    chosen = select(I.id).where(*_old(before), _reason(force=force) == REMOVED).limit(limit)
    ids = list(connection.execute(chosen).scalars())
    # Another station may have taken one up meanwhile.
    return connection.execute(delete(installations).where(I.id.in_(ids), I.outcome != RUNNING)).rowcount


def _old(before: str) -> tuple[ColumnElement[bool], ...]:
    return I.started < before, func.coalesce(I.ended, I.started) < before


def _reason(*, force: bool) -> ColumnElement[Any]:
    """Why a record stays; `REMOVED` if it does not."""
    if force:
        return case((I.outcome == RUNNING, literal(RUNNING)), else_=literal(REMOVED))
    later = installations.alias()
    newer = (
        select(later.c.id)
        .where(later.c.address == I.address, later.c.outcome == "installed", later.c.started > I.started)
        .exists()
    )
    collected = and_(I.outcome == "installed", I.method == "bluetooth", I.address.is_not(None))
    return case(
        (I.outcome == RUNNING, literal(RUNNING)),
        (or_(newer, I.outcome.in_(("failed", "cancelled"))), literal(REMOVED)),
        (I.outcome == "interrupted", literal(UNFINISHED)),
        (I.outcome == "to_be_linked", literal(TO_BE_LINKED)),
        (collected, literal(COLLECTED)),
        else_=literal(REMOVED),
    )
