"""The ledger on PostgreSQL: the same tests as on SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.ledger import schema_migration
from installer.ledger.database import Target, open_target
from installer.ledger.records import Records
from tests.installer.ledger import record_behaviour
from tests.postgres import PostgresServer


def migrated(url: str) -> Target:
    target = Target(url)
    engine = open_target(target)
    schema_migration.migrate_engine(engine, target)
    engine.dispose()
    return target


@pytest.fixture
def make(postgres: PostgresServer, tmp_path: Path) -> Iterator[Callable[[], Records]]:
    """Each call opens the same database as another station."""
    target = migrated(postgres.database())
    made: list[Records] = []

    def another() -> Records:
        made.append(Records(target, tmp_path / f"station-{len(made)}"))
        return made[-1]

    yield another
    for records in made:
        records.close()


@pytest.mark.parametrize("does", record_behaviour.ALL, ids=lambda f: f.__name__)
async def test_what_a_ledger_does(does: Any, make: Callable[[], Records]) -> None:
    await does(make)


async def test_an_empty_database_wants_to_be_prepared(postgres: PostgresServer) -> None:
    records = Records(Target(postgres.database()))
    with pytest.raises(InstallerError) as raised:
        records.all()
    assert raised.value.code is ErrorCode.DATABASE_OUTDATED
    assert "ledger migrate" in raised.value.todo
