"""The link step with sign-in, and the verify step."""

from __future__ import annotations

import asyncio
import re

import pytest

from installer.cloud.token_store import ListedAccount
from installer.errors import ErrorCode, InstallerError
from installer.flow.questions import ConfirmAccount, SignIn
from screens.confirm_account import ConfirmAccountScreen
from screens.sign_in import SignInScreen
from tests.screens.driver import (
    answer_account,
    ask_question,
    flat_text,
    screen_text,
    type_text,
    until,
    wait_for_progress,
    wait_for_screen,
    wait_for_text,
)
from tests.screens.fake_engine import Script
from tests.screens.scenes import person, running, to_account


async def test_a_new_account_needs_a_free_name() -> None:
    async with running() as (pilot, starter):
        await to_account(pilot)
        await pilot.press("down", "enter")
        await wait_for_text(pilot, "A name for it")
        await pilot.press("ctrl+u")
        await type_text(pilot, "alex")
        await pilot.press("enter")
        await wait_for_text(pilot, "There is an account with this name already")
        await type_text(pilot, "2")
        await pilot.press("enter")
        await wait_for_screen(pilot, SignInScreen)
        assert starter.made[0].answers.link is not None
        assert starter.made[0].answers.link.account == "alex2"


async def test_signing_in_shows_link_time_and_says_when_no_browser_opens() -> None:
    async with running(Script(accounts=())) as (pilot, _):
        await to_account(pilot)
        await answer_account(pilot, None)
        await wait_for_screen(pilot, SignInScreen)
        assert "http://127.0.0.1:8765/go" in screen_text(pilot)
        assert "10 min left" in screen_text(pilot)
        pilot.app.clock.now += 90  # type: ignore[attr-defined]
        await wait_for_text(pilot, "8 min 30 s left")
        await pilot.press("o")
        await wait_for_text(pilot, "No browser could be opened here")


async def test_whoever_opened_the_link_is_told_of_and_a_new_link_is_made() -> None:
    script = Script(accounts=())
    async with running(script) as (pilot, _):
        await to_account(pilot)
        await answer_account(pilot, None)
        await wait_for_screen(pilot, SignInScreen)
        assert "One browser can open it" in flat_text(pilot)
        script.sign_in_warning = "A second browser opened the link."
        await wait_for_text(pilot, "Careful A second browser opened the link.")
        await pilot.press("r")
        await wait_for_text(pilot, "http://127.0.0.1:8765/new")


@pytest.mark.parametrize(
    ("stored_userid", "keys", "answer"),
    [
        ("", ["enter"], True),
        ("", ["tab", "enter"], False),
        ("", ["n"], False),
        # What does not fit is not confirmed by one careless Enter.
        ("40000002", ["enter"], False),
        ("40000002", ["tab", "enter"], True),
        ("40000002", ["y"], True),
    ],
)
async def test_whose_account_it_is_is_shown_and_asked(stored_userid: str, keys: list[str], answer: bool) -> None:
    async with running() as (pilot, _):
        asking = ask_question(pilot, ConfirmAccount(person=person(stored_userid=stored_userid)))
        await wait_for_screen(pilot, ConfirmAccountScreen)
        assert "40000001" in screen_text(pilot)
        assert "Body+, Sleep" in flat_text(pilot)
        assert ("belongs to user 40000002" in flat_text(pilot)) is bool(stored_userid)
        await pilot.press(*keys)
        assert await asking.wait() is answer


async def test_a_large_window_shows_a_qr_code() -> None:
    async with running(size=(130, 50)) as (pilot, _):
        question = SignIn(
            account="a", url="https://x.example/" + "y" * 150, short_url="http://127.0.0.1:1/", seconds=60
        )
        asking = ask_question(pilot, question)
        screen = await wait_for_screen(pilot, SignInScreen)
        assert screen.query_one("#qr").display
        assert "▀" in screen_text(pilot) or "█" in screen_text(pilot)
        assert "enlarge" not in screen_text(pilot)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: not screen.query_one("#qr").display, "no code in a small window")
        await wait_for_text(pilot, "This short address works on this computer only.")
        found = re.search(r"enlarge this window to (\d+) × (\d+) characters", flat_text(pilot))
        assert found is not None
        await pilot.resize_terminal(int(found[1]), int(found[2]))
        await until(
            pilot, lambda: bool(screen.query_one("#qr").display), "the code in a window of the size that it named"
        )
        asking.cancel()


async def test_the_wait_for_data_says_what_to_do_now() -> None:
    async with running(Script(hold=asyncio.Event(), hold_at="verify")) as (pilot, _):
        await to_account(pilot)
        await answer_account(pilot, "alex")
        await wait_for_progress(pilot, "Step on the scale")
        assert "Now measure once" in screen_text(pilot)


async def test_a_damaged_account_is_shown_as_damaged_and_can_be_chosen_to_sign_in_again() -> None:
    what = "The tokens of account “alex” cannot be used: the file alex.json is empty."
    damage = InstallerError(ErrorCode.SECRET_UNAVAILABLE, what, "Sign in again.")
    accounts = (ListedAccount("alex", "the file alex.json", damage=damage), ListedAccount("sam", "the keyring"))
    async with running(Script(accounts=accounts), size=(100, 40)) as (pilot, _):
        await to_account(pilot)
        text = flat_text(pilot)
        assert f"Damaged: {what} Choose it to sign in again." in text
        assert "Signed in; kept in the keyring." in text
