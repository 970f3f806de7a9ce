"""The store on SQLite; tests/system runs the same behaviours on PostgreSQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.errors import ErrorCode, InstallerError
from installer.measurements import units
from installer.measurements.store import Store
from installer.measurements.stored_value import row
from installer.storage import database
from tests.installer.measurements.store_behaviours import StoreBehaviours, weight


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return database.sqlite_url(tmp_path / "new" / "measurements.sqlite")


class TestOnSqlite(StoreBehaviours):
    pass


def test_a_file_that_is_no_database_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_text("not a database at all, " * 100, "utf-8")
    with pytest.raises(InstallerError) as caught:
        Store.open(database.sqlite_url(path))
    assert caught.value.code is ErrorCode.DATABASE_FAILED


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store.open(database.sqlite_url(path)) as store:
        store.put([weight()])
        assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o600}
    # Whoever lets others read it knows why.
    path.chmod(0o640)
    with Store.open(database.sqlite_url(path)) as store:
        assert store.count() == 1
    assert path.stat().st_mode & 0o777 == 0o640


def test_reading_does_not_wait_for_somebody_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store.open(database.sqlite_url(path)) as store, closing(sqlite3.connect(path)) as other:
        store.put([weight()])
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM measurements")
        assert [r.kind for r in store.rows()] == [r.kind for r in store.latest()] == ["weight"]
        assert (store.count(), store.devices(), store.cursor("a", "b")) == (1, {}, None)
        with Store.open(database.sqlite_url(path)) as again:
            assert again.count() == 1


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        row(source="cloud", device="d", kind="k", measured=Decimal(1), unit="", taken=datetime(2026, 1, 1))


@given(st.integers(-(10**12), 10**12), st.integers(-9, 9))
def test_a_number_is_written_in_one_way_only(value: int, unit: int) -> None:
    number = Decimal(value).scaleb(unit)
    written = units.plain_decimal(number)
    assert written == number
    assert "E" not in str(f"{written:f}")
    assert f"{units.plain_decimal(number * Decimal('1.000')):f}" == f"{written:f}"
