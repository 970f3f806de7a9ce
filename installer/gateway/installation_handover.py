"""Gives the gateway's outbox what an installation has to take of a device as proof: the device forgets it then.

Only where this computer has a gateway. Where it has none, nobody here would deliver it, and whoever sets up other
people's devices shall not keep their measurements.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from installer.errors import InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.heartbeat import Heartbeat
from installer.gateway.outbox import Outbox
from installer.gateway.outbox_writer import OutboxWriter
from installer.gateway.visit_history import VisitHistory
from installer.health_profiles.reader import Collected


class InstallationHandover:
    """What has come. `failure`: why not all of it was written; the installation goes on without."""

    def __init__(self, intake: OutboxWriter) -> None:
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
def handing_over(place: GatewayFiles, target: GatewayDevice) -> Iterator[InstallationHandover | None]:
    """For one visit of the installer; None if there is no gateway on this computer that has ever delivered anything.

    Raises OUTBOX_INVALID, DATABASE_FAILED.
    """
    outbox = Outbox.look(place.outbox)
    if outbox is None:
        yield None
        return
    with outbox:
        sinks = Heartbeat(outbox).read().sinks or [row[0] for row in outbox.rows("SELECT name FROM sinks")]
        if not sinks:
            yield None
            return
        visits = VisitHistory(outbox)
        visits.know(target)
        handover = InstallationHandover(OutboxWriter(outbox, target, visits.begin(target.address, time.time()), sinks))
        yield handover
        if handover.failure is not None:
            return
        with suppress(InstallerError):  # all that came is written; more need not be known
            visits.end(target.address, time.time())
