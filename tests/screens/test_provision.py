"""The provision step: consent, stages, and the time."""

from __future__ import annotations

import asyncio

import pytest

from installer.answers import StepKey
from installer.flow.questions import ConfirmForeign, ConfirmSending, TargetDevice
from installer.wifi.networks import Network
from screens.failure_dialog import FailureDialog
from screens.provision import ConfirmForeignScreen, SendScreen, UnprovedScreen
from tests.screens.driver import (
    ask_question,
    confirm_sending,
    flat_text,
    press_button,
    screen_text,
    wait_for_progress,
    wait_for_screen,
    wait_for_text,
)
from tests.screens.fake_engine import BODY_PLUS, Script
from tests.screens.scenes import running, to_sending, unproved


@pytest.mark.parametrize(
    ("encrypted", "proved", "safe", "words"),
    [
        (False, False, False, ("without encryption", "Nothing proves which device gets it")),
        (True, False, False, ("is encrypted on its way", "has not proved which one it is")),
        (True, True, False, ("knows its proof of possession", "somebody who relays the radio traffic could read it")),
        (True, True, True, ("is encrypted on its way", "knows its proof of possession")),
    ],
)
async def test_it_says_plainly_how_safe_the_passphrase_is(
    encrypted: bool, proved: bool, safe: bool, words: tuple[str, ...]
) -> None:
    async with running() as (pilot, _):
        question = ConfirmSending(
            model=BODY_PLUS,
            network=Network(ssid="Home"),
            protocol="Improv Wi-Fi",
            encrypted=encrypted,
            proved=proved,
            safe_from_relays=safe,
            device=TargetDevice(
                address="00:24:E4:20:00:3C", name="Body", model="Body+", chosen_by="the answers file mail/a.toml"
            ),
            can_go_back=True,
        )
        asking = ask_question(pilot, question)
        await wait_for_screen(pilot, SendScreen)
        told = " ".join(screen_text(pilot).replace("█", "").split())
        for part in (*words, "00:24:E4:20:00:3C “Body”, Body+", "the answers file mail/a.toml", "“Home”"):
            assert part in told
        assert ("relays" in told) is (encrypted and proved and not safe)
        await press_button(pilot, "send")
        assert (await asking.wait()).send


@pytest.mark.parametrize(("keys", "accepted"), [(("enter",), False), (("tab", "enter"), True)])
async def test_a_device_that_has_not_proved_itself_gets_nothing_unless_a_person_says_so(
    keys: tuple[str, ...], accepted: bool
) -> None:
    async with running() as (pilot, _):
        asking = ask_question(pilot, unproved())
        await wait_for_screen(pilot, UnprovedScreen)
        text = flat_text(pilot)
        for part in ("a proof of possession was given", "no encryption, no proof", "may pretend to be this one"):
            assert part.lower() in text.lower()
        await pilot.press(*keys)
        assert await asking.wait() is accepted


@pytest.mark.parametrize(("keys", "answer"), [(("enter",), False), (("down", "enter"), True)])
async def test_what_somebody_else_wrote_is_not_used_by_pressing_enter(keys: tuple[str, ...], answer: bool) -> None:
    async with running() as (pilot, _):
        question = ConfirmForeign(
            step=StepKey.NETWORK,
            title="Use this passphrase?",
            lines=("The passphrase comes from the variable HOME_WIFI, named by the answers file a.toml.\x1b[31m",),
            yes="Use it",
            no="Do not use it",
        )
        asking = ask_question(pilot, question)
        await wait_for_screen(pilot, ConfirmForeignScreen)
        assert "the variable HOME_WIFI, named by the answers file" in " ".join(screen_text(pilot).split())
        assert "\x1b" not in screen_text(pilot)
        await pilot.press(*keys)
        assert await asking.wait() is answer


async def test_the_hand_over_shows_its_stages_and_what_to_press() -> None:
    gate = asyncio.Event()
    async with running(Script(hold=gate, hold_at="button", failures=1)) as (pilot, _):
        await to_sending(pilot)
        await confirm_sending(pilot)
        await wait_for_progress(pilot, "Press the button below the scale.")
        text = screen_text(pilot)
        for part in ("● Press of the button", "○ Send the credentials", "○ Join “Home”", "of at most 1 min"):
            assert part in text
        gate.set()
        await wait_for_screen(pilot, FailureDialog)


async def test_too_long_is_called_too_long() -> None:
    async with running(Script(hold=asyncio.Event())) as (pilot, _):
        await to_sending(pilot)
        await confirm_sending(pilot)
        await wait_for_progress(pilot, "● Join “Home”")
        pilot.app.clock.now += 31  # type: ignore[attr-defined]
        await wait_for_text(pilot, "31 s, longer than usual")
        assert "✓ Credentials sent" in screen_text(pilot)


async def test_the_question_about_somebody_elses_file_shows_the_end_of_each_line() -> None:
    long = "/" + "folder/" * 14
    async with running() as (pilot, _):
        lines = (
            "It goes to: the network “Home” on the device 00:24:E4:20:00:3C.",
            f"The passphrase: the file {long}other-customer.txt.",
            f"Named by: the answers file {long}a.toml, network.passphrase.",
        )
        question = ConfirmForeign(step=StepKey.NETWORK, title="Use this passphrase?", lines=lines, yes="Yes", no="No")
        asking = ask_question(pilot, question)
        await wait_for_screen(pilot, ConfirmForeignScreen)
        text = "".join(screen_text(pilot).split())
        for part in ("00:24:E4:20:00:3C.", "other-customer.txt.", "network.passphrase."):
            assert part in text
        await pilot.press("enter")
        assert await asking.wait() is False
