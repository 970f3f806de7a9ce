"""What is damaged is named and not taken for absent; the rest is served; the exit status is not 0."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.flow import lab_process
from installer.flow.run_resources import lab_state_file
from installer.ledger.record_schema import RecordData, Row
from installer.ledger.records import Records
from installer.measurements.json_lines import ADAPTER
from installer.measurements.store import Store
from installer.measurements.stored_value import row
from installer.storage import database
from tests.bench.ledger import fill
from tests.flow.support import LabWorld, lines

UNREADABLE = ErrorCode.SECRET_UNAVAILABLE.exit_status
DATABASE = ErrorCode.DATABASE_FAILED.exit_status
INSTALL = ["install", "--lab", "--non-interactive", "--model", "body-plus", "--sync", "wifi", "--ssid", "Home"]
INSTALL += ["--passphrase-env", "TEST_PASSPHRASE"]


@pytest.fixture
def scale(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> LabWorld:
    """A scale is installed for the account `default`, and its first measurement is in the cloud."""
    assert _main(INSTALL) == 0
    capsys.readouterr()
    return world


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def of_another_owner(path: Path) -> None:
    os.chown(path, 12345, -1)


DAMAGES: list[Callable[[Path], None]] = [emptied, linked]
if hasattr(os, "geteuid") and os.geteuid() == 0:
    DAMAGES.append(of_another_owner)


def damaged_account(home: Path, damage: Callable[[Path], None]) -> Path:
    """The account `ward` is the account `default` again, and then it is damaged."""
    folder = home / "data" / "lab-accounts"
    (healthy,) = folder.glob("default.*.json")
    record = json.loads(healthy.read_text())
    from installer.cloud.account_file import Application, file_name

    application = Application(record["cloud"], record["client_id"])
    path = folder / file_name(application, "ward")
    path.write_text(json.dumps({**record, "name": "ward"}))
    path.chmod(0o600)
    damage(path)
    return path


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_account_is_listed_and_the_others_are_fetched(
    scale: LabWorld, home: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    path = damaged_account(home, damage)
    before = path.lstat()
    assert _main(["account", "list", "--lab"]) == UNREADABLE
    said = capsys.readouterr()
    assert [line.partition("  (")[0] for line in said.out.splitlines()] == ["default", "ward"]
    assert "ward  (damaged: the file" in said.out
    assert str(path) in said.err
    assert "device-installer account login ward" in said.err or "chown" in said.err

    assert _main(["data", "fetch", "--lab"]) == UNREADABLE
    said = capsys.readouterr()
    assert "default: 4 new" in said.err
    assert f"“ward” cannot be used: the file {path}" in said.err

    assert _main(["data", "fetch", "--lab", "--json"]) == UNREADABLE
    found = {one["account"]: one["error"] for one in lines(capsys.readouterr().out)}
    assert found["default"] is None
    assert (found["ward"]["code"], found["ward"]["exit_status"]) == ("secret_unavailable", UNREADABLE)

    assert _main(["data", "fetch", "--lab", "--account", "ward"]) == UNREADABLE
    assert "no stored tokens" not in capsys.readouterr().err
    assert _main(["notifications", "list", "--lab"]) == UNREADABLE
    assert "“ward” cannot be used" in capsys.readouterr().err
    _main(["doctor", "--lab", "--json"])
    looks = [one for one in lines(capsys.readouterr().out) if one["subject"] == "accounts"]
    assert [(one["state"], str(path) in one["text"]) for one in looks] == [("warning", True)]
    after = path.lstat()
    assert (after.st_ino, after.st_size, after.st_mtime) == (before.st_ino, before.st_size, before.st_mtime)


def test_an_installation_tells_what_is_damaged_before_the_next_sign_in_replaces_it(
    scale: LabWorld, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = (home / "data" / "lab-accounts").glob("default.*.json")
    emptied(path)
    scale.call("POST", "/lab/reset")
    assert _main(INSTALL) == 0
    said = capsys.readouterr().err
    assert f"the file {path} is empty. The next sign-in replaces them." in said
    assert path.stat().st_size


def test_an_installation_without_a_person_ends_before_anything_is_sent(
    scale: LabWorld, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = scale.state
    monkeypatch.setenv("DEVICE_INSTALLER_CLIENT_ID", state.client_id)
    # The real accounts of the lab's cloud: nobody signs in by himself there.
    (home / "data" / "lab-accounts").rename(home / "data" / "accounts")
    (healthy,) = (home / "data" / "accounts").glob("default.*.json")
    emptied(healthy)
    scale.call("POST", "/lab/reset")
    install = [*INSTALL, "--adapter", state.adapter, "--cloud", state.cloud]
    install.remove("--lab")
    assert _main(install) == UNREADABLE
    assert str(healthy) in capsys.readouterr().err
    assert scale.device("body-plus")["credentials_received"] == 0


def test_a_watch_says_once_what_is_damaged_serves_the_rest_and_ends_with_its_status(
    scale: LabWorld, home: Path
) -> None:
    path = damaged_account(home, emptied)
    command = [sys.executable, "-c", "from installer.cli.main import main; main()"]
    command += ["data", "watch", "--lab", "--every", "0.2", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        events = []
        while not {"trouble", "value"} <= {e["event"] for e in events}:
            events.append(json.loads(watching.stdout.readline()))
        scale.act("body-plus", "measure")
        while not any(e.get("change") == "new" and e.get("device_name") for e in events[-1:]):
            events.append(json.loads(watching.stdout.readline()))
        watching.send_signal(signal.SIGTERM)
        rest, said = watching.communicate(timeout=20)
    events += lines(rest)
    assert [e["account"] for e in events if e["event"] == "trouble"] == ["ward"]
    assert str(path) in said
    assert watching.returncode == UNREADABLE


def change(database: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        assert connection.execute(statement, values).rowcount


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("details", "answers", '{"find": '),
        ("details", "reasons", '"text"'),
        ("steps", "result", "{"),
        ("failures", "time", "noon"),
        ("installations", "started", "yesterday"),
        ("installations", "took", "long"),
        ("installations", "outcome", "perhaps"),
    ],
)
def test_a_damaged_record_is_named_and_the_others_are_shown(
    home: Path, capsys: pytest.CaptureFixture[str], table: str, column: str, value: str
) -> None:
    ledger = home / "data" / "ledger.sqlite"
    records = Records(ledger)
    fill(records, 120)
    wrong = next(one["id"] for one in records.all() if one["failures"] and one["steps"])
    records.close()
    key = "id" if table == "installations" else "installation"
    change(ledger, f"UPDATE {table} SET {column} = ? WHERE {key} = ?", value, wrong)

    in_list = table == "installations"
    assert _main(["records", "list", "--json", "--limit", "200"]) == (DATABASE if in_list else 0)
    rows = {row["id"]: Row.model_validate(row) for row in lines(capsys.readouterr().out)}
    assert {i: row.damaged for i, row in rows.items() if row.damaged} == ({wrong: [column]} if in_list else {})
    assert len(rows) == 120

    assert _main(["records", "export", "--format", "json"]) == DATABASE
    said = capsys.readouterr()
    exported = [RecordData.model_validate(one) for one in json.loads(said.out)]
    assert [one.id for one in exported if one.damaged] == [wrong]
    assert f"record {wrong} (" in said.err
    assert column in said.err
    for command in (["records", "list", "--limit", "200"], ["records", "export"], ["records", "show", wrong]):
        assert _main(command) == (0 if command[1] == "list" and not in_list else DATABASE)
        assert ("Damaged" in capsys.readouterr().out) is (command[1] == "show")
    assert _main(["resume", wrong]) == DATABASE
    healthy = next(one.id for one in exported if not one.damaged)
    assert _main(["records", "show", healthy]) == 0
    with closing(sqlite3.connect(ledger)) as connection:
        assert (value,) in connection.execute(f"SELECT {column} FROM {table} WHERE {key} = ?", (wrong,)).fetchall()


@pytest.mark.parametrize(("column", "value"), [("value", "heavy"), ("taken", "yesterday"), ("measured", "NaN")])
def test_a_damaged_measurement_is_named_and_the_others_are_shown(
    home: Path, capsys: pytest.CaptureFixture[str], column: str, value: str
) -> None:
    path = home / "data" / "measurements.sqlite"
    path.parent.mkdir(parents=True)
    with Store.open(database.sqlite_url(path)) as store:
        at = datetime(2026, 11, 1, tzinfo=UTC)
        store.put(
            row(
                source="cloud", device="d", kind="weight", measured=Decimal(70 + n), unit="kg", taken=at.replace(hour=n)
            )
            for n in range(4)
        )
    change(path, f"UPDATE measurements SET {column} = ? WHERE number = 2", value)
    for command in (["show", "--json"], ["export", "--format", "json"]):
        assert _main(["data", *command]) == DATABASE
        said = capsys.readouterr()
        found = json.loads(said.out) if command[0] == "export" else lines(said.out)
        assert len([one for one in found if one.get("event", "value") == "value"]) == 3
        assert f"measurement 2 ({column})" in said.err
        if command[0] == "show":
            for line in said.out.splitlines():
                ADAPTER.validate_json(line)
            assert found[-1]["error"]["exit_status"] == DATABASE
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(f"SELECT {column} FROM measurements WHERE number = 2").fetchone() == (value,)


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_state_file_that_cannot_be_read_is_not_taken_for_no_lab(
    home: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    lab_state_file().parent.mkdir(parents=True)
    lab_state_file().write_text(content)
    for command in ("status", "stop", "start"):
        assert _main(["lab", command]) == ErrorCode.LAB_UNAVAILABLE.exit_status
        assert f"its state file {lab_state_file()} is damaged" in capsys.readouterr().err
    assert lab_state_file().read_text() == content
    lab_state_file().unlink()
    assert lab_process.read_state(lab_state_file()) is None


def test_a_ledger_that_cannot_be_read_is_told_by_the_wizards_first_screen(home: Path) -> None:
    import asyncio

    from installer.errors import InstallerError
    from installer.flow import resume

    path = home / "data" / "ledger.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 1000)
    with closing(Records(path)) as records, pytest.raises(InstallerError) as caught:
        asyncio.run(resume.list_for_wizard(records, None))
    assert caught.value.code is ErrorCode.DATABASE_FAILED
