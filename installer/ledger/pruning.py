"""Removes old records, but none that is still needed: running, to be taken up again, or read by the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, func, literal, select

from installer.ledger import queries
from installer.ledger.query_types import Pruned
from installer.ledger.sql_tables import details, installations

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

I = installations.c  # noqa: E741 - the columns, in every line below
REMOVED = ""
RUNNING = "running"
UNFINISHED = "can be resumed"
TO_BE_LINKED = "to be linked by their users"
COLLECTED = "needed by the gateway to know its devices"


def count(connection: Connection, before: str, *, force: bool) -> Pruned:
    """What would be removed. `before`: a stamp; `force`: only what is running stays."""
    reason = _reason(force=force)
    found = connection.execute(select(reason, func.count()).where(*_old(before)).group_by(reason))
    counts = {str(why): int(number) for why, number in found}
    return Pruned(counts.pop(REMOVED, 0), counts)


def chosen(connection: Connection, before: str, *, force: bool) -> list[str]:
    """The ids of what is to be removed, the oldest first."""
    query = select(I.id).where(*_old(before), _reason(force=force) == REMOVED).order_by(I.started, I.id)
    return list(connection.execute(query).scalars())


def remove(connection: Connection, ids: Sequence[str], before: str, *, force: bool) -> int:
    """Remove these, with all that belongs to them; how many. One that is needed again meanwhile stays."""
    still = *_old(before), _reason(force=force) == REMOVED
    return connection.execute(delete(installations).where(I.id.in_(ids), *still)).rowcount


def _old(before: str) -> tuple[ColumnElement[bool], ...]:
    return I.started < before, func.coalesce(I.ended, I.started) < before


def _reason(*, force: bool) -> ColumnElement[Any]:
    """Why a record stays; `REMOVED` if it does not."""
    if force:
        return case((I.outcome == RUNNING, literal(RUNNING)), else_=literal(REMOVED))
    later = installations.alias()
    since = later.c.address == I.address, later.c.started > I.started
    begun_anew = select(later.c.id).where(*since).exists()
    installed_since = select(later.c.id).where(*since, later.c.outcome == "installed").exists()
    forgotten = (
        select(details.c.installation)
        .where(details.c.installation == I.id, details.c.options[queries.FORGOTTEN].as_boolean())
        .exists()
    )
    # The same as can be resumed by `reading.unfinished`.
    unfinished = queries.half_way() & ~begun_anew & ~forgotten
    collected = and_(I.outcome == "installed", I.method == "bluetooth", I.address.is_not(None))
    return case(
        (I.outcome == RUNNING, literal(RUNNING)),
        (unfinished, literal(UNFINISHED)),
        (and_(I.outcome == "to_be_linked", ~installed_since), literal(TO_BE_LINKED)),
        (and_(collected, ~installed_since), literal(COLLECTED)),
        else_=literal(REMOVED),
    )
