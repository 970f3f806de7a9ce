"""What Python compiles of the checkout, made here by the guest's own Python: in the guest it takes half a minute."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.guest.ingredients import CHECKOUT, Guest, cache_folder

# Only what the tests in the guest import.
PARTS = ("installer", "screens", "tests/guest/inside", "tests/installer/lab")
SECONDS = 120


def compiled_files(guest: Guest) -> dict[str, Path]:
    """Name in the guest's checkout → file. What is not there, the guest compiles by itself."""
    kept = cache_folder() / f"compiled-{guest.python}"
    system = guest.root / "usr"
    library = system / "lib/x86_64-linux-gnu"
    # The loader is named, because this computer's own may be too old for the guest's Python.
    command = [str(library / "ld-linux-x86-64.so.2"), "--library-path", str(library), str(system / "bin/python3")]
    command += ["-m", "compileall", "-q", "-s", str(CHECKOUT), "-p", "/checkout", *(str(CHECKOUT / p) for p in PARTS)]
    environment = {"PYTHONHOME": str(system), "PYTHONPYCACHEPREFIX": str(kept)}
    try:
        subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    tag = f"cpython-{guest.python.replace('.', '')}.pyc"
    made = kept / CHECKOUT.relative_to("/")
    found = {}
    for part in PARTS:
        for file in (made / part).rglob(f"*.{tag}"):
            folder = file.relative_to(made).parent
            if (CHECKOUT / folder / (file.name.removesuffix(tag) + "py")).exists():
                found[str(folder / "__pycache__" / file.name)] = file
    return found
