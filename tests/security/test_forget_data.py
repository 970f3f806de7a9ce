"""`data forget` leaves nothing of a person in the files of this program, and nothing of it comes back by itself."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from installer import settings
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.flow.device_names import names_of_device
from installer.flow.forget_data import DataForgetting, Wanted
from installer.gateway.device_identity import DeviceIdentities, _Known
from installer.gateway.files_and_lock import GatewayFiles, hold_gateway_lock
from installer.gateway.outbox import Outbox
from installer.gateway.wake import wake
from installer.ledger.records import Records
from installer.measurements.fetch import OVERLAP_SECONDS
from installer.measurements.store import Store
from installer.notifications.inbox import inbox_lock, inbox_path
from installer.storage.file_lock import file_lock
from tests.flow.support import LabWorld
from tests.security.erasing import (
    ANNA,
    BEN,
    NOW,
    Person,
    as_a_killed_older_version_left_it,
    collect,
    default_store,
    fill_computer,
    fill_store,
    record,
    sign_in,
    traces_of,
)

Capture = pytest.CaptureFixture[str]
INCOMPLETE = ErrorCode.ERASURE_INCOMPLETE.exit_status


def forget(*options: str) -> int:
    return _main(["data", "forget", *options])


def left(person: Person) -> list[str]:
    """What the store has of this person."""
    with Store.open(default_store()) as store:
        return [f"{r.kind} {r.taken:%Y}" for r in store.rows() if r.user == person.user or r.account == person.account]


def test_of_an_account_nothing_is_left_in_the_raw_bytes_of_any_file(home: Path, capsys: Capture) -> None:
    fill_computer()
    as_a_killed_older_version_left_it()
    before = {file for file, _ in traces_of(ANNA, home)}
    assert len(list(home.rglob("*.sqlite-wal"))) == 3
    assert {"measurements.sqlite", "gateway.sqlite", "notifications-inbox.sqlite"} <= before
    assert forget("--account", ANNA.account, "--yes") == 0
    assert traces_of(ANNA, home) == set()
    assert len(left(BEN)) == 3
    capsys.readouterr()
    assert forget("--all", "--yes", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["erased"], told["measurements"], told["collected"], told["visits"]) == (True, 3, 2, 1)
    assert traces_of(ANNA, home) == traces_of(BEN, home) == set()


@pytest.mark.parametrize("name", [ANNA.scale.upper(), ANNA.monitor.lower()])
def test_a_device_is_forgotten_by_its_id_and_by_its_address(home: Path, name: str) -> None:
    fill_computer()
    records = Records(settings.data_dir() / "ledger.sqlite")
    record(records, "one", ANNA)
    records.close()
    assert forget("--device", name, "--yes") == 0
    assert left(ANNA) == []
    stores = {place for place, trace in traces_of(ANNA, home) if trace in (b"71.357", ANNA.monitor.encode())}
    assert stores == {"ledger.sqlite"}  # `records forget` erases the record
    assert len(left(BEN)) == 3


def test_all_filters_must_fit(home: Path) -> None:
    fill_computer()
    assert forget("--account", ANNA.account, "--older-than", "90d", "--yes") == 0
    assert sorted(left(ANNA)) == [f"heart rate {NOW:%Y}", f"weight {NOW:%Y}"]
    assert forget("--account", ANNA.account, "--device", BEN.scale, "--yes") == 0
    assert len(left(ANNA)) == 2
    assert len(left(BEN)) == 3


def test_the_same_user_under_another_name_is_forgotten_too(home: Path) -> None:
    fill_store(default_store())
    old = [replace(r, account="an-older-name", taken=r.taken - timedelta(days=3)) for r in ANNA.rows()[:1]]
    with Store.open(default_store()) as store:
        store.put(old)
    assert forget("--account", ANNA.account, "--yes") == 0
    assert left(ANNA) == []


@pytest.mark.parametrize("options", [["--account", ANNA.account], ["--device", ANNA.monitor], ["--all"]])
def test_wake_requests_are_named_by_the_device_and_go_with_it(home: Path, options: list[str]) -> None:
    records = Records(settings.data_dir() / "ledger.sqlite")
    record(records, "one", ANNA)
    records.close()
    for person in (ANNA, BEN):
        wake(person.monitor, files=GatewayFiles.in_data_dir(lab=False))
    assert forget(*options, "--yes") == 0
    names = {file.name for file in GatewayFiles.in_data_dir(lab=False).wake.iterdir()}
    assert names == (set() if options == ["--all"] else {BEN.monitor.replace(":", "-")})


def meet(person: Person) -> None:
    """The gateway has read the serial number of this person's monitor, and nothing else."""
    with Outbox.open(GatewayFiles.in_data_dir(lab=False).outbox) as box:
        DeviceIdentities(box)._remember(person.monitor, _Known(f"serial-of-{person.account}", ""))


