"""Installations of devices that answer a paired computer only: who is asked, what is kept, and each failure's words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from installer.answers import ProvisionAnswer
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.events.installation import InstallationDone, Notice
from installer.flow import lab_process
from installer.flow.front_end import Cancelled, Recovery
from installer.flow.pairing_questions import AskPasskey, CompareNumbers, RenewBond, ShowPasskey
from installer.flow.questions import ConfirmSending, Question
from installer.storage.secret_references import on_command_line
from tests.flow.support import Front, LabWorld, answers_for, install, use
from tests.installer.lab.lab_process import LabProcess, fast_scenario

PASSKEY = "063140"
UNITS = """
[[device]]
model = "body-plus"
address = "00:24:E4:20:00:01"
bonding = "just-works"

[[device]]
model = "thermo"
address = "00:24:E4:20:00:02"
bonding = "passkey"
passkey = "063140"

[[device]]
model = "body"
address = "00:24:E4:20:00:03"
bonding = "compare"

[[device]]
model = "move"
address = "00:24:E4:20:00:04"
bonding = "enter"

[[device]]
model = "pulse-hr"
address = "00:24:E4:20:00:05"
bonding = "passkey"
bonding_for = "health"
bonding_legacy = true

[[device]]
model = "shelly"
address = "A8:03:2A:BE:54:DC"
bonding = "just-works"

[[device]]
model = "nordic"
address = "F4:CE:36:00:00:01"
bonding = "just-works"

"""


@pytest.fixture(scope="module")
def paired_units(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A lab of units that want to be paired."""
    scenario = fast_scenario()
    head, networks = scenario[: scenario.index("[[device]]")], scenario[scenario.index("# Networks.") :]
    with LabProcess(tmp_path_factory.mktemp("paired"), head + UNITS + networks) as lab:
        yield lab


@pytest.fixture
def units(paired_units: LabProcess, home: Path) -> LabWorld:
    """That lab, reset."""
    paired_units.call_now("POST", "/lab/reset")
    state = lab_process.read_state(paired_units.state_file)
    assert state is not None
    use(LabWorld(state), paired_units.state_file)
    return LabWorld(state)


def shown(world: LabWorld, model: str) -> str:
    """The digits on the device's display."""
    digits = world.device(model)["shows"]
    assert isinstance(digits, str)
    return digits


def summary(front: Front) -> dict[str, Any]:
    return front.of(InstallationDone)[-1].summary


@pytest.mark.parametrize(("model", "method"), [("body-plus", "wifi"), ("shelly", "wifi"), ("nordic", "wifi")])
async def test_without_digits_nobody_is_asked(units: LabWorld, model: str, method: str) -> None:
    answers = answers_for(units, model, method)
    ended, front = await install(answers)
    assert ended.outcome == "installed", front.text()
    assert units.device(model)["bonds"] == 1
    assert [n.code for n in front.of(Notice) if n.code == "paired"] == ["paired"]
    assert summary(front)["bonded"] is True


async def test_a_paired_device_is_not_paired_again(units: LabWorld) -> None:
    answers = answers_for(units, "pulse-hr", "bluetooth")
    front = Front(answers={AskPasskey: lambda _: SecretStr(shown(units, "pulse-hr"))})
    ended, _ = await install(answers, front, ask_pairing=True)
    assert ended.outcome == "installed", front.text()
    again, second = await install(answers)
    assert again.outcome == "installed", second.text()
    assert [n.code for n in second.of(Notice) if n.code == "paired"] == []
    assert summary(second)["bonded"] is True


