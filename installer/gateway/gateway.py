"""The gateway: collects and delivers in the background, through failures of the radio, the network and the disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.own_links import left_link_words
from installer.bluetooth.system_errors import may_pass_soon
from installer.catalogue.catalogue_file import Catalogue
from installer.errors import InstallerError
from installer.gateway import wake
from installer.gateway.delivery import DELIVERY_BACKOFF, Delivery, DeliveryResult
from installer.gateway.devices import GatewayDevice
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.heartbeat import Heartbeat
from installer.gateway.outbox import Outbox
from installer.gateway.radio_room import RadioRoom, RadioTurn
from installer.gateway.sinks import Sink
from installer.gateway.visit_history import VisitHistory
from installer.gateway.visit_scheduler import VisitResult, VisitScheduler, VisitSettings
from installer.timing.backoff import Backoff

WAKE_CHECK_SECONDS = 0.5
HEARTBEAT_SECONDS = 20.0
# How often the ledger is read for newly installed devices.
DEVICES_RELOAD_SECONDS = 30.0
RADIO_BACKOFF = Backoff(2.0, 60.0)
# How long a single round waits for a Bluetooth service that is restarted.
SHORT_OUTAGE_SECONDS = 10.0


@dataclass(frozen=True)
class GatewayFailure:
    """The gateway cannot work now. `wait`: seconds until it tries again; 0: it goes on by itself as soon as it can."""

    error: InstallerError
    wait: float


@dataclass(frozen=True)
class GatewayNotice:
    """Something to know; nothing failed. `kind`: `left_link`, `makes_room` or `goes_on`; `text`: in words."""

    kind: str
    text: str


@dataclass(frozen=True)
class BluetoothBack:
    """Bluetooth works again. `away`: for how many seconds it did not."""

    away: float


GatewayEvent = VisitResult | DeliveryResult | GatewayFailure | GatewayNotice | BluetoothBack


@dataclass
class GatewayParts:
    """What a gateway works with. `load_devices` is called again and again; `on_event` is called for each event.

    `room`: how it shares Bluetooth with installations; None: it does not.
    """

    files: GatewayFiles
    catalogue: Catalogue
    open_adapter: Callable[[], Awaitable[Adapter]]
    load_devices: Callable[[], Awaitable[Sequence[GatewayDevice]]]
    sinks: Sequence[Sink]
    on_event: Callable[[GatewayEvent], None] = lambda _: None
    visit_settings: VisitSettings = field(default_factory=VisitSettings)
    backoff: Backoff = DELIVERY_BACKOFF
    clock: Callable[[], float] = time.time
    room: RadioRoom | None = None


@dataclass(frozen=True)
class RoundResult:
    """One round. `visited`: by address; `unseen`: not in range; `delivered`: whether all was delivered."""

    visited: dict[str, VisitResult]
    unseen: list[GatewayDevice]
    delivered: bool


class Gateway:
    """One gateway. Its caller must hold the lock (`files_and_lock.hold_gateway_lock`), which gives `check_lock`."""

    def __init__(self, parts: GatewayParts, outbox: Outbox, check_lock: Callable[[], None] = lambda: None) -> None:
        self._parts = parts
        self._check_lock = check_lock
        self._outbox = outbox
        outbox.on_replaced(lambda error: parts.on_event(GatewayFailure(error, 0.0)))
        self._heartbeat = Heartbeat(outbox)
        self._away_since: float | None = None
        self._listens = False
        self._visited: dict[str, VisitResult] = {}
        self._delivery = Delivery(outbox, parts.sinks, parts.backoff, on_result=parts.on_event, clock=parts.clock)
        self._scheduler = VisitScheduler(
            outbox,
            VisitHistory(outbox),
            parts.catalogue,
            self._delivery.sinks_of,
            parts.visit_settings,
            on_result=self._on_visit_result,
            check_lock=check_lock,
            clock=parts.clock,
        )

    async def run(self) -> None:
        """Work until cancelled. All that was collected is on disk then. Raises GATEWAY_RUNNING if the lock is lost."""
        self._heartbeat.record_start(self._parts.clock(), [s.name for s in self._parts.sinks])
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._delivery.run())
                group.create_task(self._collect())
                group.create_task(self._reload_devices())
                group.create_task(self._watch_wake_files())
                group.create_task(self._write_heartbeat())
        except ExceptionGroup as group_error:
            ended, _ = group_error.split(InstallerError)
            if ended is None:
                raise
            raise _first(ended) from None
        finally:
            await self._delivery.close()

    async def run_once(self, seconds: float) -> RoundResult:
        """Visit every device that is heard within `seconds`, deliver, and end. Raises the BLUETOOTH_* errors."""
        self._scheduler.set_devices(await self._parts.load_devices())
        self._heartbeat.record_alive(self._parts.clock())
        end = time.monotonic() + seconds

        def is_over() -> bool:
            scheduler = self._scheduler
            return not scheduler.is_visiting and (not scheduler.unvisited or time.monotonic() >= end)

        failure: InstallerError | None = None
        try:
            try:
                async with await self._parts.open_adapter() as adapter, self._turn(adapter, seconds) as turn:
                    end = time.monotonic() + seconds
                    await self._run_through_restarts(adapter, is_over, end, turn)
            except InstallerError as error:
                # Earlier measurements can be delivered without Bluetooth.
                failure = error
            delivered = await self._delivery.deliver_once()
        finally:
            await self._delivery.close()
        if failure is not None:
            raise failure
        unseen = [device for device in self._scheduler.unvisited if device.address not in self._visited]
        return RoundResult(dict(self._visited), unseen, delivered)

    def _on_visit_result(self, result: VisitResult) -> None:
        before = self._visited.get(result.device.address)
        collected = result.collected + (before.collected if before is not None else 0)
        self._visited[result.device.address] = VisitResult(result.device, collected, result.failure)
        if result.collected:
            self._delivery.notify_new_items()
        self._parts.on_event(result)

    async def _run_through_restarts(
        self, adapter: Adapter, is_over: Callable[[], bool], end: float, turn: RadioTurn
    ) -> None:
        """One round, which goes on after the computer's Bluetooth service was restarted."""
        while True:
            try:
                await self._scheduler.run(adapter, is_over, turn.wanted)
                return
            except InstallerError as error:
                left = min(end - time.monotonic(), SHORT_OUTAGE_SECONDS)
                if not may_pass_soon(error) or left <= 0 or not await adapter.wait_until_back(left):
                    raise

    async def _collect(self) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            try:
                async with await self._parts.open_adapter() as adapter:
                    await self._listen(adapter)
            except InstallerError as error:
                failures = 1 if time.monotonic() - started > RADIO_BACKOFF.longest else failures + 1
                wait = RADIO_BACKOFF.after_failures(failures)
                self._bluetooth_failed(error, wait)
                await asyncio.sleep(wait)

    @asynccontextmanager
    async def _turn(self, adapter: Adapter, seconds: float | None = None) -> AsyncIterator[RadioTurn]:
        """The turn of the gateway at Bluetooth; it waits for an installation, for `seconds` at most."""
        adapter.on_left_link = lambda address: self._parts.on_event(
            GatewayNotice("left_link", left_link_words(address))
        )
        room = self._parts.room if adapter.shared_by_programs else None
        if room is None:
            yield RadioTurn(None)
            return
        if room.wanted():
            self._record_room(self._parts.clock(), "makes_room", "The gateway makes room for an installation.")
            try:
                await room.wait_until_unwanted(seconds)
            finally:
                self._record_room(None, "goes_on", "The gateway uses Bluetooth again.")
        async with room.using_radio():
            yield RadioTurn(room)

    def _record_room(self, since: float | None, kind: str, text: str) -> None:
        with suppress(InstallerError):
            self._heartbeat.record_room(since)
        self._parts.on_event(GatewayNotice(kind, text))

    async def _listen(self, adapter: Adapter) -> None:
        """Collect, and go on whenever Bluetooth is back. Raises the error of an adapter that must be opened anew."""
        while True:
            try:
                async with self._turn(adapter) as turn:
                    await self._scheduler.run(
                        adapter,
                        partial(self._is_over, turn),
                        hold_back=turn.wanted,
                        on_listening=self._bluetooth_works,
                    )
            except InstallerError as error:
                if not adapter.comes_back or "bluetooth" not in error.data:
                    raise
                self._bluetooth_failed(error, 0.0)
            finally:
                self._listens = False
            while not await adapter.wait_until_back(HEARTBEAT_SECONDS):
                if not adapter.comes_back:
                    return

    def _is_over(self, turn: RadioTurn) -> bool:
        return turn.is_over(self._scheduler.is_visiting)

    def _bluetooth_failed(self, error: InstallerError, wait: float) -> None:
        self._away_since = self._parts.clock() if self._away_since is None else self._away_since
        self._record_radio(error)
        self._parts.on_event(GatewayFailure(error, wait))

    def _bluetooth_works(self) -> None:
        self._listens = True
        self._record_radio(None)
        since, self._away_since = self._away_since, None
        if since is not None:
            self._parts.on_event(BluetoothBack(max(self._parts.clock() - since, 0.0)))

    async def _reload_devices(self) -> None:
        while True:
            try:
                self._scheduler.set_devices(await self._parts.load_devices())
            except InstallerError as error:
                # The ledger may be on another computer. The known devices stay.
                self._parts.on_event(GatewayFailure(error, DEVICES_RELOAD_SECONDS))
            await asyncio.sleep(DEVICES_RELOAD_SECONDS)

    async def _watch_wake_files(self) -> None:
        lost: InstallerError | None = None
        while True:
            try:
                self._check_lock()
                lost = None
            except InstallerError as error:
                # Once may be `gateway status`, which tries the lock for a moment.
                if lost is not None:
                    raise
                lost = error
            for address in wake.take_wake_requests(self._parts.files.wake):
                self._scheduler.wake(None if address == wake.ALL_DEVICES else address)
                self._delivery.wake()
            await asyncio.sleep(WAKE_CHECK_SECONDS)

    async def _write_heartbeat(self) -> None:
        while True:
            with suppress(InstallerError):
                self._heartbeat.record_alive(self._parts.clock(), listens=self._listens)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _record_radio(self, error: InstallerError | None) -> None:
        with suppress(InstallerError):
            self._heartbeat.record_radio(error, self._parts.clock())


def _first(errors: BaseExceptionGroup[InstallerError]) -> InstallerError:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
