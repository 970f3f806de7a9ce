"""The store on SQLite; tests/system runs the same behaviours on PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer import database
from installer.data import kinds
from installer.data.rows import row
from installer.data.store import Store
from installer.errors import ErrorCode, InstallerError
from tests.installer.data.store_behaviours import StoreBehaviours


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


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        row(source="cloud", device="d", kind="k", measured=Decimal(1), unit="", taken=datetime(2026, 1, 1))


@given(st.integers(-(10**12), 10**12), st.integers(-9, 9))
def test_a_number_is_written_in_one_way_only(value: int, unit: int) -> None:
    number = Decimal(value).scaleb(unit)
    written = kinds.plain(number)
    assert written == number
    assert "E" not in str(f"{written:f}")
    assert f"{kinds.plain(number * Decimal('1.000')):f}" == f"{written:f}"
