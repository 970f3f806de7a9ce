"""Delivers what the outbox holds: to each sink for itself, of each device in order, again until the sink has it.

Waiting is counted on the clock that nobody can set, grows with each failure, and has a random part, so that many
gateways do not come back at the same moment after an outage.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from installer.errors import InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Outbox
from installer.gateway.sinks import Sink, SinkFailure

# What a sink asks for counts, up to this: a mistaken answer must not silence the gateway for a year.
LONGEST_ASKED = 3600.0
AGAIN_REFUSED = 86_400.0
FORGET_AFTER = 200
LOOK_SECONDS = 20.0


@dataclass(frozen=True)
class BackOff:
    """Seconds: after the first failure, twice as long after each, and never more than `longest`."""

    first: float = 2.0
    longest: float = 300.0

    def after(self, failures: int, asked: float | None = None) -> float:
        """How long to wait after so many failures in a row; `asked`: what the sink wants at least."""
        wait = min(self.first * 2.0 ** min(failures - 1, 30), self.longest)
        wait *= random.uniform(0.5, 1.0)
        return max(wait, min(asked or 0.0, LONGEST_ASKED))


@dataclass(frozen=True)
class Delivered:
    """What happened at a sink. `count`: measurements that it took; `failure`: why it took no more."""

    sink: Sink
    count: int
    failure: InstallerError | None = None
    wait: float = 0.0


class Delivery:
    """The delivering half of the gateway. `told` hears when something was delivered or failed."""

    def __init__(
        self,
        outbox: Outbox,
        sinks: Sequence[Sink],
        back_off: BackOff | None = None,
        *,
        told: Callable[[Delivered], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._sinks = sinks
        self._back_off = back_off or BackOff()
        self._told = told
        self._clock = clock
        self._more = {sink.name: asyncio.Event() for sink in sinks}
        self._now = {sink.name: asyncio.Event() for sink in sinks}
        self._held: dict[tuple[str, str], tuple[int, float]] = {}
        self._since_forgetting: Counter[str] = Counter()

    def sinks_of(self, target: GatewayDevice) -> list[str]:
        """The names of those who get this device's measurements."""
        return [sink.name for sink in self._sinks if sink.takes(target)]

    def arrived(self) -> None:
        """There is something new. A sink that fails is not asked sooner for it."""
        for event in self._more.values():
            event.set()

    def wake(self) -> None:
        """Try now, whatever failed before."""
        self._held.clear()
        for event in (*self._more.values(), *self._now.values()):
            event.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for sink in self._sinks:
                group.create_task(self._serve(sink))

    async def drain(self) -> bool:
        """Deliver what is there once, without waiting for what fails; whether everybody has everything."""
        for sink in self._sinks:
            with suppress(SinkFailure, InstallerError):
                self._outbox.offer_again(sink.name)
                await self._round(sink)
        return not any(self._outbox.devices_waiting(sink.name) for sink in self._sinks)

    async def close(self) -> None:
        """Let go of the sinks' connections."""
        for sink in self._sinks:
            await sink.close()

    async def _serve(self, sink: Sink) -> None:
        more, now = self._more[sink.name], self._now[sink.name]
        failures = 0
        offered = time.monotonic()
        with suppress(InstallerError):
            self._outbox.offer_again(sink.name)
        while True:
            more.clear()
            now.clear()
            wait: float | None = None
            try:
                await self._round(sink)
                failures = 0
                if time.monotonic() - offered > AGAIN_REFUSED:
                    offered = time.monotonic()
                    self._outbox.offer_again(sink.name)
            except SinkFailure as failure:
                failures += 1
                wait = self._back_off.after(failures, failure.retry_after)
                self._told(Delivered(sink, 0, failure.error, wait))
            except InstallerError as error:
                # The outbox itself: a full disk, for example.
                failures += 1
                wait = self._back_off.after(failures)
                self._told(Delivered(sink, 0, error, wait))
            await self._pause(sink, now if wait is not None else more, wait)

    async def _pause(self, sink: Sink, event: asyncio.Event, wait: float | None) -> None:
        held = [until for (name, _), (_, until) in self._held.items() if name == sink.name]
        if wait is None and held:
            wait = max(0.0, min(held) - time.monotonic())
        if wait is None:
            # Another process may have put something in: an installation, its first measurement.
            wait = LOOK_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await event.wait()

    async def _round(self, sink: Sink) -> None:
        """Deliver until nothing is left that this sink can get now. Raises SinkFailure, and the outbox's errors."""
        while True:
            now = time.monotonic()
            devices = [
                device
                for device in self._outbox.devices_waiting(sink.name)
                if self._held.get((sink.name, device), (0, 0.0))[1] <= now
            ]
            if not devices:
                return
            for device in devices:
                await self._offer(sink, device)

    async def _offer(self, sink: Sink, device: str) -> None:
        items = self._outbox.next(sink.name, device, sink.batch)
        if not items:
            return
        try:
            refused = await sink.deliver(items)
        except SinkFailure as failure:
            error = failure.error
            self._outbox.failing(sink.name, error.code.value, error.what, self._clock())
            if failure.whole:
                raise
            tries = self._held.get((sink.name, device), (0, 0.0))[0] + 1
            wait = self._back_off.after(tries, failure.retry_after)
            self._held[sink.name, device] = (tries, time.monotonic() + wait)
            self._told(Delivered(sink, 0, error, wait))
            return
        self._held.pop((sink.name, device), None)
        for one in refused:
            self._outbox.refused(sink.name, one.item.number, one.why)
        not_taken = {one.item.number for one in refused}
        taken = [item.number for item in items if item.number not in not_taken]
        if taken:
            self._outbox.done(sink.name, taken, self._clock())
            self._forget(device, len(taken))
        self._told(Delivered(sink, len(taken)))

    def _forget(self, device: str, count: int) -> None:
        self._since_forgetting[device] += count
        if self._since_forgetting[device] >= FORGET_AFTER:
            del self._since_forgetting[device]
            self._outbox.forget(device)
