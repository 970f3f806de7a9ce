"""The SQL statements of the store of measurements, for SQLite and PostgreSQL, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args

from installer.errors import ErrorCode, InstallerError
from installer.measurements import store_schema
from installer.measurements.own_day import DAY_PERIOD
from installer.measurements.stored_value import BLUETOOTH, CLOUD, Origin, Row
from installer.storage import database
from installer.text import printable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, RowMapping


def prepare_engine(engine: Engine) -> None:
    """Make the tables of a new database, check them, or bring older ones up to date.

    Raises STORE_VERSION, DATABASE_FAILED.
    """
    with database.database_errors("open the store of measurements"):
        with engine.execution_options(reads_only=True).connect() as connection:
            ready = store_schema.is_ready(connection)
        if not ready:
            with engine.begin() as connection:
                store_schema.prepare(connection)


def insert_for(connection: Connection) -> Any:
    """The INSERT of this database that supports ON CONFLICT."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert
    from sqlalchemy.dialects import sqlite

    return sqlite.insert


def upsert(connection: Connection, rows: Sequence[Row], now: datetime) -> list[tuple[str, int, datetime]]:
    """Insert, or replace older values; the key, revision (1: new) and time of storing of each written row.

    A row that only gets its time zone and day keeps its revision and its time of storing.
    """
    from sqlalchemy import case

    from installer.measurements.store_tables import measurements as t

    values = [{**_values(row), "revision": 1, "stored": now} for row in rows]
    statement = insert_for(connection)(t)
    fresh = statement.excluded
    newer = (t.c.period != "") & (fresh.modified > t.c.modified)
    zone_learned = t.c.zone.is_(None) | (t.c.zone_known.is_(False) & fresh.zone_known.is_(True))
    # A newer database of time zones can have other rules.
    hours_differ = (t.c.taken != fresh.taken) | (t.c.ended != fresh.ended)
    rules_changed = t.c.period.startswith(DAY_PERIOD) & fresh.zone_known & (t.c.zone == fresh.zone) & hours_differ
    placed = (fresh.modified >= t.c.modified) & (zone_learned | rules_changed)
    statement = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={
            **{name: case((newer, fresh[name]), else_=t.c[name]) for name in _REPLACED_COLUMNS},
            **{name: fresh[name] for name in _PLACE_COLUMNS},
            "revision": case((newer, t.c.revision + 1), else_=t.c.revision),
        },
        where=newer | placed,
    ).returning(t.c.key, t.c.revision, t.c.stored)
    return [(key, revision, stored) for key, revision, stored in connection.execute(statement, values)]


def read_cursor(connection: Connection, account: str, service: str) -> int | None:
    """The cursor of this service of this account; None: never fetched. Raises DATABASE_FAILED if it is damaged."""
    from sqlalchemy import select

    from installer.measurements.store_tables import cursors as table

    where = (table.c.account == account, table.c.service == service)
    value = connection.execute(select(table.c.lastupdate).where(*where)).scalar_one_or_none()
    if value is not None and not (isinstance(value, int) and 0 <= value < _LARGEST):
        # Without it all would be fetched again, and the damaged value written over.
        raise InstallerError(
            ErrorCode.DATABASE_FAILED,
            f"The store of measurements is damaged: how far {service} of “{printable(account)}” was fetched cannot be "
            "read.",
            "Put back a copy of the store from before the damage, or name another store with --database.",
        )
    return value


def set_cursor(connection: Connection, account: str, service: str, lastupdate: int) -> None:
    """Move the cursor; never back."""
    from installer.measurements.store_tables import cursors as table

    statement = insert_for(connection)(table).values(account=account, service=service, lastupdate=lastupdate)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["account", "service"],
            set_={"lastupdate": statement.excluded.lastupdate},
            where=statement.excluded.lastupdate > table.c.lastupdate,
        )
    )


