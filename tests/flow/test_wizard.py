"""Whole installations through the wizard: keys in, a linked device out, over real Bluetooth and HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from textual.pilot import Pilot

from installer.answers import Answers, load
from installer.catalogue.catalogue_file import load as load_catalogue
from installer.catalogue.model import SyncMethod
from installer.cloud.lab_sign_in import sign_in_by_form
from installer.errors import ErrorCode
from installer.flow.front_end import Recovery
from installer.flow.run_options import Options, RunConfig
from installer.flow.run_resources import RunResources
from screens.app import WizardApp
from screens.cards import Card
from screens.confirm_device import ConfirmDeviceScreen
from screens.find import FindScreen
from screens.network import NetworkScreen
from screens.open_wizard import make_app
from screens.secret_screens import PassphraseScreen, ProofScreen
from screens.sign_in import SignInScreen
from screens.sync import SyncScreen
from tests.flow.hook import PATH, hooked
from tests.flow.support import FAST, METHODS, MODELS, PASSPHRASE, PROOF, LabWorld, answers_for
from tests.screens.driver import (
    answer_account,
    answer_find,
    answer_network,
    answer_notification_offer,
    answer_passphrase,
    answer_sync,
    begin,
    confirm_account,
    confirm_sending,
    decide,
    paste_address,
    press_button,
    screen_text,
    type_text,
    until,
    wait_for_finish,
    wait_for_screen,
    wait_for_text,
    wizard,
)


@pytest.fixture(autouse=True)
def _the_radio_is_never_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual's pilot waits after each key until the process is idle, at most 1 s: with a radio in it, always 1 s.

    The driver waits for what it expects to see instead.
    """

    async def briefly(min_sleep: float = 0, max_sleep: float = 1) -> None:
        await asyncio.sleep(0.005)

    monkeypatch.setattr("textual.app.wait_for_idle", briefly)
    monkeypatch.setattr("textual.pilot.wait_for_idle", briefly)


WHOLE = [(model, method) for model, methods in METHODS.items() for method in methods]


@asynccontextmanager
async def opened(answers: Answers | None = None) -> AsyncIterator[Pilot[Any]]:
    """The wizard in the lab, at 80×24."""
    resources = RunResources(RunConfig(lab=True, options=Options(deadlines=FAST)))
    app: WizardApp = make_app(resources, answers or Answers())
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            yield pilot
    finally:
        await resources.close()


async def sign_in(pilot: Pilot[Any], world: LabWorld) -> None:
    """The person's browser: the cloud's page, the form, the redirect to this computer."""
    screen = await wait_for_screen(pilot, SignInScreen)
    await sign_in_by_form(screen.question.short_url, world.state.user.email, world.state.user.password)
    await confirm_account(pilot)


async def answer_proof(pilot: Pilot[Any], proof: str) -> None:
    """Type the device's proof of possession."""
    await wait_for_screen(pilot, ProofScreen)
    await type_text(pilot, proof)
    await pilot.press("enter")


async def to_sync(pilot: Pilot[Any], world: LabWorld, model: str) -> None:
    await begin(pilot)
    await answer_find(pilot, world.address(model))


@pytest.mark.parametrize(("model", "method"), WHOLE)
async def test_a_whole_installation(world: LabWorld, model: str, method: str) -> None:
    async with opened() as pilot:
        await to_sync(pilot, world, model)
        await answer_sync(pilot, method)
        if method == "wifi":
            if model == "bpm-connect":
                await answer_proof(pilot, PROOF)
            await answer_network(pilot, "Home", PASSPHRASE)
            await confirm_sending(pilot)
        await answer_account(pilot, None)
        await sign_in(pilot, world)
        await wait_for_finish(pilot)
        assert wizard(pilot).outcome is not None
        assert wizard(pilot).outcome.outcome == "installed"  # type: ignore[union-attr]
        shown = screen_text(pilot)
    device = world.device(model)
    assert device["linked"]
    assert load_catalogue().get(model).name in shown
    if method == "wifi":
        assert device["joined"] == "Home"
    else:
        assert device["wifi_commands"] == 0
        assert "gateway" in shown.lower()
    assert PASSPHRASE not in shown


async def test_the_cloud_tells_a_receiver_of_new_data(world: LabWorld, home: Path) -> None:
    with hooked() as hook:
        address = f"http://127.0.0.1:{hook.server_port}/{PATH}"
        async with opened() as pilot:
            await to_sync(pilot, world, "move")
            await answer_sync(pilot, "bluetooth")
            await answer_account(pilot, None)
            await sign_in(pilot, world)
            await answer_notification_offer(pilot, f"{address}-mistyped")
            await wait_for_text(pilot, "does not accept")
            screen = await answer_notification_offer(pilot, address)
            assert screen.question.proposal == f"{address}-mistyped"
            await wait_for_finish(pilot)
            shown = screen_text(pilot)
    assert address.replace(PATH, "…/****") in shown
    assert PATH not in shown
    assert world.call("GET", "/lab/state")["cloud"]["subscriptions"] == 2


