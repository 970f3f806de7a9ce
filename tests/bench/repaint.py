"""Key to repaint on the find screen while 200 devices advertise: the real app over a real radio."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from textual import events

from installer.answers import Answers
from installer.flow import lab_process
from installer.flow.run_options import RunConfig
from installer.flow.run_resources import RunResources
from screens.app import WizardApp
from screens.choice_list import ChoiceList
from screens.find import FindScreen
from screens.open_wizard import make_app
from tests.flow.support import LabWorld, use
from tests.installer.lab.lab_process import LabProcess, fast_scenario
from tests.screens.driver import begin, wait_for_screen

KEYS = 60


async def measure(folder: Path, bystanders: int) -> list[float]:
    """Seconds from a key press to the frame that shows its effect, for each of `KEYS` presses."""
    scenario = fast_scenario().replace("bystanders = 0", f"bystanders = {bystanders}")
    with LabProcess(folder / f"lab-{bystanders}", scenario) as lab:
        state = lab_process.read_state(lab.state_file)
        assert state is not None
        use(LabWorld(state), lab.state_file)
        resources = RunResources(RunConfig(lab=True))
        app = make_app(resources, Answers())
        async with app.run_test(size=(80, 24)) as pilot:
            await begin(pilot)
            screen = await wait_for_screen(pilot, FindScreen)
            await pilot.press("a")  # all devices, also those that cannot be set up
            async with asyncio.timeout(30):
                while len(screen.question.sightings.current()) < bystanders:  # noqa: ASYNC110 - a live list
                    await asyncio.sleep(0.1)
            times = await _press(app, screen)
        await resources.close()
        return times


async def _press(app: WizardApp, screen: FindScreen) -> list[float]:
    driver = app._driver
    assert driver is not None
    rows = screen.query_one(ChoiceList)
    rows.focus()
    painted = asyncio.Event()
    display, before = app._display, rows.cursor

    def watched(shown: Any, renderable: Any) -> None:
        display(shown, renderable)
        if rows.cursor != before:
            painted.set()

    app._display = watched  # type: ignore[method-assign]
    times = []
    for i in range(KEYS):
        await asyncio.sleep(0.03)
        painted.clear()
        before = rows.cursor
        key = events.Key("down" if i % 8 < 4 else "up", None)
        key.set_sender(app)
        began = time.perf_counter()
        driver.send_message(key)
        async with asyncio.timeout(5):
            await painted.wait()
        times.append(time.perf_counter() - began)
    app._display = display  # type: ignore[method-assign]
    return times


def report() -> list[str]:
    """Quiet radio and full radio side by side."""
    lines = [f"{'key to repaint on the find screen':<44}{'ms (median)':>14}{'ms (95 %)':>14}{'budget':>10}"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DEVICE_INSTALLER_HOME"] = str(Path(folder) / "home")
        for bystanders in (0, 200):
            times = sorted(asyncio.run(measure(Path(folder), bystanders)))
            median, high = statistics.median(times) * 1000, times[int(len(times) * 0.95)] * 1000
            lines.append(f"{f'{bystanders + 8} devices advertising':<44}{median:>14.1f}{high:>14.1f}{50:>10}")
    return lines