@pytest.mark.parametrize("options", [["--account", ANNA.account], ["--device", ANNA.monitor], ["--all"]])
@pytest.mark.parametrize("collected", [True, False])
def test_the_serial_number_of_a_device_goes_with_it(
    home: Path, capsys: Capture, options: list[str], collected: bool
) -> None:
    records = Records(settings.data_dir() / "ledger.sqlite")
    record(records, "one", ANNA)
    records.close()
    for person in (ANNA, BEN):
        meet(person)
        if collected:
            collect(person, waits=False)
    assert forget(*options, "--older-than", "20000d", "--yes") in (0, ErrorCode.USAGE.exit_status)
    capsys.readouterr()
    assert forget(*options, "--yes") == 0
    assert "serial number" in capsys.readouterr().out
    content = GatewayFiles.in_data_dir(lab=False).outbox.read_bytes()
    assert f"serial-of-{ANNA.account}".encode() not in content
    assert (f"serial-of-{BEN.account}".encode() in content) is (options != ["--all"])


def test_what_a_killed_run_left_beside_a_file_goes_too(home: Path) -> None:
    folder = settings.data_dir() / "accounts"
    folder.mkdir(parents=True, mode=0o700)
    for command in (["data", "forget", "--all", "--yes"], ["records", "forget", "--all", "--yes"]):
        left = folder / ".anna.json.0a1b2c3d.tmp"
        left.write_text("a token")
        os.utime(left, (1, 1))
        assert _main(command) == 0
        assert not left.exists()


@pytest.mark.parametrize("options", [[], ["--all", "--account", "x"], ["--older-than", "soon"]])
def test_what_is_to_be_erased_must_be_said(home: Path, options: list[str]) -> None:
    fill_store(default_store())
    assert forget(*options, "--yes") == ErrorCode.USAGE.exit_status
    assert len(left(ANNA)) == 3


def test_a_script_must_say_yes_and_a_dry_run_changes_nothing(home: Path, capsys: Capture) -> None:
    fill_computer()
    assert forget("--account", ANNA.account) == ErrorCode.ANSWER_MISSING.exit_status
    assert forget("--account", ANNA.account, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["erased"], told["measurements"], told["notifications"], told["wake_requests"]) == (False, 3, 1, 0)
    assert len(left(ANNA)) == 3
    assert traces_of(ANNA, home)


