"""Sinks: the receivers of collected measurements. A sink recognises a repeated measurement by its key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from installer.errors import InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Item
from installer.measurement import Measurement
from installer.timing.durations import of_timestamp

if TYPE_CHECKING:
    from installer.measurements.store import Store
    from installer.measurements.stored_value import Row

# The names of the sinks: StoreSink (here), LabCloudSink (lab_cloud_sink.py), WebhookSink (webhook_sink.py).
STORE, LAB_CLOUD, WEBHOOK = "store", "lab-cloud", "webhook"
NOTHING_LOST = "Nothing was lost; the gateway tries again."


@dataclass(frozen=True)
class RefusedItem:
    """A measurement that the sink will never accept as it is. `reason` holds no secret."""

    item: Item
    reason: str


class SinkFailure(Exception):
    """The sink may have accepted nothing of the batch, so all of it is sent again.

    `all_devices`: measurements of other devices would fail now, too. `retry_after`: seconds that the sink asks to wait.
    """

    def __init__(self, error: InstallerError, *, all_devices: bool = True, retry_after: float | None = None) -> None:
        super().__init__(error.what)
        self.error = error
        self.all_devices = all_devices
        self.retry_after = retry_after


class Sink(Protocol):
    """`name`: one word that never changes. `label`: for people. `batch`: how many measurements it accepts at once."""

    name: str
    label: str
    batch: int

    def accepts(self, device: GatewayDevice) -> bool:
        """Whether it wants the measurements of this device."""

    async def deliver(self, items: Sequence[Item]) -> Sequence[RefusedItem]:
        """Deliver measurements of one device, in order. After the return, the sink has all but the refused ones.

        Raises SinkFailure.
        """

    async def close(self) -> None:
        """Close its connections."""


class StoreSink:
    """The program's own store of measurements, which `data show` and `data export` read."""

    name = STORE
    batch = 200

    def __init__(self, open_store: Callable[[], Store], label: str = "this computer's store") -> None:
        self.label = label
        self._open = open_store
        self._store: Store | None = None

    def accepts(self, device: GatewayDevice) -> bool:
        """All devices."""
        return True

    async def deliver(self, items: Sequence[Item]) -> Sequence[RefusedItem]:
        """Store the rows, all or none."""
        try:
            await asyncio.to_thread(self._store_rows, items)
        except InstallerError as error:
            raise SinkFailure(error) from None
        return ()

    def _store_rows(self, items: Sequence[Item]) -> None:
        if self._store is None:
            self._store = self._open()
        self._store.put(row for item in items for row in rows_of(item))

    async def close(self) -> None:
        """Close the database."""
        store, self._store = self._store, None
        if store is not None:
            await asyncio.to_thread(store.close)


def rows_of(item: Item) -> list[Row]:
    """A measurement as rows of the store."""
    from installer.measurements.stored_value import BLUETOOTH, of_measurement

    return list(
        of_measurement(
            measurement_of(item),
            source=BLUETOOTH,
            device=item.device,
            received=received_time(item).astimezone(),
            account=item.account,
            model=item.model,
            group=item.key[:16],
        )
    )


def measurement_of(item: Item) -> Measurement:
    """What was measured."""
    return Measurement.model_validate_json(item.measurement or "{}")


def is_damaged(item: Item) -> bool:
    """Whether its stored measurement cannot be read."""
    try:
        measurement_of(item)
    except ValueError:
        return True
    return False


def received_time(item: Item) -> datetime:
    """When it was received. If this computer's clock was far off then, the nearest time that can be written."""
    return of_timestamp(item.received)
