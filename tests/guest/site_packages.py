"""Installs the pinned packages for the guest's Python, which may be another than this computer's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

from tests.guest.ingredients import CHECKOUT, JUDGES

# Tools of developers that no test in the guest uses; some are large.
LEFT_OUT = {"ast-serialize", "editables", "grimp", "hatchling", "import-linter", "librt", "mypy", "ruff", "selenium"}


def install(python: str, target: Path) -> None:
    """Install the lock's packages for this Python, such as "3.13", into the folder `target`; each hash is checked."""
    target.mkdir()
    chosen = target / "requirements.txt"
    chosen.write_text(requirements_for(python, (CHECKOUT / "requirements.lock").read_text("utf-8")), "utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), "--no-deps", "--no-compile"]
    command += [
        "--python-version",
        python,
        "--only-binary=:all:",
        "--require-hashes",
        "-r",
        str(chosen),
        "-r",
        str(JUDGES),
    ]
    command += ["--ignore-requires-python"]  # judged by the Python that runs pip, too
    subprocess.run([*command, "--root-user-action=ignore", "--disable-pip-version-check"], check=True)
    chosen.unlink()


def requirements_for(python: str, lock: str) -> str:
    """The part of the lock that this Python on Linux needs.

    pip judges the lock's conditions by the Python that runs it, so they are judged here.
    """
    environment = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    kept = []
    for block in lock.replace("\\\n", "\0").splitlines():  # one requirement with its hashes
        requirement, *hashes = block.split("\0")
        pinned, _, condition = requirement.partition(";")
        if not pinned.strip() or pinned.startswith("#") or canonicalize_name(pinned.split("==")[0]) in LEFT_OUT:
            continue
        if condition.strip() and not Marker(condition.strip()).evaluate(environment):
            continue
        kept.append(" \\\n".join([pinned.strip(), *hashes]))
    return "\n".join(kept) + "\n"
