"""How often the cloud is asked: the limit per minute, and the waits between two looks (`withings-cloud.md` §5).

The limit is one for the whole application: all its users, and all programs of this person on this computer. So who
asked when is kept in a small file that they share.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from installer import settings
from installer.settings import CloudSettings, is_loopback
from installer.storage.file_lock import file_lock
from installer.storage.private_files import make_private

WINDOW = 60.0
GROWTH = 1.3
# A program that was stopped while it held the file must not stop the others.
LOCK_SECONDS = 2.0
MAX_FILE = 64 * 1024


class RateLimited(Exception):
    """The turn would come only in `wait` seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__()
        self.wait = wait


class RateLimit:
    """Lets at most `per_minute` requests through in any 60 s; the rest wait for their turn.

    `file`: shared with other programs, for the cloud `cloud`; where it cannot be used, this one counts alone.
    """

    def __init__(self, per_minute: int, file: Path | None = None, cloud: str = "") -> None:
        self._per_minute = per_minute
        self._file = file
        self._cloud = cloud
        self._times: list[float] = []
        self._until = 0.0
        self._lock = asyncio.Lock()

    @classmethod
    def of(cls, cloud: CloudSettings) -> RateLimit:
        """The pace of this application at this cloud."""
        # A lab has another port each time it starts; one file is enough for all of them.
        local = is_loopback(urlsplit(cloud.api).hostname or "")
        name = hashlib.sha256(f"{'loopback' if local else cloud.api}\0{cloud.client_id}".encode()).hexdigest()[:12]
        return cls(cloud.requests_per_minute, settings.state_dir() / "pace" / f"{name}.json", cloud.api)

    async def turn(self, seconds: float) -> None:
        """Wait until one more request may go out. Raises Paused, at once if that is known to be in over `seconds`."""
        end = time.monotonic() + seconds
        async with self._lock:
            while True:
                async with self._shared():
                    wait = self._take(time.time())
                if wait <= 0:
                    return
                if time.monotonic() + wait > end:
                    raise RateLimited(wait)
                await asyncio.sleep(wait)

    async def pause(self, seconds: float) -> None:
        """The cloud wants to be left alone for so long, by all programs."""
        async with self._lock, self._shared():
            self._until = max(self._until, time.time() + seconds)

    def _take(self, now: float) -> float:
        """The seconds to wait; if there are none, the turn is taken."""
        # What lies in the future was written before somebody set the clock back.
        self._times = [t for t in self._times if now - WINDOW < t <= now][-self._per_minute :]
        if self._until > now:
            return self._until - now
        if len(self._times) >= self._per_minute:
            return self._times[0] + WINDOW - now
        self._times.append(now)
        return 0.0

    @asynccontextmanager
    async def _shared(self) -> AsyncIterator[None]:
        """What all programs know, held alone; without the file, what this one knows."""
        if self._file is None:
            yield
            return
        lock = file_lock(self._file.with_suffix(".lock"), LOCK_SECONDS)
        try:
            make_private(self._file.parent)
            await lock.__aenter__()
        except (OSError, TimeoutError):
            yield
            return
        try:
            self._read(self._file)
            yield
            self._write(self._file)
        finally:
            await lock.__aexit__(None, None, None)

    def _read(self, file: Path) -> None:
        try:
            with file.open("rb") as stream:
                known = json.loads(stream.read(MAX_FILE))
        except (OSError, ValueError, RecursionError):
            return
        if not isinstance(known, dict) or known.get("cloud") != self._cloud:
            return
        times = known.get("times")
        self._times = sorted(t for t in times if _is_time(t)) if isinstance(times, list) else []
        self._until = known["until"] if _is_time(known.get("until")) else 0.0

    def _write(self, file: Path) -> None:
        text = json.dumps({"cloud": self._cloud, "times": self._times, "until": self._until})
        try:
            file.write_text(text, "utf-8")
        except OSError:
            return  # no room: this program goes on with what it knows


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def waits(shortest: float, longest: float) -> Iterator[float]:
    """The seconds between two looks at the account: soon at first, then less and less often."""
    wait = shortest
    while True:
        yield wait
        wait = max(shortest, min(wait * GROWTH, longest))
