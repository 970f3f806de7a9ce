"""From the installation to the stored value: a device measures, the cloud has it, `data` stores it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from installer.cli import _main
from installer.data.messages import ADAPTER
from installer.errors import ErrorCode
from tests.flow.support import LabWorld, answers_for, install, lines

# What the lab's device says it measured: the kind in the store, and the unit.
KINDS = {
    "weight": ("weight", "kg"),
    "fat_ratio": ("fat ratio", "%"),
    "systolic": ("systolic pressure", "mmHg"),
    "diastolic": ("diastolic pressure", "mmHg"),
    "pulse": ("pulse", "1/min"),
    "temperature": ("temperature", "°C"),
    "asleep": ("time asleep", "s"),
}
BY_WIFI = ("body", "body-plus", "bpm-connect", "sleep", "thermo")


def measured(world: LabWorld, model: str) -> dict[str, tuple[str, str]]:
    """What the device says: by kind, value and unit as the store writes them."""
    last = world.device(model)["last_measurement"]
    kinds = KINDS | ({"pulse": ("pulse asleep", "1/min")} if model == "sleep" else {})
    return {kinds[name][0]: (f"{value:g}", kinds[name][1]) for name, value in last.items() if name in kinds}


def values(text: str) -> list[dict[str, Any]]:
    return [event for event in lines(text) if event["event"] == "value"]


@pytest.mark.parametrize("model", BY_WIFI)
async def test_what_a_device_measured_is_what_is_stored(
    world: LabWorld, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    outcome, _ = await install(answers_for(world, model, "wifi"))
    assert outcome.outcome == "installed", outcome.error
    world.act(model, "measure")
    expected = measured(world, model)
    assert expected
    await _in_process("data", "fetch", "--lab", "--json")
    shown = await _in_process("data", "show", "--lab", "--json", "--device", model)
    stored = {(f["kind"], (f["value"], f["unit"])) for f in lines(shown)}
    assert set(expected.items()) <= stored
    assert capsys.readouterr().out == ""


async def _in_process(*arguments: str) -> str:
    """The standard output of a run of the program that must succeed."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from installer.cli import main; main()", *arguments],
            capture_output=True, text=True, timeout=50, env=os.environ,
        )  # fmt: skip

    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stderr
    return done.stdout


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
    assert "that there are:" in capsys.readouterr().err


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


def test_watch_prints_each_new_value_and_ends_cleanly(scale: LabWorld) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", "from installer.cli import main; main()"]
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
        program.send_signal(signal.SIGINT)
        _, words = program.communicate(timeout=20)
    assert program.returncode == ErrorCode.INTERRUPTED.exit_status
    assert "6 new values were stored." in words
    assert "Traceback" not in words
