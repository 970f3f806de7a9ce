"""Which device is meant: waits until it is heard, and makes sure that no second one fits.

A second device of the wanted model may advertise a little later than the first. In that time the first one is
connected already, and tells what it is. It gets nothing before the time is over, and nothing is recorded; if another
one shows up, it is let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from installer.answers import FindAnswer
from installer.bluetooth.sighting import Certainty, SetupState, Sighting
from installer.catalogue.model import GUIDED, Bonding, Model
from installer.errors import ErrorCode, InstallerError
from installer.flow.situation import Situation
from installer.flow.steps import device_connection
from installer.flow.steps.network import scan_ahead
from installer.provisioning import registry

if TYPE_CHECKING:
    from installer.bluetooth.scan import Scan

Matches = Callable[[Sequence[Sighting]], list[Sighting]]
# Says of which model a device is; raises why it cannot be set up.
ModelOf = Callable[[Sighting], Model]


async def wait_for_device(situation: Situation, answer: FindAnswer, model_of: ModelOf) -> Sighting:
    """The device that `answer` means. Without an address in the answer it may be connected when this returns.

    Raises DEVICE_NOT_FOUND, DEVICE_AMBIGUOUS, the BLUETOOTH_* errors.
    """
    wanted = situation.environment.catalogue.get(answer.model) if answer.model else None

    def matches(sightings: Sequence[Sighting]) -> list[Sighting]:
        return [s for s in sightings if _matches(s, answer, wanted)]

    scan, found = await _first_heard(situation, answer, wanted, matches)
    if answer.device:
        if wanted is None:
            await _hear_model(situation, scan, matches)
        return (matches(scan.current()) or found)[0]
    window = _Window(scan, situation.options.deadlines.second_device)
    first = _may_be_connected(situation, found, model_of)
    if first is not None and not await _connect_meanwhile(situation, first, model_of(first)):
        # This adapter cannot scan while a device is connected: first the one, then the other.
        scan, found = await _first_heard(situation, answer, wanted, matches)
        window, first = _Window(scan, situation.options.deadlines.second_device), None
    ahead = asyncio.ensure_future(scan_ahead(situation)) if first is not None else None
    try:
        await window.wait(lambda sightings: len(matches(sightings)) > 1)
        chosen = _only(matches(scan.current()) or found)
        if first is not None and chosen.address != first.address:
            await _leave(situation)
        elif ahead is not None:
            await ahead
            await device_connection.settle_on_device(situation)
    except BaseException:
        await _leave(situation)
        raise
    finally:
        if ahead is not None:
            ahead.cancel()
            await asyncio.wait({ahead})
    return chosen


class _Window:
    """The time in which a second device may show up, from now on. `scan` need not listen all the time."""

    def __init__(self, scan: Scan, seconds: float) -> None:
        self._scan = scan
        self._end = asyncio.get_running_loop().time() + seconds
        # Nothing is heard while it connects. Who does not advertise for so long is not in set-up mode.
        self._listened = scan.listened + seconds / 2

    async def wait(self, is_over: Callable[[Sequence[Sighting]], bool]) -> None:
        """Wait until the time is over, or `is_over` says so. Raises the scan's failure."""
        left = max(self._end - asyncio.get_running_loop().time(), self._listened - self._scan.listened)
        await self._scan.wait_until(lambda sightings: is_over(sightings) or None, max(left, 0.0))


async def _first_heard(
    situation: Situation, answer: FindAnswer, wanted: Model | None, matches: Matches
) -> tuple[Scan, list[Sighting]]:
    """The running scan, and what fits as soon as anything does. Raises DEVICE_NOT_FOUND."""
    scan = await device_connection.running_scan(situation)
    if not situation.options.dry_run:
        # Open the ledger while the scan runs.
        situation.record.open()
    found = await scan.wait_until(lambda sightings: matches(sightings) or None, situation.options.deadlines.find)
    if not found:
        await _check_connected_elsewhere(situation, answer, wanted)
        raise _not_found(answer, wanted, scan.current())
    return scan, matches(scan.current()) or found


