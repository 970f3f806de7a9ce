"""Secrets that are typed into a real shell's terminal: none is echoed, and none reaches the history of the shell."""

from __future__ import annotations

import sys

import pytest

from tests.security.observed_run import PROGRAM, Observed
from tests.terminal import Terminal

TYPED = "typed-passphrase-4711"
# What the shell shows when it is asked for the mode of its terminal.
ECHO = "stty -a | grep -o -- '-*echo\\b'"


def shell(terminal: Terminal, observed: Observed, words: str) -> None:
    """Start a bash with a history, and the program in it."""
    terminal.start(f"env HISTFILE={observed.folder.parent}/history PS1='ready> ' bash --norc -i")
    terminal.wait_text("ready>")
    terminal.text(f"{sys.executable} -c '{PROGRAM}' {words}")
    terminal.keys("Enter")


def end_of_shell(terminal: Terminal, observed: Observed) -> str:
    """The history of the shell, whose terminal has its echo again."""
    terminal.text(ECHO)
    terminal.keys("Enter")
    terminal.wait(lambda shown: "echo" in shown.splitlines(), "an echo")
    terminal.text("history -a; echo saved=$?")
    terminal.keys("Enter")
    terminal.wait_text("saved=0")
    return (observed.folder.parent / "history").read_text("utf-8")


def test_stopped_and_continued(observed: Observed, terminal: Terminal) -> None:
    shell(terminal, observed, "networks add clinic --ssid Home")
    terminal.wait_text("(hidden")
    terminal.keys("C-z")
    terminal.wait_text("Stopped")
    terminal.text("fg")
    terminal.keys("Enter")
    terminal.wait(lambda shown: shown.count("(hidden") > 1, "the prompt again")
    terminal.text(TYPED)
    terminal.keys("C-c")
    terminal.wait(lambda shown: shown.rstrip().endswith("ready>"), "the shell")
    terminal.text("echo status=$?")
    terminal.keys("Enter")
    terminal.wait_text("status=130")
    assert TYPED not in terminal.screen(history=True)
    assert TYPED not in end_of_shell(terminal, observed)


@pytest.mark.parametrize(("signal", "status"), [("TERM", 143), ("HUP", 129)])
def test_a_wizard_that_is_ended_leaves_the_terminal(
    signal: str, status: int, observed: Observed, terminal: Terminal
) -> None:
    state = observed.world.state
    shell(terminal, observed, f"wizard --adapter {state.adapter} --cloud {state.cloud}")
    terminal.wait_text("Install a device")
    pid = int(terminal.tmux("list-panes", "-F", "#{pane_pid}"))
    terminal.tmux("run-shell", f"pkill -{signal} -P {pid}")
    # While the wizard ends, the old command line is there again, and what is typed goes nowhere.
    terminal.wait(lambda shown: shown.rstrip().endswith("ready>"), "the shell")
    terminal.text("echo status=$?")
    terminal.keys("Enter")
    terminal.wait_text(f"status={status}")
    assert "Install a device" not in terminal.screen(history=True)
    end_of_shell(terminal, observed)
