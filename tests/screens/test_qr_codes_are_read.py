"""The wizard's QR codes, read from the pixels of the terminal: in every theme, with all else that is on the screen."""

from __future__ import annotations

import os
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from installer.batch.labels import Label
from installer.catalogue.model import SyncMethod
from installer.flow.questions import SignIn
from screens.batch import LabelDialog
from screens.guide import GuideScreen
from screens.qr_code import QrScreen
from screens.sign_in import SignInScreen
from screens.theme import DARK, LIGHT
from screens.widgets import QrCode
from tests.screens.driver import ask_question, read_codes, screen_text, until, wait_for_screen
from tests.screens.scenes import running
from tests.screens.test_guide import question
from tests.terminal_picture import DARK_TERMINAL, LIGHT_TERMINAL

URL = "https://www.withings.com/app"
LONG_URL = "https://account.example/authorize?" + "y" * 150
LABEL = Label("01JDG5X0W5", "00:24:E4:20:00:3C", "body-plus", SyncMethod.WIFI, 1_764_000_000, site="Ward 3")


async def show(pilot: Pilot[Any], screen: Any) -> None:
    await pilot.app.push_screen(screen)
    await wait_for_screen(pilot, type(screen))
    await until(pilot, lambda: bool(pilot.app.screen.query(QrCode)), "the code")
    await pilot.pause()


class OnlyCode(App[None]):
    """An app that shows nothing but a code: it changes its theme faster than the wizard."""

    def compose(self) -> ComposeResult:
        yield QrCode()


async def test_every_theme() -> None:
    app = OnlyCode()
    app.register_theme(DARK)
    app.register_theme(LIGHT)
    async with app.run_test(size=(60, 24)) as pilot:
        app.query_one(QrCode).show_code(URL, 60, 24)
        unread = []
        for theme in app.available_themes:
            app.theme = theme
            await pilot.pause()
            unread += [theme for terminal in (DARK_TERMINAL, LIGHT_TERMINAL) if read_codes(pilot, terminal) != [URL]]
        assert {"textual-light", "textual-dark", "ansi-dark", DARK.name} <= set(app.available_themes)
        assert unread == []


@pytest.mark.parametrize("light", [True, False])
async def test_without_colours(monkeypatch: pytest.MonkeyPatch, light: bool) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "NO_COLOR": "1"})
    async with running(light=light) as (pilot, _):
        assert pilot.app.no_color
        await show(pilot, QrScreen(URL, "it is a test"))
        assert read_codes(pilot) == [URL]


@pytest.mark.parametrize("light", [True, False])
async def test_every_screen_with_a_code(light: bool) -> None:
    async with running(size=(140, 50), light=light) as (pilot, _):
        guide = question("body-plus", "wifi")
        asking = ask_question(pilot, guide)
        await wait_for_screen(pilot, GuideScreen)
        assert read_codes(pilot) == [guide.url]
        asking.cancel()
    async with running(size=(140, 50), light=light) as (pilot, _):
        asking = ask_question(pilot, SignIn(account="a", url=LONG_URL, short_url="http://127.0.0.1:1/", seconds=60))
        await wait_for_screen(pilot, SignInScreen)
        assert read_codes(pilot) == [LONG_URL]
        asking.cancel()
    async with running(size=(80, 40), light=light) as (pilot, _):
        await show(pilot, LabelDialog(LABEL))
        assert read_codes(pilot) == [LABEL.code]


@pytest.mark.parametrize("size", [(80, 24), (72, 37), (60, 40), (40, 16)])
@pytest.mark.parametrize("whole_window", [True, False])
async def test_a_code_is_whole_or_its_text_is_there(size: tuple[int, int], whole_window: bool) -> None:
    async with running(size=size) as (pilot, _):
        await show(pilot, QrScreen(LABEL.code, "it is a test") if whole_window else LabelDialog(LABEL))
        drawn = pilot.app.screen.query_one(QrCode).display
        assert read_codes(pilot) == ([LABEL.code] if drawn else [])
        if not drawn:
            text = "".join(screen_text(pilot).split())
            assert "toosmall" in text
            assert set("▀▄") & set(text) == set()


async def test_a_label_in_a_usual_terminal_and_then_in_a_larger_one() -> None:
    async with running() as (pilot, _):
        await show(pilot, QrScreen(LABEL.code, "it is a test"))
        assert read_codes(pilot) == [LABEL.code]
        await pilot.press("escape")
        await show(pilot, LabelDialog(LABEL))
        assert read_codes(pilot) == []
        await pilot.resize_terminal(80, 45)
        await until(pilot, lambda: bool(pilot.app.screen.query_one(QrCode).display), "the code")
        await pilot.pause()
        assert read_codes(pilot) == [LABEL.code]
