"""A network's name as people type it: nearly the name that the device hears, and told before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from installer.answers import LinkAnswer, NetworkAnswer, ProvisionAnswer, StepKey, to_toml
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.events.installation import Notice, Provisioning
from installer.flow.questions import (
    AskPassphrase,
    ChooseAccount,
    ChooseNetwork,
    ChooseSpelling,
    ConfirmDevice,
    ConfirmSending,
)
from installer.provisioning.provisioner import Stage
from installer.wifi.networks import Security
from tests.flow.support import PASSPHRASE, Front, LabWorld, answers_for, install, lines

SCRIPT = ["install", "--lab", "--non-interactive", "--json"]
MISSPELLED = ErrorCode.NETWORK_MISSPELLED.exit_status


def named(ssid: str, **more: Any) -> dict[str, Any]:
    return {"network": {"ssid": ssid, "passphrase": {"env": "TEST_PASSPHRASE"}, **more}}


def sent(front: Front) -> bool:
    return any(event.stage is Stage.SENDING for event in front.of(Provisioning))


@pytest.mark.parametrize(("model", "ssid"), [("body-plus", "Home "), ("body", "home"), ("body", "Home\\")])
async def test_a_near_name_ends_a_script_before_anything_is_sent(world: LabWorld, model: str, ssid: str) -> None:
    ended, front = await install(answers_for(world, model, "wifi", **named(ssid)))
    assert ended.error is not None, front.text()
    assert ended.error.code is ErrorCode.NETWORK_MISSPELLED
    assert f"The device hears “Home”, not “{ssid}”" in ended.error.what
    assert "Did you mean “Home”?" in ended.error.todo
    assert "--exact" in ended.error.todo
    assert ended.error.data["heard"] == ["Home"]
    assert not sent(front)
    assert world.device(model)["joined"] is None


async def test_an_exact_name_is_sent_as_it_is_and_stands_in_quotes(world: LabWorld) -> None:
    ended, front = await install(answers_for(world, "body-plus", "wifi", **named("Home ", exact=True)))
    assert sent(front)
    assert ended.error is not None
    assert ended.error.code in (ErrorCode.JOIN_FAILED, ErrorCode.NETWORK_NOT_FOUND)
    assert "“Home ”" in f"{ended.error.what} {ended.error.todo}"


async def test_a_name_that_nobody_hears_is_tried_as_before(world: LabWorld) -> None:
    """“Attic” hides its name, and no name near to it is heard."""
    _, front = await install(answers_for(world, "body", "wifi", **named("Attic", hidden=True)))
    assert sent(front)
    _, front = await install(answers_for(world, "body-plus", "wifi", **named("Nowhere ")))
    (notice,) = [n for n in front.of(Notice) if n.code == "network_not_seen"]
    assert "does not see “Nowhere ”" in notice.text


async def test_a_person_takes_the_name_that_is_heard(world: LabWorld) -> None:
    """The answers name it in small letters; the person is asked, and not for anything that was answered."""
    front = Front(answers={ChooseSpelling: lambda question: question.heard[0].ssid})
    answers = answers_for(world, "body", "wifi", **named("home"))
    front.answers |= {ConfirmDevice: True, ConfirmSending: ProvisionAnswer(), ChooseAccount: LinkAnswer(later=True)}
    ended, front = await install(answers, front, non_interactive=False)
    assert ended.error is None, front.text()
    assert world.device("body")["joined"] == "Home"
    (question,) = [q for q in front.asked if isinstance(q, ChooseSpelling)]
    assert (question.typed, [n.ssid for n in question.heard], question.who) == ("home", ["Home"], "the device")
    assert 'ssid = "Home"' in to_toml(ended.answers)
    assert "exact" not in to_toml(ended.answers)


async def test_a_person_sends_the_typed_name_all_the_same(world: LabWorld) -> None:
    front = Front(
        answers={
            ChooseNetwork: NetworkAnswer(ssid="home", security=Security.WPA2, hidden=True),
            ChooseSpelling: "home",
            AskPassphrase: SecretStr(PASSPHRASE),
        }
    )
    answers = answers_for(world, "body", "wifi").without([StepKey.NETWORK])
    ended, front = await install(answers, front, ask=frozenset([StepKey.NETWORK]), dry_run=True)
    assert ended.outcome == "planned", front.text()
    assert [type(q) for q in front.asked] == [ChooseNetwork, ChooseSpelling, AskPassphrase]
    assert "exact = true" in to_toml(ended.answers)


def test_the_command_line_has_its_option_and_its_exit_status(
    world: LabWorld, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*SCRIPT, "--dry-run", "--device", world.address("body"), "--sync", "wifi"]
    arguments += ["--ssid", "HOME", "--passphrase-env", "TEST_PASSPHRASE"]
    assert _main(arguments) == MISSPELLED
    assert lines(capsys.readouterr().out)[-1]["summary"] is not None
    assert _main([*arguments, "--exact"]) == 0


@pytest.mark.parametrize("ssid", ["Home\n", "Ho\nme", "Home\r", "Ho\tme", "Home\x1b[2J", "Ho\u2028me"])
def test_a_line_break_in_a_name_is_a_mistake_of_who_wrote_it(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], ssid: str
) -> None:
    import tomli_w

    assert _main([*SCRIPT, "--model", "body", "--ssid", ssid]) == ErrorCode.ANSWERS_INVALID.exit_status
    file = tmp_path / "answers.toml"
    file.write_text(tomli_w.dumps({"version": 1, "network": {"ssid": ssid}}), "utf-8")
    assert _main([*SCRIPT, "--answers", str(file)]) == ErrorCode.ANSWERS_INVALID.exit_status
    for event in lines(capsys.readouterr().out):
        assert "network.ssid: The network name “" in event["what"]
        assert "holds a" in event["what"]
        assert event["what"].isprintable()
