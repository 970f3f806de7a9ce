"""`data forget` and `records forget` in PostgreSQL: nothing is left in the files of the tables and indexes."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from installer import settings
from installer.cli.main import _main
from installer.errors import ErrorCode, InstallerError
from installer.ledger import schema_migration
from installer.ledger.database import Target
from installer.ledger.records import Records
from installer.measurements.store import Store
from installer.storage import erasing
from installer.storage.database import parse_url
from tests.postgres import PostgresServer
from tests.security.erasing import ANNA, BEN, Person, collect, fill_store, record, traces_of

Capture = pytest.CaptureFixture[str]


def files_with(postgres: PostgresServer, url: str, person: Person) -> set[bytes]:
    """The traces of this person in the files of this database: tables, indexes and long values, without the log."""
    engine = create_engine(parse_url(url))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))  # what is in memory is in the files now
        number = connection.execute(text("SELECT oid FROM pg_database WHERE datname = current_database()")).scalar()
    engine.dispose()
    folder = postgres.folder / "data" / "base" / str(number)
    content = b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())
    return {trace for trace in person.traces if trace in content}


def count(url: str, table: str) -> int:
    engine = create_engine(parse_url(url))
    with engine.connect() as connection:
        found = int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
    engine.dispose()
    return found


def test_measurements_are_gone_from_the_files_of_the_tables(
    home: Path, postgres: PostgresServer, capsys: Capture
) -> None:
    url = postgres.database()
    fill_store(url)
    assert files_with(postgres, url, ANNA)
    assert _main(["data", "forget", "--account", ANNA.account, "--yes", "--database", url]) == 0
    assert "write-ahead log, its archives, backups and replicas" in capsys.readouterr().err
    assert files_with(postgres, url, ANNA) == set()
    assert count(url, "measurements") == 3
    assert _main(["data", "forget", "--older-than", "90d", "--yes", "--database", url]) == 0
    assert count(url, "measurements") == 2
    assert _main(["data", "forget", "--device", BEN.scale.upper(), "--yes", "--database", url]) == 0
    assert count(url, "measurements") == 1


def test_a_page_that_another_station_has_read_before_is_not_written_back(home: Path, postgres: PostgresServer) -> None:
    url = postgres.database()
    fill_store(url)
    key = f"wbsapi.withings.net {ANNA.user}"
    with Store.open(url) as other:
        start = other.cursor_start(key, "measures")
        assert _main(["data", "forget", "--account", ANNA.account, "--yes", "--database", url]) == 0
        assert other.add(ANNA.rows(), [(key, "measures", 1_800_000_000)], start).new == ()
    assert files_with(postgres, url, ANNA) == set()


def test_records_are_gone_from_the_files_of_the_tables(home: Path, postgres: PostgresServer, capsys: Capture) -> None:
    url = postgres.database()
    schema_migration.migrate(Target(url))
    records = Records(Target(url), settings.runtime_dir() / "stations")
    record(records, "aaa1", ANNA)
    record(records, "bbb1", BEN)
    assert files_with(postgres, url, ANNA)
    assert _main(["records", "forget", ANNA.account, "--yes", "--ledger", url]) == 0
    records.close()
    assert files_with(postgres, url, ANNA) == set()
    assert (count(url, "installations"), count(url, "details")) == (1, 1)


def test_a_table_in_use_and_a_user_without_the_right_are_told(
    home: Path, postgres: PostgresServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database()
    fill_store(url)
    command = ["data", "forget", "--account", ANNA.account, "--yes", "--database"]
    monkeypatch.setattr(erasing, "WAIT_SECONDS", 1)
    engine = create_engine(parse_url(url))
    with engine.connect() as reader:
        reader.execute(text("SELECT * FROM measurements")).all()
        assert _main([*command, url]) == ErrorCode.ERASURE_INCOMPLETE.exit_status
        assert "could not be written anew" in capsys.readouterr().err
    with engine.begin() as connection:
        connection.execute(text("CREATE ROLE clerk LOGIN"))
        connection.execute(text("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk"))
    engine.dispose()
    clerk = url.replace(f"//{parse_url(url).username}@", "//clerk@")
    assert _main([*command, clerk]) == ErrorCode.ERASURE_INCOMPLETE.exit_status
    assert "the owner of the tables has to do it" in capsys.readouterr().err
    assert _main([*command, url]) == 0
    assert files_with(postgres, url, ANNA) == set()


def test_the_connection_that_was_refused_waits_for_locks_as_before(postgres: PostgresServer) -> None:
    engine = create_engine(parse_url(postgres.database()))
    with pytest.raises(InstallerError, match='relation "no_table" does not exist'):
        erasing.rewrite(engine, "the ledger", ["no_table"])
    with engine.connect() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "0"
    engine.dispose()


def test_rows_that_an_older_transaction_may_still_read_are_told(
    home: Path, postgres: PostgresServer, capsys: Capture
) -> None:
    url = postgres.database()
    fill_store(url)
    engine = create_engine(parse_url(url), isolation_level="REPEATABLE READ")
    command = ["data", "forget", "--account", ANNA.account, "--yes", "--database", url]
    with engine.connect() as backup:  # as `pg_dump` does: one transaction for all tables
        backup.execute(text("SELECT 1 FROM pg_class")).all()
        assert _main(command) == ErrorCode.ERASURE_INCOMPLETE.exit_status
        assert "an open transaction may still read 3 removed rows" in capsys.readouterr().err
        assert files_with(postgres, url, ANNA)
    engine.dispose()
    assert _main(command) == 0
    assert files_with(postgres, url, ANNA) == set()


def test_all_of_a_shared_database_goes_only_if_it_is_named(
    home: Path, postgres: PostgresServer, capsys: Capture
) -> None:
    store, ledger = postgres.database(), postgres.database()
    fill_store(store)
    collect(ANNA, waits=False)
    schema_migration.migrate(Target(ledger))
    records = Records(Target(ledger), settings.runtime_dir() / "stations")
    record(records, "aaa1", ANNA)
    records.close()
    settings.config_dir().mkdir(parents=True)
    text_of_settings = f'[data]\nurl = "{store}"\n[ledger]\nurl = "{ledger}"\n'
    (settings.config_dir() / "config.toml").write_text(text_of_settings, "utf-8")
    assert _main(["data", "forget", "--all", "--yes"]) == 0
    assert "it stays" in capsys.readouterr().err
    assert traces_of(ANNA, home) == set()  # the files of this computer
    assert count(store, "measurements") == 6
    assert _main(["records", "forget", "--all", "--yes"]) == ErrorCode.USAGE.exit_status
    assert count(ledger, "installations") == 1
    assert _main(["records", "forget", ANNA.account, "--yes"]) == 0
    assert _main(["data", "forget", "--all", "--yes", "--database", store]) == 0
    assert (count(store, "measurements"), count(ledger, "installations")) == (0, 0)
