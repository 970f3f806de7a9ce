"""Assignment of devices to the rows of a batch, and the adapters that the batch uses.

Each device goes to one row. Some devices are skipped, for a while or for the whole run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from installer.answers import StepKey
from installer.batch.plan import Unit
from installer.batch.row_state import RowState
from installer.bluetooth.sighting import SetupState, Sighting
from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.shared_radio import SharedRadio

MAX_SCAN_FAILURES = 3
# How long a batch waits for Bluetooth that was switched off, pulled, or whose service ended, while it ran.
MAX_AWAY_SECONDS = 600.0


@dataclass
class BatchAdapter:
    """One adapter with its shared scan. `slots`: how many installations run on it at once; `busy`: their rows.

    `slots` shrinks if the adapter supports fewer connections. `outage`: why Bluetooth is away now, and waited for.
    """

    radio: SharedRadio
    slots: int
    busy: set[str] = field(default_factory=set)
    failures: int = 0
    error: InstallerError | None = None
    outage: InstallerError | None = None
    away_since: float = 0.0

    @property
    def has_free_slot(self) -> bool:
        """Whether one more installation can start."""
        return self.error is None and len(self.busy) < self.slots

    @property
    def can_find(self) -> bool:
        """Whether it has a free slot and scans."""
        return self.has_free_slot and self.radio.listening

    async def keep_scanning(self) -> None:
        """Restart its scan if that stopped. One that went on by itself means that Bluetooth is back."""
        if self.radio.listening:
            self.outage = None
        elif self.error is None and not self.busy:
            await self.scan()

    async def scan(self) -> None:
        """Start its scan, or restart it. After several failures `error` is set and the adapter is not used."""
        try:
            await self.radio.scan()
            self.outage = None
        except InstallerError as error:
            if self.radio.comes_back:
                if self.outage is None:
                    self.away_since = time.monotonic()
                self.outage = error
                if time.monotonic() - self.away_since < MAX_AWAY_SECONDS:
                    return
                self.error = error
            self.failures += 1
            if self.failures >= MAX_SCAN_FAILURES or error.code is not ErrorCode.ADAPTER_FAILED:
                self.error = error

    def reduce_slots(self) -> bool:
        """The adapter refused one more connection: use as many as it has now, at least one. Whether that is fewer."""
        supported = max(len(self.busy) - 1, 1)
        fewer = supported < self.slots
        self.slots = min(self.slots, supported)
        return fewer


class DeviceAssignment:
    """The devices that the adapters see, without those to skip. `assigned`: addresses that belong to a row."""

    def __init__(self, adapters: Sequence[BatchAdapter]) -> None:
        self.assigned: set[str] = set()
        self._adapters = adapters
        self._skipped_until: dict[str, float] = {}
        self._installed_before: dict[str, list[str]] = {}

    def skip(self, address: str, seconds: float = float("inf")) -> None:
        """Skip this device for so many seconds, or for the whole run."""
        self._skipped_until[address] = time.monotonic() + seconds

    def skip_installed(self, unit: Unit, address: str) -> None:
        """Skip a device that the ledger knows as installed. The error names it if no other device is found."""
        self.skip(address)
        self._installed_before.setdefault(unit.model or "", []).append(address)

    def end_expired_skips(self) -> None:
        """Allow the devices again whose time to skip is over."""
        now = time.monotonic()
        self._skipped_until = {address: until for address, until in self._skipped_until.items() if until > now}

    def find(self, row: RowState) -> tuple[BatchAdapter | None, Sighting | None]:
        """An adapter with a free slot, and the device for this row; no device if it need not be in reach."""
        named = row.unit.device or row.bound_address
        skipped = frozenset(self._skipped_until) | (frozenset() if named else frozenset(self.assigned))
        for adapter in sorted(self._adapters, key=lambda a: len(a.busy)):
            if not adapter.has_free_slot:
                continue
            if row.resumes_out_of_reach and row.past is not None and row.past.address not in self._skipped_until:
                return adapter, None
            sighting = choose_device(row.unit, row.bound_address, adapter.radio.current(), skipped)
            if sighting is not None:
                return adapter, sighting
        return None, None

    def not_found(self, unit: Unit, seconds: float) -> InstallerError:
        """DEVICE_NOT_FOUND after `seconds`. It names the devices of this model that were skipped as installed."""
        if unit.device is not None:
            what = f"{unit.device} did not come into reach within {seconds:g} s."
        else:
            what = f"No (further) {unit.model} that is not set up came into reach within {seconds:g} s."
            installed = self._installed_before.get(unit.model or "", [])
            if installed:
                what += f" In reach, but installed before according to the ledger: {', '.join(installed)}."
        return InstallerError(
            ErrorCode.DEVICE_NOT_FOUND,
            what,
            "Check that it is switched on, near this computer, in set-up mode, and not connected to a phone. Then "
            "start again. To install a device again that was installed before, give a row with its address.",
            step=StepKey.FIND.value,
        )


def choose_device(
    unit: Unit, bound_address: str | None, sightings: Sequence[Sighting], skipped: frozenset[str]
) -> Sighting | None:
    """The device for this unit: the named one, or the nearest of its model that is not set up."""
    wanted = unit.device or bound_address
    if wanted is not None:
        return next((s for s in sightings if s.address == wanted and wanted not in skipped), None)
    candidates = [
        s
        for s in sightings
        if s.detection.model_id == unit.model and s.address not in skipped and s.state is not SetupState.SET_UP
    ]
    return max(candidates, key=lambda s: s.rssi, default=None)


def may_be_installed(unit: Unit, sighting: Sighting) -> bool:
    """Whether the advertisement does not show if the device was installed before. Then the ledger is asked."""
    return sighting.state is not SetupState.NEW or unit.sync is SyncMethod.BLUETOOTH
