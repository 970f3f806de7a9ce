"""What a command does when a signal asks it to end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable


def on_signals(act: Callable[[], object], *numbers: int) -> tuple[int, ...]:
    """Call `act` in the running event loop when one of these signals comes; those for which the system can do that.

    Windows cannot (Ctrl-C cancels the whole there, and there is no SIGTERM), nor can a loop outside the main thread.
    """
    loop, handled = asyncio.get_running_loop(), []
    for number in numbers:
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, act)
            handled.append(number)
    return tuple(handled)
