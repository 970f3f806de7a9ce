"""A scale that wants to be paired and ends the connection itself: installed, visited twice, and its keys erased."""

from __future__ import annotations

import json
from typing import Any

from tests.flow.support import LabWorld
from tests.guest.inside import system_bus
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.conftest import HANGS_UP
from tests.guest.inside.program import Program
from tests.guest.inside.test_protocols import SCRIPT
from tests.guest.inside.waiting import until


def scale(world: LabWorld) -> dict[str, Any]:
    devices = world.call("GET", "/lab/state")["devices"]
    return dict(next(device for device in devices if device["address"] == HANGS_UP))


def measure(world: LabWorld) -> None:
    world.call("POST", f"/lab/devices/{HANGS_UP}/measure")


def status(program: Program) -> dict[str, Any]:
    return dict(json.loads(program.run("gateway", "status", "--lab", "--json").output))


def test_it_is_paired_once_and_its_hanging_up_is_no_failure(bluez: BlueZ, world: LabWorld, program: Program) -> None:
    installing = program.start("install", *SCRIPT, "--device", HANGS_UP, "--sync", "bluetooth")
    # It hangs up before anybody has stepped on it, and the installation waits until somebody has.
    until(lambda: scale(world)["connected"] or not installing.running, "the connection")
    until(lambda: not scale(world)["connected"] or not installing.running, "the end of the connection")
    measure(world)
    until(lambda: not installing.running, "the end of the installation")
    assert installing.process.returncode == 0, installing.text
    # The gateway knows it, though none has run yet.
    (device,) = status(program)["devices"]
    assert (device["address"], device["visited"]) == (HANGS_UP, None)
    for _ in range(2):
        measure(world)
    done = program.run("gateway", "once", "--lab", "--adapter", "system", "--seconds", "20")
    assert done.status == 0, done
    told = status(program)
    assert (told["devices"][0]["failures"], told["devices"][0]["failure"]) == (0, None), done
    assert told["collected"] >= 2
    assert scale(world)["bonds"] == 1
    (bond,) = program.run("bonds", "list", "--adapter", "system", "--json").events
    assert bond["address"] == HANGS_UP
    forgotten = program.run("bonds", "forget", "--adapter", "system", "--yes", HANGS_UP)
    assert forgotten.status == 0, forgotten
    assert not system_bus.device(HANGS_UP).get("Paired")