class Terminal(io.StringIO):
    """A person who types this."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "kept"), [("n\n", 3), ("\n", 3), ("", 3), ("y\n", 0)])
def test_a_person_sees_the_numbers_and_is_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, typed: str, kept: int
) -> None:
    fill_computer()
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert forget("--account", ANNA.account) == (0 if not kept else ErrorCode.INTERRUPTED.exit_status)
    assert "3 measurements in the store of 2 devices" in capsys.readouterr().err
    assert len(left(ANNA)) == kept


def test_what_is_not_delivered_is_lost_only_if_that_is_said(home: Path, capsys: Capture) -> None:
    fill_store(default_store())
    collect(ANNA, waits=True)
    assert forget("--account", ANNA.account, "--yes") == INCOMPLETE
    assert "has not delivered 2 measurements" in capsys.readouterr().err
    assert len(left(ANNA)) == 3
    assert forget("--account", ANNA.account, "--yes", "--undelivered") == 0
    assert traces_of(ANNA, home) == set()


def test_an_erasure_that_was_interrupted_is_finished_by_the_next(home: Path) -> None:
    fill_computer()
    # As after a kill between the removal of the rows and the writing of the files.
    for file in settings.data_dir().glob("*.sqlite"):
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA secure_delete = OFF")
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if table not in ("store_version", "sqlite_sequence"):
                connection.execute(f"DELETE FROM {table}")
        connection.commit()
        connection.close()
    assert traces_of(ANNA, home)
    assert forget("--all", "--yes") == 0
    assert traces_of(ANNA, home) == traces_of(BEN, home) == set()


@pytest.mark.parametrize("who", ["gateway", "receiver"])
def test_nothing_is_erased_while_a_program_has_it_in_memory(home: Path, who: str, capsys: Capture) -> None:
    fill_computer()

    async def meanwhile() -> int:
        held = (
            hold_gateway_lock(GatewayFiles.in_data_dir(lab=False))
            if who == "gateway"
            else file_lock(inbox_lock(inbox_path(settings.data_dir(), lab=False)), 1)
        )
        async with held:
            return await asyncio.to_thread(forget, "--account", ANNA.account, "--yes")

    assert asyncio.run(meanwhile()) == INCOMPLETE
    said = capsys.readouterr().err
    assert f"The {who} of this user runs" in said
    assert "End it with Ctrl-C where it was started" in said
    assert len(left(ANNA)) == 3


def test_a_file_that_another_program_holds_is_told_and_the_next_try_erases(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    fill_store(default_store())
    monkeypatch.setattr("installer.storage.erasing.WAIT_SECONDS", 0)
    file = settings.data_dir() / "measurements.sqlite"
    reader = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    def read_when_rows_are_gone(erase: Callable[..., object]) -> Callable[..., object]:
        def erase_then_read(*arguments: object) -> object:
            done = erase(*arguments)
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM store_version").fetchall()
            return done

        return erase_then_read

    monkeypatch.setattr(Store, "change", read_when_rows_are_gone(Store.change))
    assert forget("--account", ANNA.account, "--yes") == INCOMPLETE
    assert "another program uses its file" in capsys.readouterr().err
    reader.close()
    monkeypatch.undo()
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(home))
    assert forget("--account", ANNA.account, "--yes") == 0
    assert traces_of(ANNA, home) == set()


def test_an_account_is_each_user_of_that_name_at_any_cloud(home: Path) -> None:
    first = sign_in(ANNA)
    other = json.loads(first.read_text("utf-8"))
    elsewhere = {
        **other,
        "cloud": "https://elsewhere.example",
        "userid": "222",
        "tokens": {**other["tokens"], "userid": "222"},
    }
    first.with_name("elsewhere.0123456789ab.json").write_text(json.dumps(elsewhere), "utf-8")

    async def users() -> frozenset[str]:
        forgetting = await DataForgetting.open(settings.load(), Wanted(account=ANNA.account))
        try:
            return forgetting.selection.users
        finally:
            forgetting.close()

    assert asyncio.run(users()) == {ANNA.user, "222"}


def test_a_fetch_begins_after_what_was_erased_while_the_user_is_signed_in(home: Path, capsys: Capture) -> None:
    fill_store(default_store())
    account = sign_in(ANNA)
    assert forget("--account", ANNA.account, "--yes") == 0
    assert f"signed in to “{ANNA.account}”" in capsys.readouterr().err
    key = f"wbsapi.withings.net {ANNA.user}"
    with Store.open(default_store()) as store:
        start = store.cursor_start(key, "measures")
        assert start.value is not None
        assert start.first_change == start.value + 1 > start.value - OVERLAP_SECONDS
        other = store.cursor_start(f"wbsapi.withings.net {BEN.user}", "measures")
        assert other.first_change == 0
    # Twice is as once.
    assert forget("--account", ANNA.account, "--yes") == 0
    with Store.open(default_store()) as store:
        assert store.cursor_start(key, "measures").first_change == start.first_change
    assert account.is_file()
    assert _main(["account", "logout", ANNA.account]) == 0
    said = capsys.readouterr().err
    assert f"data forget --account {ANNA.account}" in said
    assert "records forget" in said
    assert not account.exists()
    assert forget("--account", ANNA.account, "--yes") == 0
    assert "how far the data of 1 user was fetched" in capsys.readouterr().out
    assert traces_of(ANNA, home) == set()


def test_a_program_that_has_read_it_before_does_not_write_it_back(home: Path) -> None:
    fill_store(default_store())
    key = f"wbsapi.withings.net {ANNA.user}"
    with Store.open(default_store()) as watching, Store.open(default_store()) as fetching:
        watching.put([replace(ANNA.rows()[0], taken=NOW + timedelta(minutes=1))])
        start = fetching.cursor_start(key, "measures")
        assert forget("--account", ANNA.account, "--yes") == 0
        # A page that was read before; and a store that believes that somebody has overwritten its file.
        assert fetching.add(ANNA.rows(), [(key, "measures", 1_800_000_000)], start).new == ()
        watching.follow_file()
        fetching.follow_file()
    assert left(ANNA) == []
    with Store.open(default_store()) as store:
        again = store.cursor_start(key, "measures")
        assert len(store.add(ANNA.rows(), [(key, "measures", 1_800_000_000)], again).new) == 3


def test_a_name_of_several_devices_is_not_guessed_at() -> None:
    known = [("id1", "AA:BB", "Body+"), ("id2", "", "Body+"), ("", "AA:BB", "Scale"), ("id3", "CC:DD", "Thermo")]
    assert names_of_device("aa:bb", known) == names_of_device("ID1", known) == {"id1", "AA:BB"}
    assert names_of_device("scale", known) == {"id1", "AA:BB"}
    assert names_of_device("nobody", known) == {"nobody"}
    with pytest.raises(Exception, match="Several devices are named “body\\+”"):
        names_of_device("body+", known)


def test_the_next_fetch_does_not_bring_back_what_was_erased(world: LabWorld, capsys: Capture) -> None:
    wifi = ["--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"]
    assert _main(["install", "--lab", "--non-interactive", "--model", "body-plus", *wifi]) == 0
    fetch = ["data", "fetch", "--lab"]
    assert _main(fetch) == 0
    capsys.readouterr()
    # Two of the four values are of the device; the person typed the others into the app.
    for wanted in (["--device", world.address("body-plus")], ["--account", "default"]):
        assert forget("--lab", *wanted, "--yes") == 0
        assert "Erased: 2 measurements in the store" in capsys.readouterr().out
        assert _main(fetch) == 0
        assert "default: 0 new" in capsys.readouterr().err
    world.act("body-plus", "measure")
    assert _main(fetch) == 0
    assert "2 new" in capsys.readouterr().err
