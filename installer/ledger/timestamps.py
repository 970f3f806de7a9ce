"""Timestamps of the ledger: as text, as seconds, and the current time on the clock of its database."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection


def timestamp(at: datetime | None = None) -> str:
    """UTC in ISO 8601 with milliseconds: always 29 characters, so text order is the order of time. Default: now."""
    return (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds")


def unix_seconds(text: str | None) -> float | None:
    """Seconds since 1970 of a timestamp; None if the text is not one."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError):
        return None


def database_time(connection: Connection) -> float:
    """Seconds since 1970 on the clock that all stations of this database share.

    PostgreSQL: the clock of the server, because the clocks of two stations may differ. SQLite: this computer's clock.
    """
    if connection.dialect.name == "postgresql":
        from sqlalchemy import text

        return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return time.time()
