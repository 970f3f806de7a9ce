"""The tables of the store for SQLite and PostgreSQL. Values are exact in both; times are UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeEngine

from installer.storage.damaged_rows import Unreadable

VERSION = 2
metadata = MetaData()


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal number without rounding: NUMERIC in PostgreSQL; text in SQLite, which has binary fractions only."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column's type in this database."""
        return dialect.type_descriptor(Numeric() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Decimal | Unreadable | None, dialect: Dialect) -> Any:
        """To the database."""
        if isinstance(value, Unreadable):
            return value.raw
        return value if value is None or dialect.name == "postgresql" else f"{value:f}"

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """From the database. `Unreadable` for a damaged value; `Store` leaves such a row out."""
        if value is None:
            return None
        try:
            found = Decimal(value)
        except (ArithmeticError, TypeError, ValueError):
            return Unreadable(value)
        return found if found.is_finite() else Unreadable(value)


class UtcTimestamp(TypeDecorator[datetime]):
    """A time in UTC: TIMESTAMP WITH TIME ZONE in PostgreSQL, sortable ISO 8601 text in SQLite."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column's type in this database."""
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if dialect.name == "postgresql" else String(32))

    def process_bind_param(self, value: datetime | Unreadable | None, dialect: Dialect) -> Any:
        """To the database."""
        if isinstance(value, Unreadable):
            return value.raw
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """From the database. `Unreadable` for a damaged value; `Store` leaves such a row out."""
        if value is None or isinstance(value, Unreadable):
            return value
        try:
            return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            return Unreadable(value)


# SQLite numbers rows automatically only in a column of type INTEGER.
_ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

measurements = Table(
    "measurements",
    metadata,
    Column("number", _ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", ExactDecimal, nullable=False),
    Column("unit", Text, nullable=False),
    Column("measured", ExactDecimal, nullable=False),
    Column("measured_unit", Text, nullable=False),
    Column("taken", UtcTimestamp, nullable=False),
    Column("ended", UtcTimestamp),
    Column("group_id", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("stored", UtcTimestamp, nullable=False),
    # The person's day (YYYY-MM-DD), time zone (NULL: stored by version 1), and whether this program knew the zone.
    Column("day", Text, nullable=False, server_default=""),
    Column("zone", Text),
    Column("zone_known", Boolean, nullable=False, server_default=text("false")),
    Index("measurements_latest", "device", "kind", "user_id", "taken"),
    Index("measurements_taken", "taken"),
)
# The few rows whose zone may become known.
Index(
    "measurements_unknown_zone",
    measurements.c.zone,
    sqlite_where=measurements.c.zone_known.is_(False),
    postgresql_where=measurements.c.zone_known.is_(False),
)

# The cursor of each account and data service (`lastupdate`, unix seconds of the cloud). `again_from`: what was measured
# from then on is fetched once more, because version 1 stored it without its time zone.
cursors = Table(
    "cursors",
    metadata,
    Column("account", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("lastupdate", BigInteger, nullable=False),
    Column("again_from", UtcTimestamp),
)

# The names of devices.
devices = Table(
    "devices",
    metadata,
    Column("device", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("account", Text, nullable=False),
)

store_version = Table("store_version", metadata, Column("version", Integer, nullable=False))
