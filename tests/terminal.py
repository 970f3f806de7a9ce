"""A real terminal (tmux) for tests: keys go in, the screen comes out. `.ci/run` installs tmux."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("device-installer")
WAIT_SECONDS = 30.0


class Terminal:
    """One tmux session of 80×24. With `pipe`, all that the program writes to it is appended to a file."""

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

    def pipe(self, file: Path) -> None:
        """Append every byte that the program writes from now on to this file."""
        self.tmux("pipe-pane", "-o", f"cat >> {file}")

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


def choose(terminal: Terminal, name: str) -> None:
    """Move the cursor to the row that begins with `name`, and press Enter."""

    def cursor(shown: str) -> tuple[int, str] | None:
        found = ((number, line) for number, line in enumerate(shown.splitlines()) if "❯" in line)
        return next(((number, line.split("❯")[1].strip()) for number, line in found), None)

    shown = terminal.wait(lambda s: name in s and cursor(s) is not None, f"a row {name!r}")
    for _ in range(40):
        at = cursor(shown)
        assert at is not None
        if at[1].startswith(name):
            terminal.keys("Enter")
            return
        # The rows may have moved meanwhile, and the cursor with one of them.
        wanted = next((n for n, line in enumerate(shown.splitlines()) if line.strip(" ❯█").startswith(name)), at[0] + 1)
        terminal.keys("Down" if wanted > at[0] else "Up")
        shown = terminal.wait(lambda s, at=at: cursor(s) not in (None, at), "the cursor to move")  # type: ignore[misc]
    raise AssertionError(f"no way to {name!r}:\n{shown}")
