"""The key footer: the keys that it shows, and clicks on them."""

from __future__ import annotations

from screens.find import FindScreen
from screens.help import HelpDialog
from screens.home import HomeScreen
from screens.key_footer import KeyFooter
from tests.screens.driver import begin, screen_text, wait_for_screen
from tests.screens.scenes import running


async def test_it_shows_the_keys_of_the_screen_at_hand() -> None:
    async with running() as (pilot, _):
        await wait_for_screen(pilot, HomeScreen)
        home = screen_text(pilot).splitlines()[-1]
        assert " F1 Help" in home
        await begin(pilot)
        screen = await wait_for_screen(pilot, FindScreen)
        line = screen_text(pilot).splitlines()[-1]
        assert line != home
        shown = [k.description for k in screen.query_one(KeyFooter)._keys()]
        assert len(shown) == len(set(shown))
        assert all(words in line for words in shown)


async def test_a_click_on_a_key_does_what_the_key_does() -> None:
    async with running() as (pilot, _):
        screen = await wait_for_screen(pilot, HomeScreen)
        line = screen.query_one(KeyFooter)
        key = next(k for k in line._keys() if k.description == "Help")
        await pilot.click(KeyFooter, offset=(key.start + 1, 0))
        await wait_for_screen(pilot, HelpDialog)


async def test_a_narrow_terminal_has_as_many_keys_as_fit_whole() -> None:
    async with running(size=(30, 24)) as (pilot, _):
        screen = await wait_for_screen(pilot, HomeScreen)
        assert all(len(line) <= 30 for line in screen_text(pilot).splitlines())
        keys = list(screen.query_one(KeyFooter)._keys())
        assert keys
        assert screen_text(pilot).splitlines()[-1].strip() == "  ".join(f"{k.label} {k.description}" for k in keys)
