"""How an installation and this user's gateway share the system's Bluetooth: the gateway makes room.

While both scan and connect, each is told less of what is heard, and one ends the link that the other uses. So an
installation leaves a request (a locked file), and the gateway, which holds a lock while it uses Bluetooth, ends its
scan. The request of a dead installation counts no more, because the system ends its lock; one that only waits for a
person does not stop the gateway for longer than `ROOM_SECONDS`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from installer.storage.file_lock import file_lock
from installer.storage.private_files import make_private_folder
from installer.storage.process_marks import Mark, ProcessMarks

# How long the gateway makes room after the installation last began to scan or to connect.
ROOM_SECONDS = 600.0
# How long an installation waits for the gateway. It then begins all the same: both get on, only slower.
WAIT_SECONDS = 15.0
# How long a visit that runs may go on. Then it is ended, and comes again later.
VISIT_SECONDS = 10.0
_LOOK_SECONDS = 0.5


class RadioRoom:
    """The agreement of the programs that share this folder."""

    def __init__(self, folder: Path) -> None:
        self._requests = ProcessMarks(folder / "room-requests")
        self._lock = folder / "gateway-radio.lock"
        self._looked = float("-inf")
        self._wanted = False

    async def ask(self) -> Mark | None:
        """For an installation: ask for room, and wait until the gateway has made it. `remove` the request at the end.

        None without a usable folder.
        """
        for left in self._requests.take_abandoned():
            left.remove()
        request = self._requests.hold("installation")
        try:
            with suppress(TimeoutError, OSError):
                async with file_lock(self._lock, WAIT_SECONDS):
                    pass
        except BaseException:
            if request is not None:
                request.remove()
            raise
        return request

    def wanted(self) -> bool:
        """For the gateway: whether an installation wants room. May be asked often; it looks twice a second."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._wanted = any(age < ROOM_SECONDS for _, age in self._requests.held())
        return self._wanted

    async def wait_until_unwanted(self, seconds: float | None = None) -> None:
        """For the gateway: wait until no installation wants room, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.wanted():  # noqa: ASYNC110 - another process ends it
                    await asyncio.sleep(_LOOK_SECONDS)

    @asynccontextmanager
    async def using_radio(self) -> AsyncIterator[None]:
        """For the gateway: say that it uses Bluetooth. An installation that looks has the lock for a moment."""
        lock = file_lock(self._lock, WAIT_SECONDS)
        held = False
        with suppress(TimeoutError, OSError):
            make_private_folder(self._lock.parent)
            await lock.__aenter__()
            held = True
        try:
            yield
        finally:
            if held:
                await lock.__aexit__(None, None, None)


class RadioTurn:
    """The time in which the gateway uses Bluetooth. `room`: None if it shares with nobody."""

    def __init__(self, room: RadioRoom | None) -> None:
        self._room = room
        self._wanted_since: float | None = None

    def wanted(self) -> bool:
        """Whether an installation wants room now: no visit begins any more."""
        if self._room is None or not self._room.wanted():
            self._wanted_since = None
            return False
        if self._wanted_since is None:
            self._wanted_since = time.monotonic()
        return True

    def is_over(self, visiting: bool) -> bool:
        """Whether the turn ends: an installation wants room, and a visit that runs has had `VISIT_SECONDS` more."""
        if not self.wanted() or self._wanted_since is None:
            return False
        return not visiting or time.monotonic() - self._wanted_since > VISIT_SECONDS
