"""The passphrase screen: the passphrase is checked while typed, hidden, and left nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr
from textual import events
from textual.pilot import Pilot
from textual.widgets import Button, Input
from textual.worker import Worker

from installer.errors import ErrorCode, InstallerError
from installer.flow.questions import AskPassphrase
from installer.wifi.networks import Network, Security
from screens.home import HomeScreen
from screens.secret_screens import PassphraseScreen
from tests.screens.driver import (
    answer_passphrase,
    ask_question,
    screen_text,
    type_text,
    wait_for_screen,
    wait_for_text,
    wizard,
)
from tests.screens.scenes import PASSPHRASE, running

HOME = Network(ssid="Home", security=Security.WPA2)


async def asked(pilot: Pilot[Any], **more: Any) -> Worker[Any]:
    """The passphrase screen of Home; the worker's result is the answer."""
    answer = ask_question(pilot, AskPassphrase(network=HOME, **more))
    await wait_for_screen(pilot, PassphraseScreen)
    return answer


async def test_it_is_in_no_text_and_no_picture_while_it_is_hidden() -> None:
    async with running() as (pilot, _):
        await asked(pilot)
        await type_text(pilot, PASSPHRASE)
        await pilot.pause()
        picture = pilot.app.export_screenshot().replace("&#160;", " ")
        assert PASSPHRASE not in picture
        assert PASSPHRASE not in screen_text(pilot)
        assert "•" * len(PASSPHRASE) in screen_text(pilot)


async def test_f2_shows_it_and_hides_it_again() -> None:
    async with running() as (pilot, _):
        await asked(pilot)
        await type_text(pilot, PASSPHRASE)
        await pilot.press("f2")
        await wait_for_text(pilot, PASSPHRASE)
        await pilot.press("ctrl+t")
        await wait_for_text(pilot, "•" * len(PASSPHRASE))


async def test_it_is_gone_when_the_screen_is_left() -> None:
    async with running() as (pilot, _):
        answer = await asked(pilot)
        screen = pilot.app.screen
        field = screen.query_one(Input)
        await type_text(pilot, PASSPHRASE)
        await pilot.press("f2", "enter")
        assert (await answer.wait()).get_secret_value() == PASSPHRASE
        assert field.value == ""
        assert field.password
        app = wizard(pilot)
        assert PASSPHRASE not in repr(app.answers) + repr(app.state) + repr(screen) + repr(app.screen_stack)
        await wait_for_screen(pilot, HomeScreen)
        assert PASSPHRASE not in screen_text(pilot)


async def test_it_cannot_be_copied_to_the_clipboard() -> None:
    async with running() as (pilot, _):
        await asked(pilot)
        await type_text(pilot, PASSPHRASE)
        await pilot.press("ctrl+a", "ctrl+c")
        assert pilot.app.clipboard == ""
        await pilot.press("ctrl+a", "ctrl+x")
        assert pilot.app.clipboard == ""


async def test_enter_does_nothing_until_it_is_possible() -> None:
    async with running() as (pilot, _):
        answer = await asked(pilot)
        await pilot.press(*"secre")
        await wait_for_text(pilot, "at least 8 characters: 3 more")
        assert pilot.app.screen.query_one("#go", Button).disabled
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, PassphraseScreen)
        await type_text(pilot, "t99")
        await wait_for_text(pilot, "8 characters. Enter goes on.")
        assert not pilot.app.screen.query_one("#go", Button).disabled
        await pilot.press("enter")
        assert (await answer.wait()).get_secret_value() == "secret99"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("über8Zeichen", "12 characters. Enter goes on. The passphrase has letters beyond ASCII"),
        ("x" * 64, "hexadecimal"),
        ("y" * 65, "at most 63 characters; this has 65"),
    ],
)
async def test_it_says_what_is_wrong_or_unusual(typed: str, words: str) -> None:
    async with running() as (pilot, _):
        await asked(pilot)
        pilot.app.screen.query_one(Input).value = typed
        await wait_for_text(pilot, words)


async def test_a_network_of_unknown_security_may_have_none() -> None:
    async with running() as (pilot, _):
        answer = ask_question(pilot, AskPassphrase(network=Network(ssid="Cafe")))
        await wait_for_screen(pilot, PassphraseScreen)
        await wait_for_text(pilot, "Leave it empty if the network has none.")
        await pilot.press("enter")
        assert (await answer.wait()).get_secret_value() == ""


async def test_it_shows_why_the_last_one_was_not_accepted() -> None:
    problem = InstallerError(ErrorCode.JOIN_FAILED, "The device could not join Home.", "Type it again.")
    async with running() as (pilot, _):
        answer = await asked(pilot, problem=problem)
        assert "The device could not join Home. Type it again." in screen_text(pilot)
        await answer_passphrase(pilot, PASSPHRASE)
        assert (await answer.wait()).get_secret_value() == PASSPHRASE


async def test_the_passphrase_of_this_computer_is_used_only_when_it_is_asked_for() -> None:
    calls = []

    async def of_host() -> SecretStr:
        calls.append(1)
        return SecretStr(PASSPHRASE)

    async with running() as (pilot, _):
        answer = await asked(pilot, host_passphrase=of_host)
        await wait_for_text(pilot, "F4 uses its passphrase")
        assert not calls
        await pilot.press("f4")
        assert (await answer.wait()).get_secret_value() == PASSPHRASE
        assert PASSPHRASE not in screen_text(pilot)


async def test_a_system_that_does_not_give_it_says_so_and_it_is_typed() -> None:
    async def of_host() -> SecretStr:
        raise InstallerError(ErrorCode.SECRET_UNAVAILABLE, "The system did not give it.", "Type it.")

    async with running() as (pilot, _):
        answer = await asked(pilot, host_passphrase=of_host)
        await pilot.press("f4")
        await wait_for_text(pilot, "The system did not give it. Type it instead.")
        await type_text(pilot, PASSPHRASE)
        await pilot.press("enter")
        assert (await answer.wait()).get_secret_value() == PASSPHRASE


async def test_nothing_of_it_where_this_computer_is_on_another_network() -> None:
    async with running() as (pilot, _):
        await asked(pilot)
        assert "F4" not in screen_text(pilot)


async def test_a_pasted_passphrase_loses_its_byte_order_mark() -> None:
    async with running() as (pilot, _):
        answer = await asked(pilot)
        pilot.app.screen.post_message(events.Paste(f"\ufeff{PASSPHRASE}"))
        await wait_for_text(pilot, f"{len(PASSPHRASE)} characters. Enter goes on.")
        await pilot.press("enter")
        assert (await answer.wait()).get_secret_value() == PASSPHRASE
