"""The sync screen: both methods, and why one is missing."""

from __future__ import annotations

import pytest

from screens.cards import Card
from screens.sync import SyncScreen
from tests.screens.driver import (
    answer_sync,
    screen_text,
    until,
)
from tests.screens.scenes import SLEEP_ADDRESS, running, to_sync


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
