"""Longer ways over BlueZ: resume after a kill, a batch with three at once, the gateway, the wizard, two adapters."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests import terminal as terminals
from tests.flow.support import PASSPHRASE, LabWorld
from tests.guest.inside import system_bus
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.program import Program
from tests.guest.inside.test_protocols import SCALE, SCRIPT, WIFI
from tests.guest.inside.waiting import until
from tests.installer.lab.lab_process import LabProcess
from tests.terminal import Terminal, choose

WATCH = "00:24:E4:60:00:90"


def test_resume_after_a_kill(bluez: BlueZ, world: LabWorld, program: Program) -> None:
    killed = program.start("install", *SCRIPT, "--device", SCALE, *WIFI)
    killed.wait_text('"stage":"joining"')
    killed.stop(signal.SIGKILL)
    done = program.run("resume", *SCRIPT, "--passphrase-env", "TEST_PASSPHRASE")
    assert done.status == 0, done
    assert world.device("body-plus")["joined"] == "Home"


def test_a_batch_with_three_at_once(bluez: BlueZ, world: LabWorld, program: Program, home: Path) -> None:
    plan = home / "ward.csv"
    rows = ("model,sync,ssid", "body-plus,wifi,Home", "move,bluetooth,", "pulse-hr,bluetooth,")
    plan.write_text("\n".join(rows) + "\n", "utf-8")
    options = ("--lab", "--adapter", "system", "--json", "--passphrase-env", "TEST_PASSPHRASE", "--parallel", "3")
    done = program.run("batch", *options, str(plan))
    assert done.status == 0, done
    assert done.events[-1]["counts"] == {"installed": 3}


def test_the_gateway_collects_once_and_goes_on_collecting(bluez: BlueZ, world: LabWorld, program: Program) -> None:
    assert program.run("install", *SCRIPT, "--device", WATCH, "--sync", "bluetooth").status == 0
    world.act("move", "measure")
    done = program.run("gateway", "once", "--lab", "--adapter", "system", "--json", "--seconds", "20")
    assert done.status == 0, done
    collected = collected_of(program)
    assert collected >= 1
    running = program.start("gateway", "run", "--lab", "--adapter", "system", "--json")
    world.act("move", "measure")
    until(lambda: collected_of(program) > collected, "a measurement that the running gateway collected")
    assert running.stop(signal.SIGINT) in (0, 130)


def collected_of(program: Program) -> int:
    """How many measurements the gateway says that it has collected."""
    told = program.run("gateway", "status", "--lab", "--json")
    return int(json.loads(told.output)["collected"])


def test_the_wizard(
    bluez: BlueZ, world: LabWorld, program: Program, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminals, "WAIT_SECONDS", 90.0)
    # The account is stored first, as support staff do, so that no browser is needed.
    assert program.run("install", *SCRIPT, "--device", WATCH, "--sync", "bluetooth").status == 0
    terminal = Terminal(evidence, program.environment(LANG="C.UTF-8", TERM="xterm-256color"))
    try:
        terminal.start("device-installer wizard --lab --adapter system; echo status=$?; sleep 1000")
        terminal.wait_text("Install a device")
        terminal.keys("Enter")
        choose(terminal, "Body+ 3C")
        terminal.wait_text("Make it blink")
        terminal.keys("Enter")
        terminal.wait(lambda shown: "Bluetooth only" in shown and "❯" in shown, "the sync methods")
        terminal.keys("Enter")
        choose(terminal, "Home")
        terminal.wait_text("assphrase")
        terminal.text(PASSPHRASE)
        terminal.keys("Enter")
        terminal.wait_text("Careful")
        terminal.keys("Enter")
        choose(terminal, "default")
        terminal.wait_text("Should the cloud tell you of new data?")
        terminal.keys("Enter")
        terminal.wait_text("is installed")
        terminal.keys("q")
        terminal.wait_text("status=0")
        assert PASSPHRASE not in terminal.screen(history=True)
    finally:
        (evidence / "screen.txt").write_text(terminal.screen(), "utf-8")
        terminal.tmux("kill-server")
    assert world.device("body-plus")["joined"] == "Home"


@pytest.mark.parametrize("adapter", ["hci1", pytest.param("hci0", marks=pytest.mark.long)])
def test_two_adapters(bluez: BlueZ, lab: LabProcess, world: LabWorld, program: Program, adapter: str) -> None:
    assert bluez.plug(lab) == "hci1"
    done = program.run("scan", "--lab", "--adapter", adapter, "--json")
    assert done.status == 0, done
    assert SCALE in done.output
    heard = {path.split("/")[3] for path in system_bus.bluez_objects() if "/dev_" in path}
    assert heard == {adapter}
