"""Migrations of the ledger: from every version to this one, with its records, to the same tables."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from installer.errors import ErrorCode, InstallerError
from installer.ledger import schema_migration, sql_tables
from installer.ledger.database import Target, open_target
from installer.ledger.records import Records
from installer.storage.database import sqlite_url

STARTED = "2026-11-25T08:00:00.000+00:00"
ROW = "INSERT INTO installations (id, version, started, outcome, attempts, search) VALUES ('one', '1', ?, ?, 1, '')"


def at(path: Path, revision: str) -> Target:
    """A ledger of this version, with a record in it."""
    target = Target(sqlite_url(path))
    engine = open_target(target)
    with engine.begin() as connection:
        schema_migration.upgrade(connection, revision)
        connection.exec_driver_sql(ROW, (STARTED, "installed"))
    engine.dispose()
    return target


@pytest.mark.parametrize("revision", sql_tables.KNOWN_REVISIONS)
def test_every_version_becomes_this_one(tmp_path: Path, revision: str) -> None:
    target = at(tmp_path / "ledger.sqlite", revision)
    assert schema_migration.migrate(target) == (revision, sql_tables.REVISION)
    assert schema_migration.migrate(target) == (sql_tables.REVISION, sql_tables.REVISION)
    engine = open_target(target)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        both = [d for d in compare_metadata(context, sql_tables.metadata) if "alembic_version" not in str(d)]
        assert both == []
        for table in sql_tables.metadata.sorted_tables:
            indexes = {i["name"]: i["column_names"] for i in inspect(connection).get_indexes(table.name)}
            assert indexes == {i.name: [c.name for c in i.columns] for i in table.indexes}
    engine.dispose()
    records = Records(target)
    assert [r["id"] for r in records.all()] == ["one"]
    records.close()


@pytest.mark.parametrize("revision", sql_tables.KNOWN_REVISIONS[:-1])
def test_an_older_ledger_is_not_touched_without_being_asked(tmp_path: Path, revision: str) -> None:
    target = at(tmp_path / "ledger.sqlite", revision)
    with pytest.raises(InstallerError) as raised:
        Records(target).all()
    assert raised.value.code is ErrorCode.DATABASE_OUTDATED
    assert "device-installer ledger migrate" in raised.value.todo
    found = schema_migration.status(target)
    assert (found["state"], found["version"], "records" in found) == ("older", revision, False)


def test_the_labs_own_ledger_is_brought_up_to_date_unasked(tmp_path: Path) -> None:
    target = at(tmp_path / "ledger.sqlite", "0001")
    records = Records(dataclasses.replace(target, is_lab=True))
    assert [r["id"] for r in records.all()] == ["one"]
    records.close()
    assert schema_migration.status(target)["state"] == "current"


def test_a_newer_ledger_is_left_alone(tmp_path: Path) -> None:
    target = at(tmp_path / "ledger.sqlite", sql_tables.REVISION)
    engine = open_target(target)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    for work in (lambda: Records(target).all(), lambda: schema_migration.migrate(target)):
        with pytest.raises(InstallerError) as raised:
            work()
        assert raised.value.code is ErrorCode.DATABASE_OUTDATED
        assert "newer version" in raised.value.what


def test_the_state_of_a_file_that_is_not_there_makes_none(tmp_path: Path) -> None:
    found = schema_migration.status(Target(sqlite_url(tmp_path / "ledger.sqlite")))
    assert (found["there"], found["state"]) == (False, "empty")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_migrate_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    at(path, "0001")
    program = str(Path(sys.executable).with_name("device-installer"))
    both = [
        subprocess.Popen(
            [program, "ledger", "migrate", "--ledger", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = sorted(p.communicate(timeout=50)[0] for p in both)
    assert [p.returncode for p in both] == [0, 0], said
    assert "up to date" in said[0]
    assert "from 0001 to" in said[1]
