"""Reads lines from the terminal for prompts that can be withdrawn.

A read cannot be taken back: when a prompt is withdrawn (the browser came back while an address could be pasted), its
read still waits, and would swallow the answer to the next prompt. So the next prompt takes over that read.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

from installer import output

_lock = threading.Lock()
_reading: Future[str] | None = None


def ask_line(text: str) -> str:
    """Ask for one line; blocks. Raises EOFError at the end of input, OSError if the terminal has gone."""
    global _reading
    with _lock:
        reading = _reading
        left_behind = reading is not None and not reading.done()
        if reading is None or not left_behind:
            reading = _reading = Future()
    if left_behind:
        output.print_prompt(f"\n{text}")
        return reading.result()
    try:
        reading.set_result(output.ask_line(text))
    except BaseException as error:  # noqa: BLE001 - raised below; without it, who took over the read waits for ever
        reading.set_exception(error)
    return reading.result()
