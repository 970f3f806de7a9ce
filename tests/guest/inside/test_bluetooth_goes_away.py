"""bluetoothd dies, is stopped or restarted, and the adapter is switched off or pulled, at each stage of a run.

This computer's Bluetooth is blamed, never the device; what can go on by itself does.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.flow.support import LabWorld
from tests.guest.inside.background import Background
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.program import Program
from tests.guest.inside.waiting import until
from tests.installer.lab.lab_process import LabProcess

SCRIPT = ("--lab", "--adapter", "system", "--non-interactive", "--json")
WIFI = ("--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE")
NOBODY = "00:24:E4:99:99:99"
MISSING, OFF, FAILED = 10, 11, 13


def block(bluez: BlueZ) -> None:
    subprocess.run(["rfkill", "block", "bluetooth"], check=True)


# What happens, and the exit status that tells it.
WAYS: dict[str, tuple[Callable[[BlueZ], None], int]] = {
    "killed": (lambda bluez: bluez.daemon.kill(), MISSING),
    "stopped": (lambda bluez: bluez.daemon.stop(), MISSING),
    "off": (lambda bluez: bluez.daemon.power(False), OFF),
    "blocked": (block, OFF),
    "pulled": (lambda bluez: bluez.unplug(), FAILED),
}


def long(way: str) -> Any:
    """Told like another one, so that only `make guest-long` tries it."""
    return pytest.param(way, marks=pytest.mark.long)


def events(started: Background) -> list[dict[str, Any]]:
    return [json.loads(line) for line in started.text.splitlines() if line.startswith("{") and line.endswith("}")]


def ended(started: Background, seconds: float = 150.0) -> int:
    """Its exit status; what it wrote is fit for a person."""
    until(lambda: not started.running, "the end of the program", seconds)
    assert "Traceback" not in started.text
    assert "never retrieved" not in started.text
    assert "Warning" not in started.text
    return started.process.returncode


def check_blame(started: Background, status: int) -> None:
    assert ended(started) == status, started.text
    failed = [event for event in events(started) if event["event"] == "failed"]
    assert failed, started.text
    assert failed[-1]["exit_status"] == status
    assert "Bluetooth" in failed[-1]["what"]
    assert "device off" not in failed[-1]["todo"]


def searching(bluez: BlueZ) -> None:
    until(lambda: "start_discovery" in bluez.daemon.log or "StartDiscovery" in bluez.daemon.log, "a search")


@pytest.mark.parametrize("way", ["killed", "off", "pulled", *(long(way) for way in ("stopped", "blocked"))])
def test_in_mid_search(bluez: BlueZ, world: LabWorld, program: Program, way: str) -> None:
    event, status = WAYS[way]
    started = program.start("install", *SCRIPT, "--device", NOBODY, *WIFI, *program.set_up_only())
    searching(bluez)
    event(bluez)
    check_blame(started, status)


@pytest.mark.parametrize("way", ["killed", "pulled", long("off")])
def test_while_credentials_are_sent(bluez: BlueZ, world: LabWorld, program: Program, way: str) -> None:
    event, status = WAYS[way]
    world.faults("body-plus", {"silent": {"on": "credentials", "times": 1}})
    started = program.start("install", *SCRIPT, "--model", "body-plus", *WIFI, *program.set_up_only())
    started.wait_text('"stage":"sending"')
    event(bluez)
    check_blame(started, status)
    failed = [event for event in events(started) if event["event"] == "failed"][-1]
    assert "sent" in json.dumps(failed)


def test_a_restart_of_the_service_is_survived(bluez: BlueZ, world: LabWorld, program: Program) -> None:
    world.faults("body-plus", {"silent": {"on": "credentials", "times": 1}})
    started = program.start("install", *SCRIPT, "--model", "body-plus", *WIFI, *program.set_up_only())
    started.wait_text('"stage":"sending"')
    bluez.daemon.restart()
    assert ended(started) == 0, started.text
    assert "bluetooth_back" in started.text
    assert world.device("body-plus")["joined"] == "Home"


def test_before_the_run(bare_bluez: BlueZ, lab: LabProcess, world: LabWorld, program: Program) -> None:
    done = program.run("scan", "--adapter", "system", "--seconds", "1")
    assert done.status == MISSING, done
    assert "no Bluetooth adapter" in done.errors
    bare_bluez.plug(lab)
    bare_bluez.plug(lab)
    for wrong in ("hci99x", "hci7", "00:00:00:00:00:99"):
        done = program.run("scan", "--adapter", wrong, "--seconds", "1")
        assert done.status == FAILED, done
        assert f"hci1 ({bare_bluez.address('hci1')}, switched on)" in done.errors
    done = program.run("doctor", "--adapter", bare_bluez.address("hci1"))
    assert f"hci1 ({bare_bluez.address('hci1')}, switched on) scans" in done.output, done


def test_a_batch_waits_and_goes_on(bluez: BlueZ, world: LabWorld, program: Program) -> None:
    world.faults("body-plus", {"silent": {"on": "credentials", "times": 1}})
    plan = program.home / "ward.csv"
    plan.write_text("model,sync,ssid,account\nbody-plus,wifi,Home,later\nmove,bluetooth,,later\n", "utf-8")
    arguments = ("--passphrase-env", "TEST_PASSPHRASE", "--allow-references")
    started = program.start("batch", str(plan), "--lab", "--adapter", "system", "--json", *arguments)
    started.wait_text('"stage":"sending"')
    bluez.daemon.power(False)
    started.wait_text("bluetooth_away")
    bluez.daemon.power(True)
    started.wait_text("bluetooth_back")
    assert ended(started, 150) == 0, started.text
    assert world.device("body-plus")["joined"] == "Home"


@pytest.mark.timeout(600)
def test_a_gateway_outlives_everything(bluez: BlueZ, lab: LabProcess, world: LabWorld, program: Program) -> None:
    done = program.run("install", *SCRIPT, "--model", "move", "--sync", "bluetooth")
    assert done.status == 0, done
    gateway = program.start("gateway", "run", "--lab", "--adapter", "system", "--every", "5", "--json")

    def told(name: str) -> list[dict[str, Any]]:
        return [event for event in events(gateway) if event["event"] == name]

    def collects() -> None:
        before = sum(event["collected"] for event in told("gateway_visited"))
        world.act("move", "measure")
        until(lambda: sum(event["collected"] for event in told("gateway_visited")) > before, "the next measurement")

    collects()
    ways: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("bluetooth_missing", bluez.daemon.kill, bluez.daemon.start),
        ("bluetooth_missing", bluez.daemon.stop, bluez.daemon.start),
        ("bluetooth_off", lambda: bluez.daemon.power(False), lambda: bluez.daemon.power(True)),
        ("adapter_failed", bluez.unplug, lambda: bluez.plug(lab)),
    ]
    for number, (code, event, end) in enumerate(ways, 1):
        event()
        until(lambda n=number: len(told("gateway_trouble")) >= n, f"the word of {code}")
        assert told("gateway_trouble")[-1]["code"] == code
        if number == 1:
            check = program.run("gateway", "status", "--lab", "--check")
            assert check.status == 75, check
            assert "Bluetooth has not worked since" in check.output + check.errors
        end()
        until(lambda n=number: len(told("gateway_bluetooth_back")) >= n, f"the end of {code}")
        collects()
    check = program.run("gateway", "status", "--lab", "--check")
    assert check.status == 0, check
    assert "Bluetooth was away for" in check.output
    failures = [
        event for event in told("gateway_visited") if event["code"] not in (None, *dict.fromkeys(w[0] for w in ways))
    ]
    assert failures == []
    assert gateway.stop() == 0
    ended(gateway)
