"""The wizard in a real terminal of 80×24 (tmux), typed on as a person does."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.support import PASSPHRASE, LabWorld
from tests.terminal import PROGRAM, Terminal, choose


@pytest.fixture
def terminal(home: Path, world: LabWorld, tmp_path: Path) -> Iterator[Terminal]:
    assert shutil.which("tmux"), ".ci/run installs tmux"
    one = Terminal(tmp_path, {"DEVICE_INSTALLER_HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color"})
    yield one
    one.tmux("kill-server")


def test_an_installation_with_nothing_but_the_keyboard(terminal: Terminal, world: LabWorld) -> None:
    # The account is stored first, as support staff do, so that no browser is needed.
    subprocess.run(
        [PROGRAM, "install", "--lab", "--non-interactive", "--device", world.address("move")], check=True, timeout=60
    )
    terminal.start(f"{PROGRAM} wizard --lab; echo status=$?; sleep 1000")
    terminal.wait_text("Install a device")
    terminal.keys("Enter")
    choose(terminal, "Body+ 3C")
    terminal.wait_text("Make it blink")
    terminal.keys("Enter")
    terminal.wait_text("Wi-Fi")
    shown = terminal.wait(lambda s: "Bluetooth only" in s and "❯" in s, "the sync methods")
    assert all(len(line) <= 80 for line in shown.splitlines())
    terminal.keys("Enter")
    choose(terminal, "Home")
    terminal.wait_text("assphrase")
    terminal.text(PASSPHRASE)
    terminal.keys("Enter")
    terminal.wait_text("Careful")
    terminal.keys("Enter")
    choose(terminal, "default")
    shown = terminal.wait_text("Should the cloud tell you of new data?")
    assert "❯ No" in shown
    terminal.keys("Enter")
    shown = terminal.wait_text("is installed")
    assert "kg" in shown
    assert world.device("body-plus")["linked"]
    terminal.keys("q")
    terminal.wait_text("status=0")
    # The passphrase was never on the screen, and is not in the scrollback.
    assert PASSPHRASE not in terminal.screen(history=True)


def test_a_script_that_lets_a_person_choose_the_network(terminal: Terminal, world: LabWorld) -> None:
    options = f"--lab --non-interactive --device {world.address('body')} --sync wifi --ask network"
    terminal.start(f"{PROGRAM} install {options}; echo status=$?; sleep 1000")
    shown = terminal.wait_text("Number [1-")
    number = next(line for line in shown.splitlines() if line.strip().endswith("dBm") and "Home" in line)
    terminal.text(number.strip().split(".")[0])
    terminal.keys("Enter")
    terminal.wait_text("Passphrase of “Home” (hidden):")
    terminal.text("wrong horse battery")
    terminal.keys("Enter")
    # The failure and its choices; the first one changes the passphrase.
    terminal.wait_text("What now?")
    terminal.keys("Enter")
    terminal.wait(lambda s: s.count("Passphrase of “Home” (hidden):") == 2, "the passphrase to be asked again")
    terminal.text(PASSPHRASE)
    terminal.keys("Enter")
    terminal.wait_text("status=0")
    assert world.device("body")["joined"] == "Home"
    left = terminal.screen(history=True)
    assert PASSPHRASE not in left
    assert "wrong horse battery" not in left
