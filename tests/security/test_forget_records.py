"""`records forget` leaves nothing of a record in the ledger's files, and never takes one that is being worked on."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from installer import settings
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.flow import station_choices
from installer.ledger.records import Context, Record, Records
from tests.security.erasing import ANNA, BEN, fill_computer, record, traces_of

Capture = pytest.CaptureFixture[str]


def forget(*options: str) -> int:
    return _main(["records", "forget", *options])


@pytest.fixture
def ledger(home: Path) -> Iterator[Records]:
    """Two records of Anna's monitor and one of Ben's."""
    records = Records(settings.data_dir() / "ledger.sqlite", settings.runtime_dir() / "stations")
    record(records, "aaa1", ANNA, site="North", label="Room 5")
    record(records, "aaa2", ANNA, site="South")
    record(records, "bbb1", BEN, site="North")
    yield records
    records.close()


def left() -> set[str]:
    records = Records(settings.data_dir() / "ledger.sqlite", settings.runtime_dir() / "stations")
    try:
        return {one["id"] for one in records.all()}
    finally:
        records.close()


@pytest.mark.parametrize(
    ("options", "stay"),
    [
        (["--all"], set()),
        ([ANNA.account], {"bbb1"}),
        ([ANNA.monitor.lower()], {"bbb1"}),
        (["--id", "aaa1"], {"aaa2", "bbb1"}),
        (["--id", "aaa1", "--id", "b"], {"aaa2"}),
        (["--site", "North"], {"aaa2"}),
        (["--site", "North", ANNA.account], {"aaa2", "bbb1"}),
        (["--id", "aaa1", "--site", "South"], {"aaa1", "aaa2", "bbb1"}),
        (["--id", "zzz"], {"aaa1", "aaa2", "bbb1"}),
        (["--until", "2020-01-01"], {"aaa1", "aaa2", "bbb1"}),
    ],
)
def test_which_records_are_erased(ledger: Records, home: Path, options: list[str], stay: set[str]) -> None:
    assert forget(*options, "--yes") == 0
    assert left() == stay
    connection = sqlite3.connect(settings.data_dir() / "ledger.sqlite")
    for table in ("details", "steps"):
        assert {i for (i,) in connection.execute(f"SELECT installation FROM {table}")} == stay
    connection.close()


def test_of_a_person_nothing_is_left_in_any_file_after_both_commands(ledger: Records, home: Path) -> None:
    fill_computer()
    ledger.close()
    assert traces_of(ANNA, home)
    assert _main(["data", "forget", "--account", ANNA.account, "--yes"]) == 0
    assert forget(ANNA.account, "--yes") == 0
    assert traces_of(ANNA, home) == set()
    assert left() == {"bbb1"}


@pytest.mark.parametrize("options", [[], ["--all", "--site", "North"], ["--id", "aaa1", "--all"]])
def test_which_records_must_be_said(ledger: Records, options: list[str]) -> None:
    assert forget(*options, "--yes") == ErrorCode.USAGE.exit_status
    assert len(left()) == 3


def test_a_script_must_say_yes_and_a_dry_run_says_what_ends_with_the_records(ledger: Records, capsys: Capture) -> None:
    assert forget("--all") == ErrorCode.ANSWER_MISSING.exit_status
    assert forget("--all", "--dry-run") == 0
    told = capsys.readouterr()
    assert told.out == "Would be erased: 3 records.\n"
    assert "2 of them of a device that the gateway then does not visit any more." in told.err
    assert forget("--id", "aaa", "--yes") == ErrorCode.RECORD_AMBIGUOUS.exit_status
    assert len(left()) == 3


def test_what_a_station_works_on_stays_and_is_told(ledger: Records, capsys: Capture) -> None:
    running: list[Record] = []

    async def begin() -> None:
        running.append(ledger.begin("run1", "1.0", Context(station="north")))
        await running[0].set_device(ANNA.monitor, name="BPM", model="bpm", certainty="certain", reasons=["its name"])

    asyncio.run(begin())
    assert forget("--all", "--yes", "--json") == ErrorCode.ERASURE_INCOMPLETE.exit_status
    told = json.loads(capsys.readouterr().out)
    assert (told["records"], told["running"]) == (3, 1)
    assert left() == {"run1"}
    asyncio.run(running[0].end("cancelled"))
    assert forget("--all", "--yes") == 0
    assert left() == set()


def test_the_files_of_an_older_version_go_too(ledger: Records, home: Path) -> None:
    folder = settings.data_dir() / "installations.taken-over"
    folder.mkdir()
    for name in ("aaa1", "bbb1", "pruned-long-ago"):
        (folder / f"{name}.json").write_text(json.dumps({"id": name, "steps": [], "note": name}), "utf-8")
    assert forget("--id", "aaa1", "--yes") == 0
    assert {file.name for file in folder.iterdir()} == {"bbb1.json"}


def test_leases_of_the_device_that_have_ended_go_too(ledger: Records, home: Path) -> None:
    def lease(installation: str, address: str, expires: float) -> Callable[..., None]:
        values = (address, installation, "north", "somebody", expires)
        return lambda c: c.exec_driver_sql("INSERT INTO leases VALUES (?, ?, ?, ?, ?)", values)

    now = time.time()
    ledger.store.write("test", lease("aaa1", "some row", now + 60))
    ledger.store.write("test", lease("older", ANNA.monitor, now - 60))
    ledger.store.write("test", lease("newer", BEN.monitor, now + 60))
    assert forget("--all", "--yes") == 0
    found = ledger.store.read("test", lambda c: c.exec_driver_sql("SELECT address FROM leases").scalars().all())
    assert found == [BEN.monitor]


def test_what_this_station_chose_for_them_goes_too(ledger: Records) -> None:
    for installation in ("aaa1", "bbb1"):
        station_choices.save(installation, station_choices.StationChoices(ANNA.monitor, {}, {}))
    assert forget("--id", "aaa1", "--yes") == 0
    assert station_choices.load("aaa1") is None
    assert station_choices.load("bbb1") is not None
