"""Carries the records and leases of this process over into the file that took the ledger's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.exc import SQLAlchemyError

from installer.errors import ErrorCode, InstallerError
from installer.ledger import timestamps
from installer.ledger.sql_tables import details, failures, installations, leases, steps
from installer.storage.damaged_rows import Unreadable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

_PARTS = (details, steps, failures)
_Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class CarriedOver:
    """How many records were written, and why some were not: another station has them in the new file."""

    records: int = 0
    taken: InstallerError | None = None


def carry_over(old: Connection, new: Engine, holder: str, known: frozenset[str] = frozenset()) -> CarriedOver:
    """Write what `holder` works on into `new`, as it is in `old`. Raises SQLAlchemyError.

    `known`: further installations of this process, which have ended. What another process works on in `new`, or has a
    lease of there, stays that one's.
    """
    try:
        with old.begin():
            rows = _rows_of(old, holder, known)
    except SQLAlchemyError:
        # The disk of the old file is gone. The next write says so for each record that is missing.
        return CarriedOver()
    with new.begin() as connection:
        taken = _leave_out_taken(connection, rows, holder)
        ids = [row["id"] for row in rows[installations.name]]
        for part in _PARTS:
            connection.execute(delete(part).where(part.c.installation.in_(ids)))
        connection.execute(delete(installations).where(installations.c.id.in_(ids)))
        addresses = [row["address"] for row in rows[leases.name]]
        connection.execute(delete(leases).where(or_(leases.c.address.in_(addresses), leases.c.holder == holder)))
        for table in (installations, *_PARTS, leases):
            if rows[table.name]:
                connection.execute(insert(table), rows[table.name])
    return CarriedOver(len(ids), taken)


def _rows_of(connection: Connection, holder: str, known: frozenset[str]) -> _Rows:
    own = or_(installations.c.holder == holder, installations.c.id.in_(known))
    found = {installations.name: _rows(connection, installations, own)}
    ids = [row["id"] for row in found[installations.name]]
    for part in _PARTS:
        found[part.name] = _rows(connection, part, part.c.installation.in_(ids))
    return found | {leases.name: _rows(connection, leases, leases.c.holder == holder)}


def _rows(connection: Connection, table: Table, where: Any) -> list[dict[str, Any]]:
    found = connection.execute(select(table).where(where)).mappings()
    # What cannot be read cannot be written either.
    return [{name: None if isinstance(v, Unreadable) else v for name, v in row.items()} for row in found]


def _leave_out_taken(connection: Connection, rows: _Rows, holder: str) -> InstallerError | None:
    """Leave out what another process has in this file; the error about it."""
    now, error = timestamps.database_time(connection), None
    for lease in list(rows[leases.name]):
        others = (leases.c.address == lease["address"]) & (leases.c.holder != holder) & (leases.c.expires > now)
        station = connection.execute(select(leases.c.station).where(others)).scalar()
        if station is not None:
            rows[leases.name].remove(lease)
            error = _taken(f"The device {lease['address']}", str(station))
    for row in list(rows[installations.name]):
        others = (installations.c.id == row["id"]) & (installations.c.holder != holder)
        others &= installations.c.alive_until > now
        station = connection.execute(select(installations.c.station).where(others)).scalar()
        if station is not None:
            for table in (installations, *_PARTS):
                column = "id" if table is installations else "installation"
                rows[table.name] = [one for one in rows[table.name] if one[column] != row["id"]]
            error = _taken(f"Installation {row['id']}", str(station))
    return error


def _taken(what: str, station: str) -> InstallerError:
    return InstallerError(
        ErrorCode.DEVICE_TAKEN,
        f"{what} is taken by station “{station}” in the ledger that is at this path now: its file was replaced.",
        "Nothing more was sent. See the result there, and start again if needed.",
        station=station,
        lost=True,
    )
