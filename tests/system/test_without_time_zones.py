"""A root like that of a container: no database of time zones in the system. That of the package tzdata serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# The mount lasts as long as the namespace of this one process.
WITHOUT_ZONES = 'mount -t tmpfs none /usr/share/zoneinfo && test -z "$(ls /usr/share/zoneinfo)" && exec "$@"'
PROGRAM = [sys.executable, "-c", "from installer.cli.main import main; main()", "doctor", "--json"]


def run_without_zones(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    namespace = ["unshare", "--mount", "sh", "-c", WITHOUT_ZONES, "sh", *command]
    return subprocess.run(namespace, capture_output=True, text=True, timeout=300, env={**os.environ, **more})


def time_zones(home: Path, **more: str) -> dict[str, str]:
    """What `doctor` finds about time zones there."""
    done = run_without_zones(*PROGRAM, DEVICE_INSTALLER_HOME=str(home), **more)
    return next(f for f in map(json.loads, done.stdout.splitlines()) if f["subject"] == "time zones")


def test_all_that_is_tested_of_the_persons_zones_holds_there() -> None:
    # The tests of this computer's own clock set TZ within one process.
    options = ("-q", "-p", "no:cacheprovider", "-k", "not clock_here")
    done = run_without_zones(sys.executable, "-m", "pytest", *options, "tests/installer/timing/test_zones.py")
    assert done.returncode == 0, done.stdout[-2000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize(
    ("zone", "state", "words"),
    [
        ("Asia/Kolkata", "ok", "this computer's clock is UTC+05:30"),
        (":Asia/Kolkata", "ok", "this computer's clock is UTC+05:30"),
        ("IST-5:30", "ok", "this computer's clock is UTC+05:30"),
        ("Mars/Olympus", "warning", "TZ names “Mars/Olympus”, which this computer does not know"),
    ],
)
def test_this_computers_own_zone_is_found_in_tzdata(zone: str, state: str, words: str, tmp_path: Path) -> None:
    found = time_zones(tmp_path, TZ=zone)
    assert (found["state"], words in found["text"]) == (state, True), found


def test_without_tzdata_it_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "tzdata.py").write_text("raise ImportError('this computer has none')\n")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    found = time_zones(tmp_path / "home", PYTHONPATH=path, TZ="Asia/Kolkata")
    assert (found["state"], "tzdata" in found["todo"]) == ("warning", True)
