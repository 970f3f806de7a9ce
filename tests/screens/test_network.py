"""The network screen: the list, other networks by name, and the text of a QR code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input
from textual.worker import Worker

from installer.answers import NetworkAnswer
from installer.errors import ErrorCode, InstallerError
from installer.flow.questions import ChooseNetwork, ChooseReading, ChooseSpelling
from installer.qr.wifi_text import parse
from installer.wifi.networks import Network, Security
from screens.choice_list import ChoiceList
from screens.network import CardReadingScreen, NetworkScreen, NetworkSpellingScreen, OtherNetworkDialog
from screens.qr_text_dialogs import WifiQrTextDialog
from tests.screens.driver import (
    answer_network,
    ask_question,
    choose_row,
    press_button,
    screen_text,
    type_text,
    until,
    wait_for_screen,
    wait_for_text,
)
from tests.screens.fake_engine import BODY_PLUS, NETWORKS
from tests.screens.scenes import PASSPHRASE, running

SECRET = r"C:\garden\x1"
REFUSED = InstallerError(ErrorCode.DEVICE_REFUSED, "The device cannot search.", "Name the network instead.")


async def asked(pilot: Pilot[Any], scan: Callable[[], Awaitable[Sequence[Network]]] | None = None) -> Worker[Any]:
    """The network screen of Body+; the worker's result is the answer."""
    answer = ask_question(pilot, ChooseNetwork(model=BODY_PLUS, networks=NETWORKS, scan=scan or no_scan))
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
        answer = ask_question(pilot, ChooseNetwork(model=BODY_PLUS, networks=(), scan=None))
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
            await wait_for_screen(pilot, WifiQrTextDialog)
            await type_text(pilot, text)
        else:
            pilot.app.post_message(events.Paste(text))
            await wait_for_screen(pilot, WifiQrTextDialog)
        field = pilot.app.screen.query_one(Input)
        await wait_for_text(pilot, "Network: “Home”, WPA/WPA2, with its passphrase")
        assert PASSPHRASE not in screen_text(pilot)
        await pilot.press("enter")
        answer = await asking.wait()
        assert answer.secret.get_secret_value() == PASSPHRASE
        assert field.value == ""


LEFT_OPEN = parse(rf"WIFI:T:WPA;S:back\slash;P:{SECRET};;")


async def test_a_text_with_two_readings_is_handed_on_with_both() -> None:
    async with running() as (pilot, _):
        asking = await asked(pilot)
        await pilot.press("p")
        await wait_for_screen(pilot, WifiQrTextDialog)
        await type_text(pilot, rf"WIFI:T:WPA;S:back\slash;P:{SECRET};;")
        await wait_for_text(pilot, "can be read in 2 ways")
        await pilot.press("enter")
        answer: NetworkAnswer = await asking.wait()
        assert answer.readings == LEFT_OPEN
        assert answer.secret is None


async def test_a_person_sees_each_reading_and_its_passphrase_only_on_demand() -> None:
    async with running() as (pilot, _):
        answer = ask_question(pilot, ChooseReading(readings=LEFT_OPEN, heard=frozenset(["backslash"])))
        await wait_for_screen(pilot, CardReadingScreen)
        shown = screen_text(pilot)
        assert "“back\\slash”" in shown
        assert "“backslash”" in shown
        assert "passphrase of 12 characters" in shown
        assert "passphrase of 10 characters. It is in reach." in shown
        assert SECRET not in shown + pilot.app.export_screenshot()
        await pilot.press("f2")
        await wait_for_text(pilot, f"passphrase “{SECRET}”")
        await pilot.press("f2")
        await wait_for_text(pilot, "passphrase of 12 characters")
        await pilot.press("enter")  # the one in reach has the focus
        found: NetworkAnswer = await answer.wait()
        assert (found.ssid, found.readings) == ("backslash", None)
        assert found.secret is not None
        assert len(found.secret.get_secret_value()) == 10


@pytest.mark.parametrize(("keys", "ssid"), [(["enter"], "Home"), (["down", "enter"], "Home ")])
async def test_a_person_says_which_spelling_is_meant(keys: list[str], ssid: str) -> None:
    async with running() as (pilot, _):
        question = ChooseSpelling(typed="Home ", heard=(Network(ssid="Home"),), who="the device", can_go_back=True)
        answer = ask_question(pilot, question)
        await wait_for_screen(pilot, NetworkSpellingScreen)
        shown = screen_text(pilot)
        for part in ("does not hear “Home ”", "The device hears it. The names differ in a blank at the end.", "“Home”"):
            assert part in shown
        await pilot.press(*keys)
        assert await answer.wait() == ssid


async def test_the_text_of_a_code_is_not_taken_as_a_name() -> None:
    async with running() as (pilot, _):
        await asked(pilot)
        await pilot.press("h")
        await wait_for_screen(pilot, OtherNetworkDialog)
        await type_text(pilot, "WIFI:S:x;P:12345678;;")
        await pilot.press("enter")
        await wait_for_text(pilot, "the text of a code, not a name")


async def test_a_text_of_another_kind_is_named() -> None:
    async with running() as (pilot, _):
        await asked(pilot)
        await pilot.press("p")
        await wait_for_screen(pilot, WifiQrTextDialog)
        await type_text(pilot, "MT:Y.K9042C00KA0648G00")
        await wait_for_text(pilot, "set-up code of a Matter device")
        await pilot.press("escape")
        await wait_for_screen(pilot, NetworkScreen)


async def test_the_computers_own_network_is_under_the_cursor() -> None:
    async with running() as (pilot, _):
        ask_question(pilot, ChooseNetwork(model=BODY_PLUS, networks=NETWORKS, host_ssid="Guests"))
        await wait_for_screen(pilot, NetworkScreen)
        row = pilot.app.screen.query_one(ChoiceList).row
        assert row is not None
        assert row.cells[0] == "Guests"
