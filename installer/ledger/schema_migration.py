"""Schema of the ledger's database: its version and status, tables for a new file, and migrations.

Alembic takes half a second to load, so it is used for migrations only. A new SQLite file gets its tables without it.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer import output
from installer.errors import ErrorCode, InstallerError
from installer.ledger.database import Target, open_target
from installer.storage import database, postgresql
from installer.storage.private_files import is_absent

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

ADVISORY_LOCK_ID = 0x1ED6E7  # of PostgreSQL; arbitrary


class State(enum.Enum):
    """The schema of a database, compared with that of this program."""

    EMPTY = "empty"
    CURRENT = "current"
    OLDER = "older"
    NEWER = "newer"
    FOREIGN = "foreign"  # tables of another program


def state(connection: Connection) -> tuple[State, str | None]:
    """The state of the schema, and the number of its migration."""
    from sqlalchemy import inspect, select

    from installer.ledger.sql_tables import KNOWN_REVISIONS, REVISION, alembic_version, installations

    names = set(inspect(connection).get_table_names())
    if alembic_version.name not in names:
        return (State.FOREIGN if installations.name in names else State.EMPTY), None
    version = connection.execute(select(alembic_version.c.version_num)).scalar()
    if version is None:
        return State.EMPTY, None
    if version == REVISION:
        return State.CURRENT, version
    return (State.OLDER if version in KNOWN_REVISIONS else State.NEWER), str(version)


def display_name(target: Target) -> str:
    """The path of an SQLite file, or the URL without its password."""
    file = _file(target)
    if file is not None:
        return str(file)
    return database.parse_url(target.url, target.setting).render_as_string(hide_password=True)


def migrate(target: Target) -> tuple[str | None, str]:
    """Migrate the tables to this version. Returns the revisions before and after, equal if nothing was to do.

    Several processes may do this at once. Raises DATABASE_FAILED, DATABASE_OUTDATED, SECRET_UNAVAILABLE.
    """
    engine = open_target(target)
    try:
        return migrate_engine(engine, target)
    finally:
        engine.dispose()


def status(target: Target) -> dict[str, Any]:
    """The location and the contents of the ledger, as plain data. A missing SQLite file is not created."""
    file = _file(target)
    found: dict[str, Any] = {
        "ledger": display_name(target),
        "there": True,
        "state": "empty",
        "version": None,
        "bytes": None,
    }
    if file is not None:
        if is_absent(file):
            return found | {"there": False}
        found["bytes"] = sum(f.stat().st_size for f in file.parent.glob(f"{file.name}*") if f.is_file())
    engine = open_target(target)
    try:
        return found | _contents(engine)
    finally:
        engine.dispose()


def _contents(engine: Engine) -> dict[str, Any]:
    from sqlalchemy import func, select

    from installer.ledger import timestamps
    from installer.ledger.sql_tables import installations, leases

    with database.database_errors("be read"), engine.connect() as connection:
        reading = connection.execution_options(reads_only=True)
        found_state, version = state(reading)
        found: dict[str, Any] = {"state": found_state.value, "version": version}
        security = postgresql.security_of(reading)
        if security is not None:
            found["connection"] = security.as_json()
        if found_state is State.CURRENT:
            by_outcome = select(installations.c.outcome, func.count()).group_by(installations.c.outcome)
            outcomes = {str(o): int(n) for o, n in reading.execute(by_outcome.order_by(func.count().desc()))}
            held_leases = (
                select(func.count()).select_from(leases).where(leases.c.expires > timestamps.database_time(reading))
            )
            found |= {"records": sum(outcomes.values()), "outcomes": outcomes}
            found |= {"leases": reading.execute(held_leases).scalar_one()}
        return found


def _file(target: Target) -> Path | None:
    if not target.is_file:
        return None
    return Path(database.parse_url(target.url, target.setting).database or "")


def prepare(engine: Engine, target: Target) -> None:
    """Create the tables of a new SQLite file. Raises DATABASE_OUTDATED for tables of another version."""
    with database.database_errors("be opened"):
        with engine.connect() as connection:
            found, _ = state(connection.execution_options(reads_only=True))
        if found is State.CURRENT:
            return
        if found is State.EMPTY and target.is_file:
            with engine.begin() as connection:
                # Another process may have created them in between.
                found, _ = state(connection)
                if found is State.EMPTY:
                    _create(connection)
                    _import_json_records(connection, target)
                    found = State.CURRENT
    if found is State.OLDER and target.is_lab:
        migrate_engine(engine, target)
        return
    if found is not State.CURRENT:
        raise outdated(found, target)
    _rename_json_folder(target)


def migrate_engine(engine: Engine, target: Target) -> tuple[str | None, str]:
    """Like `migrate`, with an open engine."""
    from installer.ledger.sql_tables import REVISION

    with database.database_errors("be brought up to date"), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Two stations may start at once. The second one waits here, and then finds nothing to do.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK_ID})")
        found, before = state(connection)
        if found in (State.NEWER, State.FOREIGN):
            raise outdated(found, target)
        if found is State.EMPTY:
            _create(connection)
        elif found is State.OLDER:
            upgrade(connection, REVISION)
        if found is not State.CURRENT:
            _import_json_records(connection, target)
    _rename_json_folder(target)
    return before, REVISION


def upgrade(connection: Connection, revision: str) -> None:
    """Run the migrations up to this revision, on a connection that is in a transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "installer.ledger:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def outdated(found: State, target: Target) -> InstallerError:
    """The error DATABASE_OUTDATED."""
    if found is State.NEWER:
        return InstallerError(
            ErrorCode.DATABASE_OUTDATED,
            "The ledger was written by a newer version of this program.",
            "Update this program. An older version does not change the ledger.",
            state=found.value,
        )
    if found is State.FOREIGN:
        return InstallerError(
            ErrorCode.DATABASE_OUTDATED,
            "The database has tables of another program with the same names as those of the ledger.",
            "Use a separate database for the ledger.",
            state=found.value,
        )
    what = "has no tables yet" if found is State.EMPTY else "was written by an older version of this program"
    return InstallerError(
        ErrorCode.DATABASE_OUTDATED,
        f"The ledger {what}.",
        f"Run `{target.migrate_command}` to update it. All records are kept.",
        state=found.value,
    )


def _create(connection: Connection) -> None:
    from installer.ledger.sql_tables import REVISION, alembic_version, metadata

    metadata.create_all(connection)
    alembic_version.create(connection, checkfirst=True)
    connection.execute(alembic_version.delete())
    connection.execute(alembic_version.insert().values(version_num=REVISION))


def _import_json_records(connection: Connection, target: Target) -> None:
    if target.old_json_folder is not None and target.old_json_folder.is_dir():
        from installer.ledger import import_old_files

        unreadable = import_old_files.import_records(connection, target.old_json_folder)
        if unreadable:
            output.print_message(
                f"These records of an older version cannot be read and are not in the ledger: {', '.join(unreadable)}. "
                f"They are kept in {import_old_files.renamed(target.old_json_folder)}."
            )


def _rename_json_folder(target: Target) -> None:
    if target.old_json_folder is not None and target.old_json_folder.is_dir():
        from installer.ledger import import_old_files

        import_old_files.rename_folder(target.old_json_folder)
