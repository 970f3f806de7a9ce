"""Stale files: temporary files that a killed run of this program has left in its own folders, with what they hold.

A file is replaced by a temporary one of the name `.NAME.HEX.tmp` (`installer/storage/atomic_write.py`). A kill between
the two steps leaves it there, with tokens or a person's data. Only regular files of this user are removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

# Another run may be writing a younger one at this moment.
STALE_SECONDS = 60.0
MOST_DEPTH = 4
_NAME = re.compile(r"\.(.+)\.[0-9a-f]{8,}\.tmp")


def sweep_file(path: Path, *, any_age: bool = False) -> int:
    """Remove what is left of this file; how many files. `any_age`: only for who holds the lock of the file."""
    before = None if any_age else time.time() - STALE_SECONDS
    return sum(_remove(one, before) for one in _temporary_files(path.parent) if _target(one) == path.name)


def sweep_folders(folders: Iterable[Path]) -> int:
    """Remove the stale files from these folders and those in them; how many files."""
    return sum(_sweep(folder, time.time() - STALE_SECONDS, MOST_DEPTH) for folder in set(folders))


def _sweep(folder: Path, before: float, depth: int) -> int:
    removed = sum(_remove(one, before) for one in _temporary_files(folder))
    with contextlib.suppress(OSError):
        inner = [one for one in folder.iterdir() if one.is_dir() and not one.is_symlink()]
        removed += sum(_sweep(one, before, depth - 1) for one in inner) if depth else 0
    return removed


def _temporary_files(folder: Path) -> Iterator[Path]:
    found: list[Path] = []
    with contextlib.suppress(OSError):
        found = [path for path in folder.iterdir() if _target(path)]
    yield from found


def _target(path: Path) -> str:
    """The name of the file that this one was to replace; empty if it is no temporary file of ours."""
    matched = _NAME.fullmatch(path.name)
    return matched[1] if matched else ""


def _remove(path: Path, before: float | None) -> bool:
    try:
        info = path.lstat()
        if not stat.S_ISREG(info.st_mode) or (before is not None and info.st_mtime >= before):
            return False
        if os.name == "posix" and info.st_uid != os.geteuid():
            return False
        path.unlink()
    except OSError:
        return False
    return True