# Columns are named as the fields, except for two words that SQL reserves.
_FIELDS = {
    **{
        name: name
        for name in (
            "source", "account", "device", "model", "kind", "value", "unit", "measured", "measured_unit",
            "taken", "ended", "origin", "period", "modified", "day", "zone", "zone_known",
        )
    },
    "user_id": "user",
    "group_id": "group",
}  # fmt: skip
# The columns that newer values replace, and those that also a zone replaces that was not known before.
_REPLACED_COLUMNS = ("value", "measured", "modified", "group_id", "stored")
_PLACE_COLUMNS = ("taken", "ended", "day", "zone", "zone_known")


def _values(row: Row) -> dict[str, Any]:
    return {"key": row.key, **{column: _storable(getattr(row, name)) for column, name in _FIELDS.items()}}


def _storable(value: Any) -> Any:
    # PostgreSQL refuses NUL, and both databases refuse a lone surrogate.
    if not isinstance(value, str) or (value.isascii() and "\0" not in value):
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


# What the store takes for a value that a person or a device can have given. All else is damaged.
_NUMBERS, _TIMES = ("value", "measured"), ("taken", "ended")
_CHOICES = {"source": (CLOUD, BLUETOOTH), "origin": get_args(Origin)}
_YEARS = range(1900, 2201)
_LARGEST = 2**62
_MOST_DIGITS = 20
_LONGEST_TEXT = 10_000


def unreadable_columns(row: RowMapping) -> list[str]:
    """The columns of a stored row whose values are damaged."""
    return [column for column in _FIELDS if not _fits(column, row[column])]


def _fits(column: str, value: Any) -> bool:
    if column in _NUMBERS:
        return isinstance(value, Decimal) and _is_usual(value)
    if column in _TIMES:
        return (isinstance(value, datetime) and value.year in _YEARS) or (value is None and column == "ended")
    if column == "zone_known":
        return isinstance(value, bool)
    if column == "modified":
        return isinstance(value, int) and 0 <= value < _LARGEST
    if column in _CHOICES:
        return value in _CHOICES[column]
    return is_text(value) or (value is None and column == "zone")


def _is_usual(value: Decimal) -> bool:
    """Whether Python's usual precision (28 digits) can round it to three decimals."""
    return not value or (value.adjusted() < _MOST_DIGITS and -value.as_tuple().exponent < 10 * _MOST_DIGITS)  # type: ignore[operator]


def is_text(value: Any) -> bool:
    """Whether this is a text of Unicode, and none of those that fill the memory."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        return False
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)


def row_of(found: RowMapping) -> Row:
    """A row as it was stored."""
    return Row(**{name: found[column] for column, name in _FIELDS.items()})


def upsert_devices(connection: Connection, named: Sequence[Mapping[str, str]]) -> None:
    """Store the names of devices; an empty field keeps the stored value."""
    from installer.measurements.store_tables import devices as table

    for values in named:
        statement = insert_for(connection)(table).values(dict(values))
        fresh = {name: getattr(statement.excluded, name) for name, value in values.items() if value}
        connection.execute(statement.on_conflict_do_update(index_elements=["device"], set_=fresh))


def read_again_from(connection: Connection, account: str, service: str) -> datetime | None:
    """From when on this service of this account has to be fetched once more, for the zones; None: not at all."""
    from sqlalchemy import select

    from installer.measurements.store_tables import cursors as table

    where = (table.c.account == account, table.c.service == service)
    found = connection.execute(select(table.c.again_from).where(*where)).scalar_one_or_none()
    if found is None or (isinstance(found, datetime) and found.year in _YEARS):
        return found
    # From the beginning: what is there already is not stored twice.
    return datetime(_YEARS[0], 1, 1, tzinfo=UTC)


def clear_again_from(connection: Connection, account: str, service: str) -> None:
    """All of it was fetched once more."""
    from sqlalchemy import update

    from installer.measurements.store_tables import cursors as table

    where = (table.c.account == account, table.c.service == service)
    connection.execute(update(table).where(*where).values(again_from=None))
