"""Waits for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
SECONDS = 150.0
STEP_SECONDS = 0.05


def until(condition: Callable[[], T], what: str, seconds: float = SECONDS) -> T:
    """Ask again and again until `condition()` is true; what it returned. AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (seen := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(STEP_SECONDS)
    return seen
