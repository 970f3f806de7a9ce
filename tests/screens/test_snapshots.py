"""Every screen at 80 × 24 with fixed data matches its stored picture, does not scroll, and shows the focus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

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


@pytest.mark.parametrize("columns", [60, 40])
@pytest.mark.parametrize("name", ["device", "recover", "sending", "unproved", "confirm_account"])
async def test_no_button_is_cut_off_in_a_narrow_terminal(name: str, columns: int) -> None:
    script, scene = SCENES[name]
    app = WizardApp(Starter(script()), lab=True, catalogue=CATALOGUE, clock=Clock())
    async with app.run_test(size=(columns, 40)) as pilot:
        await scene(pilot)
        await still(pilot)
        buttons = list(app.screen.query(Button))
        assert len(buttons) > 1
        for button in buttons:
            assert button.parent is not None
            assert button.region.right <= button.parent.region.right, button.label
        # Side by side or below each other: the arrows go from one to the next, and back.
        buttons[0].focus()
        for keys in (("right", "left"), ("down", "up")):
            for key, focused in zip(keys, (buttons[1], buttons[0]), strict=True):
                await pilot.press(key)
                assert app.focused is focused
