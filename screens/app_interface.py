"""What the screens need from the app: `Wizard`, a protocol that `screens.app.WizardApp` implements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from screens.engine_interface import WaitForFirstData
from screens.installation_state import InstallationState

if TYPE_CHECKING:
    from installer.answers import Answers
    from installer.bluetooth.sighting import Sighting
    from installer.catalogue.catalogue_file import Catalogue
    from installer.flow.resume import Resumable
    from screens.engine_interface import Ledger


class Wizard(Protocol):
    """The app as a screen sees it, so that no screen imports the app."""

    clock: Callable[[], float]
    """Monotonic seconds."""
    state: InstallationState
    """What the events of the current installation told."""
    lab: bool
    """Whether devices and cloud are emulated."""
    catalogue: Catalogue
    ledger: Ledger | None
    wait_for_first_data: WaitForFirstData | None

    @property
    def has_answers(self) -> bool:
        """Whether there are answers to save."""
        ...

    @property
    def can_batch(self) -> bool:
        """Whether several devices can be installed at once."""
        ...

    def begin(self, resumable: Resumable | None = None) -> None:
        """Start an installation, or resume this one."""
        ...

    def begin_with_answers(self, answers: Answers) -> None:
        """Start an installation with these answers instead of the preset ones."""
        ...

    def begin_next_installation(self) -> None:
        """Start the installation of the next device."""
        ...

    def begin_batch(self, sightings: Sequence[Sighting]) -> None:
        """Install these devices together."""
        ...

    def retry_batch(self) -> None:
        """Try again the devices of the batch that are not installed."""
        ...

    def quit_after_batch(self) -> None:
        """Quit as soon as the batch has ended."""
        ...

    def stop_installation(self, *, leave: bool = False) -> None:
        """Stop the running installation or batch. `leave`: then quit."""
        ...

    async def resumable_installations(self) -> Sequence[Resumable]:
        """The installations that can be resumed, newest first."""
        ...

    async def dismiss_resumable(self, resumable: Resumable) -> None:
        """Stop offering to resume this one. May raise `InstallerError`."""
        ...

    def go_home(self) -> None:
        """Back to the home screen."""
        ...

    def open_records(self) -> None:
        """Show the records."""
        ...

    def save_answers(self) -> None:
        """Ask for a path and save the answers there."""
        ...

    async def action_quit(self) -> None:
        """Leave the program; a running installation is stopped first."""
        ...
