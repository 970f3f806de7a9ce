"""Turns SIGTERM and SIGHUP into an orderly end: all is unwound, so that no half file and no odd terminal stay."""

from __future__ import annotations

import signal
import threading
from types import FrameType

# The system sends SIGHUP when the terminal is closed. Windows has none.
END_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class EndedBySignal(SystemExit):
    """A signal ends the program. As a SystemExit it also gets through an event loop."""

    def __init__(self, number: int) -> None:
        # The status that a shell gives a program that a signal has ended.
        super().__init__(128 + number)
        self.number = number


def unwind_on_signals() -> None:
    """Raise `EndedBySignal` in the main thread when one of them comes. One that is ignored (`nohup`) stays so.

    A command that handles a signal in its event loop replaces this for that time, and calls this again afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in END_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def _raise(number: int, _: FrameType | None) -> None:
    raise EndedBySignal(number)
