"""A secret that is typed is not shown, is not left for the shell, and the terminal is as before, however it ends."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.errors import ErrorCode

TYPED = "typed-passphrase-4711"
MAIN = "from installer.cli.main import main; main()"
# As the steps of an installation ask: in a thread, beside an event loop.
STEP = """
import installer.cli.main as program
from installer.cli.prompts import prompt
from installer.cli.run_command import run
from installer.flow.questions import AskPassphrase
from installer.wifi.networks import Network, Security
question = AskPassphrase(network=Network(ssid="Home", security=Security.WPA2))
program._add_commands = lambda _: None
program.app = lambda **_: print("got", run(prompt(question), timeout={timeout}) is not None) and 0
program.main([])
"""
NETWORKS = (MAIN, "networks", "add", "clinic", "--ssid", "Home")
ENDLESS = STEP.format(timeout=None)
ASKED = "(hidden"


class Run:
    """The program on a terminal of its own."""

    def __init__(self, words: tuple[str, ...], home: Path) -> None:
        self.keyboard, self.terminal = os.openpty()
        self.shown = ""
        self.mode = termios.tcgetattr(self.terminal)
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import fcntl, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
             "signal.signal(signal.SIGHUP, signal.SIG_DFL); "  # whoever runs the tests may ignore it (nohup)
             "code = sys.argv.pop(1); exec(code)", *words],
            stdin=self.terminal, stdout=self.terminal, stderr=self.terminal, start_new_session=True,
            env={**os.environ, "DEVICE_INSTALLER_HOME": str(home), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip

    def wait(self, text: str, count: int = 1) -> None:
        """Wait until the terminal shows this so many times."""
        end = time.monotonic() + 60
        while self.shown.count(text) < count:
            assert time.monotonic() < end, (text, self.shown)
            self._look(0.1)

    def wait_hidden(self) -> None:
        """Wait for the prompt, whose echo is off."""
        self.wait(ASKED)
        assert not self.echo()

    def echo(self) -> bool:
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ECHO)

    def type(self, raw: bytes) -> None:
        os.write(self.keyboard, raw)

    def end(self) -> int:
        """The exit status; all that was shown has been read by then."""
        end = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < end, self.shown
            self._look(0.1)
        self._look(0)
        return self.process.returncode

    def left_for_the_shell(self) -> bytes:
        """What the next reader of the terminal gets."""
        mode = termios.tcgetattr(self.terminal)
        mode[3] &= ~termios.ICANON
        mode[6][termios.VMIN] = mode[6][termios.VTIME] = 0
        termios.tcsetattr(self.terminal, termios.TCSANOW, mode)
        return os.read(self.terminal, 4096)

    def _look(self, seconds: float) -> None:
        while select.select([self.keyboard], [], [], seconds)[0]:
            self.shown += os.read(self.keyboard, 65536).decode("utf-8", "replace")
            seconds = 0

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.keyboard)
        os.close(self.terminal)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[list[Run]]:
    started: list[Run] = []
    yield started
    for run in started:
        run.close()


def start(runs: list[Run], home: Path, *words: str) -> Run:
    runs.append(Run(words, home))
    return runs[-1]


def test_an_answer_is_not_shown_and_the_echo_is_back(runs: list[Run], tmp_path: Path) -> None:
    run = start(runs, tmp_path, ENDLESS)
    run.wait_hidden()
    run.type(f"{TYPED}\n".encode())
    run.wait("got True")
    assert run.end() == 0
    assert TYPED not in run.shown
    assert termios.tcgetattr(run.terminal) == run.mode


@pytest.mark.parametrize("words", [NETWORKS, (ENDLESS,)], ids=["networks", "step"])
def test_bytes_that_are_no_text_are_asked_for_again(words: tuple[str, ...], runs: list[Run], tmp_path: Path) -> None:
    run = start(runs, tmp_path, *words)
    run.wait_hidden()
    run.type(b"pass\xfcword-4711\n")
    run.wait(ASKED, 2)
    run.type(b"\x03")
    assert run.end() == 130
    assert "cannot be read as UTF-8 text" in run.shown
    assert not re.search("Traceback|4711|0xfc|defect", run.shown)
    assert run.echo()


@pytest.mark.parametrize("words", [NETWORKS, (ENDLESS,)], ids=["networks", "step"])
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["INT", "TERM", "HUP"],
)
def test_a_signal_leaves_the_terminal_as_it_was(
    number: int, status: int, words: tuple[str, ...], runs: list[Run], tmp_path: Path
) -> None:
    run = start(runs, tmp_path, *words)
    run.wait_hidden()
    run.type(TYPED.encode())
    run.process.send_signal(number)
    assert run.end() == status
    assert termios.tcgetattr(run.terminal) == run.mode
    assert run.left_for_the_shell() == b""
    assert TYPED not in run.shown
    assert "Traceback" not in run.shown


def test_a_time_limit_takes_what_is_typed_until_enter(runs: list[Run], tmp_path: Path) -> None:
    run = start(runs, tmp_path, STEP.format(timeout=1))
    run.wait_hidden()
    run.type(b"half ")
    # Without ICANON the prompt is being withdrawn, and takes the rest of the line.
    end = time.monotonic() + 60
    while termios.tcgetattr(run.terminal)[3] & termios.ICANON:
        assert time.monotonic() < end
    run.type(b"typed\n")
    assert run.end() == ErrorCode.TIMEOUT.exit_status
    assert termios.tcgetattr(run.terminal) == run.mode
    assert run.left_for_the_shell() == b""
    assert "half" not in run.shown
    assert "typed" not in run.shown


@pytest.mark.parametrize(
    "words",
    [
        ("networks", "add", "clinic", "--ssid", "Home", "--passphrase-file", "-"),
        ("networks", "add", "clinic", "--wifi-qr", "-"),
        ("install", "--non-interactive", "--qr", "-"),
    ],
    ids=["passphrase", "wifi-qr", "qr"],
)
def test_standard_input_that_is_a_terminal_is_asked(words: tuple[str, ...], runs: list[Run], tmp_path: Path) -> None:
    run = start(runs, tmp_path, MAIN, *words)
    run.wait_hidden()
    run.type(f"{TYPED}\x15\n".encode())
    run.end()
    assert TYPED not in run.shown
    assert "nothing was typed" in " ".join(run.shown.split())
    assert run.echo()
