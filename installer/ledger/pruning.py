"""Removes old records, except those still needed: running, resumable, to be linked, or read by the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, func, literal, select

from installer.ledger import queries
from installer.ledger.query_types import PruneResult
from installer.ledger.sql_tables import FORGOTTEN_OPTION, details, installations

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

columns = installations.c

# Why a record is kept.
REMOVABLE = ""
RUNNING = "running"
RESUMABLE = "can be resumed"
TO_BE_LINKED = "to be linked by their users"
GATEWAY_DEVICE = "needed by the gateway to know its devices"


def count(connection: Connection, before: str, *, force: bool) -> PruneResult:
    """How many records would be removed. `before`: a timestamp; `force`: keep only running installations."""
    reason = why_kept(force=force)
    found = connection.execute(select(reason, func.count()).where(*_old(before)).group_by(reason))
    counts = {str(why): int(number) for why, number in found}
    return PruneResult(counts.pop(REMOVABLE, 0), counts)


def removable_ids(connection: Connection, before: str, *, force: bool) -> list[str]:
    """The ids of the records to remove, the oldest first."""
    query = (
        select(columns.id)
        .where(*_old(before), why_kept(force=force) == REMOVABLE)
        .order_by(columns.started, columns.id)
    )
    return list(connection.execute(query).scalars())


def remove(connection: Connection, ids: Sequence[str], before: str, *, force: bool) -> int:
    """Delete these records and their steps and failures; returns how many. One that is needed by now is kept."""
    still_removable = *_old(before), why_kept(force=force) == REMOVABLE
    return connection.execute(delete(installations).where(columns.id.in_(ids), *still_removable)).rowcount


def _old(before: str) -> tuple[ColumnElement[bool], ...]:
    return columns.started < before, func.coalesce(columns.ended, columns.started) < before


def why_kept(*, force: bool) -> ColumnElement[Any]:
    """Why a record is kept, or `REMOVABLE`."""
    if force:
        return case((columns.outcome == RUNNING, literal(RUNNING)), else_=literal(REMOVABLE))
    later = installations.alias()
    newer = later.c.address == columns.address, later.c.started > columns.started
    started_again = select(later.c.id).where(*newer).exists()
    installed_since = select(later.c.id).where(*newer, later.c.outcome == "installed").exists()
    forgotten = (
        select(details.c.installation)
        .where(details.c.installation == columns.id, details.c.options[FORGOTTEN_OPTION].as_boolean())
        .exists()
    )
    # The same records as `queries.unfinished`.
    resumable = queries.can_be_resumed() & ~started_again & ~forgotten
    gateway_device = and_(columns.outcome == "installed", columns.method == "bluetooth", columns.address.is_not(None))
    return case(
        (columns.outcome == RUNNING, literal(RUNNING)),
        (resumable, literal(RESUMABLE)),
        (and_(columns.outcome == "to_be_linked", ~installed_since), literal(TO_BE_LINKED)),
        (and_(gateway_device, ~installed_since), literal(GATEWAY_DEVICE)),
        else_=literal(REMOVABLE),
    )
