"""Gives the measurements that an installation takes as proof to the gateway's outbox, because the device forgets them.

Only if this computer has a gateway. Without one nobody would deliver them, and an installer of other people's devices
must not keep their measurements.
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
from installer.health_profiles.reader import CollectedMeasurement


class InstallationHandover:
    """`failure`: why a measurement was not written. The installation continues without the outbox then."""

    def __init__(self, writer: OutboxWriter) -> None:
        self.failure: InstallerError | None = None
        self._writer = writer

    def write_measurement(self, found: CollectedMeasurement) -> None:
        """Write it to the outbox; called inside the Bluetooth stack's callback."""
        if self.failure is None:
            try:
                self._writer.write_measurement(found)
            except InstallerError as error:
                self.failure = error


@contextmanager
def outbox_handover(files: GatewayFiles, device: GatewayDevice) -> Iterator[InstallationHandover | None]:
    """For one installation; None if this computer has no gateway that ever delivered to a sink.

    Raises OUTBOX_INVALID, DATABASE_FAILED.
    """
    outbox = Outbox.open_existing(files.outbox)
    if outbox is None:
        yield None
        return
    with outbox:
        sinks = Heartbeat(outbox).read().sinks or [row[0] for row in outbox.rows("SELECT name FROM sinks")]
        if not sinks:
            yield None
            return
        visits = VisitHistory(outbox)
        visits.add_device(device)
        visit = visits.begin_visit(device.address, time.time())
        handover = InstallationHandover(OutboxWriter(outbox, device, visit, sinks))
        yield handover
        if handover.failure is not None:
            return
        with suppress(InstallerError):  # the measurements are written; the end of the visit is less important
            visits.record_success(device.address, time.time())
