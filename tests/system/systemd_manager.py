"""A real systemd user manager, in a mount namespace and a cgroup of its own. It knows no service of this computer."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# systemd looks there for the system's manager, and refuses to run without one.
_SCRIPT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p -m 700 /run/systemd/system /run/user/0
exec unshare --cgroup /lib/systemd/systemd --user --log-target=null
"""
RUNTIME_FOLDER = "/run/user/0"
SECONDS = 30


class SystemdManager:
    """A running manager. `home`: its home folder, with the units in `.config/systemd/user`."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path) -> None:
        self._process = process
        self.home = home
        self.units = home / ".config" / "systemd" / "user"

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command beside the manager, as a terminal of the same user."""
        inside = ["nsenter", f"--target={self._process.pid}", "--mount", f"--wd={Path.cwd()}", "--", *command]
        variables = {"PATH": os.environ["PATH"], "HOME": str(self.home), **(environment or {})}
        return subprocess.run(
            inside,
            env={**variables, "XDG_RUNTIME_DIR": RUNTIME_FOLDER},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def systemctl(self, *words: str) -> str:
        """What `systemctl --user` prints; it must succeed."""
        done = self.run("systemctl", "--user", *words)
        assert not done.returncode, done.stderr
        return done.stdout.strip()


@contextmanager
def systemd_manager(folder: Path) -> Iterator[SystemdManager]:
    """Start a manager whose environment has a path and a home folder, and nothing else."""
    home = folder / "manager-home"
    (home / ".config" / "systemd" / "user").mkdir(parents=True)
    groups = [Path(g) / f"test-{os.getpid()}" for g in _cgroup_roots()]
    for group in groups:
        group.mkdir()

    def enter_groups() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text("0", "ascii")

    process = subprocess.Popen(
        ["unshare", "--mount", "bash", "-c", _SCRIPT],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": RUNTIME_FOLDER},
        stdin=subprocess.DEVNULL,
        preexec_fn=enter_groups,
    )
    try:
        manager = SystemdManager(process, home)
        deadline = time.monotonic() + SECONDS
        while manager.run("systemctl", "--user", "show-environment").returncode:
            assert process.poll() is None, "the manager has ended"
            assert time.monotonic() < deadline, "the manager does not answer"
        yield manager
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        finally:
            for group in groups:
                _remove(group)


def _cgroup_roots() -> list[str]:
    # Version 2, version 1, or both.
    places = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
    return [place for place in places if (Path(place) / "cgroup.procs").exists()]


def _remove(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        for number in (Path(folder) / "cgroup.procs").read_text("ascii").split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)
        Path(folder).rmdir()
