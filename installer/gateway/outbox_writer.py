"""Takes what one device sends during one visit, and writes it to the outbox at once, before it is confirmed.

`keep` and `strange` are called inside the Bluetooth stack's callback. They return when the message is on disk; if one
raises, the message must not be confirmed, and the device still has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from installer.catalogue.catalogue import Profile
from installer.errors import InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Item, Outbox, key_of
from installer.gateway.visit_history import Visit
from installer.health_profiles.reader import LIVE, Collected


class OutboxWriter:
    """`taken`: measurements that are new; `again`: those that were here before; `failure`: why one was not written."""

    def __init__(
        self,
        outbox: Outbox,
        target: GatewayDevice,
        visit: Visit,
        sinks: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.taken = 0
        self.again = 0
        self.failure: InstallerError | None = None
        self._outbox = outbox
        self._target = target
        self._visit = visit
        self._sinks = sinks
        self._clock = clock
        self._unconfirmed = dict(visit.unconfirmed)
        self._place = 0

    def keep(self, found: Collected) -> None:
        """Write a measurement. Raises DATABASE_FAILED, OUTBOX_INVALID."""
        measurement = found.measurement
        # With a time or a number in its bytes it is the same one whenever it comes again.
        distinct = measurement.device_time is not None or measurement.sequence is not None
        self._write(found.profile, found.raw, distinct, measurement.model_dump_json(exclude_defaults=True), None)

    def strange(self, profile: Profile, raw: bytes, why: str) -> None:
        """Keep the bytes of a message that nobody understands. Raises as `keep`."""
        self._write(profile, raw, False, None, why)

    def _write(self, profile: Profile, raw: bytes, distinct: bool, measurement: str | None, why: str | None) -> None:
        self._place += 1
        # What is sent live is never sent again.
        before = self._unconfirmed.pop(profile.value, None) if profile not in LIVE else None
        if not distinct and raw == before:
            # Nothing in it tells it from the last one, of which nobody knows whether its confirmation arrived.
            self.again += 1
            return
        item = Item(
            key=key_of(self._target.address, profile.value, raw, *(() if distinct else self._where())),
            device=self._target.address,
            model=self._target.model,
            account=self._target.account,
            profile=profile.value,
            raw=raw,
            measurement=measurement,
            problem=why,
            received=self._clock(),
            visit=self._visit.number,
        )
        try:
            new = self._outbox.append(item, self._sinks)
        except InstallerError as error:
            self.failure = error
            raise
        if new:
            self.taken += 1
        else:
            self.again += 1

    def _where(self) -> tuple[int, int]:
        return self._visit.number, self._place
