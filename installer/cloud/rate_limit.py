"""Rate limit of the cloud: requests per minute, and the waits between two polls (`withings-cloud.md` §5).

The limit applies to the whole application: all its users and all its programs. So the programs of one person on this
computer share a small file with the times of their requests.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from installer import output, settings
from installer.settings import CloudSettings, is_loopback
from installer.storage.atomic_write import replace_file
from installer.storage.file_lock import file_lock
from installer.storage.private_files import make_private_folder
from installer.text.bounded_read import read_bounded
from installer.text.path_reasons import why_unusable
from installer.timing.backoff import Backoff

WINDOW_SECONDS = 60.0
POLL_FACTOR = 1.3
# A program that hangs while it holds the file must not stop the others.
LOCK_SECONDS = 2.0
MAX_FILE_BYTES = 64 * 1024


class RateLimited(Exception):
    """The next request is possible only after `wait` seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__()
        self.wait = wait


class RateLimit:
    """Allows at most `per_minute` requests in any 60 s; further requests wait.

    `file`: shared with other programs that use the cloud `cloud`. Without a usable file, this program counts alone.
    """

    def __init__(self, per_minute: int, file: Path | None = None, cloud: str = "") -> None:
        self._per_minute = per_minute
        self._file = file
        self._cloud = cloud
        self._times: list[float] = []
        self._paused_until = 0.0
        self._lock = asyncio.Lock()
        self._told = False

    @classmethod
    def of(cls, cloud: CloudSettings) -> RateLimit:
        """The rate limit of this application at this cloud."""
        # A lab has a new port at each start; all labs use the same file.
        local = is_loopback(urlsplit(cloud.api).hostname or "")
        name = hashlib.sha256(f"{'loopback' if local else cloud.api}\0{cloud.client_id}".encode()).hexdigest()[:12]
        return cls(cloud.requests_per_minute, settings.state_dir() / "pace" / f"{name}.json", cloud.api)

    async def wait_for_slot(self, seconds: float) -> None:
        """Wait until one more request may be sent. Raises RateLimited at once if the wait is longer than `seconds`."""
        end = time.monotonic() + seconds
        async with self._lock:
            while True:
                async with self._shared_state() as is_kept:
                    # Another program that has the lock now, because its file was deleted, counts for itself.
                    wait = self._use_slot(time.time()) if is_kept() else 0.01
                if wait <= 0:
                    return
                if time.monotonic() + wait > end:
                    raise RateLimited(wait)
                await asyncio.sleep(wait)

    async def pause(self, seconds: float) -> None:
        """Stop the requests of all programs for so long, because the cloud asks for it."""
        async with self._lock, self._shared_state():
            self._paused_until = max(self._paused_until, time.time() + seconds)

    def _use_slot(self, now: float) -> float:
        """The seconds to wait. If 0, the request is counted."""
        # Times in the future were written before the clock was set back.
        self._times = [t for t in self._times if now - WINDOW_SECONDS < t <= now][-self._per_minute :]
        if self._paused_until > now:
            return self._paused_until - now
        if len(self._times) >= self._per_minute:
            return self._times[0] + WINDOW_SECONDS - now
        self._times.append(now)
        return 0.0

    @asynccontextmanager
    async def _shared_state(self) -> AsyncIterator[Callable[[], bool]]:
        """Lock and read the shared file, and write it at the end. Without the file, use the state of this program.

        It gives the question whether this program still is the only one that has the lock.
        """
        if self._file is None:
            yield lambda: True
            return
        lock = file_lock(self._file.with_suffix(".lock"), LOCK_SECONDS)
        try:
            make_private_folder(self._file.parent)
            held = await lock.__aenter__()
        except TimeoutError:
            yield lambda: True
            return
        except OSError as error:
            self._tell(self._file, why_unusable(error, self._file))
            yield lambda: True
            return
        try:
            self._read(self._file)
            yield held.is_kept
            if held.is_kept():
                self._write(self._file)
        finally:
            await lock.__aexit__(None, None, None)

    def _read(self, file: Path) -> None:
        try:
            known = json.loads(read_bounded(file, MAX_FILE_BYTES))
        except FileNotFoundError:
            return
        except OSError as error:
            self._tell(file, why_unusable(error, file))
            return
        except (ValueError, RecursionError):
            known = None
        if isinstance(known, dict) and known.get("cloud") != self._cloud:
            return  # of another lab
        times, until = (known.get("times"), known.get("until")) if isinstance(known, dict) else (None, None)
        if not isinstance(times, list) or not all(map(_is_time, times)) or until is None or not _is_time(until):
            self._tell(file, "it is damaged and written anew")
            return
        self._times, self._paused_until = sorted(times), float(until)

    def _tell(self, file: Path, why: str) -> None:
        """Say once that the limit is not shared now."""
        if not self._told:
            self._told = True
            output.print_message(
                f"The times of the last requests in {file} cannot be used ({why}), so this program counts its requests "
                "without those of the others."
            )

    def _write(self, file: Path) -> None:
        text = json.dumps({"cloud": self._cloud, "times": self._times, "until": self._paused_until})
        try:
            # Without a sync: it is written at each request, and after a power cut a minute is over.
            replace_file(file, [text.encode()], durable=False)
        except OSError:
            return  # the disk is full: this program goes on with its own state


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def poll_backoff(cloud: CloudSettings, *, slower: float = 1.0) -> Backoff:
    """The waits between two polls of an account. `slower`: how many times longer the longest wait is."""
    shortest, longest = cloud.poll_seconds
    return Backoff(shortest, longest * slower, factor=POLL_FACTOR)
