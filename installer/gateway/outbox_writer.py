"""Writes each message of a visit to the outbox before the device gets its confirmation.

`write_measurement` and `write_unreadable` run inside the Bluetooth stack's callback. They return when the message is on
disk. If one raises, the message must not be confirmed; then the device still has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from installer.catalogue.model import Profile
from installer.errors import InstallerError
from installer.gateway import earlier_visits
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Item, Outbox, key_of
from installer.gateway.visit_history import Visit
from installer.health_profiles.arrived_measurements import CollectedMeasurement
from installer.health_profiles.reader import LIVE_PROFILES


class OutboxWriter:
    """`collected`: new measurements; `repeated`: known ones that came again; `failure`: why one was not written.

    `last_message`: when the last message came, monotonic seconds.
    """

    def __init__(
        self,
        outbox: Outbox,
        device: GatewayDevice,
        visit: Visit,
        sinks: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.collected = 0
        self.repeated = 0
        self.failure: InstallerError | None = None
        self._outbox = outbox
        self._device = device
        self._visit = visit
        self._sinks = sinks
        self._clock = clock
        self._unconfirmed = dict(visit.unconfirmed)
        self._message_count = 0
        self.last_message = float("-inf")

    def write_measurement(self, found: CollectedMeasurement) -> None:
        """Write a measurement. Raises DATABASE_FAILED, OUTBOX_INVALID."""
        measurement = found.measurement
        # With a time or a sequence number in its bytes, a measurement is the same one each time that it comes.
        distinct = measurement.device_time is not None or measurement.sequence is not None
        try:
            has_live = earlier_visits.has_live(self._outbox, self._device.address, found.profile, measurement)
        except InstallerError as error:
            self.failure = error
            raise
        text = measurement.model_dump_json(exclude_defaults=True)
        self._write(found.profile, found.raw, distinct, text, None, has_live=has_live)

    def write_unreadable(self, profile: Profile, raw: bytes, problem: str) -> None:
        """Keep the bytes of a message that could not be read. Raises as `write_measurement`."""
        self._write(profile, raw, False, None, problem)

    def _write(
        self,
        profile: Profile,
        raw: bytes,
        distinct: bool,
        measurement: str | None,
        problem: str | None,
        *,
        has_live: bool = False,
    ) -> None:
        self._message_count += 1
        self.last_message = time.monotonic()
        # A live profile sends nothing twice.
        unconfirmed = self._unconfirmed.pop(profile.value, None) if profile not in LIVE_PROFILES else None
        # The last message of the visit before; its confirmation may not have arrived, so the device repeats it.
        if (not distinct and raw == unconfirmed) or has_live:
            try:
                self._outbox.follow_file()
            except InstallerError as error:
                self.failure = error
                raise
            self.repeated += 1
            return
        item = Item(
            key=key_of(self._device.address, profile.value, raw, *(() if distinct else self._position())),
            device=self._device.address,
            model=self._device.model,
            account=self._device.account,
            profile=profile.value,
            raw=raw,
            measurement=measurement,
            problem=problem,
            received=self._clock(),
            visit=self._visit.number,
        )
        try:
            new = self._outbox.append(item, self._sinks)
        except InstallerError as error:
            self.failure = error
            raise
        if new:
            self.collected += 1
        else:
            self.repeated += 1

    def _position(self) -> tuple[int, int]:
        return self._visit.number, self._message_count
