"""Named timers of the lab: scheduling a name again replaces its timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """Use it in the thread of the event loop only."""

    def __init__(self) -> None:
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._handles

    def schedule(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` after so many seconds."""
        self.cancel(name)

        def run() -> None:
            self._handles.pop(name, None)
            action()

        self._handles[name] = asyncio.get_running_loop().call_later(seconds, run)

    def cancel(self, *names: str) -> None:
        """Cancel these timers."""
        for name in names:
            handle = self._handles.pop(name, None)
            if handle is not None:
                handle.cancel()

    def cancel_all(self) -> None:
        """Cancel every timer."""
        self.cancel(*list(self._handles))
