"""Delivers the outbox to the sinks: each sink on its own, each device in order, with retries until the sink has it.

Waits use the monotonic clock. They grow with each failure and have a random part, so that many gateways do not retry at
the same moment after an outage.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from installer.errors import ErrorCode, InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Item, Outbox
from installer.gateway.sinks import NOTHING_LOST, RefusedItem, Sink, SinkFailure, is_damaged
from installer.timing.backoff import Backoff

# After failures in a row.
DELIVERY_BACKOFF = Backoff(2.0, 300.0, jitter=(0.5, 1.0))
# A sink may ask for a longer wait, up to this: a wrong `Retry-After` must not stop the gateway for a year.
LONGEST_RETRY_AFTER_SECONDS = 3600.0
# How often refused measurements are tried again.
RETRY_REFUSED_SECONDS = 86_400.0
# After so many deliveries of a device, its old delivered measurements are deleted.
PRUNE_INTERVAL = 200
OUTBOX_POLL_SECONDS = 20.0
DAMAGED = "the measurement in the outbox is damaged"


@dataclass(frozen=True)
class DeliveryResult:
    """One delivery. `count`: accepted measurements; `failure`: why not more; `wait`: seconds until the retry."""

    sink: Sink
    count: int
    failure: InstallerError | None = None
    wait: float = 0.0


def retry_wait(backoff: Backoff, failures: int, retry_after: float | None = None) -> float:
    """Seconds to wait after so many failures in a row. `retry_after`: what the sink asks for."""
    return backoff.after_failures(failures, min(retry_after or 0.0, LONGEST_RETRY_AFTER_SECONDS))


class Delivery:
    """Delivers to all sinks. `on_result` is called after each delivery, successful or not."""

    def __init__(
        self,
        outbox: Outbox,
        sinks: Sequence[Sink],
        backoff: Backoff = DELIVERY_BACKOFF,
        *,
        on_result: Callable[[DeliveryResult], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._sinks = sinks
        self._backoff = backoff
        self._on_result = on_result
        self._clock = clock
        self._new_items = {sink.name: asyncio.Event() for sink in sinks}
        self._retry_now = {sink.name: asyncio.Event() for sink in sinks}
        self._paused: dict[tuple[str, str], tuple[int, float]] = {}
        self._since_pruning: Counter[str] = Counter()

    def sinks_of(self, device: GatewayDevice) -> list[str]:
        """The names of the sinks that want this device's measurements."""
        return [sink.name for sink in self._sinks if sink.accepts(device)]

    def notify_new_items(self) -> None:
        """There are new measurements. A sink that fails is not tried sooner because of them."""
        for event in self._new_items.values():
            event.set()

    def wake(self) -> None:
        """Retry all sinks now."""
        self._paused.clear()
        for event in (*self._new_items.values(), *self._retry_now.values()):
            event.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for sink in self._sinks:
                group.create_task(self._deliver_forever(sink))

    async def deliver_once(self) -> bool:
        """Deliver once, without retries; whether every sink has everything. A failure is reported, not raised."""
        for sink in self._sinks:
            try:
                self._outbox.retry_refused(sink.name)
                await self._deliver_waiting(sink)
            except (SinkFailure, InstallerError) as failure:
                error = failure.error if isinstance(failure, SinkFailure) else failure
                self._on_result(DeliveryResult(sink, 0, error))
        return not any(self._outbox.devices_waiting(sink.name) for sink in self._sinks)

    async def close(self) -> None:
        """Close the sinks' connections."""
        for sink in self._sinks:
            await sink.close()

    async def _deliver_forever(self, sink: Sink) -> None:
        new_items, retry_now = self._new_items[sink.name], self._retry_now[sink.name]
        failures = 0
        retried_refused = time.monotonic()
        with suppress(InstallerError):
            self._outbox.retry_refused(sink.name)
        while True:
            new_items.clear()
            retry_now.clear()
            wait: float | None = None
            try:
                await self._deliver_waiting(sink)
                failures = 0
                if time.monotonic() - retried_refused > RETRY_REFUSED_SECONDS:
                    retried_refused = time.monotonic()
                    self._outbox.retry_refused(sink.name)
            except SinkFailure as failure:
                failures += 1
                wait = retry_wait(self._backoff, failures, failure.retry_after)
                self._on_result(DeliveryResult(sink, 0, failure.error, wait))
            except InstallerError as error:
                # The outbox itself failed: a full disk, for example.
                failures += 1
                wait = retry_wait(self._backoff, failures)
                self._on_result(DeliveryResult(sink, 0, error, wait))
            await self._pause(sink, retry_now if wait is not None else new_items, wait)

    async def _pause(self, sink: Sink, event: asyncio.Event, wait: float | None) -> None:
        paused = [until for (name, _), (_, until) in self._paused.items() if name == sink.name]
        if wait is None and paused:
            wait = max(0.0, min(paused) - time.monotonic())
        if wait is None:
            # Another process may write to the outbox: an installation writes the first measurement.
            wait = OUTBOX_POLL_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await event.wait()

    async def _deliver_waiting(self, sink: Sink) -> None:
        """Deliver until nothing waits for this sink but paused devices. Raises SinkFailure, and the outbox's errors."""
        while True:
            now = time.monotonic()
            devices = [
                device
                for device in self._outbox.devices_waiting(sink.name)
                if self._paused.get((sink.name, device), (0, 0.0))[1] <= now
            ]
            if not devices:
                return
            for device in devices:
                await self._deliver_next(sink, device)

    async def _deliver_next(self, sink: Sink, device: str) -> None:
        items = self._outbox.next_items(sink.name, device, sink.batch)
        damaged = [item for item in items if is_damaged(item)]
        for item in damaged:
            self._outbox.mark_refused(sink.name, item.key, DAMAGED)
        if damaged:
            self._on_result(DeliveryResult(sink, 0, _damaged_items(device, len(damaged)), RETRY_REFUSED_SECONDS))
        items = [item for item in items if item not in damaged]
        if not items:
            return
        try:
            refused = await _deliver(sink, items)
        except SinkFailure as failure:
            error = failure.error
            self._outbox.mark_failing(sink.name, error.code.value, error.what, self._clock())
            if failure.all_devices:
                raise
            tries = self._paused.get((sink.name, device), (0, 0.0))[0] + 1
            wait = retry_wait(self._backoff, tries, failure.retry_after)
            self._paused[sink.name, device] = (tries, time.monotonic() + wait)
            self._on_result(DeliveryResult(sink, 0, error, wait))
            return
        self._paused.pop((sink.name, device), None)
        for one in refused:
            self._outbox.mark_refused(sink.name, one.item.key, one.reason)
        # By key: if the file was replaced meanwhile, a measurement has another number there.
        refused_keys = {one.item.key for one in refused}
        accepted = [item.key for item in items if item.key not in refused_keys]
        if accepted:
            self._outbox.mark_delivered(sink.name, accepted, self._clock())
            self._prune(device, len(accepted))
        self._on_result(DeliveryResult(sink, len(accepted)))

    def _prune(self, device: str, count: int) -> None:
        self._since_pruning[device] += count
        if self._since_pruning[device] >= PRUNE_INTERVAL:
            del self._since_pruning[device]
            self._outbox.prune_delivered(device)


async def _deliver(sink: Sink, items: Sequence[Item]) -> Sequence[RefusedItem]:
    """Deliver; a defect in one sink is a failure of that sink, and stops no other. Raises SinkFailure."""
    try:
        return await sink.deliver(items)
    except (SinkFailure, InstallerError):
        raise
    except Exception as error:
        # The text of the error may quote the request.
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise SinkFailure(
            InstallerError(
                ErrorCode.INTERNAL,
                f"A defect of device-installer at {sink.label} ({type(error).__name__} at "
                f"{Path(place.filename).name}:{place.lineno}).",
                f"Report it. {NOTHING_LOST}",
            )
        ) from error


def _damaged_items(device: str, count: int) -> InstallerError:
    what = "A measurement" if count == 1 else f"{count} measurements"
    return InstallerError(
        ErrorCode.OUTBOX_INVALID,
        f"{what} of {device} in the outbox cannot be read. The others are delivered.",
        "Their bytes are kept. Check the disk; put back a copy of the outbox from before the damage.",
        device=device,
    )
