"""Where the gateway keeps its things, and the lock by which there is one gateway for each outbox."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from installer import settings
from installer.errors import ErrorCode, InstallerError
from installer.storage.file_lock import file_lock

LOCK_SECONDS = 2.0


@dataclass(frozen=True)
class GatewayFiles:
    """The files of one gateway. What is practised in the lab stays apart."""

    folder: Path
    lab: bool = False

    @classmethod
    def here(cls, *, lab: bool) -> GatewayFiles:
        """In `data_dir()`."""
        return cls(settings.data_dir(), lab)

    @property
    def outbox(self) -> Path:
        """The outbox."""
        return self.folder / f"{self._name}.sqlite"

    @property
    def lock(self) -> Path:
        """The file that a running gateway holds."""
        return self.folder / f"{self._name}.lock"

    @property
    def wake(self) -> Path:
        """The folder in which others leave word for it."""
        return self.folder / f"{self._name}.wake"

    @property
    def _name(self) -> str:
        return "lab-gateway" if self.lab else "gateway"


@asynccontextmanager
async def alone(place: GatewayFiles) -> AsyncIterator[None]:
    """Be the only gateway of this place. Raises GATEWAY_RUNNING, FILE_UNWRITABLE."""
    try:
        place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = file_lock(place.lock, LOCK_SECONDS)
        await lock.__aenter__()
    except TimeoutError:
        raise InstallerError(
            ErrorCode.GATEWAY_RUNNING,
            "Another gateway is running for this user" + (f" (process {pid})." if (pid := running_pid(place)) else "."),
            "`device-installer gateway status` says what it does; end it before starting another one.",
        ) from None
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"The gateway cannot use the folder {place.folder}: {error.strerror}.",
            "Free some space, check the permissions, or give the data another place with DEVICE_INSTALLER_HOME.",
        ) from None
    try:
        _say_pid(place)
        yield
    finally:
        await lock.__aexit__(None, None, None)


async def is_running(place: GatewayFiles) -> bool:
    """Whether a gateway holds this place now."""
    if not place.lock.exists():
        return False
    try:
        async with file_lock(place.lock, 0.05):
            return False
    except (TimeoutError, OSError):
        return True


def running_pid(place: GatewayFiles) -> int | None:
    """The process that holds the lock, or held it last; None where it did not say."""
    try:
        return int(place.lock.read_text("ascii"))
    except (OSError, ValueError):
        return None


def _say_pid(place: GatewayFiles) -> None:
    # In place: another file of this name would be another lock. A full disk does not take it, and that does no harm.
    try:
        with place.lock.open("r+", encoding="ascii") as file:
            file.truncate()
            file.write(str(os.getpid()))
    except OSError:
        return
