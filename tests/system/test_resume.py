"""An installation with its ledger on PostgreSQL is killed and resumed: one record, and nothing is done twice."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from installer.ledger.records import Records
from tests.installer.lab.lab_process import LabProcess
from tests.postgres import PostgresServer
from tests.proof.killing import LANES, Bench, trial
from tests.system.test_ledger import migrated


@pytest.mark.timeout(240)
def test_killed_and_resumed_with_the_ledger_on_postgresql(
    postgres: PostgresServer, lab_factory: Callable[[str], LabProcess], tmp_path: Path
) -> None:
    lane = next(lane for lane in LANES if lane.name == "improv")
    bench = Bench(lane, lab_factory(lane.scenario), tmp_path)
    for point in ("device_found", "step_done", "provisioning", "linking", "linked", "first_measurement"):
        bench.fresh()
        url = postgres.database()
        target = migrated(url)
        bench.ledger = ("--ledger", url)
        bench.records = lambda target=target: Records(target)
        killed = bench.install(lambda _number, event, point=point: event["event"] == point)
        assert killed.status == -signal.SIGKILL, killed
        trial(bench, killed)
