"""The gateway's files, and the lock that allows one gateway for each outbox."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from installer import settings
from installer.errors import ErrorCode, InstallerError
from installer.storage.file_lock import HeldLock, file_lock
from installer.storage.private_files import is_absent
from installer.storage.unusable_paths import unwritable
from installer.text.bounded_read import read_bounded

LOCK_SECONDS = 2.0


@dataclass(frozen=True)
class GatewayFiles:
    """The files of one gateway. The lab's gateway has its own."""

    folder: Path
    lab: bool = False

    @classmethod
    def in_data_dir(cls, *, lab: bool) -> GatewayFiles:
        """The files in `data_dir()`."""
        return cls(settings.data_dir(), lab)

    @property
    def outbox(self) -> Path:
        """The outbox."""
        return self.folder / f"{self._name}.sqlite"

    @property
    def lock(self) -> Path:
        """The file that a running gateway locks; it holds the process id."""
        return self.folder / f"{self._name}.lock"

    @property
    def wake(self) -> Path:
        """The folder in which other programs leave wake requests."""
        return self.folder / f"{self._name}.wake"

    @property
    def _name(self) -> str:
        return "lab-gateway" if self.lab else "gateway"


@asynccontextmanager
async def hold_gateway_lock(files: GatewayFiles) -> AsyncIterator[Callable[[], None]]:
    """Be the only gateway that uses these files. Raises GATEWAY_RUNNING, FILE_UNWRITABLE.

    It gives a function that raises GATEWAY_RUNNING if the lock's file was deleted, and another gateway has it now.
    """
    try:
        files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = file_lock(files.lock, LOCK_SECONDS)
        held = await lock.__aenter__()
    except TimeoutError:
        raise InstallerError(
            ErrorCode.GATEWAY_RUNNING,
            "Another gateway is running for this user" + (f" (process {pid})." if (pid := running_pid(files)) else "."),
            "`device-installer gateway status` shows what it does. End it before you start another one.",
        ) from None
    except OSError as error:
        raise unwritable(f"The gateway cannot use its lock {files.lock}", files.lock, error) from None
    try:
        _write_pid(files)
        yield lambda: _check_lock(files, held)
    finally:
        await lock.__aexit__(None, None, None)


def _check_lock(files: GatewayFiles, lock: HeldLock) -> None:
    before = running_pid(files)
    if not lock.is_kept():
        raise InstallerError(
            ErrorCode.GATEWAY_RUNNING,
            f"This gateway ends: somebody deleted {files.lock}, and another gateway has started.",
            "Nothing is lost: the other one goes on with what this one has collected. Leave that file alone.",
        )
    if before != os.getpid():
        _write_pid(files)  # it is a new file


async def is_running(files: GatewayFiles) -> bool:
    """Whether a gateway holds the lock now. Raises FILE_UNWRITABLE if that cannot be found out."""
    if is_absent(files.lock):
        return False
    try:
        async with file_lock(files.lock, 0.05):
            return False
    except TimeoutError:
        return True
    except OSError as error:
        what = f"Whether a gateway runs is not known: its lock {files.lock} cannot be opened"
        raise unwritable(what, files.lock, error) from None


def running_pid(files: GatewayFiles) -> int | None:
    """The process that holds the lock, or held it last; None if the file does not say."""
    try:
        return int(read_bounded(files.lock, 32))
    except (OSError, ValueError):
        return None


def _write_pid(files: GatewayFiles) -> None:
    # In place, because a new file of this name would be another lock. On a full disk the number is missing.
    try:
        with files.lock.open("r+", encoding="ascii") as file:
            file.truncate()
            file.write(str(os.getpid()))
    except OSError:
        return
