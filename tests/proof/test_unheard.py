"""A row whose device has ended its set-up while nobody looked: the account and its first data tell."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from installer.flow import lab_process
from tests.flow.support import LabWorld, use
from tests.flow.test_batch import networks, of, planned, run
from tests.installer.lab.lab_process import LabProcess
from tests.proof.test_batch import PROGRAM

__all__ = ["networks"]

SHY = """
name = "shy"
bystanders = 0
[radio]
advertising_interval = 0.02
supervision_timeout = 0.05
[timing]
join = 0.05
first_measurement_after = 0.05
[[network]]
ssid = "Home"
passphrase = "correct horse battery staple"
[[device]]
model = "sleep"
address = "00:24:E4:00:00:01"
espressif = { security = 1, proof = "", stops = 0.2 }
"""


def _has_left(device: dict[str, Any]) -> bool:
    # While the link of the killed program stands it does not advertise either.
    return bool(device["joined"]) and not device["advertising"] and not device["connected"]


@pytest.mark.timeout(120)
def test_a_device_that_ended_its_set_up_while_nobody_looked_is_gone_on_with(
    lab_factory: Callable[[str], LabProcess], networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = lab_factory(SHY)
    state = lab_process.read_state(process.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, process.state_file)
    plan = planned(tmp_path, "00:24:E4:00:00:01,sleep,wifi,home,,,,")
    command = [PROGRAM, "batch", "--lab", "--json", "--allow-references", plan]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    for line in first.stdout:
        if json.loads(line).get("stage") == "joining":
            first.kill()
            break
    first.stdout.close()
    first.wait(20)
    # It has joined, and advertises no more: nobody can ask it.
    deadline = time.monotonic() + 20
    while not _has_left(world.device("sleep")):
        assert time.monotonic() < deadline
    status, events = run(capsys, plan)
    assert (status, events[-1]["counts"]) == (0, {"installed": 1})
    assert next(e for e in events if e["event"] == "installation_started")["resumed"] == "provision"
    # Its first data is the proof, though the plan did not ask for it.
    assert of(events, "first_measurement")
    assert (world.device("sleep")["credentials_received"], world.device("sleep")["linked"]) == (1, True)