async def _hear_model(situation: Situation, scan: Scan, matches: Matches) -> None:
    """Wait a moment for what tells the model: many devices advertise it in turn with something else."""

    def is_told(sightings: Sequence[Sighting]) -> bool | None:
        return any(sighting.detection.model_id for sighting in matches(sightings)) or None

    await scan.wait_until(is_told, situation.options.deadlines.second_device)


def _may_be_connected(situation: Situation, found: list[Sighting], model_of: ModelOf) -> Sighting | None:
    """The only device that fits, if to connect to it does no more than that: nobody is asked, nothing is paired."""
    ready = [s for s in found if s.state is not SetupState.SET_UP]
    asks = (
        situation.environment.radio is not None or bool(situation.options.ask) or not situation.options.non_interactive
    )
    if len(ready) != 1 or asks or situation.options.guided or ready[0].detection.protocol == GUIDED:
        return None
    try:
        model = model_of(ready[0])
    except InstallerError:
        return None  # it is said when it is certain which device is meant
    return ready[0] if model.bonding is not Bonding.REQUIRED else None


async def _connect_meanwhile(situation: Situation, first: Sighting, model: Model) -> bool:
    """Connect to `first` if that succeeds. False if the scan cannot go on then; the device is let go."""
    situation.sighting, situation.model = first, model
    situation.held_notices = []
    try:
        if await device_connection.connect_beside_scan(situation):
            return True
    except InstallerError as error:
        await _leave(situation)
        if error.code is ErrorCode.CONNECTION_FAILED:
            situation.connect_error = error  # it was tried for long enough
        return True
    await _leave(situation)
    return False


async def _leave(situation: Situation) -> None:
    """Let go of a device that was connected before it was certain that it is meant."""
    await device_connection.disconnect(situation)
    situation.sighting = situation.model = situation.info = situation.scanned_networks = None
    situation.held_notices = situation.connect_error = None
    situation.bonded = False


def _only(found: list[Sighting]) -> Sighting:
    """The one that is meant. Raises DEVICE_AMBIGUOUS."""
    candidates = [s for s in found if s.state is not SetupState.SET_UP] or found
    if len(candidates) > 1:
        raise InstallerError(
            ErrorCode.DEVICE_AMBIGUOUS,
            f"{len(candidates)} devices match: " + ", ".join(f"{s.address} ({s.name})" for s in candidates) + ".",
            "Name one with --device ADDRESS.",
            candidates=[{"address": s.address, "name": s.name, "rssi": s.rssi} for s in candidates],
        )
    return candidates[0]


def _matches(sighting: Sighting, answer: FindAnswer, wanted: Model | None) -> bool:
    if answer.device is not None:
        return sighting.address.upper() == answer.device
    if answer.name is not None and sighting.name.lower() != answer.name.strip().lower():
        return False
    if wanted is not None:
        return sighting.detection.model_id == wanted.id and sighting.detection.certainty is not Certainty.UNKNOWN
    return answer.name is not None


async def _check_connected_elsewhere(situation: Situation, answer: FindAnswer, wanted: Model | None) -> None:
    """Raise DEVICE_NOT_FOUND with the reason if another program of this computer has the device."""
    from installer.bluetooth.connected_elsewhere import connected_elsewhere, connected_elsewhere_words

    detector = registry.detector(situation.environment.catalogue)
    taken = await connected_elsewhere(await device_connection.adapter(situation), detector)
    fitting = [sighting for sighting in taken if _matches(sighting, answer, wanted)]
    if fitting:
        what, todo = connected_elsewhere_words(fitting)
        raise InstallerError(ErrorCode.DEVICE_NOT_FOUND, what, todo, connected=[s.address for s in fitting])


def _not_found(answer: FindAnswer, wanted: Model | None, seen: Sequence[Sighting]) -> InstallerError:
    what = answer.device or (wanted.name if wanted else answer.name)
    known = [f"{s.address} ({s.name or s.detection.model_id})" for s in seen if s.detection.model_id]
    return InstallerError(
        ErrorCode.DEVICE_NOT_FOUND,
        f"{what} is not within reach."
        + (f" Seen instead: {', '.join(known[:12])}." if known else " No device that can be set up is in reach."),
        "Check that it is switched on, close by, in set-up mode, and not connected to a phone.",
        seen=len(seen),
    )
