"""The screens of pairing: digits are checked and hidden, a number is shown in full, the time that is left is told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr
from textual.pilot import Pilot
from textual.widgets import Button
from textual.worker import Worker

from installer.flow.pairing_questions import AskPasskey, CompareNumbers, ShowPasskey
from installer.flow.questions import Question
from screens.home import HomeScreen
from screens.pairing import CompareScreen, PasskeyScreen, RenewBondScreen, ShowPasskeyScreen
from tests.screens.driver import (
    ask_question,
    choose_card,
    press_button,
    screen_text,
    type_text,
    until,
    wait_for_screen,
    wait_for_text,
    wizard,
)
from tests.screens.scenes import ask_for_passkey, compare_numbers, renew_bond, running, show_passkey


async def asked(pilot: Pilot[Any], question: Question, screen: type[Any]) -> Worker[Any]:
    answer = ask_question(pilot, question)
    await wait_for_screen(pilot, screen)
    return answer


async def test_digits_are_typed_hidden_and_checked() -> None:
    async with running() as (pilot, _):
        answer = await asked(pilot, ask_for_passkey(), PasskeyScreen)
        assert pilot.app.screen.query_one("#go", Button).disabled
        await type_text(pilot, "06314x")
        await wait_for_text(pilot, "Only digits")
        await pilot.press("backspace", "0")
        await wait_for_text(pilot, "Enter goes on")
        assert "063140" not in screen_text(pilot)
        await pilot.press("enter")
        typed = await answer.wait()
        assert isinstance(typed, SecretStr)
        assert typed.get_secret_value() == "063140"


@pytest.mark.parametrize(("key", "same"), [("y", True), ("n", False), ("yes", True), ("no", False)])
async def test_a_number_is_compared(key: str, same: bool) -> None:
    async with running() as (pilot, _):
        answer = await asked(pilot, compare_numbers(), CompareScreen)
        await wait_for_text(pilot, "063 140")
        await (pilot.press(key) if len(key) == 1 else press_button(pilot, key))
        assert await answer.wait() is same


@pytest.mark.parametrize(
    ("question", "screen"),
    [(ask_for_passkey(), PasskeyScreen), (compare_numbers(), CompareScreen), (show_passkey(), ShowPasskeyScreen)],
)
async def test_the_time_that_is_left_is_told_and_the_end_of_the_pairing_withdraws_the_question(
    question: AskPasskey | CompareNumbers | ShowPasskey, screen: type[Any]
) -> None:
    async with running() as (pilot, _):
        answer = await asked(pilot, question, screen)
        await wait_for_text(pilot, "The device waits 30 s more.")
        clock = wizard(pilot).clock()
        wizard(pilot).clock = lambda: clock + 31.0
        await wait_for_text(pilot, "The device waits no longer.")
        answer.cancel()
        await until(pilot, lambda: isinstance(pilot.app.screen, HomeScreen), "the home screen")


async def test_digits_for_the_device_are_removed_from_the_screen_that_is_left() -> None:
    async with running() as (pilot, _):
        answer = await asked(pilot, show_passkey(), ShowPasskeyScreen)
        await wait_for_text(pilot, "063 140")
        screen = pilot.app.screen
        assert isinstance(screen, ShowPasskeyScreen)
        answer.cancel()
        await until(pilot, lambda: isinstance(pilot.app.screen, HomeScreen), "the home screen")


@pytest.mark.parametrize("key", ["no", "yes"])
async def test_a_lost_bond_is_renewed_only_by_a_clear_yes(key: str) -> None:
    async with running() as (pilot, _):
        answer = await asked(pilot, renew_bond(), RenewBondScreen)
        await wait_for_text(pilot, "no longer has its keys")
        assert "❯ No" in screen_text(pilot) or "❯" in screen_text(pilot).split("Yes, pair")[0]
        await choose_card(pilot, key)
        assert await answer.wait() is (key == "yes")
