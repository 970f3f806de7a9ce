"""The verify step: the progress until the first measurement arrives, and what the user must do for it."""

from __future__ import annotations

from screens.installation_state import InstallationState, Mark, ProgressView


def progress_view(state: InstallationState) -> ProgressView:
    """The progress until the first data arrives."""
    waiting = state.waiting_for_data
    if waiting is None:
        return ProgressView("Getting ready for the first data")
    first = "Sent to the cloud" if waiting.source == "cloud" else "Read over Bluetooth"
    arrived = Mark.DONE if state.measurement else Mark.NOW
    stages = ((arrived, "A first measurement"), (Mark.DONE if state.measurement else Mark.TODO, first))
    if state.measurement is not None:
        return ProgressView("The first data is here", str(state.measurement), stages)
    return ProgressView("Now measure once", "This shows that the data arrives.", stages, waiting.todo)
