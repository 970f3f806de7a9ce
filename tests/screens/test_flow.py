"""Whole installations with the keyboard alone at 80 × 24, from the home screen to the finish screen."""

from __future__ import annotations

from installer.answers import FindAnswer, LinkAnswer, StepKey
from installer.catalogue.model import SyncMethod
from installer.flow.front_end import Recovery
from screens.find import FindScreen
from screens.home import HomeScreen
from screens.network import NetworkScreen
from screens.sync import SyncScreen
from tests.screens.driver import (
    answer_account,
    answer_find,
    answer_network,
    answer_passphrase,
    answer_sync,
    begin,
    confirm_sending,
    decide,
    paste_address,
    screen_text,
    until,
    wait_for_finish,
    wait_for_screen,
    wizard,
)
from tests.screens.fake_engine import ADDRESS, Script
from tests.screens.scenes import PASSPHRASE, SLEEP_ADDRESS, running


async def test_wifi_from_home_to_finish() -> None:
    async with running() as (pilot, starter):
        await begin(pilot)
        await answer_find(pilot, ADDRESS)
        await answer_sync(pilot, SyncMethod.WIFI)
        await answer_network(pilot, "Home", PASSPHRASE)
        await confirm_sending(pilot)
        await answer_account(pilot, "alex")
        finish = await wait_for_finish(pilot)
        text = screen_text(pilot)
    assert finish.outcome.outcome == "installed"
    assert starter.made[0].passphrases == [PASSPHRASE]
    answers = finish.outcome.answers
    assert answers.find == FindAnswer(device=ADDRESS)
    assert answers.network is not None
    assert answers.network.ssid == "Home"
    assert answers.link == LinkAnswer(account="alex")
    for part in ("Body+ 3C is installed", ADDRESS, "Wi-Fi", "Home", "alex", "kg", "fat ratio"):
        assert part in text


async def test_bluetooth_only_has_no_network_screen_and_names_the_gateway() -> None:
    async with running() as (pilot, starter):
        await begin(pilot)
        await answer_find(pilot, ADDRESS)
        await answer_sync(pilot, SyncMethod.BLUETOOTH)
        await answer_account(pilot, "alex")
        await wait_for_finish(pilot)
        text = screen_text(pilot)
    assert "Network" not in text.splitlines()[1]
    assert "Provision" not in text.splitlines()[1]
    for part in ("a gateway must be running", "No", "gateway runs on this computer", "device-installer gateway run"):
        assert part in text
    assert starter.made[0].answers.network is None


async def test_signing_in_with_a_pasted_address() -> None:
    async with running(Script(accounts=())) as (pilot, starter):
        await begin(pilot)
        await answer_find(pilot, ADDRESS)
        await answer_sync(pilot, SyncMethod.BLUETOOTH)
        await answer_account(pilot, None)
        await paste_address(pilot, "http://127.0.0.1/back?code=abc")
        await wait_for_finish(pilot)
    assert starter.made[0].pasted == "http://127.0.0.1/back?code=abc"


async def test_back_asks_the_question_before() -> None:
    async with running() as (pilot, starter):
        await begin(pilot)
        await answer_find(pilot, ADDRESS)
        await answer_sync(pilot, SyncMethod.WIFI)
        await wait_for_screen(pilot, NetworkScreen)
        await pilot.press("escape")
        await answer_sync(pilot, SyncMethod.WIFI)
        await wait_for_screen(pilot, NetworkScreen)
        await pilot.press("escape")
        await wait_for_screen(pilot, SyncScreen)
        await pilot.press("escape")
        await answer_find(pilot, SLEEP_ADDRESS)
        await wait_for_screen(pilot, SyncScreen)
        assert starter.made[0].answers.find == FindAnswer(device=SLEEP_ADDRESS)
        assert screen_text(pilot).splitlines()[1].split() == (
            [
                "✓",
                "Find",
                "›",
                "●",
                "Sync",
                "›",
                "○",
                "Network",
                "›",
                "○",
                "Provision",
                "›",
                "○",
                "Link",
                "›",
                "○",
                "Verify",
            ]
        )


async def test_wrong_passphrase_is_asked_again_with_its_problem() -> None:
    async with running(Script(failures=1)) as (pilot, starter):
        await begin(pilot)
        await answer_find(pilot, ADDRESS)
        await answer_sync(pilot, SyncMethod.WIFI)
        await answer_network(pilot, "Home", "wrong passphrase")
        await confirm_sending(pilot)
        await decide(pilot, Recovery.CHANGE)
        await until(pilot, lambda: "could not join Home" in screen_text(pilot), "the problem")
        await answer_passphrase(pilot, PASSPHRASE)
        await answer_account(pilot, "alex")
        await wait_for_finish(pilot)
    assert starter.made[0].passphrases == ["wrong passphrase", PASSPHRASE]


async def test_next_device_starts_afresh() -> None:
    async with running() as (pilot, starter):
        await begin(pilot)
        await answer_find(pilot, ADDRESS)
        await answer_sync(pilot, SyncMethod.BLUETOOTH)
        await answer_account(pilot, "alex")
        await wait_for_finish(pilot)
        await pilot.press("n")
        await wait_for_screen(pilot, FindScreen)
        assert len(starter.made) == 2
        assert not wizard(pilot).has_answers
        await pilot.press("escape")
        await wait_for_screen(pilot, HomeScreen)


async def test_home_and_quit() -> None:
    async with running() as (pilot, _):
        await begin(pilot)
        await answer_find(pilot, ADDRESS)
        await answer_sync(pilot, SyncMethod.BLUETOOTH)
        await answer_account(pilot, "alex")
        await wait_for_finish(pilot)
        await pilot.press("h")
        await wait_for_screen(pilot, HomeScreen)
        await pilot.press("q")
        app = wizard(pilot)
        await until(pilot, lambda: app.return_value is not None, "the end")
    assert app.return_value is not None
    assert app.return_value.outcome == "installed"


async def test_a_mouse_works_too() -> None:
    async with running() as (pilot, starter):
        await wait_for_screen(pilot, HomeScreen)
        await pilot.click("Card")
        await wait_for_screen(pilot, FindScreen)
        await pilot.click("#devices", offset=(5, 0))
        await until(pilot, lambda: starter.made[0].answers.get(StepKey.FIND) is not None, "the answer")
        assert starter.made[0].answers.find == FindAnswer(device=ADDRESS)
