"""Resuming interrupted installations: done steps are not repeated, and an unconfirmed join is checked first."""

from __future__ import annotations

import asyncio
import io
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from textual.pilot import Pilot

from installer import settings
from installer.answers import Answers, StepKey
from installer.cli.main import _main
from installer.cloud.lab_sign_in import sign_in_by_form
from installer.errors import ErrorCode
from installer.flow import lab_process
from installer.flow.run_options import Options, RunConfig
from installer.flow.run_resources import RunResources
from installer.flow.steps import join_outcome
from installer.ledger.records import Context, Record, Records
from screens.home import HomeScreen
from screens.link import AccountScreen
from screens.open_wizard import make_app
from screens.secret_screens import PassphraseScreen
from screens.sign_in import SignInScreen
from tests.flow.support import FAST, OURS, PASSPHRASE, SILENT, LabWorld, answers_for, install, lines, use
from tests.installer.lab.lab_process import LabProcess
from tests.proof.killing import Bench, Lane, trial
from tests.screens.driver import (
    answer_account,
    confirm_account,
    confirm_sending,
    flat_text,
    screen_text,
    type_text,
    wait_for_finish,
    wait_for_screen,
    wait_for_text,
)


@contextmanager
def ledger(home: Path) -> Iterator[Records]:
    """The lab's ledger of this home, opened as by another process."""
    records = Records(home / "data" / "lab-ledger.sqlite", settings.runtime_dir() / "stations")
    try:
        yield records
    finally:
        records.close()


@pytest.fixture
def records(home: Path) -> Iterator[Records]:
    with ledger(home) as opened:
        yield opened


