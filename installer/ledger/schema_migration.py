"""Brings the tables of the ledger to this version: makes those of a new file at once, and runs migrations when asked.

Alembic takes half a second to load. It runs migrations only; a new SQLite file gets its tables without it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.storage import database

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from installer.ledger.database import Target


LOCK = 0x1ED6E7  # any number that nobody else takes


class State(enum.Enum):
    """What is found in a database, beside this program."""

    EMPTY = "empty"
    CURRENT = "current"
    OLDER = "older"
    NEWER = "newer"
    FOREIGN = "foreign"  # tables of something else


def state(connection: Connection) -> tuple[State, str | None]:
    """What the database holds, and the number of its migration."""
    from sqlalchemy import inspect, select

    from installer.ledger.sql_tables import KNOWN, REVISION, alembic_version, installations

    names = set(inspect(connection).get_table_names())
    if alembic_version.name not in names:
        return (State.FOREIGN if installations.name in names else State.EMPTY), None
    version = connection.execute(select(alembic_version.c.version_num)).scalar()
    if version is None:
        return State.EMPTY, None
    if version == REVISION:
        return State.CURRENT, version
    return (State.OLDER if version in KNOWN else State.NEWER), str(version)


def prepare(engine: Engine, target: Target) -> None:
    """Make the tables of a new SQLite file. Raises DATABASE_OUTDATED for tables of another version."""
    with database.told("be opened"):
        with engine.connect() as connection:
            found, _ = state(connection.execution_options(reads_only=True))
        if found is State.CURRENT:
            return
        if found is State.EMPTY and target.is_file:
            with engine.begin() as connection:
                # Another process may have been faster.
                found, _ = state(connection)
                if found is State.EMPTY:
                    _create(connection)
                    _take_over(connection, target)
                    found = State.CURRENT
    if found is State.OLDER and target.practice:
        migrate(engine, target)
        return
    if found is not State.CURRENT:
        raise outdated(found, target)
    _put_away(target)


def migrate(engine: Engine, target: Target) -> tuple[str | None, str]:
    """Bring the tables to this version; the numbers before and after. Raises DATABASE_OUTDATED for a newer one."""
    from installer.ledger.sql_tables import REVISION

    with database.told("be brought up to date"), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Two stations may begin at once; the second one then finds nothing left to do.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        found, before = state(connection)
        if found in (State.NEWER, State.FOREIGN):
            raise outdated(found, target)
        if found is State.EMPTY:
            _create(connection)
        elif found is State.OLDER:
            upgrade(connection, REVISION)
        if found is not State.CURRENT:
            _take_over(connection, target)
    _put_away(target)
    return before, REVISION


def upgrade(connection: Connection, revision: str) -> None:
    """Run the migrations up to this one, on a connection that is in a transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "installer.ledger:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def outdated(found: State, target: Target) -> InstallerError:
    """DATABASE_OUTDATED in words."""
    if found is State.NEWER:
        return InstallerError(
            ErrorCode.DATABASE_OUTDATED,
            "The ledger was written by a newer version of this program.",
            "Update this program; an older one does not touch it.",
            state=found.value,
        )
    if found is State.FOREIGN:
        return InstallerError(
            ErrorCode.DATABASE_OUTDATED,
            "The database holds tables of something else under the ledger's names.",
            "Give the ledger a database of its own.",
            state=found.value,
        )
    what = "has no tables yet" if found is State.EMPTY else "is of an older version of this program"
    return InstallerError(
        ErrorCode.DATABASE_OUTDATED,
        f"The ledger {what}.",
        f"`{target.migrate}` brings it up to date; nothing in it is lost.",
        state=found.value,
    )


def _create(connection: Connection) -> None:
    from installer.ledger.sql_tables import REVISION, alembic_version, metadata

    metadata.create_all(connection)
    alembic_version.create(connection, checkfirst=True)
    connection.execute(alembic_version.delete())
    connection.execute(alembic_version.insert().values(version_num=REVISION))


def _take_over(connection: Connection, target: Target) -> None:
    if target.json is not None and target.json.is_dir():
        from installer.ledger import import_old_files

        import_old_files.take_over(connection, target.json)


def _put_away(target: Target) -> None:
    if target.json is not None and target.json.is_dir():
        from installer.ledger import import_old_files

        import_old_files.put_away(target.json)
