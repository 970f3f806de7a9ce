"""Takes what one device sends during one visit, and writes it to the outbox at once, before it is confirmed.

`take` is called by the connection for each message. It returns when the message is on disk; if it raises, the message
must not be confirmed, and the device still has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from installer.catalog import Profile
from installer.errors import InstallerError
from installer.gateway.outbox import Item, Outbox, key_of
from installer.gateway.targets import Target
from installer.gateway.visits import Visit
from installer.health import codec

# Notified, never confirmed, and never sent again.
LIVE = (Profile.HEART_RATE,)


class Intake:
    """`taken`: measurements that are new; `again`: those that were here before; `failure`: why one was not written."""

    def __init__(
        self,
        outbox: Outbox,
        target: Target,
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

    def take(self, profile: Profile, raw: bytes) -> None:
        """Write one message. Raises DATABASE_FAILED, OUTBOX_INVALID."""
        self._place += 1
        before = self._unconfirmed.pop(profile.value, None) if profile not in LIVE else None
        measurement, problem = None, None
        try:
            made = codec.decode(profile, raw)
        except codec.NoValue:
            return  # the person measures again
        except codec.CodecError as error:
            problem = str(error)
            dated = False
        else:
            measurement = made.model_dump_json()
            dated = made.taken is not None or profile is Profile.STEPS  # which counts its messages
        if not dated and raw == before:
            # Nothing in it tells it from the last one, of which nobody knows whether its confirmation arrived.
            self.again += 1
            return
        distinct = () if dated else (self._visit.number, self._place)
        item = Item(
            key=key_of(self._target.address, profile.value, raw, *distinct),
            device=self._target.address,
            model=self._target.model,
            account=self._target.account,
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
            self.taken += 1
        else:
            self.again += 1
