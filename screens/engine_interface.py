"""What the wizard needs from the engine: protocols of an installation, a batch, resumable installations, the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from installer.answers import Answers
from installer.bluetooth.sighting import Sighting
from installer.flow.front_end import FrontEnd
from installer.flow.resume import Resumable

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


class SimpleOutcome:
    """An `Outcome` without a summary, for an installation that ended before it returned its own."""

    def __init__(self, outcome: str, answers: Answers) -> None:
        self.outcome = outcome
        self.answers = answers
        self.summary: dict[str, Any] = {}


class Installation(Protocol):
    """One installation, ready to run."""

    async def run(self) -> Outcome:
        """Run it to its end. May raise `Cancelled`, and `InstallerError` if no step can recover."""
        ...


StartInstallation = Callable[[FrontEnd, Answers], Installation]
"""Makes an installation with this front end and these preset answers."""

WaitForFirstData = Callable[[Outcome], "Awaitable[Measurement | None]"]
"""Waits for the first measurement of an installed device; None if none is expected."""


class ResumableInstallations(Protocol):
    """The interrupted installations that can be resumed."""

    async def offers(self) -> Sequence[Resumable]:
        """All of them, newest first; none if the ledger cannot be read."""
        ...

    def resume(self, front: FrontEnd, installation: Resumable) -> Installation:
        """An installation that does the remaining steps."""
        ...

    async def dismiss(self, installation: Resumable) -> None:
        """Stop offering this one. May raise `InstallerError`."""
        ...


class BatchRun(Protocol):
    """A batch of several devices, ready to run; its progress comes as events."""

    async def run(self) -> object:
        """Ask the open questions, then install all; a second call does the rest. May raise as an installation."""
        ...

    def stop(self) -> None:
        """Start no more devices."""
        ...

    async def labels(self) -> Sequence[Label]:
        """The labels of the finished devices."""
        ...


StartBatch = Callable[[FrontEnd, Sequence[Sighting]], BatchRun]
"""Makes a batch of these devices."""


class Ledger(Protocol):
    """The ledger for the screens. Every method raises `InstallerError` if the database fails."""

    async def page(self, wanted: Filter, limit: int, after: tuple[str, str] | None = None) -> Page:
        """A page of records without their steps, newest first; `after` is the `next` of the page before."""
        ...

    async def one(self, installation: str) -> dict[str, Any]:
        """The whole record."""
        ...

    async def outdated(self) -> bool:
        """Whether the tables must be migrated before a record can be written."""
        ...

    async def migrate(self) -> None:
        """Migrate the tables to this version."""
        ...
