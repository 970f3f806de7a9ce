"""Which device in reach a row gets: each goes to one row, and some are left alone for a while, or for good."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from installer.answers import StepKey
from installer.batch.adapter_slots import AdapterSlot, pick
from installer.batch.plan import Unit
from installer.batch.row_state import RowState
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.sighting import Sighting


class DeviceAssignment:
    """What the lanes hear, less what is not to be taken. `used`: the addresses that belong to a row already."""

    def __init__(self, lanes: Sequence[AdapterSlot]) -> None:
        self.used: set[str] = set()
        self._lanes = lanes
        self._later: dict[str, float] = {}
        self._before: dict[str, list[str]] = {}

    def rest(self, address: str, seconds: float = float("inf")) -> None:
        """Leave this device alone for so many seconds, or for good."""
        self._later[address] = time.monotonic() + seconds

    def installed_before(self, unit: Unit, address: str) -> None:
        """Leave it alone for good: the ledger knows it. It is named if no other device comes for this row."""
        self.rest(address)
        self._before.setdefault(unit.model or "", []).append(address)

    def awake(self) -> None:
        """Those that have rested long enough may be taken again."""
        now = time.monotonic()
        self._later = {address: until for address, until in self._later.items() if until > now}

    def fitting(self, work: RowState) -> tuple[AdapterSlot | None, Sighting | None]:
        """A free lane for this row and its device; None for the device where it need not be in reach."""
        named = work.unit.device or work.bound
        taken = frozenset(self._later) | (frozenset() if named else frozenset(self.used))
        for lane in sorted(self._lanes, key=lambda one: len(one.busy)):
            if lane.free and work.goes_on and work.past is not None and work.past.address not in self._later:
                return lane, None
            if lane.free:
                sighting = pick(work.unit, work.bound, lane.radio.current(), taken)
                if sighting is not None:
                    return lane, sighting
        return None, None

    def not_found(self, unit: Unit, seconds: float) -> InstallerError:
        """DEVICE_NOT_FOUND after `seconds`; says which devices of its model were passed over."""
        if unit.device is not None:
            what = f"{unit.device} did not come into reach within {seconds:g} s."
        else:
            what = f"No (further) {unit.model} that is not set up came into reach within {seconds:g} s."
            before = self._before.get(unit.model or "", [])
            if before:
                what += f" In reach, but installed before according to the ledger: {', '.join(before)}."
        return InstallerError(
            ErrorCode.DEVICE_NOT_FOUND,
            what,
            "Check that it is switched on, close by, in set-up mode, and not connected to a phone; then start again. "
            "A device that was installed before is installed anew by a row with its address.",
            step=StepKey.FIND.value,
        )
