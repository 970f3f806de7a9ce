"""Lanes: one for each adapter, with its shared scan and the number of installations that may run on it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from installer.batch.plan import Unit
from installer.bluetooth.sighting import SetupState, Sighting
from installer.catalogue.catalogue import SyncMethod
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.shared_radio import SharedRadio

MAX_OPENINGS = 3


@dataclass
class AdapterSlot:
    """One adapter at work. `capacity`: how many at once; it shrinks to what the adapter turns out to hold."""

    radio: SharedRadio
    capacity: int
    busy: set[str] = field(default_factory=set)
    failures: int = 0
    error: InstallerError | None = None

    @property
    def free(self) -> bool:
        """Whether one more may run."""
        return self.error is None and len(self.busy) < self.capacity

    @property
    def listens(self) -> bool:
        """Whether it has room and hears what is in reach."""
        return self.free and self.radio.listening

    async def open(self) -> None:
        """Start its scan, also anew; a lane whose adapter fails again and again is out (`error`)."""
        try:
            await self.radio.scan()
        except InstallerError as error:
            self.failures += 1
            if self.failures >= MAX_OPENINGS or error.code is not ErrorCode.ADAPTER_FAILED:
                self.error = error

    def full(self) -> bool:
        """The adapter holds no more links: from now on as many as it holds, at least one. Whether that is fewer."""
        holds = max(len(self.busy) - 1, 1)
        fewer = holds < self.capacity
        self.capacity = min(self.capacity, holds)
        return fewer


def pick(unit: Unit, bound: str | None, sightings: Sequence[Sighting], taken: frozenset[str]) -> Sighting | None:
    """The device for this unit: the named one, or the nearest of its model that is not set up. `taken`: not these."""
    wanted = unit.device or bound
    if wanted is not None:
        return next((s for s in sightings if s.address == wanted and wanted not in taken), None)
    fits = [
        s
        for s in sightings
        if s.detection.model_id == unit.model and s.address not in taken and s.state is not SetupState.SET_UP
    ]
    return max(fits, key=lambda s: s.rssi, default=None)


def may_be_installed(unit: Unit, sighting: Sighting) -> bool:
    """Whether the advertisement leaves open that the device was installed before: only the ledger knows then."""
    return sighting.state is not SetupState.NEW or unit.sync is SyncMethod.BLUETOOTH
