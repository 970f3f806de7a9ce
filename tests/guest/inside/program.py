"""The program under test, as a person or a script starts it in the guest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.forked import Forked, Start
from tests.guest.inside.background import Background, BackgroundProgram

COMMAND = "device-installer"
SECONDS = 150.0


@dataclass
class Finished:
    """One run that is over."""

    arguments: tuple[str, ...]
    status: int
    output: str
    errors: str
    seconds: float

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of a run with `--json`."""
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]

    def __str__(self) -> str:
        return f"{' '.join(self.arguments)}: {self.status} after {self.seconds:.1f} s\n{self.output}\n{self.errors}"


@dataclass
class Program:
    """Runs the command with a home of its own. `logs` gets what the runs in the background write."""

    home: Path
    logs: Path
    variables: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    _started: list[Background] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.home), "NO_COLOR": "1", **self.variables, **more}

    def run(
        self, *arguments: str, seconds: float = SECONDS, stdin: str = "", forked: bool = True, **variables: str
    ) -> Finished:
        """Run it to its end; fails after `seconds`. `forked`: see `forked.py`; else the command itself is started."""
        files = [self.logs / f"run-{name}" for name in ("input", "output", "errors")]
        for file, text in zip(files, (stdin, "", ""), strict=True):
            file.write_text(text, "utf-8")
        began = time.monotonic()
        running = (
            self._started_for_itself(arguments, files, variables)
            if not forked
            else Forked(Start(arguments, self.environment(**variables), self.home, *files, self.user))
        )
        try:
            status = running.wait(seconds)
        finally:
            running.kill()
        output, errors = (file.read_text("utf-8") for file in files[1:])
        finished = Finished(arguments, status, output, errors, time.monotonic() - began)
        with (self.logs / "program.log").open("a", encoding="utf-8") as log:
            log.write(f"$ {finished}\n")
        return finished

    def _started_for_itself(
        self, arguments: tuple[str, ...], files: list[Path], variables: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        with files[0].open("rb") as stdin, files[1].open("ab") as stdout, files[2].open("ab") as stderr:
            return subprocess.Popen(
                [COMMAND, *arguments],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=self.environment(**variables),
                user=self.user,
                cwd=self.home,
            )

    def set_up_only(self) -> tuple[str, ...]:
        """For installations of which the rest is tested elsewhere: nobody signs in (10 s here), nothing is measured."""
        answers = self.home / "set-up-only.toml"
        answers.write_text("version = 1\n[link]\nlater = true\n[verify]\nskip = true\n", "utf-8")
        return ("--answers", str(answers))

    def start(self, *arguments: str, **variables: str) -> Background:
        """Start it in the background; its log has both its output and its errors. It is ended after the test."""
        name = f"program-{len(self._started) + 1}"
        started = BackgroundProgram(
            name, arguments, self.logs, self.environment(**variables), folder=self.home, user=self.user
        )
        self._started.append(started)
        return started

    def end(self) -> None:
        """End all that still runs."""
        for one in self._started:
            one.stop(signal.SIGKILL)
