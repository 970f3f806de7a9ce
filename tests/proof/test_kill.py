"""The installer is killed after every event of an installation, for each way to a device, and resumed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.installer.lab.support import LabProcess
from tests.proof.killing import LANES, Bench, Lane, trial


@pytest.fixture(params=LANES, ids=lambda lane: lane.name)
def bench(request: pytest.FixtureRequest, lab_factory: Callable[[str], LabProcess], tmp_path: Path) -> Bench:
    lane: Lane = request.param
    return Bench(lane, lab_factory(lane.scenario), tmp_path)


@pytest.mark.timeout(600)
def test_killed_after_every_event(bench: Bench) -> None:
    bench.fresh()
    whole = bench.install()
    assert whole.status == 0, whole
    steps = [number for number, e in enumerate(whole.events, 1) if e.get("step") == bench.lane.since]
    for at in range(steps[0] if steps else 1, len(whole.events) + 1):
        bench.fresh()
        killed = bench.install(lambda number, _event, at=at: number == at)
        if killed.status != -signal.SIGKILL:
            assert at >= len(whole.events) - 1, killed
            continue
        trial(bench, killed)
