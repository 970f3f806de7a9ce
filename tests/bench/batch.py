"""Benchmark of batches of 1, 3, 15 and 16 devices, one and three at once: installations per hour, and ledger time.

`of ideal`: what three at once reach of three times one. With 16 devices the last one runs alone while two places are
free: 16 in 6 rounds instead of 5⅓, so no batch can reach more than 0.89 of it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from installer.batch.options_and_result import BatchOptions
from installer.batch.station import Station
from installer.flow import lab_process
from installer.flow.run_options import Options, RunConfig
from tests.flow.support import PASSPHRASE, PROOF, LabWorld, use
from tests.installer.lab.lab_process import LabProcess
from tests.proof.crowd import crowd, plan, save_networks, scenario

SIZES = (1, 3, 15, 16)
PARALLEL = (1, 3)
JOIN_SECONDS = 1.0  # seconds that a device of this lab needs to join; real devices need longer


class _Timed:
    """Measures how long the ledger's thread works, in seconds."""

    def __init__(self, store: Any) -> None:
        self.seconds = 0.0
        self._submit: Callable[[Callable[[], Any]], Future[Any]] = store._submit
        store._submit = self

    def __call__(self, work: Callable[[], Any]) -> Future[Any]:
        def timed() -> Any:
            began = time.perf_counter()
            try:
                return work()
            finally:
                self.seconds += time.perf_counter() - began

        return self._submit(timed)


async def _run(file: Path, name: str, parallel: int) -> tuple[float, float]:
    """Seconds of the run, and of the ledger's part of it, without opening the ledger."""
    station = Station(RunConfig(lab=True, options=Options(allow_references=True)), (), BatchOptions(parallel=parallel))
    try:
        await station.prepare()
        records = station.resources.records()
        await records.store.call(records.mark_interrupted)
        ledger = _Timed(records.store)
        checked = await station.check(file, {}, name=name)
        began = time.perf_counter()
        result = await station.batch(checked, lambda _: None).run()
        took = time.perf_counter() - began
    finally:
        await station.close()
    assert result.complete, result.failures
    return took, ledger.seconds


async def measure(folder: Path) -> list[str]:
    """The table: one line for each size and number at once, with the speed-up over one at once."""
    title = f"Batch in the lab, a device joins in {JOIN_SECONDS:g} s"
    lines = [
        f"{title:<38}{'at once':>8}{'s':>8}{'per hour':>10}{'times as fast':>15}{'of ideal':>10}{'ledger ms each':>16}"
    ]
    devices = crowd(max(SIZES))
    with LabProcess(folder / "lab", scenario(devices).replace("join = 0.05", f"join = {JOIN_SECONDS}")) as lab:
        state = lab_process.read_state(lab.state_file)
        assert state is not None
        world = LabWorld(state)
        use(world, lab.state_file)
        save_networks()
        for size in SIZES:
            alone = 0.0
            for parallel in PARALLEL:
                world.call("POST", "/lab/reset")
                file = plan(devices[:size], folder, f"{size}-{parallel}.csv")
                took, ledger = await _run(file, f"{size} at {parallel}", parallel)
                alone = alone or took
                name, times = f"{size} device" + ("s" if size > 1 else ""), alone / took
                lines.append(
                    f"{name:<38}{parallel:>8}{took:>8.1f}{size / took * 3600:>10.0f}{times:>15.2f}"
                    f"{times / min(parallel, size):>10.2f}{ledger / size * 1000:>16.1f}"
                )
    return lines


def report() -> list[str]:
    """Run the benchmark in its own home folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DEVICE_INSTALLER_HOME"] = str(Path(folder) / "home")
        os.environ["TEST_PASSPHRASE"], os.environ["TEST_PROOF"] = PASSPHRASE, PROOF
        return asyncio.run(measure(Path(folder)))
