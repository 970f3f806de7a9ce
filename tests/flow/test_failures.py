"""Failures: the error, its exit status, and a second try that succeeds."""

from __future__ import annotations

import asyncio
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from installer.answers import Answers, FindAnswer, LinkAnswer, NetworkAnswer, ProvisionAnswer, StepKey, SyncAnswer
from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode
from installer.events.installation import DeviceConnected, Failed, InstallationDone, Provisioning, WaitingForData
from installer.events.json_lines import Event
from installer.flow.front_end import Recovery
from installer.flow.questions import (
    AskPassphrase,
    ChooseAccount,
    ChooseDevice,
    ChooseNetwork,
    ChooseSync,
    ConfirmDevice,
    ConfirmSending,
)
from installer.provisioning.provisioner import Stage
from installer.wifi.networks import Security
from tests.flow.support import FAST, PASSPHRASE, Front, LabWorld, answers_for, install

DEFAULT_NETWORKS = [
    n
    for n in tomllib.loads(Path("assets/default-scenario.toml").read_text("utf-8"))["network"]
    if n.get("security") != "enterprise" and any(a.get("band") != "5 GHz" for a in n.get("access_points", [{}]))
]
# The real cloud's answer for a code that is older than 30 seconds or was used before.
INVALID_CODE = '{"status": 503, "body": {}, "error": "Invalid Params: invalid code"}'
DROPS = ["connect", "subscribe", "info", "scan", "credentials", "joining"]


async def when_seen(question: ChooseDevice, address: str) -> FindAnswer:
    """Choose the device as soon as the live list shows it."""
    async with asyncio.timeout(10):
        while address not in [s.address for s in question.sightings.current()]:  # noqa: ASYNC110 - a live list
            await asyncio.sleep(0.02)
    return FindAnswer(device=address)


async def failed(answers: Any, code: ErrorCode, **options: Any) -> Front:
    """Run an installation that ends with this error; its last `failed` event has the code and the exit status."""
    ended, front = await install(answers, **options)
    assert ended.outcome == "failed", front.text()
    assert ended.error is not None
    assert ended.error.code is code, f"{ended.error!r} {ended.error.data}"
    said = front.of(Failed)[-1]
    assert (said.code, said.exit_status) == (code.value, code.exit_status)
    assert said.what
    assert said.todo
    return front


async def succeeds(answers: Any, **options: Any) -> Front:
    ended, front = await install(answers, **options)
    assert ended.outcome == "installed", f"{ended.error!r}\n{front.text()}"
    return front


