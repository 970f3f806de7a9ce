"""A scale that ends the connection itself, as real ones do: installed, visited, and never told as a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from installer.events.installation import FirstMeasurement
from installer.flow import lab_process
from installer.flow.run_options import Deadlines
from tests.flow.support import LabWorld, answers_for, install, use
from tests.flow.test_gateway import once, status, stored
from tests.installer.gateway.support import until
from tests.installer.lab.lab_process import fast_scenario

HANGS_UP = 'timing = { measure_after = "never" }\nreading = { hangs_up = 0.2, clock = "settable" }'


@pytest.fixture
def scale(home: Path, lab_factory: Callable[[str], Any]) -> LabWorld:
    """A lab whose Body tells only what it has, and then hangs up."""
    process = lab_factory(fast_scenario().replace('model = "body"', f'model = "body"\n{HANGS_UP}', 1))
    state = lab_process.read_state(process.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, process.state_file)
    return world


async def test_a_scale_that_hangs_up_is_installed_and_visited_without_a_failure(
    scale: LabWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    installing = asyncio.create_task(
        install(answers_for(scale, "body", "bluetooth"), deadlines=Deadlines(find=15, measurement=40))
    )
    # It hangs up before anybody has stepped on it, and the installation waits until somebody has.
    await until(lambda: scale.device("body")["connected"] or installing.done())
    await until(lambda: not scale.device("body")["connected"] or installing.done())
    scale.act("body", "measure")
    ended, front = await installing
    assert ended.outcome == "installed"
    assert len(front.of(FirstMeasurement)) == 1
    for _ in range(2):
        scale.act("body", "measure")
    assert await asyncio.to_thread(once) == 0
    assert len(stored()) >= 2
    known = await asyncio.to_thread(status, capsys)
    assert (known["devices"][0]["failures"], known["devices"][0]["failure"]) == (0, None)
