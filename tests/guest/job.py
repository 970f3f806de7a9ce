"""Runs one command in the guest: gives it the checkout, shows what it prints, brings back what it left."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.guest.checkout import packed_checkout
from tests.guest.ingredients import CHECKOUT
from tests.guest.machine import Machine

OUT = CHECKOUT / "build" / "guest"
# Beside the time that the job itself may take: booting and unpacking on a busy computer.
BOOT_SECONDS = 180


def run(machine: Machine, command: Sequence[str], seconds: int) -> int:
    """Run it in the guest's checkout; its exit status, 124 if it took more than `seconds`. `OUT` has what it left."""
    machine.ensure()
    job = machine.exchange / "jobs" / f"{time.time_ns():x}"
    job.mkdir(parents=True)
    packed_checkout(job / "checkout.tar", machine.guest)
    (job / "job.sh").write_text(f"exec timeout --kill-after=10 {seconds} {shlex.join(command)}\n", "utf-8")
    (job / "ready").touch()
    ended = _follow(machine, job, seconds + BOOT_SECONDS)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    for name in ("output", "status"):
        if (job / name).exists():
            shutil.copy(job / name, OUT)
    if (job / "out").exists():
        shutil.copytree(job / "out", OUT, dirs_exist_ok=True)
    shutil.copy(machine.exchange / "console.log", OUT)
    shutil.rmtree(job, ignore_errors=True)
    if not ended:
        print(f"The guest ended without a result. What it printed: {OUT / 'console.log'}", file=sys.stderr)
        return 1
    return int((OUT / "status").read_text("utf-8"))


def _follow(machine: Machine, job: Path, seconds: float) -> bool:
    """Show the job's output as it comes; whether it came to its end."""
    deadline = time.monotonic() + seconds
    shown = 0
    while True:
        over = (job / "status").exists()
        if (job / "output").exists():
            with (job / "output").open("rb") as output:
                output.seek(shown)
                new = output.read()
            shown += len(new)
            sys.stdout.write(new.decode("utf-8", "replace"))
            sys.stdout.flush()
        if over:
            return True
        if not machine.running or time.monotonic() > deadline:
            return False
        time.sleep(0.1)
