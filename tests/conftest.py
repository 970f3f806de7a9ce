"""Fixtures for all tests: a shared lab, and labs of one's own."""

from __future__ import annotations

import gc
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.installer.lab.lab_process import LabProcess

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from tests.installer.bluetooth.bench import Bench


def pytest_configure() -> None:
    """A shell lets what it starts in the background ignore Ctrl-C, and nohup the end of the terminal.

    So would all programs that the tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """All modules and tests stay until the end: the garbage collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def _shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    # One process for each xdist worker: starting one takes a second.
    with LabProcess(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def lab(_shared_lab: LabProcess) -> LabProcess:
    """The default world, made fast, as the scenario has it: reset before each test."""
    _shared_lab.call_now("POST", "/lab/reset")
    return _shared_lab


@pytest.fixture
def lab_factory(tmp_path: Path) -> Iterator[Callable[[str | None], LabProcess]]:
    """`lab_factory(scenario_text)`: a lab process of the test's own; ended after the test."""
    labs: list[LabProcess] = []

    def make(scenario: str | None = None) -> LabProcess:
        one = LabProcess(tmp_path / f"lab-{len(labs)}", scenario)
        labs.append(one)
        return one.start()

    yield make
    for one in labs:
        one.stop()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A radio of the test's own, for peripherals that do what the test says."""
    # Late: it loads Bumble.
    from tests.installer.bluetooth.bench import Bench

    async with Bench() as made:
        yield made


@pytest.fixture
async def adapter(bench: Bench) -> AsyncIterator[Adapter]:
    """The adapter that hears the bench."""
    from installer.bluetooth.open_adapter import open_adapter

    async with await open_adapter(bench.adapter) as made:
        yield made