def resume(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    capsys.readouterr()
    status = _main(["resume", "--lab", "--json", "--non-interactive", *arguments])
    return status, lines(capsys.readouterr().out)


def begun(events: list[dict[str, Any]]) -> list[str]:
    return [e["step"] for e in events if e["event"] == "step_started"]


def failed(answers: Answers, code: ErrorCode) -> str:
    """Run an installation that ends with this failure; returns its id."""
    ended, front = asyncio.run(install(answers))
    assert ended.error is not None, front.text()
    assert ended.error.code is code, front.text()
    return str(ended.summary["installation"])


def one(records: Records) -> dict[str, Any]:
    (record,) = records.all()
    return record


def test_from_the_link_on_no_bluetooth_is_used(
    world: LabWorld, records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    world.cloud(down=True)
    failed(answers_for(world, "body-plus", "wifi"), ErrorCode.CLOUD_UNREACHABLE)
    world.cloud(down=False)
    before = world.device("body-plus")
    status, events = resume(capsys)
    assert status == 0, events
    assert events[0]["resumed"] == "link"
    assert begun(events) == ["link", "verify"]
    done_before = [e["step"] for e in events if e["event"] == "step_done" and e.get("before")]
    assert done_before == ["find", "sync", "network", "provision"]
    after = world.device("body-plus")
    assert after["linked"]
    assert (after["att_requests"], after["credentials_received"]) == (before["att_requests"], 1)
    record = one(records)
    assert (record["outcome"], record["attempts"], record["error"]) == ("installed", 2, None)
    assert [s["step"] for s in record["steps"]] == ["find", "sync", "network", "provision", "link", "verify"]
    assert [f["code"] for f in record["failures"]] == ["cloud_unreachable"]
    # Another resume reports that it is done.
    status, events = resume(capsys, record["id"])
    assert (status, [e["event"] for e in events]) == (0, ["installation_done"])


def test_a_device_that_joined_unseen_is_asked_and_gets_nothing_again(
    world: LabWorld, records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    world.faults("body-plus", {"drop": {"on": "joining"}})
    failed(answers_for(world, "body-plus", "wifi"), ErrorCode.CONNECTION_LOST)
    status, events = resume(capsys)
    assert status == 0, events
    assert begun(events) == ["provision", "link", "verify"]
    assert world.device("body-plus")["credentials_received"] == 1
    steps = {s["step"]: s["result"] for s in one(records)["steps"]}
    assert steps["provision"]["joined"] == "device"


def test_a_device_that_has_not_joined_gets_its_credentials_again(
    world: LabWorld, records: Records, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.faults("body-plus", {"network_vanishes": {"times": 1}})
    failed(answers_for(world, "body-plus", "wifi"), ErrorCode.JOIN_FAILED)
    status, events = resume(capsys)
    assert status == 0, events
    assert "not_joined" in [e.get("code") for e in events]
    assert begun(events) == ["provision", "network", "provision", "link", "verify"]
    assert world.device("body-plus")["joined"] == "Home"


def test_a_passphrase_that_was_typed_is_wanted_again_only_if_it_is_needed(
    world: LabWorld, records: Records, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.faults("body-plus", {"network_vanishes": {"times": 1}})
    network = {"ssid": "Home", "passphrase": {"file": "-"}}
    answers = answers_for(world, "body-plus", "wifi", network=network)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((PASSPHRASE + "\n").encode())))
    failed(answers, ErrorCode.JOIN_FAILED)
    status, events = resume(capsys)
    assert status == ErrorCode.ANSWER_MISSING.exit_status
    assert "--passphrase-file" in events[-2]["todo"]
    status, events = resume(capsys, "--passphrase-env", "TEST_PASSPHRASE")
    assert status == 0, events
    assert one(records)["attempts"] == 3
    assert PASSPHRASE not in json.dumps(one(records)) + json.dumps(events)


OTHER = 'address = "7C:DF:A1:CE:03:C0"'


@pytest.mark.parametrize(
    ("model", "device", "witness"), [("body-plus", OURS, "cloud"), ("generic", OTHER, "silence")], ids=["ours", "other"]
)
def test_a_device_that_ends_its_set_up_unseen(
    home: Path,
    records: Records,
    lab_factory: Callable[[str], LabProcess],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    device: str,
    witness: str,
) -> None:
    """A joined device stops advertising, so only the cloud can confirm the join; without a cloud, nobody can."""
    process = lab_factory(SILENT.format(model=model, device=device))
    state = lab_process.read_state(process.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, process.state_file)
    monkeypatch.setattr(join_outcome, "LISTEN_SECONDS", 0.5)
    failed(answers_for(world, model, "wifi"), ErrorCode.CONNECTION_LOST)
    asyncio.run(process.until(lambda device: not device["advertising"], model))
    status, events = resume(capsys)
    assert status == 0, events
    assert "unseen" in [e.get("code") for e in events]
    assert world.device(model)["credentials_received"] == 1
    steps = {s["step"]: s["result"] for s in one(records)["steps"]}
    assert steps["provision"]["joined"] == witness


def test_a_device_that_was_taken_off_the_account_is_linked_again(
    world: LabWorld, records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = answers_for(world, "body-plus", "wifi")
    world.cloud(fail=[{"path": "/measure", "status": 2554, "times": 50}])
    failed(answers, ErrorCode.CLOUD_FAILED)
    world.cloud(fail=[])

    async def unlink() -> None:
        resources = RunResources(RunConfig(lab=True))
        await resources.lab()
        try:
            account = await (await resources.accounts()).open("default")
            await account.unlink(world.address("body-plus"))
        finally:
            await resources.close()

    asyncio.run(unlink())
    assert not world.device("body-plus")["linked"]
    status, events = resume(capsys)
    assert status == 0, events
    assert begun(events) == ["verify", "link", "verify"]
    assert world.device("body-plus")["linked"]


def test_the_one_to_resume_is_named_where_there_are_several(
    world: LabWorld, records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    status, events = resume(capsys)
    assert (status, events[-1]["code"]) == (16, "record_unknown")
    world.cloud(down=True)
    first = failed(answers_for(world, "body-plus", "wifi"), ErrorCode.CLOUD_UNREACHABLE)
    second = failed(answers_for(world, "body", "wifi"), ErrorCode.CLOUD_UNREACHABLE)
    world.cloud(down=False)
    status, events = resume(capsys)
    assert status == ErrorCode.USAGE.exit_status
    assert set(events[-1]["data"]["candidates"]) == {first, second}
    assert first in events[-1]["what"]
    assert _main(["resume", "--lab", "--list"]) == 0
    listed = capsys.readouterr().out
    assert f"{world.address('body-plus')}  failed at the link step, just now" in listed
    assert _main(["resume", "--lab", "--list", "--json"]) == 0
    assert {e["id"] for e in lines(capsys.readouterr().out)} == {first, second}
    status, events = resume(capsys, world.address("body").lower())
    assert (status, events[-1]["installation"]) == (0, second)
    status, events = resume(capsys, "nothing")
    assert (status, events[-1]["code"]) == (16, "record_unknown")
    records.hide_from_resume(first)
    assert resume(capsys)[0] == 16
    # A forgotten installation is not offered, and can still be resumed.
    assert resume(capsys, first)[0] == 0


def test_one_that_is_running_is_left_alone(
    world: LabWorld, records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    world.cloud(down=True)
    name = failed(answers_for(world, "body-plus", "wifi"), ErrorCode.CLOUD_UNREACHABLE)
    world.cloud(down=False)
    asyncio.run(records.resume(name, "1", Context(station="next room")).claim())
    before = records.get(name)
    status, events = resume(capsys, name)
    assert (status, events[-2]["code"]) == (28, "device_taken")
    assert records.get(name) == before


def test_what_was_left_to_be_linked_is_linked(
    world: LabWorld, records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, front = asyncio.run(install(answers_for(world, "body-plus", "wifi", link={"later": True})))
    assert ended.outcome == "to_be_linked", front.text()
    assert resume(capsys)[0] == 16
    # Also after another interruption.
    world.cloud(down=True)
    name = str(ended.summary["installation"])
    assert resume(capsys, name)[0] != 0
    world.cloud(down=False)
    status, events = resume(capsys)
    assert status == 0, events
    assert (events[-1]["outcome"], events[-1]["installation"]) == ("installed", name)
    assert world.device("body-plus")["linked"]


async def _to(record: Record, world: LabWorld, model: str, method: str) -> None:
    address = world.address(model)
    found = {"address": address, "name": model, "model": model, "certainty": "certain", "protocol": "improv"}
    await record.set_device(address, name=model, model=model, certainty="certain", reasons=[])
    await record.step_done("find", 1.0, found, reached="sync", answers={"find": {"device": address}})
    choices = {"find": {"device": address}, "sync": {"method": method}}
    await record.step_done("sync", 0.1, {"method": method}, reached="link", answers=choices)
    await record.end("failed")


@pytest.mark.parametrize(("model", "method", "status"), [("sleep", "bluetooth", 30), ("move", "wifi", 31)])
def test_the_sync_rule_holds_whatever_the_record_says(
    world: LabWorld, records: Records, capsys: pytest.CaptureFixture[str], model: str, method: str, status: int
) -> None:
    asyncio.run(_to(records.begin("tampered", "1", Context(station="x")), world, model, method))
    found, events = resume(capsys, "tampered")
    assert found == status, events
    assert not world.device(model)["linked"]


KILLED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "sending": lambda e: e.get("stage") == "sending",
    "joining": lambda e: e.get("stage") == "joining",
    "linked": lambda e: e["event"] == "linked",
}


@pytest.mark.parametrize("point", KILLED)
def test_killed_without_warning(point: str, lab: LabProcess, tmp_path: Path) -> None:
    bench = Bench(Lane("improv"), lab, tmp_path)
    bench.fresh()
    killed = bench.install(lambda _number, event: KILLED[point](event))
    assert killed.status == -signal.SIGKILL, killed
    trial(bench, killed)


@asynccontextmanager
async def closing_wizard(resources: RunResources) -> AsyncIterator[Pilot[Any]]:
    try:
        async with make_app(resources, Answers()).run_test(size=(80, 24)) as pilot:
            yield pilot
    finally:
        await resources.close()


async def test_the_wizard_offers_it_and_goes_on(world: LabWorld, records: Records) -> None:
    world.cloud(down=True)
    ended, front = await install(answers_for(world, "body-plus", "wifi"))
    assert ended.error is not None, front.text()
    world.cloud(down=False)
    resources = RunResources(RunConfig(lab=True, options=Options(deadlines=FAST)))
    await resources.lab()
    async with closing_wizard(resources) as pilot:
        await wait_for_text(pilot, "Continue Body+")
        assert "stopped at the link step" in flat_text(pilot)
        await pilot.press("c")
        await answer_account(pilot, None)
        screen = await wait_for_screen(pilot, SignInScreen)
        user = world.state.user
        await sign_in_by_form(screen.question.short_url, user.email, user.password)
        await confirm_account(pilot)
        finish = await wait_for_finish(pilot)
        assert finish.outcome.outcome == "installed", screen_text(pilot)
        await pilot.press("h")
        await wait_for_screen(pilot, HomeScreen)
        await pilot.pause()
        assert "Continue" not in screen_text(pilot)
    assert one(records)["outcome"] == "installed"
    assert world.device("body-plus")["credentials_received"] == 1


async def test_the_wizard_asks_for_a_typed_passphrase_again(world: LabWorld, records: Records) -> None:
    world.faults("body-plus", {"network_vanishes": {"times": 1}})
    answers = answers_for(world, "body-plus", "wifi")
    assert answers.network is not None
    typed = answers.network.model_copy(update={"passphrase": None, "secret": SecretStr(PASSPHRASE)})
    ended, front = await install(answers.with_answer(StepKey.NETWORK, typed))
    assert ended.error is not None, front.text()
    resources = RunResources(RunConfig(lab=True, options=Options(deadlines=FAST)))
    await resources.lab()
    async with closing_wizard(resources) as pilot:
        await wait_for_text(pilot, "Continue Body+")
        await pilot.press("c")
        await wait_for_screen(pilot, PassphraseScreen)
        await type_text(pilot, PASSPHRASE)
        await pilot.press("enter")
        await confirm_sending(pilot)
        await wait_for_screen(pilot, AccountScreen)
    assert world.device("body-plus")["joined"] == "Home"
