"""Marks that a process leaves for others as long as it lives: small files, each locked by the process that made it.

The operating system ends a lock with its process, also after a kill. So a mark whose lock is free was left by a process
that is gone, and no number of a process and no clock has to be trusted for that.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from installer.storage.file_lock import is_at_path, lock_file_at, open_lock_file, try_lock
from installer.storage.private_files import make_private_folder

SUFFIX = ".mark"
# A younger empty mark may belong to a process that is about to write it.
EMPTY_SECONDS = 10.0
MAX_TEXT_BYTES = 4096
_ATTEMPTS = 5


class Mark:
    """A mark that this process holds. `text`: what it says; `age`: seconds since it was made or renewed."""

    def __init__(self, path: Path, descriptor: int, text: str, age: float) -> None:
        self.text = text
        self.age = age
        self._path = path
        self._descriptor: int | None = descriptor

    def renew(self) -> None:
        """It is as if it were made now. Never raises."""
        with suppress(OSError):
            os.utime(self._path)

    def remove(self) -> None:
        """Take the mark away. Never raises."""
        with suppress(OSError):
            if self._descriptor is not None and is_at_path(self._descriptor, self._path):
                self._path.unlink()
        self.leave()

    def leave(self) -> None:
        """Hold it no more, and leave the file: for others it is as if this process had died."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class ProcessMarks:
    """The marks in one folder, which only this user can read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def hold(self, text: str) -> Mark | None:
        """Make a mark. None without a usable folder: others then do not know."""
        try:
            make_private_folder(self.folder)
            for _ in range(_ATTEMPTS):
                path = self.folder / f"{secrets.token_hex(8)}{SUFFIX}"
                descriptor = lock_file_at(path)
                if descriptor is not None:
                    os.write(descriptor, text.encode("utf-8"))
                    return Mark(path, descriptor, text, 0.0)
        except OSError:
            return None
        return None

    def held(self) -> list[tuple[str, float]]:
        """The text and the age in seconds of each mark whose process lives, this one's too."""
        found = []
        for path in self._paths():
            with suppress(OSError):
                descriptor = open_lock_file(path, create=False)
                try:
                    if not try_lock(descriptor):
                        found.append((_text(descriptor), _age(descriptor)))
                finally:
                    os.close(descriptor)
        return found

    def take_abandoned(self) -> list[Mark]:
        """The marks of processes that are gone. They are this process's now: others take them for held."""
        found = []
        for path in self._paths():
            with suppress(OSError):
                descriptor = open_lock_file(path, create=False)
                taken = try_lock(descriptor) and is_at_path(descriptor, path)
                text, age = (_text(descriptor), _age(descriptor)) if taken else ("", 0.0)
                mark = Mark(path, descriptor, text, age)
                if text:
                    found.append(mark)
                elif taken and age > EMPTY_SECONDS:
                    mark.remove()
                else:
                    mark.leave()
        return found

    def _paths(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if path.suffix == SUFFIX)
        except OSError:
            return []


def _text(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, MAX_TEXT_BYTES).decode("utf-8", "replace")


def _age(descriptor: int) -> float:
    # A clock that was set back makes no mark younger than new.
    return max(0.0, time.time() - os.fstat(descriptor).st_mtime)
