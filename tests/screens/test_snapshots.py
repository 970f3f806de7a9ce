"""Every screen at 80 × 24 with fixed data matches its stored picture, does not scroll, and shows the focus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from screens.app import WizardApp
from tests.screens.driver import screen_text
from tests.screens.fake_engine import CATALOGUE, Starter
from tests.screens.scenes import SCENES, Clock, still


def check(pilot: Pilot[Any]) -> None:
    """Nothing scrolls but lists, and where the focus is can be told without any colour."""
    screen = pilot.app.screen
    assert not any(page.show_vertical_scrollbar for page in screen.query("#page, #dialog, #keys"))
    focused = pilot.app.focused
    if focused is not None and focused.region.area:
        framed = isinstance(focused, Input) and focused.styles.border_top[0] == "round"
        assert "❯" in screen_text(pilot) or focused.styles.text_style.underline or framed


@pytest.mark.parametrize("name", SCENES)
def test_screen(name: str, snap_compare: Callable[..., bool]) -> None:
    script, scene = SCENES[name]

    async def play(pilot: Pilot[Any]) -> None:
        await scene(pilot)
        await still(pilot)
        check(pilot)

    starter = Starter(script())
    app = WizardApp(starter, lab=True, catalogue=CATALOGUE, clock=Clock(), resumable=starter)
    assert snap_compare(app, terminal_size=(80, 24), run_before=play)


@pytest.mark.parametrize("name", ["find", "sync_sleep", "recover"])
def test_screen_in_light_colours(name: str, snap_compare: Callable[..., bool]) -> None:
    script, scene = SCENES[name]

    async def play(pilot: Pilot[Any]) -> None:
        await scene(pilot)
        await still(pilot)

    app = WizardApp(Starter(script()), lab=True, catalogue=CATALOGUE, clock=Clock(), light=True)
    assert snap_compare(app, terminal_size=(80, 24), run_before=play)
