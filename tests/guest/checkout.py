"""Packs the checkout as it stands, with what is not committed and what Python compiles of it, for the guest."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from tests.guest.compiled import compiled_files
from tests.guest.ingredients import CHECKOUT, Guest

PARTS = ("installer", "screens", "assets", "tests", "examples", "pyproject.toml", "README.md", "requirements.lock")


def packed_checkout(target: Path, guest: Guest) -> None:
    """Write what git knows or would add to a tar file. One file is read faster over 9p than a thousand."""
    compiled = compiled_files(guest)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    with tarfile.open(target, "w") as packed:
        for name in sorted(filter(None, listed.split("\0"))):
            if (CHECKOUT / name).is_file() and "__snapshots__" not in name:
                packed.add(CHECKOUT / name, arcname=name)
        for name, file in sorted(compiled.items()):
            packed.add(file, arcname=name)
