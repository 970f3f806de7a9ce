"""The care of the ledger's database: what state it is in, and bringing it up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.ledger import schema_migration
from installer.ledger.database import Target, open_target
from installer.storage import database

if TYPE_CHECKING:
    from sqlalchemy import Engine


def name(target: Target) -> str:
    """The database in words, without any secret: the path of a file, or host and name."""
    file = _file(target)
    if file is not None:
        return str(file)
    return database.parse(target.url, target.setting).render_as_string(hide_password=True)


def migrate(target: Target) -> tuple[str | None, str]:
    """Bring the tables to this version; the numbers before and after, the same where nothing was to do.

    Several processes may do so at once. Raises DATABASE_FAILED, DATABASE_OUTDATED, SECRET_UNAVAILABLE.
    """
    engine = open_target(target)
    try:
        return schema_migration.migrate(engine, target)
    finally:
        engine.dispose()


def status(target: Target) -> dict[str, Any]:
    """Where it is and what it holds, as plain data. An SQLite file that is not there is not made."""
    file = _file(target)
    found: dict[str, Any] = {"ledger": name(target), "there": True, "state": "empty", "version": None, "bytes": None}
    if file is not None:
        if not file.exists():
            return found | {"there": False}
        found["bytes"] = sum(f.stat().st_size for f in file.parent.glob(f"{file.name}*") if f.is_file())
    engine = open_target(target)
    try:
        return found | _looked(engine)
    finally:
        engine.dispose()


def _looked(engine: Engine) -> dict[str, Any]:
    from sqlalchemy import func, select

    from installer.ledger import timestamps
    from installer.ledger.sql_tables import installations, leases

    with database.told("be read"), engine.connect() as connection:
        reading = connection.execution_options(reads_only=True)
        state, version = schema_migration.state(reading)
        found: dict[str, Any] = {"state": state.value, "version": version}
        if state is schema_migration.State.CURRENT:
            by = select(installations.c.outcome, func.count()).group_by(installations.c.outcome)
            outcomes = {str(o): int(n) for o, n in reading.execute(by.order_by(func.count().desc()))}
            held = select(func.count()).select_from(leases).where(leases.c.expires > timestamps.now(reading))
            found |= {"records": sum(outcomes.values()), "outcomes": outcomes}
            found |= {"leases": reading.execute(held).scalar_one()}
        return found


def _file(target: Target) -> Path | None:
    if not target.is_file:
        return None
    return Path(database.parse(target.url, target.setting).database or "")
