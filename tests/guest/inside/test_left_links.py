"""A program dies while it is connected: bluetoothd keeps the link, and the next program ends it and goes on.

Also a program that a signal ends: it lets the device go, closes its record, says its last word, and ends with the
conventional status.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.flow.support import LabWorld
from tests.guest.inside import system_bus
from tests.guest.inside.background import Background
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.program import Program
from tests.guest.inside.waiting import until

SCRIPT = ("--lab", "--adapter", "system", "--non-interactive", "--json")
WIFI = ("--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE")
TOLD = "that an earlier run left open was ended"


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def notices(text: str) -> list[str]:
    return [e["code"] for e in events(text) if e["event"] == "notice"]


def is_connected(address: str) -> bool:
    return bool(system_bus.device(address).get("Connected"))


@pytest.fixture
def world(bluez: BlueZ, world: LabWorld) -> LabWorld:
    """The lab's world, heard by hci0. The thermometer waits for a confirmation that never comes: it stays connected."""
    world.faults("thermo", {"never_authorized": {"times": 1}})
    return world


@pytest.fixture
def held(world: LabWorld, program: Program) -> Background:
    """An installation that is connected to the thermometer, and waits."""
    running = program.start("install", *SCRIPT, "--device", world.address("thermo"), *WIFI, *program.set_up_only())
    running.wait_text('"authorization_needed"')
    assert is_connected(world.address("thermo"))
    return running


def killed(running: Background, world: LabWorld) -> None:
    running.kill()
    assert is_connected(world.address("thermo"))


def test_the_next_installation_ends_the_link_of_a_killed_one(
    held: Background, world: LabWorld, program: Program
) -> None:
    killed(held, world)
    done = program.run("install", *SCRIPT, "--device", world.address("thermo"), *WIFI, *program.set_up_only())
    assert done.status == 0, done
    assert "left_link" in notices(done.output), done


def test_a_scan_lists_the_device_of_a_killed_installation(held: Background, world: LabWorld, program: Program) -> None:
    killed(held, world)
    done = program.run("scan", "--lab", "--adapter", "system", "--json", "--seconds", "5")
    assert world.address("thermo") in [e["sighting"]["address"] for e in done.events], done
    assert TOLD in done.errors, done


def test_a_gateway_visits_the_device_of_a_killed_installation(
    held: Background, world: LabWorld, program: Program
) -> None:
    killed(held, world)
    named = ("--device", world.address("thermo"), "--profile", "temperature")
    done = program.run("gateway", "once", "--lab", "--adapter", "system", "--seconds", "30", *named)
    assert done.status == 0, done
    assert f"visited: {world.address('thermo')}" in done.output, done
    assert TOLD in done.errors, done


def test_a_gateway_that_runs_already_ends_the_link_too(held: Background, world: LabWorld, program: Program) -> None:
    named = ("--device", world.address("thermo"), "--profile", "temperature")
    gateway = program.start("gateway", "run", "--lab", "--adapter", "system", "--json", *named)
    # It makes room as long as the installation lives.
    gateway.wait_text('"makes_room"')
    killed(held, world)
    gateway.wait_text('"goes_on"')
    gateway.wait_text('"left_link"')
    gateway.wait_text('"gateway_visited"')
    assert gateway.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("number", "status"),
    [
        pytest.param(signal.SIGTERM, 143, id="terminated"),
        pytest.param(signal.SIGHUP, 129, id="terminal-closed"),
        pytest.param(signal.SIGINT, 130, id="interrupted", marks=pytest.mark.long),
    ],
)
def test_a_signal_lets_the_device_go(
    held: Background, world: LabWorld, program: Program, number: signal.Signals, status: int
) -> None:
    assert held.stop(number) == status
    # BlueZ takes 2 to 3 s for it; the program does not wait.
    until(lambda: not is_connected(world.address("thermo")), "the end of the link")
    assert events(held.text)[-1]["outcome"] == "cancelled"
    (record,) = program.run("records", "list", "--lab", "--json").events
    assert record["outcome"] == "cancelled"


def test_an_attempt_to_connect_that_outlives_its_program_is_no_obstacle(world: LabWorld, program: Program) -> None:
    # The device is known, and answers nobody: bluetoothd goes on trying after its client has died.
    address = world.address("body")
    world.faults("body", {"refuse_connections": {"times": 1000}})
    running = program.start("install", *SCRIPT, "--device", address, *WIFI, *program.set_up_only())
    running.wait_text('"device_found"')
    marks = Path(program.environment()["DEVICE_INSTALLER_HOME"]) / "state" / "bluetooth" / "links"
    until(lambda: marks.exists() and list(marks.iterdir()), "the note of the link")
    running.kill()
    world.faults("body", {})
    done = program.run("install", *SCRIPT, "--device", address, *WIFI, *program.set_up_only())
    assert done.status == 0, done


def test_a_link_of_another_program_is_left_alone_and_named(world: LabWorld, program: Program) -> None:
    address = world.address("body")
    path = f"/org/bluez/hci0/dev_{address.replace(':', '_')}"
    program.run("scan", "--lab", "--adapter", "system", "--seconds", "3")
    until(lambda: system_bus.device(address), "the scale among the objects of bluetoothd")
    system_bus.call("org.bluez", path, "org.bluez.Device1", "Connect", seconds=30.0)
    done = program.run("install", *SCRIPT, "--device", address, *WIFI, *program.set_up_only())
    assert done.status == 20, done
    assert "is connected to this computer by another program" in done.errors, done
    assert is_connected(address)
    system_bus.call("org.bluez", path, "org.bluez.Device1", "Disconnect", seconds=30.0)
