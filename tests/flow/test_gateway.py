"""`gateway once` and `gateway status` in the lab: after an installation, out of the box."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from installer import settings
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.events.installation import Notice
from installer.gateway.files_and_lock import GatewayFiles, hold_gateway_lock
from installer.gateway.outbox import Outbox
from installer.gateway.outbox_database import APPLICATION_ID
from installer.measurements.open_store import open_store
from tests.flow.support import LabWorld, answers_for, install

GATEWAY_PROBLEM = ErrorCode.GATEWAY_INCOMPLETE.exit_status


def stored() -> list[tuple[str, str]]:
    """(kind, value as it was measured) of all that is in the lab's store of measurements."""
    with open_store(settings.load(), lab=True) as store:
        return [(row.kind, f"{row.measured:f}") for row in store.rows()]


def once(*more: str, seconds: int = 10) -> int:
    return _main(["gateway", "once", "--lab", "--seconds", str(seconds), "--quiet", "0.3", *more])


def status(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert _main(["gateway", "status", "--lab", "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize(("model", "kinds"), [("move", {"steps"}), ("body-plus", {"weight"})])
async def test_what_an_installed_device_measures_comes_into_the_store(
    world: LabWorld, capsys: pytest.CaptureFixture[str], model: str, kinds: set[str]
) -> None:
    ended, _ = await install(answers_for(world, model, "bluetooth"))
    assert ended.outcome == "installed"
    for _ in range(3):
        world.act(model, "measure")
    assert await asyncio.to_thread(once) == 0
    assert len(stored()) >= 3
    assert kinds <= {kind for kind, _ in stored()}
    known = await asyncio.to_thread(status, capsys)
    assert known["devices"][0]["address"] == world.address(model)
    assert known["devices"][0]["in_range"]
    assert known["sinks"][0]["waiting"] == 0
    assert known["collected"] == known["sinks"][0]["delivered"] >= 3


async def test_a_device_is_in_the_status_right_after_its_installation(
    world: LabWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, _ = await install(answers_for(world, "thermo", "bluetooth"))
    assert ended.outcome == "installed"
    (device,) = (await asyncio.to_thread(status, capsys))["devices"]
    assert (device["address"], device["model"], device["visited"]) == (world.address("thermo"), "thermo", None)
    assert await asyncio.to_thread(_main, ["gateway", "status", "--lab", "--check"]) == GATEWAY_PROBLEM
    said = capsys.readouterr().out
    assert "Start a gateway: `device-installer gateway run --lab`." in said
    assert "No device" not in said


async def test_an_installation_says_that_no_gateway_runs_and_how_to_start_one(world: LabWorld) -> None:
    ended, front = await install(answers_for(world, "thermo", "bluetooth"))
    assert ended.outcome == "installed"
    said = [e.text for e in front.events if isinstance(e, Notice) and e.code == "gateway_needed"]
    assert "No gateway runs on this computer. Start one: `device-installer gateway run --lab`." in said[0]


async def test_an_installation_beside_a_gateway_says_that_it_runs(world: LabWorld) -> None:
    async with hold_gateway_lock(GatewayFiles.in_data_dir(lab=True)):
        _, front = await install(answers_for(world, "thermo", "bluetooth"))
    said = [e.text for e in front.events if isinstance(e, Notice) and e.code == "gateway_needed"]
    assert "runs, and will visit it" in said[0]


async def test_an_installation_beside_a_damaged_outbox_goes_on_and_says_so(world: LabWorld) -> None:
    path = GatewayFiles.in_data_dir(lab=True).outbox
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("no database " * 100)
    ended, front = await install(answers_for(world, "thermo", "bluetooth"))
    assert ended.outcome == "installed"
    assert any(isinstance(e, Notice) and "cannot be asked" in e.text for e in front.events)


async def test_without_bluetooth_what_was_collected_before_is_delivered(world: LabWorld) -> None:
    await install(answers_for(world, "body", "bluetooth"))
    world.cloud(down=True)
    world.act("body", "measure")
    assert await asyncio.to_thread(once) == ErrorCode.GATEWAY_INCOMPLETE.exit_status
    world.cloud(down=False)
    nothing = ("--adapter", "hci:tcp-client:127.0.0.1:1")
    assert await asyncio.to_thread(once, *nothing) == ErrorCode.ADAPTER_FAILED.exit_status
    assert world.call("GET", "/lab/state")["cloud"]["accounts"][0]["measurements"] >= 1


def test_a_device_of_another_maker_is_named(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    address = world.address("thermo")
    assert once("--device", address, "--profile", "temperature", "--json") == 0
    came = json.loads(capsys.readouterr().out)
    assert came["visited"][0] == {
        "address": address, "model": "", "collected": 1, "code": None, "failure": None
    }  # fmt: skip
    assert [kind for kind, _ in stored()] == ["temperature"]


def test_a_device_that_is_not_there_is_no_failure_and_is_told(
    world: LabWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert once("--device", "F0:00:00:00:00:09", "--profile", "weight", seconds=1) == 0
    assert "not within reach: F0:00:00:00:00:09" in capsys.readouterr().out
    known = status(capsys)
    assert known["devices"][0]["seen"] is None
    assert len(known["problems"]) == 1  # it does not run; what is in reach then, nobody knows


def test_a_visit_that_fails_is_told_with_its_reason(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    world.faults("thermo", {"refuse_connections": {"times": 0}})
    address = world.address("thermo")
    failed = once("--device", address, "--profile", "temperature", seconds=2)
    assert failed == ErrorCode.GATEWAY_INCOMPLETE.exit_status
    assert "The connection to" in capsys.readouterr().err
    known = status(capsys)
    assert known["devices"][0]["failures"] >= 1
    assert known["devices"][0]["code"] == "connection_failed"


def test_a_visit_that_fails_once_is_tried_again_within_the_time(world: LabWorld) -> None:
    world.faults("thermo", {"drop": {"on": "subscribe", "times": 1}})
    address = world.address("thermo")
    assert once("--device", address, "--profile", "temperature", seconds=30) == 0
    assert [kind for kind, _ in stored()] == ["temperature"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), ErrorCode.GATEWAY_EMPTY),
        (("--device", "F0:00:00:00:00:09"), ErrorCode.USAGE),
        (("--device", "F0:00:00:00:00:09", "--profile", "mood"), ErrorCode.USAGE),
    ],
)
def test_what_cannot_be_done_is_said_before_any_scan(
    world: LabWorld, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: ErrorCode
) -> None:
    assert once(*arguments) == code.exit_status
    assert world.call("GET", "/lab/state")["hosts"] == 0


async def test_there_is_one_gateway(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    files = GatewayFiles.in_data_dir(lab=True)
    async with hold_gateway_lock(files):
        ended = await asyncio.to_thread(once, "--device", world.address("thermo"), "--profile", "temperature")
        assert ended == ErrorCode.GATEWAY_RUNNING.exit_status
        assert "process" in capsys.readouterr().err
        assert (await asyncio.to_thread(status, capsys))["running"] is True
    assert (await asyncio.to_thread(status, capsys))["running"] is False


def test_before_anything_was_done(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["gateway", "status"]) == 0
    out = capsys.readouterr().out
    assert "not running" in out
    assert "none was installed" in out
    assert not GatewayFiles.in_data_dir(lab=False).outbox.exists()
    assert _main(["gateway", "status", "--check"]) == ErrorCode.GATEWAY_INCOMPLETE.exit_status


def test_a_damaged_outbox_is_told_and_left(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = GatewayFiles.in_data_dir(lab=False).outbox
    path.parent.mkdir(parents=True)
    path.write_text("no database " * 100)
    assert _main(["gateway", "status"]) == ErrorCode.OUTBOX_INVALID.exit_status
    assert "Move it away" in capsys.readouterr().err
    assert path.read_text().startswith("no database")


def test_the_outbox_says_what_it_is(tmp_path: Path) -> None:
    with Outbox.open(tmp_path / "box.sqlite") as box:
        assert box.rows("PRAGMA application_id")[0][0] == APPLICATION_ID
        assert box.rows("PRAGMA journal_mode")[0][0] == "delete"
        assert box.rows("PRAGMA synchronous")[0][0] == 3
