"""Gives the gateway's outbox what an installation has to take of a device as proof: the device forgets it then.

Only where this computer has a gateway. Where it has none, nobody here would deliver it, and whoever sets up other
people's devices shall not keep their measurements.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from installer.errors import InstallerError
from installer.gateway.intake import Intake
from installer.gateway.outbox import Outbox
from installer.gateway.place import GatewayPlace
from installer.gateway.state import State
from installer.gateway.targets import Target
from installer.gateway.visits import Visits
from installer.health.reader import Collected


class Handover:
    """What has come. `failure`: why not all of it was written; the installation goes on without."""

    def __init__(self, intake: Intake) -> None:
        self.failure: InstallerError | None = None
        self._intake = intake

    def keep(self, found: Collected) -> None:
        """Write it down, inside the Bluetooth stack's callback."""
        if self.failure is None:
            try:
                self._intake.keep(found)
            except InstallerError as error:
                self.failure = error


@contextmanager
def handing_over(place: GatewayPlace, target: Target) -> Iterator[Handover | None]:
    """For one visit of the installer; None if there is no gateway on this computer that has ever delivered anything.

    Raises OUTBOX_INVALID, DATABASE_FAILED.
    """
    outbox = Outbox.look(place.outbox)
    if outbox is None:
        yield None
        return
    with outbox:
        sinks = State(outbox).read().sinks or [row[0] for row in outbox.rows("SELECT name FROM sinks")]
        if not sinks:
            yield None
            return
        visits = Visits(outbox)
        visits.know(target)
        handover = Handover(Intake(outbox, target, visits.begin(target.address, time.time()), sinks))
        yield handover
        if handover.failure is not None:
            return
        with suppress(InstallerError):  # all that came is written; more need not be known
            visits.end(target.address, time.time())
