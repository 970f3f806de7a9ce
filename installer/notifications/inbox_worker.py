"""Works off the inbox: wakes the gateway for the device, and fetches what the cloud has told of.

However often and by whomever it is told: one look at a time for each user and kind of data, and a rest after each, so
that a flood costs no more requests than a trickle. A look that fails is repeated, later each time, until it succeeds.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from installer.errors import ErrorCode, InstallerError
from installer.notifications.inbox import Entry, Inbox

if TYPE_CHECKING:
    from installer.measurements.fetch import Fetched

REST_SECONDS = 5.0
FIRST_WAIT, LONGEST_WAIT = 5.0, 900.0
# Users whose data is fetched at the same time; the pace of requests is kept elsewhere.
AT_ONCE = 4
# Nobody can do anything about these but a person.
STUCK = (ErrorCode.TOKEN_REJECTED, ErrorCode.ACCOUNT_UNKNOWN, ErrorCode.SECRET_UNAVAILABLE)


class Fetches(Protocol):
    """What fetches: `installer.measurements.fetch.Fetcher`."""

    async def fetch(self, userid: str, appli: int, start: int | None = None, end: int | None = None) -> Fetched | None:
        """Fetch what a notification tells of; None if there is nothing to fetch for it."""
        ...


# Told of every look: the entry, what was fetched (None: nothing is to be), why it failed, and when it is repeated (s).
Looked = Callable[[Entry, "Fetched | None", InstallerError | None, float], None]
Wake = Callable[[str, int], Awaitable[None]]


class InboxWorker:
    """Follows the notifications of one inbox. `wake` leaves word for the gateway: (user, kind of data)."""

    def __init__(
        self,
        inbox: Inbox,
        fetches: Fetches,
        looked: Looked,
        wake: Wake | None = None,
        *,
        rest: float = REST_SECONDS,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self._inbox = inbox
        self._fetches = fetches
        self._looked = looked
        self._wake = wake
        self._rest = rest
        self._first_wait = first_wait
        self._news = asyncio.Event()
        self._busy: dict[str, asyncio.Task[None]] = {}

    def poke(self) -> None:
        """There is something new in the inbox."""
        self._news.set()

    async def run(self) -> None:
        """Work until cancelled; what is not finished then stays in the inbox."""
        try:
            while True:
                self._news.clear()
                self._begin()
                await self._wait()
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    def _begin(self) -> None:
        for entry in self._inbox.due(time.time()):
            # One look at a time for a user: their requests share the same tokens and the same place in the store.
            if entry.userid not in self._busy and len(self._busy) < AT_ONCE:
                self._busy[entry.userid] = asyncio.create_task(self._look(self._inbox.look(entry)))

    async def _wait(self) -> None:
        """Until there is news, a look has ended, or the next entry is due."""
        now = time.time()
        due = self._inbox.next_due(now, without=self._busy) if len(self._busy) < AT_ONCE else None
        left = None if due is None else max(0.0, due - now)
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait([news, *self._busy.values()], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        for userid, task in list(self._busy.items()):
            if task.done():
                del self._busy[userid]
                task.result()

    async def _look(self, entry: Entry) -> None:
        fetched: Fetched | None = None
        error: InstallerError | None = None
        try:
            if self._wake is not None:
                await self._wake(entry.userid, entry.appli)
            fetched = await self._fetches.fetch(entry.userid, entry.appli, entry.start, entry.end)
            error = fetched.error if fetched is not None else None
        except InstallerError as failed:
            error = failed
        if error is None:
            try:
                await asyncio.to_thread(self._inbox.done, entry, time.time() + self._rest)
            except InstallerError as failed:
                error = failed
            else:
                self._looked(entry, fetched, None, 0.0)
                return
        wait = self._pause(entry, error)
        with contextlib.suppress(InstallerError):  # a full disk: it is remembered, and told with the next look
            await asyncio.to_thread(self._inbox.failed, entry, time.time() + wait)
        self._looked(entry, fetched, error, wait)

    def _pause(self, entry: Entry, error: InstallerError) -> float:
        """Seconds until the next try: twice as long each time, with chance, and not sooner than the cloud wants."""
        if error.code in STUCK:
            return LONGEST_WAIT
        wait = min(self._first_wait * float(2 ** min(entry.tries, 12)), LONGEST_WAIT)
        asked = error.data.get("wait_seconds")
        least = float(asked) if isinstance(asked, int | float) else 0.0
        chance: float = random.uniform(0.75, 1.25)
        return max(wait * chance, least)
