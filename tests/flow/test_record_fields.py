"""The record of a real installation, for each protocol: all fields, and no secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from installer import __version__
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.events.installation import FirstMeasurement
from installer.flow.run_options import RunConfig
from installer.flow.run_resources import RunResources
from installer.ledger.record_schema import RecordData
from installer.ledger.timestamps import unix_seconds
from tests.flow.support import PASSPHRASE, PROOF, Front, LabWorld, answers_for, install
from tests.flow.test_guided import SCALE, _retail_lab, person, retail
from tests.flow.test_guided import answers as guided_answers
from tests.flow.test_protocols import many
from tests.installer.lab.lab_process import LabProcess, fast_scenario
from tests.installer.ledger.test_schema_migration import at

__all__ = ["_retail_lab", "many", "retail"]


def newest() -> dict[str, Any]:
    """The newest record of the lab's ledger."""
    records = RunResources(RunConfig(lab=True)).records()
    try:
        return records.all()[-1]
    finally:
        records.close()


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SITE", "Ward 3"), ("OPERATOR", "Ann"), ("STATION", "desk-1")):
        monkeypatch.setenv(f"DEVICE_INSTALLER_{name}", value)


def check(record: dict[str, Any], world: LabWorld, model: str, method: str, protocol: str) -> None:
    """The fields that every record has, for all protocols."""
    device = world.device(model)
    assert (record["outcome"], record["error"], record["attempts"]) == ("installed", None, 1)
    assert (record["address"], record["name"]) == (device["address"], device["name"])
    assert record["model"]
    assert record["certainty"] in ("certain", "likely")
    assert record["reasons"]
    assert (record["protocol"], record["method"]) == (protocol, method)
    assert (record["site"], record["operator"], record["station"]) == ("Ward 3", "Ann", "desk-1")
    assert record["version"] == __version__
    assert record["serial"]
    assert record["firmware"]
    assert record["ssid"] == ("Home" if method == "wifi" else None)
    assert (record["sent"] is not None) == (method == "wifi")
    steps = [s["step"] for s in record["steps"]]
    assert steps[:2] == ["find", "sync"]
    assert ("network" in steps) == ("provision" in steps) == (method == "wifi")
    assert sum(s["took"] for s in record["steps"]) <= record["took"] + 0.1
    began, ended = unix_seconds(record["started"]), unix_seconds(record["ended"])
    assert began is not None
    assert ended is not None
    assert 0 < record["took"] <= ended - began + 0.1
    assert record["answers"]["find"]["device"] == device["address"]
    RecordData.model_validate(record)
    for secret in (PASSPHRASE, PROOF):
        assert secret not in str(record)


WITHINGS = [
    ("body-plus", "wifi", "improv"),
    ("body-plus", "bluetooth", "improv"),
    ("bpm-connect", "wifi", "espressif"),
    ("sleep", "wifi", "espressif"),
    ("move", "bluetooth", "improv"),
]


@pytest.mark.usefixtures("placed")
@pytest.mark.parametrize(("model", "method", "protocol"), WITHINGS)
async def test_a_device_with_an_account(world: LabWorld, model: str, method: str, protocol: str) -> None:
    ended, front = await install(answers_for(world, model, method))
    assert ended.outcome == "installed", front.text()
    record = newest()
    check(record, world, model, method, protocol)
    # The cloud's id of the device, which its support uses.
    assert record["serial"].startswith("LAB")
    assert record["firmware"] == "1.0.0-lab"
    assert record["account"] == "default"
    assert record["device_id"]
    assert {"link", "verify"} <= {s["step"] for s in record["steps"]}
    # The measured values are shown to the installer and are not in the ledger.
    (first,) = front.of(FirstMeasurement)
    assert str(first.measurement) not in str(record)
    assert [s["result"] for s in record["steps"] if s["step"] == "verify"] == [{"source": first.source}]


@pytest.mark.usefixtures("placed")
@pytest.mark.parametrize("protocol", ["shelly", "nordic"])
async def test_a_device_without_an_account(many: LabWorld, protocol: str) -> None:
    ended, front = await install(answers_for(many, protocol, "wifi"))
    assert ended.outcome == "installed", front.text()
    record = newest()
    check(record, many, protocol, "wifi", protocol)
    assert (record["account"], record["device_id"]) == (None, None)


async def test_a_device_that_tells_nothing_of_itself(
    lab_factory: Callable[[str], LabProcess], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Device Information, the values come from the protocol."""
    from installer.flow import lab_process
    from tests.flow.support import use

    process = lab_factory(fast_scenario().replace('model = "body-plus"', 'model = "body-plus"\ninformation = false', 1))
    state = lab_process.read_state(process.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, process.state_file)
    ended, front = await install(answers_for(world, "body-plus", "wifi"))
    assert ended.outcome == "installed", front.text()
    assert newest()["firmware"] == "1.0.0"


async def test_a_failure_and_what_mended_it(world: LabWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PASSPHRASE", "wrong passphrase")
    ended, _ = await install(answers_for(world, "body", "wifi"))
    assert ended.outcome == "failed"
    record = newest()
    assert (record["outcome"], record["error"], record["step"]) == ("failed", "join_failed", "provision")
    assert record["failures"][-1]["code"] == "join_failed"
    assert "wrong passphrase" not in str(record)


def test_who_and_where_by_options(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["install", "--lab", "--non-interactive", "--device", world.address("move"), "--no-wait"]
    assert _main([*words, "--site", "Ward 9", "--operator", "Ben", "--label", "Bed 4"]) == 0
    record = newest()
    assert (record["site"], record["operator"], record["label"]) == ("Ward 9", "Ben", "Bed 4")


def test_an_older_ledger_stops_a_script_before_anything_is_sent(
    world: LabWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "older.sqlite"
    at(path, "0001")
    words = ["install", "--lab", "--non-interactive", "--device", world.address("move"), "--ledger", str(path)]
    assert _main(words) == ErrorCode.DATABASE_OUTDATED.exit_status
    said = capsys.readouterr().err
    assert "device-installer ledger migrate" in said
    assert world.device("move")["att_requests"] == 0
    assert _main(["ledger", "migrate", "--ledger", str(path)]) == 0
    assert _main([*words, "--no-wait"]) == 0


@pytest.mark.usefixtures("placed")
async def test_a_device_that_its_vendors_app_sets_up(retail: LabWorld) -> None:
    front = Front(on_event=person(retail, SCALE, "Home"))
    ended, _ = await install(guided_answers(SCALE, "wifi"), front, guided=True)
    assert ended.outcome == "installed", front.text()
    record = newest()
    RecordData.model_validate(record)
    assert (record["protocol"], record["method"], record["model"]) == ("guided", "wifi", "body-plus")
    assert (record["address"], record["account"]) == (SCALE, "default")
    # `getdevice` has no serial number, and only the identity of a retail device is read.
    assert (record["serial"], record["firmware"]) == (None, "1000")
    assert record["device_id"] == record["handed_over"]
    assert (record["site"], record["operator"]) == ("Ward 3", "Ann")
    # The phone sends the network; nothing was sent from here.
    assert (record["ssid"], record["sent"]) == (None, None)
