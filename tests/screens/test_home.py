"""The home screen offers interrupted installations: to resume, to dismiss, or to leave for later."""

from __future__ import annotations

import pytest

from installer.errors import ErrorCode, InstallerError
from screens.find import FindScreen
from screens.home import HomeScreen
from tests.screens.driver import choose_card, flat_text, screen_text, until, wait_for_screen, wait_for_text
from tests.screens.fake_engine import Script, offers
from tests.screens.scenes import running


async def test_nothing_is_offered_where_nothing_was_cut_off() -> None:
    async with running() as (pilot, starter):
        await wait_for_screen(pilot, HomeScreen)
        await pilot.press("c", "d")
        await pilot.pause()
        assert "Continue" not in screen_text(pilot)
        assert starter.made == []


async def test_the_newest_is_offered_with_where_and_when_it_stopped() -> None:
    async with running(Script(offers=offers(2))) as (pilot, starter):
        await wait_for_text(pilot, "Continue Body+ 3C")
        assert "stopped at the network step" in flat_text(pilot)
        assert "5 min ago" in screen_text(pilot)
        assert "One of 2" in screen_text(pilot)
        # Enter does what it did before the offer came.
        await pilot.press("enter")
        await wait_for_screen(pilot, FindScreen)
        assert starter.resumed is None


@pytest.mark.parametrize("by_key", [True, False])
async def test_going_on(by_key: bool) -> None:
    async with running(Script(offers=offers(1))) as (pilot, starter):
        await wait_for_text(pilot, "Continue Body+ 3C")
        if by_key:
            await pilot.press("c")
        else:
            await pilot.press("up")
            await choose_card(pilot, "continue")
        await until(pilot, lambda: starter.resumed is not None, "the rest of the installation")
        assert starter.resumed == starter.script.offers[0]


async def test_dismissing_asks_first_and_offers_the_next() -> None:
    async with running(Script(offers=offers(2))) as (pilot, starter):
        await wait_for_text(pilot, "Continue Body+ 3C")
        await pilot.press("d")
        await wait_for_text(pilot, "Stop offering Body+ 3C?")
        await pilot.press("enter")  # the safe answer
        await wait_for_text(pilot, "Continue Body+ 3C")
        assert len(starter.script.offers) == 2
        await pilot.press("d")
        await wait_for_text(pilot, "Stop offering Body+ 3C?")
        await pilot.press("right", "enter")
        await wait_for_text(pilot, "Continue Body+ 4C")
        assert [o.name for o in starter.script.offers] == ["Body+ 4C"]


async def test_a_ledger_that_cannot_be_read_is_told_and_a_device_can_still_be_installed() -> None:
    error = InstallerError(ErrorCode.DATABASE_FAILED, "The database could not read the records.", "Check the disk.")
    async with running(Script(unreadable=error)) as (pilot, starter):
        await wait_for_text(pilot, "The database could not read the records. Check the disk.")
        starter.script.unreadable = None
        await pilot.press("i")
        await wait_for_screen(pilot, FindScreen)
