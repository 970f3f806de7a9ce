"""The tables of the store, for SQLite and PostgreSQL alike; values are exact in both, and times are UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
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
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeEngine

VERSION = 1
metadata = MetaData()


class Exact(TypeDecorator[Decimal]):
    """A decimal number without rounding: NUMERIC in PostgreSQL, text in SQLite, whose numbers are binary fractions."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column's type in this database."""
        return dialect.type_descriptor(Numeric() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """To the database."""
        return value if value is None or dialect.name == "postgresql" else f"{value:f}"

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """From the database."""
        return None if value is None else Decimal(value)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC: a time stamp with time zone in PostgreSQL, sortable ISO 8601 text in SQLite."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column's type in this database."""
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if dialect.name == "postgresql" else String(32))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To the database."""
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).astimezone(UTC)


# SQLite numbers rows by itself only in a column that is called INTEGER.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

measurements = Table(
    "measurements",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Exact, nullable=False),
    Column("unit", Text, nullable=False),
    Column("measured", Exact, nullable=False),
    Column("measured_unit", Text, nullable=False),
    Column("taken", Moment, nullable=False),
    Column("ended", Moment),
    Column("group_id", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("stored", Moment, nullable=False),
    Index("measurements_latest", "device", "kind", "user_id", "taken"),
    Index("measurements_taken", "taken"),
)

# Up to where each account's data services were fetched (`lastupdate`, unix seconds of the cloud).
cursors = Table(
    "cursors",
    metadata,
    Column("account", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("lastupdate", BigInteger, nullable=False),
)

# What devices are called, so that their data can be shown under a name.
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
