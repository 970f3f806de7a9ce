"""Polls the cloud for new data at an interval; while the cloud fails, with backoff."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from installer.cloud.account_file import is_damaged
from installer.errors import ErrorCode, InstallerError
from installer.measurements.fetch import ALL_SERVICES, Fetched, Fetcher
from installer.timing.backoff import Backoff

DEFAULT_INTERVAL_SECONDS = 60.0
# The shortest interval for a real cloud (`withings-cloud.md` §5).
MIN_INTERVAL_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 300.0
# The part of the rate limit that polling may use. The rest is for installations and notifications.
REQUEST_SHARE = 0.75
# Failures that can end without the user.
TEMPORARY_ERRORS = frozenset({ErrorCode.CLOUD_UNREACHABLE, ErrorCode.CLOUD_BUSY, ErrorCode.DATABASE_FAILED})


class WatchListener(Protocol):
    """Receives the results of the polling."""

    def round_ended(self, results: list[Fetched]) -> None:
        """All accounts were polled once."""

    def trouble(self, account: str | None, error: InstallerError | None) -> None:
        """The account fails (None: all of them), or works again (no error). Called once for each change."""


class Watch:
    """Polls the accounts until it is cancelled."""

    def __init__(
        self,
        fetcher: Fetcher,
        listener: WatchListener,
        *,
        every: float = DEFAULT_INTERVAL_SECONDS,
        names: Collection[str] = (),
    ) -> None:
        self._fetcher = fetcher
        self._listener = listener
        self._every = every
        self._names = names
        self._troubles: dict[str | None, InstallerError] = {}

    async def run(self, rounds: int | None = None) -> None:
        """Poll forever, or for so many rounds. Raises errors that are not temporary: ACCOUNT_UNKNOWN."""
        wait = self._every
        done = 0
        while rounds is None or done < rounds:
            try:
                results = await self._fetcher.fetch_all(self._names)
            except InstallerError as error:
                if error.code not in TEMPORARY_ERRORS:
                    raise
                self._report_trouble(None, error)
                wait = self._next_wait(wait, [error])
            else:
                self._report_trouble(None, None)
                self._listener.round_ended(results)
                for account in results:
                    self._report_trouble(account.account, account.error)
                unreachable = [e.error for e in results if e.error is not None and e.error.code in TEMPORARY_ERRORS]
                wait = self._next_wait(wait, unreachable) if len(unreachable) == len(results) else self._every
            done += 1
            if rounds is None or done < rounds:
                await asyncio.sleep(wait)

    def damage(self) -> InstallerError | None:
        """Why the tokens of an account cannot be used now, if they are damaged: only a person can mend that."""
        return next((error for error in self._troubles.values() if is_damaged(error)), None)

    def _next_wait(self, wait: float, errors: list[InstallerError]) -> float:
        """Twice the last wait, up to a limit; at least what the cloud asks for."""
        asked = max((float(e.data.get("wait_seconds", 0)) for e in errors), default=0.0)
        return max(Backoff(self._every, LONGEST_WAIT_SECONDS).after_wait(wait), asked)

    def _report_trouble(self, account: str | None, error: InstallerError | None) -> None:
        known = self._troubles.get(account)
        if error is None:
            if known is not None:
                del self._troubles[account]
                self._listener.trouble(account, None)
        else:
            self._troubles[account] = error
            if known is None or known.code is not error.code:
                self._listener.trouble(account, error)


def min_interval(accounts: int, requests_per_minute: int) -> float:
    """The shortest interval in seconds at which so many accounts stay within the rate limit."""
    return accounts * len(ALL_SERVICES) * 60.0 / (requests_per_minute * REQUEST_SHARE)
