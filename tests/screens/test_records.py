"""The records in the wizard: the list and one record of a real ledger, the retry, and the migration."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from textual.pilot import Pilot

from installer.answers import StepKey
from installer.catalogue.model import SyncMethod
from installer.ledger import schema_migration
from installer.ledger.archive import WizardLedger, answers_of
from installer.ledger.records import Context, Records
from installer.ledger.sql_tables import installations
from screens.app import WizardApp
from screens.choice_list import ChoiceList
from screens.dialogs import ConfirmDialog, MessageDialog
from screens.home import HomeScreen
from screens.record_details import RecordDetailsScreen
from screens.records import OUTCOME_FILTERS, PAGE_SIZE, RecordsScreen
from tests.bench.ledger import fill
from tests.installer.ledger.test_schema_migration import at
from tests.screens.driver import choose_card, press_button, type_text, until, wait_for_screen, wait_for_text, wizard
from tests.screens.fake_engine import CATALOGUE, Starter
from tests.screens.scenes import Clock, running, still
from tests.screens.test_snapshots import check

COUNT = 250
ANSWERS = {
    "version": 1,
    "find": {"model": "body-plus", "proof": {"env": "PROOF"}},
    "sync": {"method": "wifi"},
    "network": {"ssid": "Ward", "security": "wpa2", "passphrase": {"env": "GONE"}},
    "provision": {"send": True},
    "link": {"account": "clinic"},
    "verify": {"skip": True},
}


@pytest.fixture(autouse=True)
def _everywhere_the_same_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    made = Records(tmp_path / "ledger.sqlite")
    yield made
    made.close()


@asynccontextmanager
async def opened(records: Records) -> AsyncIterator[tuple[Pilot[Any], Starter]]:
    """The wizard, with the list of records in it."""
    async with running(ledger=WizardLedger(records)) as (pilot, starter):
        await wait_for_screen(pilot, HomeScreen)
        await choose_card(pilot, "records")
        await wait_for_screen(pilot, RecordsScreen)
        yield pilot, starter


def rows(pilot: Pilot[Any]) -> ChoiceList:
    return pilot.app.screen.query_one(ChoiceList)


async def failed(records: Records, installation: str = "bad", outcome: str = "failed") -> None:
    record = records.begin(installation, "1.0", Context(site="North", operator="Ann"), ANSWERS)
    address = "00:24:E4:00:00:01"
    await record.set_device(address, name="Body+ 01", model="body-plus", certainty="certain", reasons=["its name"])
    await record.step_done("find", 3.0, {"address": address, "firmware": "1.2", "serial": "S1"}, reached="sync")
    record.failed("provision", "join_failed", "The device could not join “Ward”.")
    await record.end(outcome)


async def test_the_newest_come_first_and_more_as_one_goes_down(records: Records) -> None:
    fill(records, COUNT)
    async with opened(records) as (pilot, _):
        await wait_for_text(pilot, "250 records.")
        shown = rows(pilot)
        assert len(shown.rows) == PAGE_SIZE
        for _ in range(20):
            if len(shown.rows) == COUNT:
                break
            before = len(shown.rows)
            await pilot.press("end")
            await until(pilot, lambda n=before: len(shown.rows) > n, "more rows")  # type: ignore[misc]
        assert [r.key for r in shown.rows] == [r["id"] for r in reversed(records.all())]
        await pilot.press("end")
        await wait_for_text(pilot, "250 of 250")
        # Back from a look at one, the place is the same.
        await pilot.press("enter")
        await wait_for_screen(pilot, RecordDetailsScreen)
        await pilot.press("escape")
        await wait_for_screen(pilot, RecordsScreen)
        await wait_for_text(pilot, "250 of 250")


async def test_typing_filters_and_f_shows_what_failed(records: Records) -> None:
    fill(records, COUNT)
    every = records.all()[::-1]
    async with opened(records) as (pilot, _):
        await wait_for_text(pilot, "250 records.")
        await pilot.press("slash")
        await type_text(pilot, "site 07 ann")
        fits = [r["id"] for r in every if all(w in _searched(r) for w in ("site", "07", "ann"))]
        await until(pilot, lambda: [r.key for r in rows(pilot).rows] == fits[:PAGE_SIZE], "the filtered rows")
        await pilot.press("escape")
        await until(pilot, lambda: len(rows(pilot).rows) == PAGE_SIZE, "all rows")
        await pilot.press("f")
        bad = [r["id"] for r in every if r["outcome"] == "failed"]
        await until(pilot, lambda: [r.key for r in rows(pilot).rows] == bad, "the failed rows")
        await wait_for_text(pilot, f"{len(bad)} records failed.")
        await pilot.press("slash")
        await type_text(pilot, "nothing like this")
        await wait_for_text(pilot, "No record fits.")
        await pilot.press("escape", *["f"] * (len(OUTCOME_FILTERS) - 1))
        await wait_for_text(pilot, "250 records.")


def _searched(record: dict[str, Any]) -> str:
    names = ("id", "address", "serial", "name", "model", "protocol", "ssid", "account", "device_id")
    more = ("site", "operator", "label", "station", "error")
    return " ".join(str(record[n] or "").lower() for n in (*names, *more))


async def test_an_empty_ledger_says_so(records: Records) -> None:
    async with opened(records) as (pilot, _):
        await wait_for_text(pilot, "Nothing was installed from here yet.")
        await pilot.press("enter", "r", "h")
        await wait_for_screen(pilot, HomeScreen)


async def test_one_record_is_shown_whole(records: Records) -> None:
    await failed(records)
    async with opened(records) as (pilot, _):
        await wait_for_text(pilot, "join_failed")
        await wait_for_text(pilot, "The device could not join the network.")
        await pilot.press("enter")
        await wait_for_screen(pilot, RecordDetailsScreen)
        for words in (
            "Body+ 01: failed at provision",
            "Record bad: the device could not join the network",
            "00:24:E4:00:00:01",
            "S1",
            "1.2",
            "Ann",
            "Find",
        ):
            await wait_for_text(pilot, words)
        await pilot.press("escape")
        await wait_for_screen(pilot, RecordsScreen)


@pytest.mark.parametrize("whole", [False, True], ids=["list", "record"])
async def test_a_failed_one_is_tried_again_with_its_choices(records: Records, whole: bool) -> None:
    await failed(records)
    async with opened(records) as (pilot, starter):
        await wait_for_text(pilot, "join_failed")
        if whole:
            await pilot.press("enter")
            await wait_for_screen(pilot, RecordDetailsScreen)
            await wait_for_text(pilot, "Try again")
        await pilot.press("r")
        await until(pilot, lambda: bool(starter.made), "an installation")
        answers = starter.made[0].answers
        assert answers.find is not None
        assert (answers.find.device, answers.find.proof) == ("00:24:E4:00:00:01", None)
        assert answers.find.must_prove  # it had a proof, which is asked for again
        assert answers.sync is not None
        assert answers.sync.method is SyncMethod.WIFI
        assert answers.network is not None
        # The passphrase is asked for, and so is the consent to send it.
        assert (answers.network.ssid, answers.network.passphrase, answers.network.secret) == ("Ward", None, None)
        assert answers.provision is None
        wizard(pilot).stop_installation()
        await wait_for_screen(pilot, HomeScreen)
        # The next one begins with nothing.
        await pilot.press("i")
        await until(pilot, lambda: len(starter.made) == 2, "another installation")
        assert all(starter.made[1].answers.get(key) is None for key in StepKey)


async def test_what_is_installed_is_not_tried_again(records: Records) -> None:
    await failed(records, outcome="installed")
    async with opened(records) as (pilot, starter):
        await wait_for_text(pilot, "installed")
        await pilot.press("r")
        await pilot.pause()
        assert starter.made == []
        await wait_for_screen(pilot, RecordsScreen)


async def test_a_record_that_is_gone_meanwhile_is_told(records: Records) -> None:
    await failed(records)
    async with opened(records) as (pilot, _):
        await wait_for_text(pilot, "join_failed")
        records.store.write("remove", lambda c: c.execute(installations.delete()))
        await pilot.press("r")
        await wait_for_text(pilot, "There is no record “bad”")


async def test_a_ledger_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_text("this is no database, and long enough to be none at all. " * 20)
    records = Records(path)
    async with opened(records) as (pilot, _):
        await wait_for_text(pilot, "not a database")
    records.close()


async def test_a_record_of_a_later_version_is_not_guessed_at(records: Records) -> None:
    await failed(records)
    change = update(installations).values(version="9")
    records.store.write("change", lambda c: c.execute(change))
    record = records.get("bad")
    assert record is not None
    record["answers"]["sync"] = {"method": "telepathy"}
    with pytest.raises(Exception, match="record bad"):
        answers_of(record)


@pytest.mark.parametrize("yes", [True, False])
async def test_an_older_ledger_is_brought_up_to_date_if_one_likes(tmp_path: Path, yes: bool) -> None:
    target = at(tmp_path / "ledger.sqlite", "0001")
    records = Records(target)
    async with running(ledger=WizardLedger(records)) as (pilot, _):
        await wait_for_screen(pilot, ConfirmDialog)
        await wait_for_text(pilot, "The ledger is not ready for this version")
        await press_button(pilot, "yes" if yes else "no")
        await wait_for_screen(pilot, HomeScreen)
        if yes:
            await until(pilot, lambda: schema_migration.status(target)["state"] == "current", "the migration")
        await pilot.press("r")
        await wait_for_text(pilot, "1 record." if yes else "device-installer ledger migrate")
    records.close()
    assert schema_migration.status(target)["state"] == ("current" if yes else "older")


async def test_a_migration_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No real database fails only in the middle of it."""
    from installer.errors import ErrorCode, InstallerError

    def full(*_: Any) -> None:
        raise InstallerError(ErrorCode.DATABASE_FAILED, "The disk is full.", "Free some space.")

    records = Records(at(tmp_path / "ledger.sqlite", "0001"))
    monkeypatch.setattr(schema_migration, "migrate", full)
    async with running(ledger=WizardLedger(records)) as (pilot, _):
        await wait_for_screen(pilot, ConfirmDialog)
        await press_button(pilot, "yes")
        await wait_for_screen(pilot, MessageDialog)
        await wait_for_text(pilot, "The disk is full. Free some space.")
    records.close()


