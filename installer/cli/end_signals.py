"""Turns SIGTERM and SIGHUP into an orderly end: all is unwound, no half file, odd terminal or open link stays."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

# `asyncio` is imported late: `--help` does not need it.
if TYPE_CHECKING:
    import asyncio

# The system sends SIGHUP when the terminal is closed. Windows has none.
END_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class EndedBySignal(SystemExit):
    """A signal ends the program. As a SystemExit it also gets through an event loop."""

    def __init__(self, number: int) -> None:
        # The status that a shell gives a program that a signal has ended.
        super().__init__(128 + number)
        self.number = number


class _Running:
    """The task of the command that runs now, which a signal cancels. `number`: the signal that came."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None
        self.number: int | None = None


_running = _Running()


def unwind_on_signals() -> None:
    """End in order when one of them comes. One that is ignored (`nohup`) stays so.

    Without an event loop `EndedBySignal` is raised in the main thread. A command in its event loop is cancelled, as by
    Ctrl-C: it lets the device go, closes its record and says its last word; a second signal ends it at once. A command
    that handles a signal itself replaces this for that time, and calls this again afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in END_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Around a command's event loop: what comes out of it after a signal is `EndedBySignal`."""
    _running.number = None
    try:
        yield
    except BaseException:
        # A terminal that was closed makes every last word an error.
        if _running.number is not None:
            raise EndedBySignal(_running.number) from None
        raise
    finally:
        _running.task = None


def cancel_on_signals(task: asyncio.Task[Any] | None) -> None:
    """The first signal from here on cancels this task."""
    _running.task = task


def _end(number: int, _: FrameType | None) -> None:
    task = _running.task
    if task is None or task.done() or _running.number is not None:
        raise EndedBySignal(number)
    _running.number = number
    task.cancel()
    # Nothing else may wake the loop.
    task.get_loop().call_soon_threadsafe(lambda: None)
