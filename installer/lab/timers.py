"""What is to happen later, by name: a new appointment replaces the one of the same name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._waiting

    def later(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` in so many seconds."""
        self.cancel(name)

        def run() -> None:
            self._waiting.pop(name, None)
            action()

        self._waiting[name] = asyncio.get_running_loop().call_later(seconds, run)

    def cancel(self, *names: str) -> None:
        """It shall not happen."""
        for name in names:
            timer = self._waiting.pop(name, None)
            if timer is not None:
                timer.cancel()

    def clear(self) -> None:
        """Nothing shall happen."""
        self.cancel(*list(self._waiting))