async def test_the_digits_of_an_option_are_used_and_kept_nowhere(
    units: LabWorld, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUFF_DIGITS", PASSKEY)
    ended, front = await install(answers_for(units, "thermo", "wifi"), passkey=on_command_line(env="CUFF_DIGITS"))
    assert ended.outcome == "installed", front.text()
    assert PASSKEY not in front.text()
    assert not [file for file in home.rglob("*") if file.is_file() and PASSKEY.encode() in file.read_bytes()]


async def test_a_script_without_the_digits_is_told_the_option(units: LabWorld) -> None:
    ended, _ = await install(answers_for(units, "thermo", "wifi"))
    assert ended.error is not None
    assert (ended.error.code, ended.error.exit_status) == (ErrorCode.PAIRING_NEEDED, 34)
    assert "--passkey-file" in ended.error.todo


@pytest.mark.parametrize("given", ["12345", "secret", ""])
async def test_what_is_no_passkey_is_not_repeated(units: LabWorld, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("CUFF_DIGITS", given)
    ended, _ = await install(answers_for(units, "thermo", "wifi"), passkey=on_command_line(env="CUFF_DIGITS"))
    assert ended.error is not None
    assert ended.error.code is ErrorCode.ANSWERS_INVALID
    assert not given or given not in str(ended.error)


async def test_wrong_digits_are_told_and_a_person_types_the_new_ones(units: LabWorld) -> None:
    monkey = on_command_line(env="CUFF_DIGITS")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUFF_DIGITS", "111111")
        front = Front(
            answers={
                AskPasskey: lambda _: SecretStr(shown(units, "thermo")),
                ConfirmSending: ProvisionAnswer(),
            },
            recoveries=[Recovery.RETRY],
        )
        answers = answers_for(units, "thermo", "wifi", link={"later": True})
        ended, _ = await install(answers, front, passkey=monkey, non_interactive=False)
    assert ended.outcome == "to_be_linked", front.text()
    (failure,) = front.failures
    assert (failure.error.code, failure.error.data["why"]) == (ErrorCode.PAIRING_FAILED, "wrong-digits")
    assert "111111" not in f"{failure.error} {failure.error.data}"


@pytest.mark.parametrize("same", [True, False])
async def test_a_number_is_compared(units: LabWorld, same: bool) -> None:
    def compare(question: Question) -> bool:
        assert isinstance(question, CompareNumbers)
        assert question.number == shown(units, "body")
        return same

    front = Front(answers={CompareNumbers: compare}, recoveries=[Recovery.STOP])
    ended, _ = await install(answers_for(units, "body", "wifi"), front, ask_pairing=True)
    if same:
        assert ended.outcome == "installed", front.text()
        return
    assert ended.error is not None
    assert (ended.error.code, ended.error.data["why"]) == (ErrorCode.PAIRING_FAILED, "other-number")
    assert units.device("body")["bonds"] == 0


async def test_digits_are_shown_for_a_device_with_keys(units: LabWorld) -> None:
    questions: list[ShowPasskey] = []

    async def type_on_device(question: ShowPasskey) -> bool:
        questions.append(question)
        async with asyncio.timeout(10):
            while not (await asyncio.to_thread(units.device, "move"))["asks_digits"]:  # noqa: ASYNC110 - asks the lab
                await asyncio.sleep(0.02)
        digits = question.passkey.get_secret_value()
        path = f"/lab/devices/{question.address}/enter"
        await asyncio.to_thread(units.call, "POST", path, {"digits": digits})
        return True

    front = Front(answers={ShowPasskey: type_on_device})
    ended, _ = await install(answers_for(units, "move", "bluetooth"), front, ask_pairing=True)
    assert ended.outcome == "installed", front.text()
    assert questions
    assert questions[0].passkey.get_secret_value() not in f"{front.text()} {questions[0]!r}"


async def test_a_person_who_stops_stops_the_installation(units: LabWorld) -> None:
    front = Front(answers={AskPasskey: Cancelled()})
    ended, _ = await install(answers_for(units, "thermo", "wifi"), front, ask_pairing=True)
    assert ended.outcome == "cancelled"


@pytest.mark.parametrize(
    ("front", "options", "code"),
    [
        (Front(), {"renew_bond": True}, None),
        (Front(answers={RenewBond: True}), {"ask_pairing": True}, None),
        (Front(), {}, ErrorCode.BOND_LOST),
        (Front(answers={RenewBond: False}), {"ask_pairing": True}, ErrorCode.BOND_LOST),
    ],
    ids=["option", "yes", "nobody", "no"],
)
async def test_a_device_that_lost_its_keys_is_paired_anew_with_consent_only(
    units: LabWorld, front: Front, options: dict[str, Any], code: ErrorCode | None
) -> None:
    answers = answers_for(units, "body-plus", "wifi")
    ended, first = await install(answers)
    assert ended.outcome == "installed", first.text()
    units.act("body-plus", "reset")  # with it go the keys
    ended, _ = await install(answers, front, **options)
    if code is None:
        assert ended.outcome == "installed", front.text()
        assert "bond_renewed" in [n.code for n in front.of(Notice)]
        return
    assert ended.error is not None
    assert (ended.error.code, ended.error.exit_status) == (code, 36)
    assert "--renew-bond" in ended.error.todo
    assert units.device("body-plus")["bonds"] == 0


async def test_the_gateway_collects_from_a_paired_device_and_pairs_nothing(
    units: LabWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    def visit(*more: str) -> tuple[int, str]:
        status = _main(["gateway", "once", "--lab", "--seconds", "10", "--quiet", "0.3", *more])
        capsys.readouterr()
        _main(["gateway", "status", "--lab", "--json"])
        (device,) = json.loads(capsys.readouterr().out)["devices"]
        return status, f"{device['code']} {device['failure']}"

    address = units.address("body-plus")
    status, why = await asyncio.to_thread(visit, "--device", address, "--profile", "weight")
    assert status == ErrorCode.GATEWAY_INCOMPLETE.exit_status
    assert "pairing_needed" in why
    assert "Install it once more on this computer" in why
    assert units.device("body-plus")["bonds"] == 0
    ended, front = await install(answers_for(units, "body-plus", "bluetooth"))
    assert ended.outcome == "installed", front.text()
    units.act("body-plus", "measure")
    assert await asyncio.to_thread(visit) == (0, "None None")
    units.act("body-plus", "forget_bonds")
    status, why = await asyncio.to_thread(visit)
    assert status == ErrorCode.GATEWAY_INCOMPLETE.exit_status
    assert "bond_lost" in why


async def test_a_catalogue_entry_can_want_the_pairing_first(
    units: LabWorld, tmp_path: Path, lab_factory: Callable[[str], LabProcess]
) -> None:
    from importlib import resources

    text = resources.files("assets").joinpath("models.toml").read_text("utf-8")
    entry = next(part for part in text.split("[[model]]") if 'id = "pulse-hr"' in part)
    catalogue = tmp_path / "own.toml"
    catalogue.write_text('version = 1\n[[model]]\nbonding = "required"\n' + entry, "utf-8")
    # Only its health services want it; the set-up before would go without.
    order: list[str] = []
    front = Front(
        answers={AskPasskey: lambda _: SecretStr(shown(units, "pulse-hr"))},
        on_event=lambda event: order.append(getattr(event, "code", "") or event.event),
    )
    ended, _ = await install(
        answers_for(units, "pulse-hr", "bluetooth"), front, catalogues=[catalogue], ask_pairing=True
    )
    assert ended.outcome == "installed", front.text()
    assert order.index("paired") < order.index("device_connected")
