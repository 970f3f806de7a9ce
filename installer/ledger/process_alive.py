"""Says whether the process that works on an installation still lives: each holds the lock of a file of its own.

The operating system ends the lock with the process, also when it is killed. A process of another computer has no
file here; of that one only its silence tells (`alive_until`).
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from installer.storage.file_lock import is_abandoned, is_at_path, lock_file_at


class ProcessAlive:
    """This process among those that use one ledger. `folder`: where the files are; of this computer only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self.token = secrets.token_hex(8)

    def announce(self) -> str:
        """Hold the lock from here on; the token by which others ask. Without a usable folder only silence tells."""
        descriptor = self._descriptor
        if descriptor is None or not is_at_path(descriptor, self._file(self.token)):
            with suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                # A tidy-up may have deleted the file: then it is made and locked again.
                self._descriptor = lock_file_at(self._file(self.token))
                if descriptor is not None:
                    os.close(descriptor)
        return self.token

    def is_dead(self, token: str | None) -> bool:
        """Whether that process is certainly gone. False also for one of another computer."""
        if not token or token == self.token or not token.isalnum():
            return False
        return is_abandoned(self._file(token))

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
