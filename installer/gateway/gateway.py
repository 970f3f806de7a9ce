"""The gateway: collects in the background, delivers, and goes on whatever happens to radio, network or disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from installer.bluetooth.adapter import Adapter
from installer.catalogue.catalogue import Catalogue
from installer.errors import InstallerError
from installer.gateway import wake
from installer.gateway.delivery import BackOff, Delivered, Delivery
from installer.gateway.devices import GatewayDevice
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.heartbeat import Heartbeat
from installer.gateway.outbox import Outbox
from installer.gateway.sinks import Sink
from installer.gateway.visit_history import VisitHistory
from installer.gateway.visit_scheduler import Pace, Visited, VisitScheduler

WAKE_SECONDS = 0.5
ALIVE_SECONDS = 20.0
# How often the ledger is asked for devices that were installed meanwhile.
TARGETS_SECONDS = 30.0
RADIO_FIRST, RADIO_LONGEST = 2.0, 60.0


@dataclass(frozen=True)
class Trouble:
    """Something that stops the gateway for now; `wait` seconds until it tries again."""

    error: InstallerError
    wait: float


Told = Visited | Delivered | Trouble


@dataclass
class Parts:
    """What a gateway is made of. `targets` is asked again and again; `told` hears what happens."""

    place: GatewayFiles
    catalogue: Catalogue
    open_adapter: Callable[[], Awaitable[Adapter]]
    targets: Callable[[], Awaitable[Sequence[GatewayDevice]]]
    sinks: Sequence[Sink]
    told: Callable[[Told], None] = lambda _: None
    pace: Pace = field(default_factory=Pace)
    back_off: BackOff = field(default_factory=BackOff)
    clock: Callable[[], float] = time.time


@dataclass(frozen=True)
class Once:
    """What one round came to: visits by device, devices that were not within range, whether all was delivered."""

    visited: dict[str, Visited]
    unseen: list[GatewayDevice]
    delivered: bool


class Gateway:
    """One gateway; its place must be held (`place.alone`)."""

    def __init__(self, parts: Parts, outbox: Outbox) -> None:
        self._parts = parts
        self._outbox = outbox
        self._state = Heartbeat(outbox)
        self._visited: dict[str, Visited] = {}
        self._delivery = Delivery(outbox, parts.sinks, parts.back_off, told=parts.told, clock=parts.clock)
        self._agent = VisitScheduler(
            outbox,
            VisitHistory(outbox),
            parts.catalogue,
            self._delivery.sinks_of,
            parts.pace,
            told=self._on_visit,
            clock=parts.clock,
        )

    async def run(self) -> None:
        """Work until cancelled; what was collected is on disk then."""
        self._state.started(self._parts.clock(), [s.name for s in self._parts.sinks])
        try:
            async with asyncio.TaskGroup() as group:
                for work in (self._delivery.run(), self._collect(), self._follow(), self._listen(), self._live()):
                    group.create_task(work)
        finally:
            await self._delivery.close()

    async def once(self, seconds: float) -> Once:
        """Visit every device that shows up within `seconds`, deliver, and end. Raises the BLUETOOTH_* errors."""
        targets = await self._parts.targets()
        self._agent.follow(targets)
        self._state.alive(self._parts.clock())
        end = time.monotonic() + seconds

        def over() -> bool:
            return not self._agent.visiting and (not self._agent.waiting_for or time.monotonic() >= end)

        failure: InstallerError | None = None
        try:
            try:
                async with await self._parts.open_adapter() as adapter:
                    await self._agent.run(adapter, over)
            except InstallerError as error:
                # What was collected before can be delivered without Bluetooth.
                failure = error
            delivered = await self._delivery.drain()
        finally:
            await self._delivery.close()
        if failure is not None:
            raise failure
        unseen = [target for target in self._agent.waiting_for if target.address not in self._visited]
        return Once(dict(self._visited), unseen, delivered)

    def _on_visit(self, visited: Visited) -> None:
        before = self._visited.get(visited.target.address)
        taken = visited.taken + (before.taken if before is not None else 0)
        self._visited[visited.target.address] = Visited(visited.target, taken, visited.failure)
        if visited.taken:
            self._delivery.arrived()
        self._parts.told(visited)

    async def _collect(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            try:
                async with await self._parts.open_adapter() as adapter:
                    self._note_radio(None)
                    await self._agent.run(adapter)
            except InstallerError as error:
                failures = 1 if time.monotonic() - began > RADIO_LONGEST else failures + 1
                wait = min(RADIO_FIRST * 2 ** min(failures - 1, 10), RADIO_LONGEST)
                self._note_radio(error)
                self._parts.told(Trouble(error, wait))
                await asyncio.sleep(wait)

    async def _follow(self) -> None:
        while True:
            try:
                self._agent.follow(await self._parts.targets())
            except InstallerError as error:
                # The ledger may be another computer's; the devices that are known stay.
                self._parts.told(Trouble(error, TARGETS_SECONDS))
            await asyncio.sleep(TARGETS_SECONDS)

    async def _listen(self) -> None:
        while True:
            for address in wake.woken(self._parts.place.wake):
                self._agent.wake(None if address == wake.ALL else address)
                self._delivery.wake()
            await asyncio.sleep(WAKE_SECONDS)

    async def _live(self) -> None:
        while True:
            with suppress(InstallerError):
                self._state.alive(self._parts.clock())
            await asyncio.sleep(ALIVE_SECONDS)

    def _note_radio(self, error: InstallerError | None) -> None:
        with suppress(InstallerError):
            self._state.radio(error, self._parts.clock())
