"""A program of the guest in the background: its output in a file, its end checked."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.forked import Forked, Start
from tests.guest.inside.waiting import until

END_SECONDS = 30.0


class Background:
    """One process. `log` gets all that it writes; several runs of one name append to it."""

    def __init__(self, name: str, command: Sequence[str], log_folder: Path, env: dict[str, str] | None = None) -> None:
        self._begin(name, log_folder)
        self.process = self._start(command, env or {})

    def _begin(self, name: str, log_folder: Path) -> None:
        self.name = name
        self.log = log_folder / f"{name}.log"
        self.log.touch()
        self._from = self.log.stat().st_size

    def _start(self, command: Sequence[str], env: dict[str, str]) -> subprocess.Popen[bytes] | Forked:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has written so far."""
        with self.log.open("rb") as log:
            log.seek(self._from)
            return log.read().decode("utf-8", "replace")

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait_text(self, text: str, seconds: float = 120.0) -> None:
        """Wait until it has written this. It fails at once if the program ends without it."""

        def written() -> bool:
            over = not self.running
            if text in self.text:
                return True
            assert not over, f"{self.name} ended ({self.process.returncode}):\n{self.text[-2000:]}"
            return False

        until(written, f"{text!r} of {self.name}", seconds)

    def send(self, number: signal.Signals) -> None:
        if self.running:
            self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it and wait; its exit status. It is killed if it does not obey."""
        self.send(number)
        try:
            return self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(END_SECONDS)

    def kill(self) -> None:
        """End it without warning."""
        self.stop(signal.SIGKILL)


class BackgroundProgram(Background):
    """The program itself, forked. `folder`: where it runs."""

    def __init__(
        self, name: str, arguments: Sequence[str], log_folder: Path, env: dict[str, str], folder: Path, user: str | None
    ) -> None:
        self._begin(name, log_folder)
        self.process = Forked(Start(tuple(arguments), env, folder, Path(os.devnull), self.log, self.log, user))
