"""Verify: the wait for the first measurement, and what to do for it."""

from __future__ import annotations

from screens.progress import View
from screens.run_state import Mark, RunState


def view(state: RunState) -> View:
    """The wait for the first data."""
    waiting = state.waiting
    if waiting is None:
        return View("Getting ready for the first data")
    first = "Sent to the cloud" if waiting.source == "cloud" else "Read over Bluetooth"
    arrived = Mark.DONE if state.measurement else Mark.NOW
    stages = ((arrived, "A first measurement"), (Mark.DONE if state.measurement else Mark.TODO, first))
    if state.measurement is not None:
        return View("The first data is here", str(state.measurement), stages)
    return View("Now measure once", "That proves that the data flows.", stages, waiting.todo)
