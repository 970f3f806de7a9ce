"""From the installation to the stored value: a device measures, the cloud has it, `data` stores it."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from installer import settings
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.measurements.json_lines import ADAPTER
from tests.flow.support import LabWorld, lines
from tests.flow.test_whole_way import measured


@pytest.fixture
def scale(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> LabWorld:
    """A scale is installed, and its first measurement is in the cloud."""
    arguments = ["--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE", "--sync", "wifi"]
    assert _main(["install", "--lab", "--non-interactive", "--model", "body-plus", *arguments]) == 0
    capsys.readouterr()
    return world


def test_fetch_says_what_is_new_and_only_that(scale: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["data", "fetch", "--lab"]) == 0
    said = capsys.readouterr()
    assert "default: 4 new" in said.err
    assert said.out.count("Body+") == 2
    assert said.out.count("typed by hand") == 2
    assert _main(["data", "fetch", "--lab"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "default: 0 new\n")


def test_json_keeps_to_its_schema(scale: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["schema", "data"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert _main(["data", "fetch", "--lab", "--json"]) == 0
    assert _main(["data", "show", "--lab", "--json"]) == 0
    text = capsys.readouterr().out
    found = lines(text)
    assert [e["event"] for e in found].count("account_fetched") == 1
    assert {e.get("change") for e in found} == {"new", "known", None}
    described = {name: set(part["properties"]) for name, part in schema["$defs"].items()}
    for line, event in zip(text.splitlines(), found, strict=True):
        ADAPTER.validate_json(line)
        assert set(event) == described["Value" if event["event"] == "value" else "AccountFetched"]


def test_an_empty_store_says_what_to_do(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["data", "show", "--lab"]) == 0
    assert _main(["data", "export", "--lab", "--format", "json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == []
    assert said.err.count("`device-installer data fetch --lab`") == 2
    # The lab's user comes by himself.
    assert _main(["data", "fetch", "--lab"]) == 0


def test_a_lab_that_forgot_its_users_is_signed_in_to_again(scale: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    scale.call("POST", "/lab/reset")
    assert _main(["data", "fetch", "--lab"]) == 0
    assert "default: 2 new" in capsys.readouterr().err  # what is typed when signing up


def test_export_of_one_kind_into_a_file(scale: LabWorld, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    scale.act("body-plus", "measure")
    assert _main(["data", "fetch", "--lab"]) == 0
    capsys.readouterr()
    path = tmp_path / "weights.csv"
    selection = ["--device", "body+", "--kind", "weight", "--since", "1d"]
    assert _main(["data", "export", "--lab", *selection, "--out", str(path)]) == 0
    assert f"2 values were written to {path}" in capsys.readouterr().err
    found = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    assert found[-1]["value"] == f"{scale.device('body-plus')['last_measurement']['weight']:g}"
    assert {(f["device_name"], f["unit"]) for f in found} == {("Body+", "kg")}


@pytest.mark.parametrize("selection", [["--device", "nobody"], ["--kind", "wieght"]])
def test_a_name_that_is_not_there_is_told_with_those_that_are(
    scale: LabWorld, capsys: pytest.CaptureFixture[str], selection: list[str]
) -> None:
    assert _main(["data", "fetch", "--lab"]) == 0
    assert _main(["data", "export", "--lab", *selection]) == ErrorCode.DATA_UNKNOWN.exit_status
    assert "in the store:" in capsys.readouterr().err


def test_a_cloud_that_is_down_is_the_exit_status(scale: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    scale.cloud(down=True)
    assert _main(["data", "fetch", "--lab", "--json"]) == ErrorCode.CLOUD_UNREACHABLE.exit_status
    [event] = lines(capsys.readouterr().out)
    assert (event["event"], event["error"]["code"]) == ("account_fetched", "cloud_unreachable")


def test_watching_too_often_is_refused_at_a_real_cloud(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["data", "watch", "--every", "1"]) == ErrorCode.USAGE.exit_status
    assert "5 seconds or more" in capsys.readouterr().err


def test_a_password_in_the_address_of_the_database_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["data", "show", "--database", "postgresql://me:hush-hush@db/x"]) == ErrorCode.USAGE.exit_status
    assert "hush-hush" not in capsys.readouterr().err


def test_without_an_account_it_is_said_how_to_sign_in(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["data", "fetch", "--cloud", "http://127.0.0.1:9"]) == ErrorCode.ACCOUNT_UNKNOWN.exit_status
    assert "device-installer account login" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, ErrorCode.INTERRUPTED.exit_status), (signal.SIGTERM, 0)]
)
def test_watch_prints_each_new_value_and_ends_cleanly(scale: LabWorld, number: int, status: int) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", "from installer.cli.main import main; main()"]
        + ["data", "watch", "--lab", "--every", "0.2", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    try:
        first = [json.loads(program.stdout.readline()) for _ in range(5)]
        assert [e["event"] for e in first] == ["value"] * 4 + ["account_fetched"]
        scale.act("body-plus", "measure")
        fresh = [json.loads(program.stdout.readline()) for _ in range(2)]
        expected = measured(scale, "body-plus")
        assert {e["kind"]: (e["value"], e["unit"]) for e in fresh} == expected
    finally:
        program.send_signal(number)
        _, words = program.communicate(timeout=20)
    assert program.returncode == status
    assert "6 new values were stored." in words
    assert "Traceback" not in words


def test_a_store_that_is_moved_away_under_a_watch_is_told_and_the_next_one_has_all(
    scale: LabWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", "from installer.cli.main import main; main()"]
        + ["data", "watch", "--lab", "--every", "0.2", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    try:
        while json.loads(program.stdout.readline())["event"] != "account_fetched":
            pass
        store = settings.data_dir() / "lab-measurements.sqlite"
        store.rename(store.with_name("tidied-up.sqlite"))
        scale.act("body-plus", "measure")
        new = set(measured(scale, "body-plus").values())
        while new:
            event = json.loads(program.stdout.readline())
            new -= {(event.get("value"), event.get("unit"))}
    finally:
        program.send_signal(signal.SIGTERM)
        _, words = program.communicate(timeout=20)
    assert "was renamed to tidied-up.sqlite while this program used it" in words
    assert "Traceback" not in words
    capsys.readouterr()
    assert _main(["data", "show", "--lab", "--json"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    # The first measurement, the second one, and what the person typed: the new file got what was in the old one, too.
    assert len(shown) == 6
    assert {(e["value"], e["unit"]) for e in shown} >= set(measured(scale, "body-plus").values())
