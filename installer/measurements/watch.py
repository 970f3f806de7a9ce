"""Polls the cloud for new data, for hours: steady when all is well, less and less often while the cloud is away."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from installer.errors import ErrorCode, InstallerError
from installer.measurements.fetch import ALL, Fetched, Fetcher

EVERY = 60.0
# Never more often than this at a real cloud (`withings-cloud.md` §5).
SHORTEST = 5.0
LONGEST_WAIT = 300.0
# The part of the allowed requests that polling takes; the rest is for installations and notifications.
SHARE = 0.75
# A failure that passes by itself.
PASSING = frozenset({ErrorCode.CLOUD_UNREACHABLE, ErrorCode.CLOUD_BUSY, ErrorCode.DATABASE_FAILED})


class Told(Protocol):
    """Who hears of the rounds."""

    def round_ended(self, ended: list[Fetched]) -> None:
        """All accounts were looked at."""

    def trouble(self, account: str | None, error: InstallerError | None) -> None:
        """This account fails (None: everything does); or, without an error, works again. Said once each."""


class Watch:
    """Looks at the accounts again and again until it is cancelled."""

    def __init__(
        self,
        fetcher: Fetcher,
        told: Told,
        *,
        every: float = EVERY,
        names: Collection[str] = (),
    ) -> None:
        self._fetcher = fetcher
        self._told = told
        self._every = every
        self._names = names
        self._troubles: dict[str | None, ErrorCode] = {}

    async def run(self, rounds: int | None = None) -> None:
        """Poll for ever, or for so many rounds. Raises what a first look would raise at once: ACCOUNT_UNKNOWN."""
        wait = self._every
        done = 0
        while rounds is None or done < rounds:
            try:
                ended = await self._fetcher.all(self._names)
            except InstallerError as error:
                if error.code not in PASSING:
                    raise
                self._note(None, error)
                wait = self._longer(wait, [error])
            else:
                self._note(None, None)
                self._told.round_ended(ended)
                for account in ended:
                    self._note(account.account, account.error)
                away = [e.error for e in ended if e.error is not None and e.error.code in PASSING]
                wait = self._longer(wait, away) if len(away) == len(ended) else self._every
            done += 1
            if rounds is None or done < rounds:
                await asyncio.sleep(wait)

    def _longer(self, wait: float, errors: list[InstallerError]) -> float:
        """Twice as long as the last time; as long as the cloud says, if it says."""
        said = max((float(e.data.get("wait_seconds", 0)) for e in errors), default=0.0)
        return max(self._every, min(wait * 2, LONGEST_WAIT), said)

    def _note(self, account: str | None, error: InstallerError | None) -> None:
        known = self._troubles.get(account)
        if error is None:
            if known is not None:
                del self._troubles[account]
                self._told.trouble(account, None)
        elif known is not error.code:
            self._troubles[account] = error.code
            self._told.trouble(account, error)


def shortest_wait(accounts: int, requests_per_minute: int) -> float:
    """Seconds between two rounds, so that so many accounts stay within the limit of requests."""
    return accounts * len(ALL) * 60.0 / (requests_per_minute * SHARE)
