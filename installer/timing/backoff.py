"""Backoff: the waits between tries, each longer than the one before, up to a limit.

Requests to the cloud are repeated by stamina instead (`installer/cloud/client.py`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

NO_JITTER = (1.0, 1.0)


@dataclass(frozen=True)
class Backoff:
    """`first`: the first wait in seconds. Each wait is `factor` times the one before, and at most `longest` seconds.

    `jitter`: the range of a random factor for each wait, so that clients that failed together do not retry together.
    """

    first: float
    longest: float
    factor: float = 2.0
    jitter: tuple[float, float] = NO_JITTER

    def after_failures(self, failures: int, at_least: float = 0.0) -> float:
        """Seconds to wait after so many failures in a row (from 1). `at_least`: what the other side asks for."""
        wait = min(self.first * self.factor ** min(failures - 1, 30), self.longest)
        return max(wait * random.uniform(*self.jitter), at_least)

    def after_wait(self, wait: float) -> float:
        """The wait that follows `wait`, without jitter; never shorter than `first`."""
        return max(self.first, min(wait * self.factor, self.longest))

    def waits(self) -> Iterator[float]:
        """All waits, without jitter and without end: `first`, then ever longer ones."""
        wait = self.first
        while True:
            yield wait
            wait = self.after_wait(wait)