@pytest.mark.parametrize("model", MODELS)
async def test_the_sync_screen_shows_both_methods_and_why_one_is_missing(world: LabWorld, model: str) -> None:
    async with opened() as pilot:
        await to_sync(pilot, world, model)
        screen = await wait_for_screen(pilot, SyncScreen)
        cards = {c.choice.key: c for c in screen.query(Card)}
        assert set(cards) == {m.value for m in SyncMethod}
        entry = load_catalogue().get(model)
        for method in SyncMethod:
            assert cards[method.value].can_focus is entry.allows(method)
            if not entry.allows(method):
                words = entry.missing[method].split()
                assert all(word in screen_text(pilot) for word in words), screen_text(pilot)
    assert world.device(model)["wifi_commands"] == 0


async def test_answers_given_beforehand_are_not_asked_and_the_rule_holds_for_them(world: LabWorld) -> None:
    from installer.answers import FindAnswer, SyncAnswer

    answers = Answers(find=FindAnswer(device=world.address("sleep")), sync=SyncAnswer(method=SyncMethod.BLUETOOTH))
    async with opened(answers) as pilot:
        await begin(pilot)
        await decide(pilot, Recovery.CHANGE)
        screen = await wait_for_screen(pilot, SyncScreen)
        assert screen.question.problem is not None
        assert screen.question.problem.code is ErrorCode.SYNC_WIFI_ONLY
        await answer_sync(pilot, "wifi")
        await wait_for_screen(pilot, NetworkScreen)
    assert world.device("sleep")["credentials_received"] == 0


async def test_an_adapter_that_goes_away_is_tried_again_in_place(world: LabWorld, lab: Any) -> None:
    async with opened() as pilot:
        await begin(pilot)
        await wait_for_screen(pilot, FindScreen)
        await wait_for_text(pilot, "Body+ 3C")
        world.call("POST", "/lab/hosts/unplug")
        await decide(pilot, Recovery.RETRY)
        await answer_find(pilot, world.address("move"))
        await wait_for_screen(pilot, SyncScreen)


async def test_a_wrong_passphrase_is_mended_in_place(world: LabWorld) -> None:
    async with opened() as pilot:
        await to_sync(pilot, world, "body-plus")
        await answer_sync(pilot, "wifi")
        await answer_network(pilot, "Home", "wrong horse battery")
        await confirm_sending(pilot)
        await decide(pilot, Recovery.CHANGE)
        screen = await wait_for_screen(pilot, PassphraseScreen)
        assert screen.question.problem is not None
        await answer_passphrase(pilot, PASSPHRASE)
        await answer_account(pilot, None)
        await sign_in(pilot, world)
        await wait_for_finish(pilot)
    assert world.device("body-plus")["joined"] == "Home"
    assert world.device("body-plus")["credentials_received"] == 2


async def test_a_wrong_proof_of_possession_is_mended_in_place(world: LabWorld) -> None:
    async with opened() as pilot:
        await to_sync(pilot, world, "bpm-connect")
        await answer_sync(pilot, "wifi")
        await answer_proof(pilot, "wrong")
        screen = await wait_for_screen(pilot, ProofScreen)
        # The trail stays at the step at hand; what is asked for belongs to the device.
        assert "✓ Find" in screen_text(pilot)
        assert "● Network" in screen_text(pilot)
        await until(pilot, lambda: pilot.app.screen is not screen or bool(screen.question.problem), "the problem")
        await answer_proof(pilot, PROOF)
        await answer_network(pilot, "Home", PASSPHRASE)
        await confirm_sending(pilot)
        await answer_account(pilot, None)
        await sign_in(pilot, world)
        await wait_for_finish(pilot)
    assert world.device("bpm-connect")["joined"] == "Home"


async def test_back_leads_to_another_device(world: LabWorld) -> None:
    async with opened() as pilot:
        await begin(pilot)
        await answer_find(pilot, world.address("body"), confirm=False)
        await wait_for_screen(pilot, ConfirmDeviceScreen)
        await pilot.press("escape")
        await wait_for_screen(pilot, FindScreen)
        await answer_find(pilot, world.address("move"))
        await wait_for_screen(pilot, SyncScreen)
        await pilot.press("escape")
        await wait_for_screen(pilot, FindScreen)
        await answer_find(pilot, world.address("sleep"))
        screen = await wait_for_screen(pilot, SyncScreen)
        assert screen.question.model.id == "sleep"
    assert all(world.device(m)["credentials_received"] == 0 for m in ("body", "move", "sleep"))


