"""The installer is killed after every event of an installation, for each way to a device, and resumed."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.installer.lab.lab_process import LabProcess
from tests.proof.forking import Forks
from tests.proof.killing import LANES, Bench, Lane, Run, trial

SEED = 20261125
RANDOM_KILLS = 6
MOST_RESUMES = 40

by_name = {lane.name: lane for lane in LANES}


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    made = Forks()
    yield made
    made.close()


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, lab_factory: Callable[[str], LabProcess], tmp_path: Path, forks: Forks
) -> Bench:
    lane: Lane = request.param
    return Bench(lane, lab_factory(lane.scenario), tmp_path, forks=forks)


def lanes(*names: str) -> pytest.MarkDecorator:
    chosen = [by_name[name] for name in names] if names else LANES
    return pytest.mark.parametrize("bench", chosen, indirect=True, ids=lambda lane: lane.name)


@lanes()
@pytest.mark.timeout(1800)
def test_killed_after_every_event(bench: Bench) -> None:
    bench.fresh()
    whole = bench.install()
    assert whole.status == 0, whole
    since = [n for n, e in enumerate(whole.events, 1) if bench.lane.since in (e["event"], e.get("step"))]
    assert since or not bench.lane.since, whole
    for at in range(since[0] if since else 1, len(whole.events) + 1):
        bench.fresh()
        killed = bench.install(lambda number, _event, at=at: number == at)
        if killed.status != -signal.SIGKILL:
            # It had ended before the signal came.
            assert at >= len(whole.events) - 1, killed
            continue
        trial(bench, killed)


@lanes("improv", "espressif-1", "guided")
@pytest.mark.timeout(1800)
def test_every_resume_is_killed_too(bench: Bench) -> None:
    """Each one an event later than the one before, until one comes to the end."""
    bench.fresh()
    killed = bench.install(lambda _number, event: event["event"] == "device_found")
    assert killed.status == -signal.SIGKILL, killed
    resumes: list[Run] = []
    while len(resumes) < MOST_RESUMES:
        before = bench.settled()
        at = len(resumes) + 3
        run = bench.resume(killed.events[0]["installation"], lambda number, _event, at=at: number >= at)
        resumes.append(run)
        if before["joined"]:
            assert bench.device["credentials_received"] == before["credentials_received"], run
        if run.status != -signal.SIGKILL:
            break
    record = trial(bench, killed, *resumes)
    assert record["attempts"] >= len(resumes), record


@lanes("improv", "nordic", "bluetooth")
@pytest.mark.timeout(1800)
def test_killed_at_any_time(bench: Bench) -> None:
    chance = random.Random(SEED)
    for _ in range(RANDOM_KILLS):
        bench.fresh()
        killed = bench.install(after=chance.uniform(0.05, 1.5))
        if killed.status == -signal.SIGKILL:
            trial(bench, killed)
        else:
            assert killed.status == 0, killed
