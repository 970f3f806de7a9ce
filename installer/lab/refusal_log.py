"""Logs whom the lab refuses, a few times for each reason: who is refused may try again without end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

MAX_LINES_OF_A_KIND = 20


class RefusalLog:
    """`what`: that is refused, in words (“a host”). `log`: gets the lines."""

    def __init__(self, what: str, log: Callable[[str], None]) -> None:
        self._what = what
        self._log = log
        self._counts: Counter[str] = Counter()

    def refused(self, why: str) -> None:
        """Log one refusal, unless there were enough for this reason."""
        self._counts[why] += 1
        if self._counts[why] <= MAX_LINES_OF_A_KIND:
            self._log(f"{self._what} was refused: {why}")
