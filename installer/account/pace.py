"""How often the cloud is asked: the limit per minute, and the waits between two looks (`withings-cloud.md` §5)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

WINDOW = 60.0
GROWTH = 1.3


class Pace:
    """Lets at most `per_minute` requests through in any 60 s; the rest wait for their turn, in order."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._times: deque[float] = deque()
        self._lock = asyncio.Lock()

    async def turn(self, seconds: float) -> None:
        """Wait until one more request may go out. Raises TimeoutError after `seconds`."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds), self._lock:
            while len(self._times) >= self._per_minute:
                left = self._times[0] + WINDOW - loop.time()
                if left <= 0:
                    self._times.popleft()
                else:
                    await asyncio.sleep(left)
            self._times.append(loop.time())


def waits(shortest: float, longest: float) -> Iterator[float]:
    """The seconds between two looks at the account: soon at first, then less and less often."""
    wait = shortest
    while True:
        yield wait
        wait = max(shortest, min(wait * GROWTH, longest))
