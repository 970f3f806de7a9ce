"""Runs one command in each of some guests: gives it the checkout, shows what it prints, brings back what it left."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.guest.checkout import packed_checkout
from tests.guest.ingredients import CHECKOUT
from tests.guest.machine import Machine, shared_folder

OUT = CHECKOUT / "build" / "guest"
# Beside the time that the job itself may take: booting and unpacking on a busy computer.
BOOT_SECONDS = 180
TIMEOUT_STATUS = 124


def run(machines: Sequence[Machine], command: Sequence[str], seconds: int) -> int:
    """Run it in the checkout of each guest, side by side. The highest exit status; 124 if one took more than `seconds`.

    `OUT` has a folder for each guest, by number, with what its job left.
    """
    for machine in machines:
        machine.ensure()
    for left in shared_folder().iterdir():
        left.unlink()
    jobs = [_Job(machine, command, seconds, several=len(machines) > 1) for machine in machines]
    deadline = time.monotonic() + seconds + BOOT_SECONDS
    running = jobs
    while running and time.monotonic() < deadline:
        running = [job for job in running if not job.follow()]
        time.sleep(0.1)
    shutil.rmtree(OUT, ignore_errors=True)
    return max(job.bring_back(OUT / str(job.machine.number)) for job in jobs)


class _Job:
    """One command in one guest, begun. `several`: each line is shown with the guest's number."""

    def __init__(self, machine: Machine, command: Sequence[str], seconds: int, *, several: bool) -> None:
        self.machine = machine
        self._folder = machine.exchange / "jobs" / f"{time.time_ns():x}"
        self._folder.mkdir(parents=True)
        self._mark = f"{machine.number}| " if several else ""
        self._shown = 0
        packed_checkout(self._folder / "checkout.tar", machine.guest)
        (self._folder / "job.sh").write_text(f"exec timeout --kill-after=10 {seconds} {shlex.join(command)}\n", "utf-8")
        (self._folder / "ready").touch()

    def follow(self) -> bool:
        """Show what it has printed since; whether it is over."""
        over = (self._folder / "status").exists() or not self.machine.running
        with contextlib.suppress(FileNotFoundError), (self._folder / "output").open("rb") as output:
            output.seek(self._shown)
            new = output.read()
            if self._mark and not over:
                new = new[: new.rfind(b"\n") + 1]
            self._shown += len(new)
            text = new.decode("utf-8", "replace")
            sys.stdout.write("".join(self._mark + line for line in text.splitlines(keepends=True)))
            sys.stdout.flush()
        return over

    def bring_back(self, out: Path) -> int:
        """Copy what it left to `out`. Its exit status; 1 if the guest ended first, 124 if it takes too long."""
        out.mkdir(parents=True)
        for name in ("output", "status"):
            if (self._folder / name).exists():
                shutil.copy(self._folder / name, out)
        if (self._folder / "out").exists():
            shutil.copytree(self._folder / "out", out, dirs_exist_ok=True)
        console = out / "console.log"
        shutil.copy(self.machine.exchange / "console.log", console)
        over = (out / "status").exists()
        if not over and self.machine.running:
            self.machine.kill()
            print(f"The guest did not end in time. What it printed: {console}", file=sys.stderr)
            return TIMEOUT_STATUS
        shutil.rmtree(self._folder, ignore_errors=True)
        if not over:
            print(f"The guest ended without a result. What it printed: {console}", file=sys.stderr)
            return 1
        return int((out / "status").read_text("utf-8"))