async def test_back_to_the_list_shows_the_same_device_again(world: LabWorld) -> None:
    async with opened() as pilot:
        await to_sync(pilot, world, "sleep")
        await wait_for_screen(pilot, SyncScreen)
        await pilot.press("escape")
        # A device that stayed connected would not advertise, and be missing here.
        await answer_find(pilot, world.address("sleep"))
        screen = await wait_for_screen(pilot, SyncScreen)
        assert screen.question.model.id == "sleep"


async def test_make_it_blink(world: LabWorld) -> None:
    async with opened() as pilot:
        await begin(pilot)
        await answer_find(pilot, world.address("thermo"), confirm=False)
        await wait_for_screen(pilot, ConfirmDeviceScreen)
        await pilot.press("b")
        async with asyncio.timeout(10):
            while world.device("thermo")["identified"] == 0:
                await pilot.pause(0.02)


async def test_signing_in_on_a_phone_by_pasting_the_address(world: LabWorld) -> None:
    async with opened() as pilot:
        await to_sync(pilot, world, "move")
        await answer_sync(pilot, "bluetooth")
        await answer_account(pilot, None)
        screen = await wait_for_screen(pilot, SignInScreen)
        await paste_address(pilot, "https://example.org/nothing")
        await wait_for_text(pilot, "address")
        screen = await wait_for_screen(pilot, SignInScreen)
        await paste_address(pilot, await phone(screen.question.url, world))
        await confirm_account(pilot)
        await wait_for_finish(pilot)
    assert world.device("move")["linked"]


async def phone(url: str, world: LabWorld) -> str:
    """A phone's browser: signs in, and cannot follow the redirect to `localhost`; the address it ends at."""
    from html.parser import HTMLParser

    fields: dict[str, str] = {}

    class Hidden(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            values = dict(attrs)
            if tag == "input" and values.get("type") == "hidden":
                fields[str(values["name"])] = str(values.get("value"))

    async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as browser:
        page = await browser.get(url)
        Hidden().feed(page.text)
        form = {
            **fields,
            "email": world.state.user.email,
            "password": world.state.user.password.get_secret_value(),
            "decision": "allow",
        }
        answer = await browser.post(page.url.copy_with(query=None), data=form)
        return answer.headers["Location"]


async def test_saved_answers_replay_as_a_script(world: LabWorld, home: Path, tmp_path: Path) -> None:
    from tests.flow.support import install

    path = tmp_path / "answers.toml"
    async with opened() as pilot:
        await to_sync(pilot, world, "body")
        await answer_sync(pilot, "wifi")
        await answer_network(pilot, "Home", PASSPHRASE)
        await confirm_sending(pilot)
        await answer_account(pilot, None)
        await sign_in(pilot, world)
        await wait_for_finish(pilot)
        saved = wizard(pilot).answers
        from installer.answers import to_toml

        path.write_text(to_toml(saved), "utf-8")
    assert PASSPHRASE not in path.read_text("utf-8")
    world.act("body", "reset")
    text = path.read_text("utf-8").replace("[network]\n", '[network]\npassphrase = { env = "TEST_PASSPHRASE" }\n')
    path.write_text(text, "utf-8")
    ended, front = await install(load(path), allow_references=True)
    assert ended.outcome == "installed", front.text()


async def test_the_practice_user_signs_in_without_a_browser(world: LabWorld) -> None:
    async with opened() as pilot:
        await to_sync(pilot, world, "move")
        await answer_sync(pilot, "bluetooth")
        await answer_account(pilot, None)
        await wait_for_screen(pilot, SignInScreen)
        await press_button(pilot, "by-itself")
        await confirm_account(pilot)
        await wait_for_finish(pilot)
    assert world.device("move")["linked"]


async def test_install_another(world: LabWorld) -> None:
    async with opened() as pilot:
        await to_sync(pilot, world, "move")
        await answer_sync(pilot, "bluetooth")
        await answer_account(pilot, None)
        await sign_in(pilot, world)
        await wait_for_finish(pilot)
        await pilot.press("n")
        await answer_find(pilot, world.address("pulse-hr"))
        await answer_sync(pilot, "bluetooth")
        await answer_account(pilot, "default")
        await wait_for_finish(pilot)
    assert world.device("move")["linked"]
    assert world.device("pulse-hr")["linked"]


async def test_a_measurement_that_comes_later_is_shown_on_the_last_screen(world: LabWorld) -> None:
    given = answers_for(world, "sleep", "wifi", verify={"skip": True})
    async with opened(given) as pilot:
        await begin(pilot)
        await confirm_sending(pilot)
        await answer_account(pilot, None)
        await sign_in(pilot, world)
        await wait_for_finish(pilot)
        # Nobody waited for it, and the lab's mat has its night soon after.
        await wait_for_text(pilot, "hours asleep")
