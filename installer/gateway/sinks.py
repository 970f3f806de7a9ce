"""Sinks: who gets what was collected. Each knows a measurement that it gets twice by its key, and keeps it once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from installer.errors import InstallerError
from installer.gateway.devices import STORE, GatewayDevice
from installer.gateway.outbox import Item
from installer.measurement import Measurement

if TYPE_CHECKING:
    from installer.measurements.row import Row
    from installer.measurements.store import Store


@dataclass(frozen=True)
class Refused:
    """A measurement that the sink will never take as it is, and why, in words that hold no secret."""

    item: Item
    why: str


class SinkFailure(Exception):
    """Nothing of the batch was taken for certain; it is to be offered again.

    `whole`: others would fare no better now. `retry_after`: seconds that the sink asked to wait.
    """

    def __init__(self, error: InstallerError, *, whole: bool = True, retry_after: float | None = None) -> None:
        super().__init__(error.what)
        self.error = error
        self.whole = whole
        self.retry_after = retry_after


class Sink(Protocol):
    """`name`: one word, for ever the same. `label`: for people. `batch`: how many measurements it takes at once."""

    name: str
    label: str
    batch: int

    def takes(self, target: GatewayDevice) -> bool:
        """Whether measurements of this device are for it."""

    async def deliver(self, items: Sequence[Item]) -> Sequence[Refused]:
        """Hand over measurements of one device, in order. When it returns, the sink has all but what it refused.

        Raises SinkFailure.
        """

    async def close(self) -> None:
        """Let go of connections."""


class LocalStore:
    """The program's own store of measurements, which `show` and `export` read."""

    name = STORE
    batch = 200

    def __init__(self, open_store: Callable[[], Store], label: str = "this computer's store") -> None:
        self.label = label
        self._open = open_store
        self._store: Store | None = None

    def takes(self, target: GatewayDevice) -> bool:
        """All devices."""
        return True

    async def deliver(self, items: Sequence[Item]) -> Sequence[Refused]:
        """Store the rows, all or none."""
        try:
            await asyncio.to_thread(self._put, items)
        except InstallerError as error:
            raise SinkFailure(error) from None
        return ()

    def _put(self, items: Sequence[Item]) -> None:
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
    from installer.measurements.row import BLUETOOTH, of_measurement

    return list(
        of_measurement(
            measurement_of(item),
            source=BLUETOOTH,
            device=item.device,
            received=received(item),
            account=item.account,
            model=item.model,
            group=item.key[:16],
        )
    )


def measurement_of(item: Item) -> Measurement:
    """What was measured."""
    return Measurement.model_validate_json(item.measurement or "{}")


def received(item: Item) -> datetime:
    """When it came; a clock that was far off gives the nearest time that can be written."""
    return datetime.fromtimestamp(min(max(item.received, 0.0), 4e9), UTC)
