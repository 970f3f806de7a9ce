"""What the wizard needs of the engine: something that runs one installation and says how it ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from installer.answers import Answers
from installer.bluetooth.sighting import Sighting
from installer.flow.questions import FrontEnd
from installer.flow.resumable import Resumable

if TYPE_CHECKING:
    from installer.batch.labels import Label
    from installer.ledger.query_types import Filter, Page
    from installer.measurement import Measurement


class Outcome(Protocol):
    """How an installation ended."""

    @property
    def outcome(self) -> str:
        """`installed`, `failed`, `cancelled` or `planned`."""
        ...

    @property
    def answers(self) -> Answers:
        """All choices that were made, ready to be saved."""
        ...

    @property
    def summary(self) -> dict[str, Any]:
        """What the record keeps, as plain data."""
        ...


class Installation(Protocol):
    """One installation, ready to run."""

    async def run(self) -> Outcome:
        """Run it to its end. May raise `Cancelled`, and `InstallerError` for what no step can mend."""
        ...


Start = Callable[[FrontEnd, Answers], Installation]
"""Makes the installation: with this front end, and these answers given beforehand."""

FirstData = Callable[[Outcome], "Awaitable[Measurement | None]"]
"""Waits for the first measurement of a device that was installed; None if none is to be expected."""


class Unfinished(Protocol):
    """What was cut off and can be gone on with."""

    async def offers(self) -> Sequence[Resumable]:
        """Those that there are, the newest first; none where the ledger cannot be read."""
        ...

    def go_on(self, front: FrontEnd, offer: Resumable) -> Installation:
        """The rest of this installation."""
        ...

    async def forget(self, offer: Resumable) -> None:
        """Do not offer it any more. May raise `InstallerError`."""
        ...


class BatchRun(Protocol):
    """Several devices at once, ready to run; told by events."""

    async def run(self) -> object:
        """Ask what is open, then run to the end; again: what is left. May raise `Cancelled` and `InstallerError`."""
        ...

    def stop(self) -> None:
        """Begin nothing more."""
        ...

    def stop_now(self) -> None:
        """Break everything off."""
        ...

    async def labels(self) -> Sequence[Label]:
        """The labels of what is done."""
        ...


StartBatch = Callable[[FrontEnd, Sequence[Sighting]], BatchRun]
"""Makes a batch of these devices."""


class RecordsDesk(Protocol):
    """The ledger as the screens look into it. Each raises `InstallerError` where the database fails."""

    async def page(self, wanted: Filter, limit: int, after: tuple[str, str] | None = None) -> Page:
        """Some records without their steps, the newest first; `after` is the `next` of the page before."""
        ...

    async def one(self, installation: str) -> dict[str, Any]:
        """The whole record."""
        ...

    async def outdated(self) -> bool:
        """Whether the tables must be brought up to date before anything can be kept."""
        ...

    async def migrate(self) -> None:
        """Bring the tables up to date."""
        ...


class Ended:
    """An outcome for a run that was broken off before it could tell its own."""

    def __init__(self, outcome: str, answers: Answers) -> None:
        self.outcome = outcome
        self.answers = answers
        self.summary: dict[str, Any] = {}