async def test_wrong_passphrase_then_the_right_one(world: LabWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = answers_for(world, "body-plus", "wifi")
    monkeypatch.setenv("TEST_PASSPHRASE", "wrong horse battery")
    await failed(answers, ErrorCode.JOIN_FAILED)
    assert world.device("body-plus")["joined"] is None
    monkeypatch.setenv("TEST_PASSPHRASE", PASSPHRASE)
    await succeeds(answers)
    assert world.device("body-plus")["joined"] == "Home"


async def test_a_person_mends_a_wrong_passphrase_on_the_same_connection(world: LabWorld) -> None:
    front = Front(
        answers={
            ChooseNetwork: NetworkAnswer(ssid="Home", security=Security.WPA2),
            AskPassphrase: [SecretStr("wrong horse battery"), SecretStr(PASSPHRASE)],
        },
        recoveries=[Recovery.CHANGE],
    )
    answers = answers_for(world, "body-plus", "wifi").without([StepKey.NETWORK])
    ended, _ = await install(answers, front, ask=frozenset({StepKey.NETWORK}))
    assert ended.outcome == "installed", front.text()
    # Only the passphrase was asked again, with the reason; there was one connection to the device.
    assert [type(q) for q in front.asked] == [ChooseNetwork, AskPassphrase, AskPassphrase]
    problem = front.asked[-1].problem
    assert problem is not None
    assert problem.code is ErrorCode.JOIN_FAILED
    assert len(front.of(DeviceConnected)) == 1
    assert world.device("body-plus")["credentials_received"] == 2


async def test_the_network_vanishes_while_joining(world: LabWorld) -> None:
    world.faults("thermo", {"network_vanishes": {"times": 1}})
    answers = answers_for(world, "thermo", "wifi")
    await failed(answers, ErrorCode.JOIN_FAILED)
    world.call("POST", "/lab/networks/Home", {"up": True})
    await succeeds(answers)


async def test_a_network_that_is_down(world: LabWorld) -> None:
    world.call("POST", "/lab/networks/Home", {"up": False})
    answers = answers_for(world, "thermo", "wifi")
    await failed(answers, ErrorCode.JOIN_FAILED)
    world.call("POST", "/lab/networks/Home", {"up": True})
    await succeeds(answers)


@pytest.mark.parametrize("on", DROPS)
async def test_the_link_drops(world: LabWorld, on: str) -> None:
    world.faults("body", {"drop": {"on": on, "times": 1}})
    answers = answers_for(world, "body", "wifi")
    ended, _ = await install(answers)
    if ended.outcome != "installed":  # after a drop during the connection, a second connection attempt may succeed
        assert ended.error is not None
        assert ended.error.code in (ErrorCode.CONNECTION_LOST, ErrorCode.CONNECTION_FAILED), repr(ended.error)
        await succeeds(answers)
    else:
        assert on in ("connect", "subscribe")
    assert world.device("body")["linked"]


async def test_the_link_drops_after_success_and_the_second_try_only_links(world: LabWorld) -> None:
    world.faults("body", {"drop": {"on": "provisioned", "times": 1}})
    answers = answers_for(world, "body", "wifi")
    ended, _ = await install(answers)
    if ended.outcome != "installed":
        await succeeds(answers)
    assert world.device("body")["credentials_received"] == 1


async def test_nobody_presses_the_button(world: LabWorld, lab_factory: Any, home: Any) -> None:
    world.faults("thermo", {"never_authorized": {"times": 1}})
    answers = answers_for(world, "thermo", "wifi")
    front = await failed(answers, ErrorCode.AUTHORIZATION_TIMEOUT, deadlines=replace(FAST, authorization=0.4))
    waiting = next(p for p in front.of(Provisioning) if p.stage is Stage.AUTHORIZATION_NEEDED)
    assert "button" in waiting.todo.lower()
    assert world.device("thermo")["credentials_received"] == 0
    await succeeds(answers)


@pytest.mark.parametrize("kind", ["checksum", "truncated", "oversized"])
async def test_a_device_that_answers_garbage(world: LabWorld, kind: str) -> None:
    world.faults("body", {"garbage": {"kind": kind, "on": "scan", "times": 1}})
    answers = answers_for(world, "body", "wifi")
    await failed(answers, ErrorCode.DEVICE_MISBEHAVED)
    await succeeds(answers)


async def test_a_device_out_of_reach(world: LabWorld) -> None:
    answers = answers_for(world, "body", "wifi", find={"device": "00:24:E4:FF:FF:FF"})
    front = await failed(answers, ErrorCode.DEVICE_NOT_FOUND, deadlines=replace(FAST, find=0.8))
    assert world.address("body") in front.of(Failed)[-1].what
    await succeeds(answers_for(world, "body", "wifi"))


async def test_the_cloud_is_down_and_the_second_try_only_links(world: LabWorld) -> None:
    answers = answers_for(world, "body-plus", "wifi")
    world.cloud(down=True)
    await failed(answers, ErrorCode.CLOUD_UNREACHABLE)
    assert world.device("body-plus")["joined"] == "Home"
    world.cloud(down=False)
    await succeeds(answers)
    assert world.device("body-plus")["credentials_received"] == 1


async def test_too_many_requests(world: LabWorld, home: Path) -> None:
    answers = answers_for(world, "move", "bluetooth")
    await succeeds(answers_for(world, "pulse-hr", "bluetooth"))  # signs in
    world.cloud(fail=[{"path": "/v2/user", "action": "link", "status": 601, "times": 50, "wait_seconds": 3600}])
    await failed(answers, ErrorCode.CLOUD_BUSY)
    world.cloud(fail=[])
    await failed(answers, ErrorCode.CLOUD_BUSY)  # no retry before the hour is over
    for kept in (home / "state" / "pace").glob("*.json"):
        kept.unlink()
    await succeeds(answers)


async def test_an_expired_token_is_refreshed_without_a_word(world: LabWorld) -> None:
    await succeeds(answers_for(world, "pulse-hr", "bluetooth"))
    world.cloud(clock=4 * 3600)
    await succeeds(answers_for(world, "move", "bluetooth"))
    assert world.device("move")["linked"]


async def test_tokens_that_the_cloud_has_forgotten(world: LabWorld) -> None:
    await succeeds(answers_for(world, "pulse-hr", "bluetooth"))
    world.cloud(clock=2 * 365 * 24 * 3600)
    # In the lab a script signs in again automatically.
    front = await succeeds(answers_for(world, "move", "bluetooth"))
    assert any(e.event == "signed_in" for e in front.events)


async def test_a_code_that_is_too_old(world: LabWorld) -> None:
    world.cloud(fail=[{"path": "/v2/oauth2", "action": "requesttoken", "raw": INVALID_CODE, "times": 1}])
    answers = answers_for(world, "move", "bluetooth")
    await failed(answers, ErrorCode.CODE_EXPIRED)
    await succeeds(answers)


async def test_without_a_partner_contract_the_account_is_watched(world: LabWorld) -> None:
    world.cloud(mode="public")
    for model, method in (("body-plus", "wifi"), ("move", "bluetooth")):
        front = await succeeds(answers_for(world, model, method))
        assert any(getattr(e, "code", "") == "no_partner_contract" for e in front.events)
        assert any(getattr(e, "way", "") == "watch" for e in front.events)
        assert world.device(model)["linked"]


async def test_link_by_contract_only_is_refused_in_public_mode(world: LabWorld) -> None:
    world.cloud(mode="public")
    await failed(
        answers_for(world, "move", "bluetooth", link={"account": "default", "mode": "contract"}), ErrorCode.LINK_REFUSED
    )


async def test_encryption_required(world: LabWorld) -> None:
    answers = answers_for(world, "body", "wifi")
    await failed(answers, ErrorCode.ENCRYPTION_REQUIRED, require_encryption=True)
    assert world.device("body")["credentials_received"] == 0
    await succeeds(answers)


async def test_a_device_that_somebody_else_set_up(world: LabWorld, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = answers_for(world, "body", "wifi")
    await succeeds(answers)
    monkeypatch.setenv("DEVICE_INSTALLER_DATA_DIR", str(home / "other-computer"))
    await failed(answers, ErrorCode.DEVICE_ALREADY_SET_UP)

    def use_it(event: Event) -> None:
        if isinstance(event, WaitingForData):
            world.act("body", "measure")

    ended, front = await install(answers, Front(on_event=use_it), keep_wifi=True)
    assert ended.outcome == "installed", f"{ended.error!r}\n{front.text()}"


async def test_a_finished_installation_can_be_repeated(world: LabWorld) -> None:
    for model in ("body-plus", "thermo"):
        answers = answers_for(world, model, "wifi")
        await succeeds(answers)
        await succeeds(answers)
        assert world.device(model)["credentials_received"] == 1


async def test_another_network_than_the_one_it_got_is_not_passed_over(world: LabWorld) -> None:
    await succeeds(answers_for(world, "body", "wifi"))
    again = await succeeds(answers_for(world, "body", "wifi"))
    assert again.of(InstallationDone)[-1].summary["ssid"] == "Home"
    other = answers_for(world, "body", "wifi", network={"ssid": "Café Open"})
    front = await failed(other, ErrorCode.DEVICE_ALREADY_SET_UP)
    assert "“Home”, not “Café Open”" in front.of(Failed)[-1].what
    assert world.device("body")["joined"] == "Home"


@pytest.mark.parametrize(
    ("network", "code"),
    [
        ({"ssid": "Corp", "passphrase": {"env": "TEST_PASSPHRASE"}}, ErrorCode.NETWORK_UNSUPPORTED),
        ({"ssid": "Home", "passphrase": {"env": "SHORT"}}, ErrorCode.PASSPHRASE_INVALID),
        ({"ssid": "Home"}, ErrorCode.ANSWER_MISSING),
        ({"ssid": "Home", "passphrase": {"env": "NOT_SET"}}, ErrorCode.SECRET_UNAVAILABLE),
    ],
)
async def test_impossible_credentials_are_never_sent(
    world: LabWorld, monkeypatch: pytest.MonkeyPatch, network: dict[str, Any], code: ErrorCode
) -> None:
    monkeypatch.setenv("SHORT", "short")
    await failed(answers_for(world, "body", "wifi", network=network), code)
    assert world.device("body")["credentials_received"] == 0


@pytest.mark.parametrize("network", DEFAULT_NETWORKS, ids=lambda n: n["ssid"])
async def test_every_kind_of_network_can_be_joined(
    world: LabWorld, monkeypatch: pytest.MonkeyPatch, network: dict[str, Any]
) -> None:
    ssid = network["ssid"]
    monkeypatch.setenv("ITS_PASSPHRASE", network.get("passphrase", ""))
    network = {"ssid": ssid, "hidden": network.get("hidden", False), "passphrase": {"env": "ITS_PASSPHRASE"}}
    await succeeds(answers_for(world, "body", "wifi", network=network))
    assert world.device("body")["joined"] == ssid


async def test_missing_answers_name_the_option(world: LabWorld) -> None:
    for step, option in ((StepKey.FIND, "--device"), (StepKey.SYNC, "--sync"), (StepKey.NETWORK, "--ssid")):
        answers = answers_for(world, "body", "wifi").without([step])
        front = await failed(answers, ErrorCode.ANSWER_MISSING)
        assert option in front.of(Failed)[-1].todo
    assert world.device("body")["credentials_received"] == 0


async def test_a_person_answers_everything(world: LabWorld) -> None:
    address = world.address("thermo")

    def pick(question: ChooseDevice) -> Any:
        return when_seen(question, address)

    front = Front(
        answers={
            ChooseDevice: pick,
            ConfirmDevice: True,
            ChooseSync: SyncAnswer(method=SyncMethod.WIFI),
            ChooseNetwork: NetworkAnswer(ssid="Home", security=Security.WPA2),
            AskPassphrase: SecretStr(PASSPHRASE),
            ConfirmSending: ProvisionAnswer(),
            ChooseAccount: LinkAnswer(account="default"),
        }
    )
    await succeeds(answers_for(world, "move", "bluetooth"))  # an account is stored
    ended, _ = await install(Answers(), front, non_interactive=False)
    assert ended.outcome == "installed", front.text()
    names = [type(q).__name__ for q in front.asked]
    assert names == [
        "ChooseDevice",
        "ConfirmDevice",
        "ChooseSync",
        "ChooseNetwork",
        "AskPassphrase",
        "ConfirmSending",
        "ChooseAccount",
    ]
    assert ended.answers.find is not None
    assert ended.answers.network is not None
    assert ended.answers.network.secret is not None  # in this run only; a saved file has none