async def test_a_new_ledger_asks_nothing_and_is_not_made(tmp_path: Path) -> None:
    records = Records(tmp_path / "ledger.sqlite")
    ledger = WizardLedger(records)
    async with running(ledger=ledger) as (pilot, _):
        await wait_for_screen(pilot, HomeScreen)
        assert await ledger.outdated() is False
        assert list(tmp_path.glob("*.sqlite")) == []
    records.close()


LIST, FILTERED, WHOLE = "records", "records_filter", "record"


@pytest.mark.parametrize("name", [LIST, FILTERED, WHOLE])
def test_screen(name: str, records: Records, snap_compare: Callable[..., bool]) -> None:
    fill(records, COUNT)

    async def play(pilot: Pilot[Any]) -> None:
        await wait_for_screen(pilot, HomeScreen)
        await pilot.press("r")
        await wait_for_text(pilot, "250 records.")
        if name == FILTERED:
            await pilot.press("slash")
            await type_text(pilot, "ann sleep")
            await wait_for_text(pilot, "“ann sleep”")
        if name == WHOLE:
            await pilot.press("f")
            await wait_for_text(pilot, "failed.")
            await pilot.press("down", "enter")
            await wait_for_text(pilot, "Steps")
        await still(pilot)
        check(pilot)

    app = WizardApp(Starter(), lab=True, catalogue=CATALOGUE, clock=Clock(), ledger=WizardLedger(records))
    assert snap_compare(app, terminal_size=(80, 24), run_before=play)
