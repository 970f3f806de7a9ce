"""The screens of the steps: device, sync, network, provision, link, verify."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input
from textual.worker import Worker

from installer.answers import NetworkAnswer
from installer.errors import ErrorCode, InstallerError
from installer.flow.questions import ChooseNetwork, ConfirmSending, SignIn
from installer.wifi.networks import Network, Security
from screens.cards import Card
from screens.choice_list import ChoiceList
from screens.dialogs import RecoverDialog
from screens.network import NetworkScreen
from screens.network_dialogs import OtherNetworkDialog, WifiTextDialog
from screens.provision import SendScreen
from screens.sign_in import SignInScreen
from screens.sync import SyncScreen
from tests.screens.driver import (
    answer_account,
    answer_network,
    answer_sync,
    choose_row,
    confirm_sending,
    flat_text,
    press_button,
    put,
    screen_text,
    type_text,
    until,
    wait_for_progress,
    wait_for_screen,
    wait_for_text,
)
from tests.screens.fake_engine import BODY_PLUS, NETWORKS, Script
from tests.screens.scenes import PASSPHRASE, SLEEP_ADDRESS, running, to_account, to_device, to_sending, to_sync

REFUSED = InstallerError(ErrorCode.DEVICE_REFUSED, "The device cannot blink.", "Look at its label instead.")


# --- device ---------------------------------------------------------------------------


async def test_the_device_blinks_on_request() -> None:
    blinked = asyncio.Event()

    async def identify() -> None:
        blinked.set()

    async with running(Script(identify=identify)) as (pilot, _):
        await to_device(pilot)
        for part in ("Body+ 3C", "certain", "ESP32-C3", "-52 dBm", "BODY+"):
            assert part in screen_text(pilot)
        await pilot.press("b")
        await wait_for_text(pilot, "It blinks or beeps now")
        assert blinked.is_set()


async def test_a_device_that_cannot_blink_says_so() -> None:
    async def identify() -> None:
        raise REFUSED

    async with running(Script(identify=identify)) as (pilot, _):
        await to_device(pilot)
        await press_button(pilot, "blink")
        await wait_for_text(pilot, "The device cannot blink. Look at its label instead.")
        await press_button(pilot, "yes")
        await wait_for_screen(pilot, SyncScreen)


# --- sync -----------------------------------------------------------------------------


async def test_both_methods_are_shown_with_what_they_mean() -> None:
    async with running() as (pilot, _):
        await to_sync(pilot)
        text = " ".join(screen_text(pilot).split())
        assert "sends its data to your account by itself" in text
        assert "running, online and within reach" in text
        assert [c.can_focus for c in pilot.app.screen.query(Card)] == [True, True]


@pytest.mark.parametrize(
    ("address", "allowed", "reason"),
    [
        (SLEEP_ADDRESS, "wifi", "it can do by Wi-Fi only"),
        ("00:24:E4:40:3D:8E", "bluetooth", "Pulse HR has no Wi-Fi radio"),
    ],
)
async def test_the_method_that_a_model_lacks_says_why_and_cannot_be_chosen(
    address: str, allowed: str, reason: str
) -> None:
    async with running() as (pilot, starter):
        await to_sync(pilot, address)
        assert reason in screen_text(pilot)
        assert "not available" in screen_text(pilot)
        missing = next(c for c in pilot.app.screen.query(Card) if c.choice.key != allowed)
        await pilot.press("down", "down", "up")
        assert pilot.app.focused is not missing
        await pilot.click(missing)
        assert isinstance(pilot.app.screen, SyncScreen)
        await answer_sync(pilot, allowed)
        await until(pilot, lambda: starter.made[0].method == allowed, "the method")


# --- network --------------------------------------------------------------------------


async def asked(pilot: Pilot[Any], scan: Callable[[], Awaitable[Sequence[Network]]] | None = None) -> Worker[Any]:
    """The network screen of Body+; the worker's result is the answer."""
    answer = put(pilot, ChooseNetwork(model=BODY_PLUS, networks=NETWORKS, scan=scan or no_scan))
    await wait_for_screen(pilot, NetworkScreen)
    return answer


async def no_scan() -> Sequence[Network]:
    return NETWORKS


async def test_one_row_a_network_with_its_best_signal() -> None:
    async with running() as (pilot, _):
        await asked(pilot)
        rows = {r.cells[0]: r for r in pilot.app.screen.query_one(ChoiceList).rows}
        assert list(rows) == ["Home", "Guests", "Office", "Café ☕ 日本", "oldnet", "Other network…"]
        assert rows["Home"].cells[1:] == ("WPA2", "2.4 GHz", "▂▄▆█", "2 access points")
        assert rows["Guests"].cells[1] == "open"


@pytest.mark.parametrize(("key", "words"), [("n:Office", "802.1X"), ("n:oldnet", "uses WEP")])
async def test_a_network_that_no_device_can_join_says_why(key: str, words: str) -> None:
    async with running() as (pilot, _):
        answer = await asked(pilot)
        await choose_row(pilot, key)
        await wait_for_text(pilot, words)
        assert isinstance(pilot.app.screen, NetworkScreen)
        assert not answer.is_finished


