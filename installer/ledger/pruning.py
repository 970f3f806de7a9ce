"""Removes old records, except those still needed: running, resumable, to be linked, or read by the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, func, literal, select

from installer.ledger import queries
from installer.ledger.damaged_records import readable
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
    reason = why_kept(connection, _old(before), force=force)
    found = connection.execute(select(reason, func.count()).where(*_old(before)).group_by(reason))
    counts = {str(why): int(number) for why, number in found}
    return PruneResult(counts.pop(REMOVABLE, 0), counts)


def removable_ids(connection: Connection, before: str, *, force: bool) -> list[str]:
    """The ids of the records to remove, the oldest first."""
    removable = why_kept(connection, _old(before), force=force) == REMOVABLE
    query = select(columns.id).where(*_old(before), removable).order_by(columns.started, columns.id)
    return list(connection.execute(query).scalars())


def remove(connection: Connection, ids: Sequence[str], before: str, *, force: bool) -> int:
    """Delete these records and their steps and failures; returns how many. One that is needed by now is kept."""
    still_removable = *_old(before), why_kept(connection, _old(before), force=force) == REMOVABLE
    return connection.execute(delete(installations).where(columns.id.in_(ids), *still_removable)).rowcount


def _old(before: str) -> tuple[ColumnElement[bool], ...]:
    return columns.started < before, func.coalesce(columns.ended, columns.started) < before


def _dismissed(connection: Connection, where: Sequence[ColumnElement[bool]]) -> list[str]:
    """The ids of records that a person dismissed. Read here: one damaged object would fail a query in SQL."""
    query = select(columns.id, details.c.options).join(details, details.c.installation == columns.id)
    found = connection.execute(query.where(*where, queries.can_be_resumed(), details.c.options.is_not(None)))
    return [
        installation
        for installation, options in found
        if (readable({"options": options}, "details")[0]["options"] or {}).get(FORGOTTEN_OPTION)
    ]


def why_kept(connection: Connection, where: Sequence[ColumnElement[bool]], *, force: bool) -> ColumnElement[Any]:
    """Why a record is kept, or `REMOVABLE`. `where`: which records are asked about."""
    if force:
        return case((columns.outcome == RUNNING, literal(RUNNING)), else_=literal(REMOVABLE))
    later = installations.alias()
    newer = later.c.address == columns.address, later.c.started > columns.started
    started_again = select(later.c.id).where(*newer).exists()
    installed_since = select(later.c.id).where(*newer, later.c.outcome == "installed").exists()
    dismissed = columns.id.in_(_dismissed(connection, where))
    # The same records as `queries.unfinished`.
    resumable = queries.can_be_resumed() & ~started_again & ~dismissed
    gateway_device = and_(columns.outcome == "installed", columns.method == "bluetooth", columns.address.is_not(None))
    return case(
        (columns.outcome == RUNNING, literal(RUNNING)),
        (resumable, literal(RESUMABLE)),
        (and_(columns.outcome == "to_be_linked", ~installed_since), literal(TO_BE_LINKED)),
        (and_(gateway_device, ~installed_since), literal(GATEWAY_DEVICE)),
        else_=literal(REMOVABLE),
    )
