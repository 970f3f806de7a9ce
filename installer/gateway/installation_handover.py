"""Gives the measurements that an installation takes as proof to the gateway's outbox, because the device forgets them.

Only if this computer has a gateway. Without one nobody would deliver them, and an installer of other people's devices
must not keep their measurements.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from installer.errors import InstallerError
from installer.gateway import earlier_visits
from installer.gateway.devices import GatewayDevice
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.heartbeat import Heartbeat
from installer.gateway.outbox import Outbox
from installer.gateway.outbox_writer import OutboxWriter
from installer.gateway.visit_history import VisitHistory
from installer.health_profiles.arrived_measurements import CollectedMeasurement
from installer.health_profiles.device_clock import ClockChange


class InstallationHandover:
    """`failure`: why a measurement was not written. The installation continues without the outbox then."""

    def __init__(self, writer: OutboxWriter, on_clock_set: Callable[[ClockChange], None]) -> None:
        self.failure: InstallerError | None = None
        self._writer = writer
        self._on_clock_set = on_clock_set

    def write_measurement(self, found: CollectedMeasurement) -> None:
        """Write it to the outbox; called inside the Bluetooth stack's callback."""
        if self.failure is None:
            try:
                self._writer.write_measurement(found)
            except InstallerError as error:
                self.failure = error

    def remember_clock_change(self, change: ClockChange) -> None:
        """Keep how the device's clock was set, for the measurements that the gateway will read."""
        if self.failure is None:
            try:
                self._on_clock_set(change)
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
        handover = InstallationHandover(
            OutboxWriter(outbox, device, visit, sinks),
            partial(earlier_visits.remember_clock_change, outbox, device.address),
        )
        yield handover
        if handover.failure is not None:
            return
        with suppress(InstallerError):  # the measurements are written; the end of the visit is less important
            visits.record_success(device.address, time.time())
