"""The times of the ledger: those that are written, and the clock that leases go by."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection


def stamp(moment: datetime | None = None) -> str:
    """UTC in ISO 8601 with milliseconds; always 29 characters, so that text order is the order of time."""
    return (moment or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds")


def seconds_of(text: str | None) -> float | None:
    """Seconds since 1970 of a stamp; None if it is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def now(connection: Connection) -> float:
    """Seconds since 1970 on the one clock that all stations of this database share.

    The clocks of two stations may differ, so PostgreSQL's own counts. An SQLite file belongs to one computer.
    """
    if connection.dialect.name == "postgresql":
        from sqlalchemy import text

        return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return time.time()
