"""Starts the program, or the lab, within a moment: a parent that has imported everything forks it.

Starting Python and importing what a lab uses takes more than a second of processor time, and ten seconds where the
processor is emulated. What a forked one does, writes and leaves is the same as of one that was started for itself: it
has an environment, a session, a user and outputs of its own, and runs `main`. Some tests start the command itself.
"""

from __future__ import annotations

import multiprocessing
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LAB = ("installer.lab.server", "tests.forked")
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(list(LAB))


def preload(names: Iterable[str]) -> None:
    """Let the parent import these modules, too. Only before the first start."""
    _forks.set_forkserver_preload([*LAB, *names])


@dataclass(frozen=True)
class Start:
    """What the new process is given. The three paths are files; `user`: the name of the one it runs as, None: root.

    `lab`: it is the lab instead of the program.
    """

    arguments: tuple[str, ...]
    environment: dict[str, str]
    folder: Path
    stdin: Path
    stdout: Path
    stderr: Path
    user: str | None = None
    lab: bool = False


class Forked:
    """One process of the program, with the part of `subprocess.Popen`'s interface that tests use."""

    def __init__(self, start: Start) -> None:
        self._process = _forks.Process(target=_run, args=(start,), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        """The exit status, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("device-installer", timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(start: Start) -> None:
    """In the new process."""
    os.setsid()
    if start.user is not None:
        person = pwd.getpwnam(start.user)
        os.initgroups(start.user, person.pw_gid)
        os.setgid(person.pw_gid)
    for number, (path, mode) in enumerate(
        (
            (start.stdin, os.O_RDONLY),
            (start.stdout, os.O_WRONLY | os.O_APPEND),
            (start.stderr, os.O_WRONLY | os.O_APPEND),
        )
    ):
        opened = os.open(path, mode)
        os.dup2(opened, number)
        os.close(opened)
    if start.user is not None:
        os.setuid(pwd.getpwnam(start.user).pw_uid)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        stream = open(number, mode, encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.chdir(start.folder)
    os.environ.clear()
    os.environ.update(start.environment)
    sys.argv = ["device-installer", *start.arguments]
    if start.lab:
        from installer.lab.__main__ import main as lab_main

        lab_main()
        return
    from installer.cli.main import main

    main(list(start.arguments))
