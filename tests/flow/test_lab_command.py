"""`lab measure` and what else a person does with a lab device."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from installer.cli.main import _main
from installer.flow import lab_process
from installer.flow.run_resources import lab_state_file
from tests.flow.support import LabWorld


def test_it_says_what_was_measured(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["lab", "measure", "Thermo"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Thermo measured 3")
    assert said.endswith(" °C; not read over Bluetooth yet: 1.\n")
    # By model, by address, and for scripts.
    assert _main(["lab", "measure", "thermo", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["number"]) == ("Thermo", 2)
    assert 36 <= told["temperature"] < 38
    assert _main(["lab", "measure", told["address"].lower()]) == 0


def test_what_it_cannot_measure(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["lab", "measure", "Body 1A", "--user", "2"]) == 80
    assert "this device has one user" in capsys.readouterr().err
    assert _main(["lab", "measure", "Toaster"]) == 20
    assert _main(["lab", "measure", "generic"]) == 21
    assert _main(["lab", "measure", "Temperature Monitor"]) == 80
    assert "measures nothing" in capsys.readouterr().err


def test_digits_are_typed_and_bonds_are_forgotten(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["lab", "enter", "Thermo", "123456"]) == 80
    assert "does not ask for digits now" in capsys.readouterr().err
    assert _main(["lab", "forget-bonds", "Thermo"]) == 0


def test_a_scenario_comes_from_a_pipe(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "scenario"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_text, args=('name = "piped"\n', "utf-8-sig"))
    writing.start()
    assert _main(["lab", "start", "--scenario", str(pipe)]) == 0
    writing.join(10)
    try:
        state = lab_process.read_state(lab_state_file())
        assert state is not None
        assert state.scenario == "piped"
    finally:
        assert _main(["lab", "stop"]) == 0
