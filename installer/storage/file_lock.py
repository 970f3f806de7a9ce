"""File locks between processes. The operating system ends a lock with its process, also after a kill."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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


@asynccontextmanager
async def file_lock(path: Path, seconds: float) -> AsyncIterator[None]:
    """Hold the lock of this file. Raises TimeoutError if another process holds it for `seconds`, OSError if it fails.

    The file stays: if it were removed, two processes could each lock a file of that name.
    """
    descriptor = open_lock_file(path)
    try:
        async with asyncio.timeout(seconds):
            wait = 0.01
            while not try_lock(descriptor):
                await asyncio.sleep(wait)
                wait = min(wait * 1.5, 0.2)
        yield
    finally:
        os.close(descriptor)