async def test_searching_again_shows_what_is_new() -> None:
    async def scan() -> Sequence[Network]:
        return [*NETWORKS, Network(ssid="New", security=Security.WPA3, rssi=-40)]

    async with running() as (pilot, _):
        await asked(pilot, scan)
        await pilot.press("down", "r")
        rows = pilot.app.screen.query_one(ChoiceList)
        await until(pilot, lambda: any(r.cells[0] == "New" for r in rows.rows), "the new network")
        assert rows.row is not None
        assert rows.row.cells[0] == "Guests"
        assert "sees 6 networks" in screen_text(pilot)


async def test_a_search_that_fails_keeps_the_list() -> None:
    async def scan() -> Sequence[Network]:
        raise REFUSED

    async with running() as (pilot, _):
        await asked(pilot, scan)
        await pilot.press("r")
        await wait_for_text(pilot, REFUSED.what)
        assert len(pilot.app.screen.query_one(ChoiceList).rows) == 6


async def test_a_hidden_network_by_name() -> None:
    async with running() as (pilot, _):
        answer = await asked(pilot)
        await answer_network(pilot, "Attic", None, listed=False)
        assert await answer.wait() == NetworkAnswer(ssid="Attic", security=Security.WPA2_WPA3, hidden=True)


async def test_an_open_network_by_name_and_an_impossible_name() -> None:
    async with running() as (pilot, _):
        answer = await asked(pilot)
        await pilot.press("h")
        await wait_for_screen(pilot, OtherNetworkDialog)
        await pilot.press("enter")
        await wait_for_text(pilot, "The network name is empty.")
        await type_text(pilot, "Cafe")
        await pilot.press("tab", "down", "enter", "tab", "space")
        await press_button(pilot, "use")
        assert await answer.wait() == NetworkAnswer(ssid="Cafe", security=Security.OPEN, hidden=False)


async def test_a_device_that_cannot_search_gets_a_name() -> None:
    async with running() as (pilot, _):
        answer = put(pilot, ChooseNetwork(model=BODY_PLUS, networks=(), scan=None))
        await wait_for_screen(pilot, NetworkScreen)
        assert "cannot list networks" in screen_text(pilot)
        await pilot.press("enter")
        await wait_for_screen(pilot, OtherNetworkDialog)
        await type_text(pilot, "Home")
        await pilot.press("enter")
        assert await answer.wait() == NetworkAnswer(ssid="Home", security=Security.WPA2_WPA3, hidden=False)


@pytest.mark.parametrize("by_key", [True, False], ids=["key", "paste"])
async def test_the_text_of_a_qr_code_fills_name_and_passphrase(by_key: bool) -> None:
    text = f"WIFI:T:WPA;S:Home;P:{PASSPHRASE};;"
    async with running() as (pilot, _):
        asking = await asked(pilot)
        if by_key:
            await pilot.press("p")
            await wait_for_screen(pilot, WifiTextDialog)
            await type_text(pilot, text)
        else:
            pilot.app.post_message(events.Paste(text))
            await wait_for_screen(pilot, WifiTextDialog)
        field = pilot.app.screen.query_one(Input)
        await wait_for_text(pilot, "Network: Home, WPA/WPA2, with its passphrase")
        assert PASSPHRASE not in screen_text(pilot)
        await pilot.press("enter")
        answer = await asking.wait()
        assert answer.secret.get_secret_value() == PASSPHRASE
        assert field.value == ""


async def test_a_text_with_two_readings_shows_both() -> None:
    async with running() as (pilot, _):
        await asked(pilot)
        await pilot.press("p")
        await wait_for_screen(pilot, WifiTextDialog)
        await type_text(pilot, "WIFI:T:WPA;S:My%20Net;P:12345678;;")
        await wait_for_text(pilot, "Network: My%20Net")
        await pilot.press("tab", "space")
        await wait_for_text(pilot, "Network: My Net")


async def test_a_text_of_another_kind_is_named() -> None:
    async with running() as (pilot, _):
        await asked(pilot)
        await pilot.press("p")
        await wait_for_screen(pilot, WifiTextDialog)
        await type_text(pilot, "MT:Y.K9042C00KA0648G00")
        await wait_for_text(pilot, "set-up code of a Matter device")
        await pilot.press("escape")
        await wait_for_screen(pilot, NetworkScreen)


# --- provision ------------------------------------------------------------------------


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
        asking = put(pilot, question)
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
        await wait_for_screen(pilot, RecoverDialog)


async def test_too_long_is_called_too_long() -> None:
    async with running(Script(hold=asyncio.Event())) as (pilot, _):
        await to_sending(pilot)
        await confirm_sending(pilot)
        await wait_for_progress(pilot, "● Join Home")
        pilot.app.clock.now += 31  # type: ignore[attr-defined]
        await wait_for_text(pilot, "31 s, longer than usual")
        assert "✓ Credentials sent" in screen_text(pilot)


# --- link and verify ------------------------------------------------------------------


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


async def test_a_large_window_shows_a_qr_code() -> None:
    async with running(size=(130, 50)) as (pilot, _):
        question = SignIn(
            account="a", url="https://x.example/" + "y" * 150, short_url="http://127.0.0.1:1/", seconds=60
        )
        asking = put(pilot, question)
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


async def test_the_computers_own_network_is_under_the_cursor() -> None:
    async with running() as (pilot, _):
        put(pilot, ChooseNetwork(model=BODY_PLUS, networks=NETWORKS, host="Guests"))
        await wait_for_screen(pilot, NetworkScreen)
        row = pilot.app.screen.query_one(ChoiceList).row
        assert row is not None
        assert row.cells[0] == "Guests"
