"""Records on PostgreSQL: reading, statistics, pruning and migration as on SQLite; and a server that stops."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from installer.cli.main import _main
from installer.errors import ErrorCode, InstallerError
from installer.flow.installation import Installation
from installer.flow.run_options import Options, RunConfig
from installer.flow.run_resources import RunResources
from installer.ledger import schema_migration, sql_tables
from installer.ledger.database import Target, open_target
from installer.ledger.records import Context, Records
from tests.bench.ledger import fill
from tests.flow.support import FAST, Front, LabWorld, answers_for
from tests.installer.ledger import archive_behaviour
from tests.installer.ledger.record_behaviour import found
from tests.postgres import PostgresServer
from tests.system.test_ledger import make, migrated

__all__ = ["make"]
PROGRAM = str(Path(sys.executable).with_name("device-installer"))


@pytest.mark.parametrize("does", archive_behaviour.ALL, ids=lambda f: f.__name__)
async def test_what_an_archive_does(does: Any, make: Callable[[], Records]) -> None:
    await does(make)


def test_the_commands(
    postgres: PostgresServer, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    url = postgres.database()

    def run(*words: str) -> tuple[int, str, str]:
        status = _main([*words, "--ledger", url])
        said = capsys.readouterr()
        return status, said.out, said.err

    status, _, err = run("records", "list")
    assert status == ErrorCode.DATABASE_OUTDATED.exit_status
    assert "device-installer ledger migrate" in err
    assert "without tables yet" in run("ledger", "status")[1]
    assert f"from nothing to {sql_tables.REVISION}" in run("ledger", "migrate")[1]
    assert "is up to date" in run("ledger", "migrate")[1]
    records = Records(Target(url))
    fill(records, 80)
    records.close()
    assert "80: " in run("ledger", "status")[1]
    assert len(run("records", "list", "--json", "--limit", "100")[1].splitlines()) == 80
    assert "sleep" in run("records", "list", "--model", "sleep", "--since", "2026-03-01")[1]
    for form in ("csv", "json", "html"):
        status, text, _ = run("records", "export", "--format", form)
        assert status == 0
        assert "Site 07" in text
    assert run("records", "prune", "--older-than", "1h")[1].endswith(" records removed.\n")


@pytest.mark.parametrize("revision", [None, "0001"])
def test_stations_migrate_at_once(postgres: PostgresServer, tmp_path: Path, revision: str | None) -> None:
    target = Target(postgres.database())
    if revision is not None:
        engine = open_target(target)
        with engine.begin() as connection:
            schema_migration.upgrade(connection, revision)
        engine.dispose()
    both = [
        subprocess.Popen(
            [PROGRAM, "ledger", "migrate", "--ledger", target.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(3)
    ]
    said = sorted(p.communicate(timeout=50)[0] for p in both)
    assert [p.returncode for p in both] == [0, 0, 0], said
    assert sum("is up to date" in s for s in said) == 2
    assert sum(f"from {revision or 'nothing'} to {sql_tables.REVISION}" in s for s in said) == 1
    assert schema_migration.status(target)["state"] == "current"


def test_every_version_becomes_this_one(postgres: PostgresServer) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    target = Target(postgres.database())
    engine = open_target(target)
    with engine.begin() as connection:
        schema_migration.upgrade(connection, "0001")
    schema_migration.migrate(target)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert [d for d in compare_metadata(context, sql_tables.metadata) if "alembic_version" not in str(d)] == []
    engine.dispose()


async def test_a_server_that_goes_away_is_told_and_comes_back(tmp_path: Path) -> None:
    with PostgresServer() as server:
        records = Records(migrated(server.database()))
        record = records.begin("one", "1.0", Context(station="north"))
        await record.set_device("A", name="Scale", model="body", certainty="certain", reasons=[])
        server.stop()
        with pytest.raises(InstallerError) as raised:
            await record.step_done("find", 1.0, {})
        assert raised.value.code is ErrorCode.DATABASE_FAILED
        assert "Traceback" not in str(raised.value)
        with pytest.raises(InstallerError):
            records.all()
        server.start()
        # The same objects go on; nothing was lost of what was said to be kept.
        await record.step_done("find", 1.0, {})
        await record.end("installed")
        (one,) = records.all()
        assert (one["outcome"], [s["step"] for s in one["steps"]]) == ("installed", ["find"])
        records.close()


@pytest.mark.parametrize("event", ["device_found", "linked"])
async def test_an_installation_whose_ledger_goes_away(
    world: LabWorld, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    """It ends at the step where the ledger fails. After something was sent, the error says how far it came."""
    with PostgresServer() as server:
        url = server.database()
        migrated(url)

        def watch(seen: Any) -> None:
            if seen.event == event:
                server.stop()

        front = Front(on_event=watch)
        options = Options(non_interactive=True, deadlines=FAST)
        resources = RunResources(RunConfig(lab=True, ledger=url, options=options))
        answers = answers_for(world, "body-plus", "wifi")
        ended = await Installation(resources.environment(), front, answers).run()
        await resources.close()
        assert ended.outcome == "failed"
        assert ended.error is not None
        assert ended.error.code is ErrorCode.DATABASE_FAILED
        device = world.device("body-plus")
        assert device["linked"] == (event == "linked")
        if event == "device_found":
            assert device["credentials_received"] == 0
            assert "The device is as the steps left it" not in ended.error.todo
        else:
            assert "as the steps left it: it has its credentials and it is in the account." in ended.error.todo
        assert front.events[-1].event == "installation_done"


async def test_two_stations_and_one_device(postgres: PostgresServer, tmp_path: Path) -> None:
    target = migrated(postgres.database())
    north, south = Records(target, tmp_path / "north"), Records(target, tmp_path / "south")
    await found(north, "1")
    second = south.begin("2", "1.0", Context(station="south"))
    with pytest.raises(InstallerError) as raised:
        await second.set_device("A", name="Scale", model="body", certainty="certain", reasons=[])
    assert raised.value.code is ErrorCode.DEVICE_TAKEN
    for records in (north, south):
        records.close()
