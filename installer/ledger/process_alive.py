"""Says whether the process that works on an installation still lives: each holds the lock of a file of its own.

The operating system ends the lock with the process, also when it is killed. A process of another computer has no
file here; of that one only its silence tells (`alive_until`).
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class ProcessAlive:
    """This process among those that use one ledger. `folder`: where the files are; of this computer only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self.token = secrets.token_hex(8)

    def announce(self) -> str:
        """Hold the lock from here on; the token by which others ask. Without a usable folder only silence tells."""
        if self._descriptor is None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
                self._descriptor = os.open(self._file(self.token), flags, 0o600)
                _try(self._descriptor)
            except OSError:
                self._descriptor = None
        return self.token

    def is_dead(self, token: str | None) -> bool:
        """Whether that process is certainly gone. False also for one of another computer."""
        if not token or token == self.token or not token.isalnum():
            return False
        try:
            descriptor = os.open(self._file(token), os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        except OSError:
            return False
        try:
            return _try(descriptor)
        finally:
            os.close(descriptor)

    def forget(self, token: str) -> None:
        """Remove the file of a process that is gone and has left nothing behind in the ledger."""
        self._file(token).unlink(missing_ok=True)

    def leave(self) -> None:
        """End the lock and remove the file; nothing of this process is running any more."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
            self._file(self.token).unlink(missing_ok=True)

    def _file(self, token: str) -> Path:
        return self._folder / f"{token}.lock"
