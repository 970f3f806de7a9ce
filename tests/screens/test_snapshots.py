"""Every screen at 80 × 24 with fixed data, compared with its stored picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from screens.app import WizardApp
from tests.screens.fake_engine import CATALOGUE, Starter
from tests.screens.scenes import SCENES, Clock, still


@pytest.mark.parametrize("name", SCENES)
def test_screen(name: str, snap_compare: Callable[..., bool]) -> None:
    script, scene = SCENES[name]

    async def play(pilot: Pilot[Any]) -> None:
        await scene(pilot)
        await still(pilot)

    app = WizardApp(Starter(script()), lab=True, catalogue=CATALOGUE, clock=Clock())
    assert snap_compare(app, terminal_size=(80, 24), run_before=play)


@pytest.mark.parametrize("name", ["find", "sync_sleep", "recover"])
def test_screen_in_light_colours(name: str, snap_compare: Callable[..., bool]) -> None:
    script, scene = SCENES[name]

    async def play(pilot: Pilot[Any]) -> None:
        await scene(pilot)
        await still(pilot)

    app = WizardApp(Starter(script()), lab=True, catalogue=CATALOGUE, clock=Clock(), light=True)
    assert snap_compare(app, terminal_size=(80, 24), run_before=play)
