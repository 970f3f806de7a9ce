"""Leases: while one station installs a device, no other one does. They expire by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, or_, select, update

from installer.errors import ErrorCode, InstallerError
from installer.ledger import timestamps
from installer.ledger.sql_tables import leases

if TYPE_CHECKING:
    from sqlalchemy import Connection

IsDead = Callable[[str], bool]


def take(
    connection: Connection, address: str, *, installation: str, station: str, holder: str, seconds: float, dead: IsDead
) -> None:
    """Take the lease, also one that is expired, whose process is gone, or that is this installation's own.

    Raises DEVICE_TAKEN.
    """
    now = timestamps.now(connection)
    values = {"installation": installation, "station": station, "holder": holder, "expires": now + seconds}
    insert = _insert(connection)(leases).values(address=address, **values)
    mine = or_(leases.c.expires <= now, leases.c.installation == installation)
    statement = insert.on_conflict_do_update(index_elements=[leases.c.address], set_=values, where=mine)
    # On PostgreSQL the row is locked while another station writes it; the condition is looked at after that.
    if connection.execute(statement.returning(leases.c.address)).first() is not None:
        return
    taken = connection.execute(select(leases).where(leases.c.address == address)).mappings().first()
    if taken is None:  # released a moment ago
        take(connection, address, installation=installation, station=station, holder=holder, seconds=seconds, dead=dead)
        return
    if dead(str(taken["holder"])):
        connection.execute(update(leases).where(leases.c.address == address).values(**values))
        return
    raise taken_by(address, str(taken["station"]), float(taken["expires"]) - now)


def renew(connection: Connection, address: str, *, installation: str, holder: str, seconds: float) -> None:
    """Hold it for `seconds` from now. Raises DEVICE_TAKEN where it expired and another one took it."""
    now = timestamps.now(connection)
    mine = (leases.c.address == address) & (leases.c.installation == installation) & (leases.c.holder == holder)
    if connection.execute(update(leases).where(mine).values(expires=now + seconds)).rowcount:
        return
    taken = connection.execute(select(leases.c.station).where(leases.c.address == address)).scalar()
    raise taken_by(address, str(taken or "another station"), 0.0, lost=True)


def release(connection: Connection, *, installation: str, holder: str) -> None:
    """Give back all that this installation holds."""
    connection.execute(delete(leases).where((leases.c.installation == installation) & (leases.c.holder == holder)))


def taken_by(address: str, station: str, seconds: float, *, lost: bool = False) -> InstallerError:
    """DEVICE_TAKEN in words."""
    if lost:
        what = f"The device {address} was taken over by station “{station}”: this one was silent for too long."
        todo = "Nothing more was sent. Look there how it ended, then start again if it is needed."
    else:
        what = f"Station “{station}” is installing the device {address} just now."
        todo = f"Wait until it is done; if that station has died, the device is free in {max(seconds, 1):.0f} s."
    return InstallerError(ErrorCode.DEVICE_TAKEN, what, todo, address=address, station=station, lost=lost)


def _insert(connection: Connection) -> Any:
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert
    from sqlalchemy.dialects import sqlite

    return sqlite.insert
