"""Inbox worker: wakes the gateway, and fetches the data that the notifications in the inbox announce.

It runs one fetch at a time for each user and category, with a cooldown after each, so that a flood of notifications
costs few requests. A failed fetch is retried with growing waits until it succeeds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from installer.errors import ErrorCode, InstallerError
from installer.notifications.inbox import Entry, Inbox
from installer.timing.backoff import Backoff

if TYPE_CHECKING:
    from installer.measurements.fetch import Fetched

COOLDOWN_SECONDS = 5.0
RETRY_BACKOFF = Backoff(5.0, 900.0, jitter=(0.75, 1.25))
# Users whose data is fetched at the same time. The client keeps the rate limit.
MAX_CONCURRENT_FETCHES = 4
# Only a person can solve these.
STUCK = (ErrorCode.TOKEN_REJECTED, ErrorCode.ACCOUNT_UNKNOWN, ErrorCode.SECRET_UNAVAILABLE)


class NotificationFetcher(Protocol):
    """Fetches the data of a notification: `installer.measurements.fetch.Fetcher`."""

    async def fetch(self, userid: str, appli: int, start: int | None = None, end: int | None = None) -> Fetched | None:
        """Fetch the data that a notification announces; None if it announces no data."""
        ...


# Called after every fetch: the entry, the result (None: no data), the error, and the seconds until the retry.
OnFetched = Callable[[Entry, "Fetched | None", InstallerError | None, float], None]
# Asks the gateway to visit the devices of a user and a category (`appli`).
WakeGateway = Callable[[str, int], Awaitable[None]]


class InboxWorker:
    """Works on the entries of one inbox. `cooldown`: seconds after each fetch."""

    def __init__(
        self,
        inbox: Inbox,
        fetcher: NotificationFetcher,
        on_fetched: OnFetched,
        wake_gateway: WakeGateway | None = None,
        *,
        cooldown: float = COOLDOWN_SECONDS,
        backoff: Backoff = RETRY_BACKOFF,
    ) -> None:
        self._inbox = inbox
        self._fetcher = fetcher
        self._on_fetched = on_fetched
        self._wake_gateway = wake_gateway
        self._cooldown = cooldown
        self._backoff = backoff
        self._new_entries = asyncio.Event()
        self._fetching: dict[str, asyncio.Task[None]] = {}

    def notify(self) -> None:
        """Tell the worker that the inbox has a new entry."""
        self._new_entries.set()

    async def run(self) -> None:
        """Work until cancelled; unfinished entries stay in the inbox."""
        try:
            while True:
                self._new_entries.clear()
                self._start_fetches()
                await self._wait()
        finally:
            for task in self._fetching.values():
                task.cancel()
            await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    def _start_fetches(self) -> None:
        for entry in self._inbox.due(time.time()):
            # One fetch at a time for a user: their requests share the same tokens and the same cursors.
            if entry.userid not in self._fetching and len(self._fetching) < MAX_CONCURRENT_FETCHES:
                self._fetching[entry.userid] = asyncio.create_task(self._fetch(self._inbox.claim(entry)))

    async def _wait(self) -> None:
        """Wait until there is a new entry, a fetch has ended, or the next entry is due."""
        now = time.time()
        busy = len(self._fetching) >= MAX_CONCURRENT_FETCHES
        due = None if busy else self._inbox.next_due(now, without_users=self._fetching)
        seconds = None if due is None else max(0.0, due - now)
        new_entries = asyncio.ensure_future(self._new_entries.wait())
        try:
            await asyncio.wait(
                [new_entries, *self._fetching.values()], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            new_entries.cancel()
        for userid, task in list(self._fetching.items()):
            if task.done():
                del self._fetching[userid]
                task.result()

    async def _fetch(self, entry: Entry) -> None:
        fetched: Fetched | None = None
        error: InstallerError | None = None
        try:
            if self._wake_gateway is not None:
                await self._wake_gateway(entry.userid, entry.appli)
            fetched = await self._fetcher.fetch(entry.userid, entry.appli, entry.start, entry.end)
            error = fetched.error if fetched is not None else None
        except InstallerError as raised:
            error = raised
        if error is None:
            try:
                await asyncio.to_thread(self._inbox.done, entry, time.time() + self._cooldown)
            except InstallerError as raised:
                error = raised
            else:
                self._on_fetched(entry, fetched, None, 0.0)
                return
        wait = self._pause(entry, error)
        with contextlib.suppress(InstallerError):  # the disk is full: the inbox remembers it in memory
            await asyncio.to_thread(self._inbox.failed, entry, time.time() + wait)
        self._on_fetched(entry, fetched, error, wait)

    def _pause(self, entry: Entry, error: InstallerError) -> float:
        """Seconds until the next try: twice as long each time, with chance, and not sooner than the cloud wants."""
        if error.code in STUCK:
            return self._backoff.longest
        asked = error.data.get("wait_seconds")
        least = float(asked) if isinstance(asked, int | float) else 0.0
        return self._backoff.after_failures(entry.tries + 1, least)
