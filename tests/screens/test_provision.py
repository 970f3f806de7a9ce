"""The provision step: consent, stages, and the time."""

from __future__ import annotations

import asyncio

import pytest

from installer.flow.questions import ConfirmSending
from installer.wifi.networks import Network
from screens.failure_dialog import FailureDialog
from screens.provision import SendScreen
from tests.screens.driver import (
    ask_question,
    confirm_sending,
    press_button,
    screen_text,
    wait_for_progress,
    wait_for_screen,
    wait_for_text,
)
from tests.screens.fake_engine import BODY_PLUS, Script
from tests.screens.scenes import running, to_sending


@pytest.mark.parametrize(("encrypted", "words"), [(False, "without encryption"), (True, "encrypts the credentials")])
async def test_it_says_plainly_whether_the_passphrase_travels_unencrypted(encrypted: bool, words: str) -> None:
    async with running() as (pilot, _):
        question = ConfirmSending(
            model=BODY_PLUS,
            network=Network(ssid="Home"),
            protocol="Improv Wi-Fi",
            encrypted=encrypted,
            can_go_back=True,
        )
        asking = ask_question(pilot, question)
        await wait_for_screen(pilot, SendScreen)
        assert words in " ".join(screen_text(pilot).replace("█", "").split())
        await press_button(pilot, "send")
        assert (await asking.wait()).send


async def test_the_hand_over_shows_its_stages_and_what_to_press() -> None:
    gate = asyncio.Event()
    async with running(Script(hold=gate, hold_at="button", failures=1)) as (pilot, _):
        await to_sending(pilot)
        await confirm_sending(pilot)
        await wait_for_progress(pilot, "Press the button below the scale.")
        text = screen_text(pilot)
        for part in ("● Press of the button", "○ Send the credentials", "○ Join Home", "of at most 1 min"):
            assert part in text
        gate.set()
        await wait_for_screen(pilot, FailureDialog)


async def test_too_long_is_called_too_long() -> None:
    async with running(Script(hold=asyncio.Event())) as (pilot, _):
        await to_sending(pilot)
        await confirm_sending(pilot)
        await wait_for_progress(pilot, "● Join Home")
        pilot.app.clock.now += 31  # type: ignore[attr-defined]
        await wait_for_text(pilot, "31 s, longer than usual")
        assert "✓ Credentials sent" in screen_text(pilot)
