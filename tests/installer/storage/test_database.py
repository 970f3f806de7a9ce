"""Opening databases: their settings, and errors without a password."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from installer.errors import ErrorCode, InstallerError
from installer.storage import database


def test_sqlite_keeps_all_in_one_file_and_syncs(tmp_path: Path) -> None:
    engine = database.open_engine(database.sqlite_url(tmp_path / "new" / "one.sqlite"))
    with engine.begin() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "delete"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 3
    engine.dispose()


def test_two_writers_wait_for_each_other(tmp_path: Path) -> None:
    url = database.sqlite_url(tmp_path / "one.sqlite")
    first = database.open_engine(url)
    with first.begin() as connection:
        connection.execute(text("CREATE TABLE counter (n INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))

    def count() -> None:
        engine = database.open_engine(url)
        for _ in range(25):
            with engine.begin() as connection:
                n = connection.execute(text("SELECT n FROM counter")).scalar_one()
                connection.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})
        engine.dispose()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with first.begin() as connection:
        assert connection.execute(text("SELECT n FROM counter")).scalar_one() == 100
    first.dispose()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:hunter2@h/d", "postgresql://u:hunter2@h:port/d"])
def test_a_url_that_is_none_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(InstallerError) as raised:
        database.open_engine(url, "--database")
    assert raised.value.code is ErrorCode.DATABASE_FAILED
    assert "--database" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_postgresql_is_reached_by_psycopg() -> None:
    for spelling in ("postgres://u@h/d", "postgresql://u@h/d"):
        assert database.parse_url(spelling).drivername == "postgresql+psycopg"


def test_a_failure_names_neither_the_statement_nor_a_value(tmp_path: Path) -> None:
    engine = database.open_engine(database.sqlite_url(tmp_path / "one.sqlite"))
    with (
        pytest.raises(InstallerError) as raised,
        database.database_errors("read the records"),
        engine.begin() as connection,
    ):
        connection.execute(text("SELECT * FROM absent WHERE x = :x"), {"x": "secret value"})
    assert raised.value.what == "The database could not read the records: no such table: absent."
    assert "secret value" not in repr(raised.value)
    engine.dispose()


def test_a_database_that_cannot_be_reached() -> None:
    engine = database.open_engine("postgresql://someone@127.0.0.1:1/none", password=lambda: SecretStr("hunter2"))
    with pytest.raises(InstallerError) as raised, database.database_errors("open the ledger"):
        engine.connect()
    assert raised.value.code is ErrorCode.DATABASE_FAILED
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("said", "reason"),
    [("", "DBAPIError"), ("out of\x1b[2J memory\nLINE 1: SELECT", "out of�[2J memory"), ("x" * 400, "x" * 299 + "…")],
)
def test_the_reason_of_an_error_is_one_short_line_of_plain_text(said: str, reason: str) -> None:
    assert database.reason_of(DBAPIError("SELECT 1", None, Exception(said))) == reason
