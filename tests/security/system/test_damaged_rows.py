"""A damaged row of a shared ledger, or of a store of measurements, on PostgreSQL: the others are served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from installer.flow import resume
from installer.ledger import schema_migration
from installer.ledger.database import Target, open_target
from installer.ledger.records import Records
from installer.measurements.store import Store
from installer.measurements.stored_value import row
from installer.storage import database
from tests.postgres import PostgresServer
from tests.security.odd_values import DEEP
from tests.security.test_damaged_rows import insert_records, read_everything


@pytest.fixture(scope="module")
def target(postgres: PostgresServer) -> Target:
    target = Target(postgres.database())
    engine = open_target(target)
    schema_migration.migrate_engine(engine, target)
    with engine.begin() as connection:
        insert_records(connection)
    engine.dispose()
    return target


@pytest.fixture
def changed(target: Target, request: pytest.FixtureRequest) -> Iterator[Target]:
    """The ledger with one damaged value; it is put back after the test."""
    table, column, value = request.param
    key = "id" if table == "installations" else "installation"
    engine = open_target(target)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        before = connection.execute(text(f"SELECT {column}::text FROM {table} WHERE {key} = 'one'")).scalar()
        write = f"UPDATE {table} SET {column} = CAST(:value AS %s) WHERE {key} = 'one'"
        kind = connection.execute(text(f"SELECT pg_typeof({column})::text FROM {table} LIMIT 1")).scalar_one()
        connection.execute(text(write % kind), {"value": value})
    yield target
    with engine.begin() as connection:
        connection.execute(text(write % kind), {"value": before})
    engine.dispose()


DAMAGED: list[tuple[str, str, Any]] = [
    ("details", "options", "[1]"),
    ("details", "options", '{"forgotten": "perhaps"}'),
    ("details", "options", '{"cloud": 1e999}'),
    ("details", "answers", '"x"'),
    ("details", "answers", DEEP),
    ("details", "known", '{"a": "\\ud800"}'),
    ("steps", "result", "[]"),
    ("steps", "took", "NaN"),
    ("steps", "took", "Infinity"),
    ("failures", "time", "\x1b[2Jnow"),
    ("installations", "took", "-Infinity"),
    ("installations", "attempts", "-7"),
    ("installations", "outcome", "perhaps"),
    ("installations", "started", "0000-00-00T00:00:00.000+00:00"),
    ("installations", "name", "x" * 200_000),
]


@pytest.mark.parametrize("changed", DAMAGED, indirect=True)
def test_a_damaged_row_of_a_shared_ledger(changed: Target) -> None:
    with closing(Records(changed)) as records:
        assert read_everything(records) == {"two", "three"}
        assert [one.id for one in resume.list_resumable(records)] == ["two"]
        error = records.damaged.error()
        assert error is not None
        assert "record one" in error.what


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("taken", "infinity"),
        ("taken", "4713-01-01 00:00:00+00 BC"),
        ("taken", "294276-01-01 00:00:00+00"),
        ("ended", "-infinity"),
        ("value", "NaN"),
        ("value", "1e130000"),
        ("modified", "-9"),
        ("source", "elsewhere"),
        ("zone", "x" * 100_000),
    ],
)
def test_a_damaged_measurement(postgres: PostgresServer, column: str, value: str) -> None:
    url = postgres.database()
    at = datetime(2026, 11, 1, tzinfo=UTC)
    with Store.open(url) as store:
        common: dict[str, Any] = {"source": "cloud", "device": "d", "kind": "weight", "unit": "kg"}
        store.put(row(measured=Decimal(70 + n), taken=at.replace(hour=n), **common) for n in range(4))
    engine = database.open_engine(url)
    with engine.begin() as connection:
        kind = connection.execute(text(f"SELECT pg_typeof({column})::text FROM measurements LIMIT 1")).scalar_one()
        change = text(f"UPDATE measurements SET {column} = CAST(:value AS {kind}) WHERE number = 2")
        connection.execute(change, {"value": value})
    engine.dispose()
    with Store.open(url) as store:
        assert [row.value for row in store.rows()] == [70, 72, 73]
        assert len(store.latest(8)) == 3
        assert f"measurement 2 ({column})" in str(store.damaged.error())
