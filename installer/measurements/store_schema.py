"""Creates the tables of the store, or brings those of an earlier version up to date.

Version 2 keeps the person's day and time zone. Version 1 kept neither, and with an unknown zone it took a day for a UTC
day without a mark. So after the migration, all that version 1 stored is fetched once more (`cursors.again_from`), which
gives each row its zone. An older program that is still running can go on writing: the new columns have defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.measurements.own_day import DAY_PERIOD
from installer.text import printable

if TYPE_CHECKING:
    from sqlalchemy import Connection

# PostgreSQL's advisory lock: any number, but the same in every version of this program.
ADVISORY_LOCK = 7_041_983
FIRST_VERSION = 1


def is_ready(connection: Connection) -> bool:
    """Whether the tables of this version exist. This check needs no lock."""
    from sqlalchemy import inspect, select

    from installer.measurements.store_tables import VERSION, store_version

    if not inspect(connection).has_table(store_version.name):
        return False
    return connection.execute(select(store_version.c.version)).scalar() == VERSION


def prepare(connection: Connection) -> None:
    """Create or migrate the tables, in a transaction that may write. Raises STORE_VERSION for a newer version."""
    from sqlalchemy import insert, inspect, select, text, update

    from installer.measurements.store_tables import VERSION, metadata, store_version

    if connection.dialect.name == "postgresql":
        # Two programs that start together must not both create the tables. In SQLite the transaction prevents that.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
    exists = inspect(connection).has_table(store_version.name)
    version = connection.execute(select(store_version.c.version)).scalar() if exists else None
    if version is None:
        metadata.create_all(connection)
        connection.execute(insert(store_version).values(version=VERSION))
    elif version == FIRST_VERSION:
        _keep_zones(connection)
        connection.execute(update(store_version).values(version=VERSION))
    elif version != VERSION or not isinstance(version, int):
        shown = printable(str(version), 32)
        raise InstallerError(
            ErrorCode.STORE_VERSION,
            f"The store of measurements has version {shown}; this program knows version {VERSION}.",
            "Update device-installer.",
            found=version if isinstance(version, int) else shown,
            known=VERSION,
        )


def _keep_zones(connection: Connection) -> None:
    """From version 1 to 2."""
    from sqlalchemy import func, select, update
    from sqlalchemy.schema import CreateColumn, CreateIndex

    from installer.measurements.store_tables import cursors, measurements
    from installer.measurements.stored_value import CLOUD

    for column in (measurements.c.day, measurements.c.zone, measurements.c.zone_known, cursors.c.again_from):
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {definition}")
    for index in measurements.indexes:
        if index.name == "measurements_unknown_zone":
            connection.execute(CreateIndex(index))
    t = measurements
    whole_day = update(t).where(t.c.period.startswith(DAY_PERIOD, autoescape=True))
    connection.execute(whole_day.values(day=func.substr(t.c.period, len(DAY_PERIOD) + 1)))
    for account, service in connection.execute(select(cursors.c.account, cursors.c.service)).all():
        # The cursor's name is the cloud's host and the user (`cursor_key`).
        of_user = (t.c.source == CLOUD, t.c.user_id == account.rpartition(" ")[2])
        oldest = connection.execute(select(func.min(t.c.taken)).where(*of_user)).scalar()
        mine = (cursors.c.account == account, cursors.c.service == service)
        connection.execute(update(cursors).where(*mine).values(again_from=oldest))
