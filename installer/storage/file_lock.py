"""File locks between processes. The operating system ends a lock with its process, also after a kill.

A lock belongs to a file, not to its name. If the file is deleted or replaced (a tidy-up), another process can lock the
next file of that name, and both believe that they are the only one. So whoever takes a lock looks whether the locked
file is still at its path, and whoever holds one asks `HeldLock.is_kept()` before it acts on it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from installer.storage.open_file_identity import MOST_REOPENINGS, OpenFileIdentity

if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Lock this open file; False if another process holds the lock."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock this open file; False if another process holds the lock. Raises OSError if files cannot be locked."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def open_lock_file(path: Path, *, create: bool = True) -> int:
    """The descriptor of a lock file, mode 0600. Closing it ends the lock. Raises OSError."""
    flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | (os.O_CREAT if create else 0)
    return os.open(path, flags, 0o600)


def is_abandoned(path: Path) -> bool:
    """Whether the lock file exists and no process holds its lock. False if that cannot be found out."""
    try:
        descriptor = open_lock_file(path, create=False)
    except OSError:
        return False
    try:
        return try_lock(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def is_at_path(descriptor: int, path: Path) -> bool:
    """Whether this open file is the one at the path."""
    try:
        return OpenFileIdentity.of_descriptor(descriptor, path).change() is None
    except OSError:
        return False


def lock_file_at(path: Path) -> int | None:
    """Open and lock the file that is at the path; None if another process holds it. Raises OSError."""
    for _ in range(MOST_REOPENINGS):
        descriptor = open_lock_file(path)
        try:
            locked = try_lock(descriptor)
            if locked and is_at_path(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not locked:
            return None
    return None


class HeldLock:
    """A lock that this process has taken."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def is_kept(self) -> bool:
        """Whether this process is still the only one; ask before acting as that.

        A file that is gone is made and locked again. False: another process has done so first.
        """
        if is_at_path(self._descriptor, self.path):
            return True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            again = lock_file_at(self.path)
        except OSError:
            return False
        if again is None:
            return False
        # Without the old file's lock nobody loses anything: it has no name.
        os.close(self._descriptor)
        self._descriptor = again
        return True

    def release(self) -> None:
        """End the lock."""
        os.close(self._descriptor)


@asynccontextmanager
async def file_lock(path: Path, seconds: float) -> AsyncIterator[HeldLock]:
    """Hold the lock of this file. Raises TimeoutError if another process holds it for `seconds`, OSError if it fails.

    The file stays: if it were removed, two processes could each lock a file of that name.
    """
    async with asyncio.timeout(seconds):
        wait = 0.01
        while (descriptor := lock_file_at(path)) is None:
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, 0.2)
    lock = HeldLock(path, descriptor)
    try:
        yield lock
    finally:
        lock.release()
