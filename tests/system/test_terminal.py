"""The wizard in a real terminal of 80×24 (tmux), typed on as a person does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flow.support import PASSPHRASE, LabWorld

PROGRAM = Path(sys.executable).with_name("device-installer")
WAIT_SECONDS = 30.0


class Terminal:
    """One tmux session of 80×24."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.socket = f"device-installer-{uuid.uuid4().hex[:8]}"
        self.folder = folder
        self.environment = environment

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self.socket, "-f", "/dev/null", *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=20,
        )
        return done.stdout

    def start(self, command: str) -> None:
        self.tmux("new-session", "-d", "-x", "80", "-y", "24", command)

    def screen(self, *, history: bool = False) -> str:
        return self.tmux("capture-pane", "-p", *(["-S", "-2000"] if history else []))

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def text(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def wait(self, condition: Callable[[str], bool], what: str) -> str:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            shown = self.screen()
            if condition(shown):
                return shown
            assert time.monotonic() < deadline, f"waited for {what}; the terminal shows:\n{shown}"

    def wait_text(self, text: str) -> str:
        return self.wait(lambda shown: text in shown, repr(text))


@pytest.fixture
def terminal(home: Path, world: LabWorld, tmp_path: Path) -> Iterator[Terminal]:
    assert shutil.which("tmux"), ".ci/run installs tmux"
    one = Terminal(tmp_path, {"DEVICE_INSTALLER_HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color"})
    yield one
    one.tmux("kill-server")


def choose(terminal: Terminal, name: str) -> None:
    """Move the cursor to the row that begins with `name`, and press Enter."""

    def row(shown: str) -> str | None:
        return next((line for line in shown.splitlines() if "❯" in line), None)

    terminal.wait(lambda shown: name in shown and row(shown) is not None, f"a row {name!r}")
    for _ in range(20):
        at = row(terminal.screen()) or ""
        if at.split("❯")[1].strip().startswith(name):
            terminal.keys("Enter")
            return
        terminal.keys("Down")
        terminal.wait(lambda shown, at=at: row(shown) != at, "the cursor to move")  # type: ignore[misc]
    raise AssertionError(f"no way to {name!r}:\n{terminal.screen()}")


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
    terminal.wait_text("Passphrase of Home (hidden):")
    terminal.text("wrong horse battery")
    terminal.keys("Enter")
    # The failure and its choices; the first one changes the passphrase.
    terminal.wait_text("What now?")
    terminal.keys("Enter")
    terminal.wait(lambda s: s.count("Passphrase of Home (hidden):") == 2, "the passphrase to be asked again")
    terminal.text(PASSPHRASE)
    terminal.keys("Enter")
    terminal.wait_text("status=0")
    assert world.device("body")["joined"] == "Home"
    left = terminal.screen(history=True)
    assert PASSPHRASE not in left
    assert "wrong horse battery" not in left
