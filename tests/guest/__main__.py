"""Runs tests in the guest: `python -m tests.guest [options] [arguments for pytest …]`; `--help` tells the options."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

from tests.guest import disk_image, job
from tests.guest.ingredients import GUESTS
from tests.guest.machine import Machine, one_job_at_a_time

# A program, and the Debian package that has it.
NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "cpio": "cpio",
    "modprobe": "kmod",
    "mke2fs": "e2fsprogs",
    "git": "git",
}
FOLDER = "tests/guest/inside"
# The folder has a configuration of its own: importing every plug-in takes long under emulation.
PYTEST = (
    *("python3", "-m", "pytest", "-c", f"{FOLDER}/pytest.ini", "--rootdir=/checkout", f"--confcutdir={FOLDER}"),
    "--junitxml=/out/results.xml",
)
ENVIRONMENT = ("PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", "PYTHONPATH=/checkout")
MOST_GUESTS = 2
MOST_LINES = 12  # of one failure
MOST_COLUMNS = 200
PASSED_ON = ("SOAK_MINUTES", "SOAK_SEED")  # of this computer's variables


def missing_packages() -> list[str]:
    """The packages that this computer lacks."""
    return [package for program, package in NEEDED.items() if shutil.which(program) is None]


def main(arguments: list[str] | None = None) -> int:
    """Build the guest if need be, run the tests in it; pytest's exit status, or 2 if a program is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.guest", description=__doc__)
    parser.add_argument("--debian", choices=sorted(GUESTS), default="debian13")
    parser.add_argument("--minutes", type=float, default=45, help="the most that the tests may take")
    parser.add_argument("--long", action="store_true", help="also the tests that are marked so")
    parser.add_argument("--guests", type=int, help="how many to start side by side (default: 2 for all tests, else 1)")
    parser.add_argument("--keep", action="store_true", help="leave the guests running for the next tests")
    parser.add_argument("--stop", action="store_true", help="only end guests that were kept")
    parser.add_argument("--shell", action="store_true", help="a shell in the guest instead of tests")
    options, for_pytest = parser.parse_known_args(arguments)
    # Not in every user's PATH, though the programs need no root.
    os.environ["PATH"] = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    missing = missing_packages()
    if missing:
        print("The guest needs programs that are not installed here:", file=sys.stderr)
        print(f"    apt-get install {' '.join(missing)}", file=sys.stderr)
        return 2
    # Ended by `timeout` or a closed terminal: the guest is not left behind with half a job.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    guest = GUESTS[options.debian]
    with one_job_at_a_time():
        # Each has one thread that works most of the time.
        usual = MOST_GUESTS if not for_pytest and (os.cpu_count() or 1) >= MOST_GUESTS else 1
        machines = [Machine(guest, number + 1) for number in range(options.guests or usual)]
        if options.stop:
            for number in range(MOST_GUESTS):
                Machine(guest, number + 1).stop()
            return 0
        disk_image.ensure(guest)
        if options.shell:
            return machines[0].shell()
        variables = [f"{name}={os.environ[name]}" for name in PASSED_ON if name in os.environ]
        command = [
            "env",
            *ENVIRONMENT,
            *variables,
            *PYTEST,
            *(("-m", "") if options.long else ()),
            *(for_pytest or [FOLDER]),
        ]
        try:
            status = job.run(machines, command, int(options.minutes * 60))
        except BaseException:
            for machine in machines:
                machine.kill()
            raise
        if not options.keep:
            for machine in machines:
                machine.stop()
    if status:
        print(failures_told(job.OUT), file=sys.stderr)
        print(f"What the tests left, with the logs of those that failed: {job.OUT}", file=sys.stderr)
    return status


def failures_told(out: Path) -> str:
    """The end of each failure, in order: CI keeps only the last lines, and the first failure may be far above."""
    told = (
        "\n".join(line[:MOST_COLUMNS] for line in failure.strip().splitlines()[-MOST_LINES:])
        for guest in sorted(out.iterdir())
        if (guest / "failures").exists()
        for failure in (guest / "failures").read_text("utf-8").split("\n\n\n")
        if failure.strip()
    )
    return "\n\n".join(told)


if __name__ == "__main__":
    sys.exit(main())
