"""A lock between processes: a file that one of them holds."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _try(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@asynccontextmanager
async def file_lock(path: Path, seconds: float) -> AsyncIterator[None]:
    """Hold the lock of this file. Raises TimeoutError if another holds it for `seconds`, OSError if it cannot be made.

    The file stays: removing it would let two processes hold “the” lock. The lock itself ends with its process.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        async with asyncio.timeout(seconds):
            wait = 0.01
            while not _try(fd):
                await asyncio.sleep(wait)
                wait = min(wait * 1.5, 0.2)
        yield
    finally:
        os.close(fd)
