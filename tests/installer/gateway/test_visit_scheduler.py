"""The scheduler: which device is visited when, the backoff after failures, and cancellation."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from bleak.backends.device import BLEDevice
from bumble.gatt import Service
from bumble.hci import HCI_ErrorCode

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.open_adapter import open_adapter
from installer.bluetooth.scan import Scan
from installer.catalogue.catalogue_file import load
from installer.catalogue.model import Profile
from installer.errors import ErrorCode
from installer.gateway import visit_scheduler
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Outbox
from installer.gateway.visit import VisitTimeouts
from installer.gateway.visit_history import VisitHistory
from installer.gateway.visit_scheduler import VisitResult, VisitScheduler, VisitSettings
from installer.timing.backoff import Backoff
from tests.installer.bluetooth.bench import Bench, Peripheral, Properties, characteristic
from tests.installer.gateway.support import until

WHEN = bytes.fromhex("ea070b17120f1e")
TIMEOUTS = VisitTimeouts(connect=10, first=0.2, quiet=0.1, total=10)


def address(number: int) -> str:
    return f"F0:00:00:00:00:{number:02X}"


def gateway_device(number: int, *profiles: Profile) -> GatewayDevice:
    return GatewayDevice(address(number), profiles or (Profile.WEIGHT,), "body", f"Scale {number}")


class Scale:
    """A scale that measures something new each time that somebody subscribes."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.told = 0
        self.hangs_up = self.sleeps = False
        self.value = characteristic("2a9d", Properties.INDICATE)
        self.device: Peripheral | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, bench: Bench) -> Scale:
        self.device = await bench.peripheral(
            [Service("181d", [self.value])], address=address(self.number), name=f"Scale {self.number}"
        )
        self.device.stack.gatt_server.on("characteristic_subscription", self._subscribed)
        return self

    def _subscribed(self, _bearer: Any, _characteristic: Any, _notify: bool, indicate: bool) -> None:
        if indicate and self.device is not None:
            self.told += 1
            raw = struct.pack("<BH", 0x02, 0x2700 + self.told) + WHEN
            self._tasks.append(asyncio.ensure_future(self._tell(self.device, raw)))

    async def _tell(self, device: Peripheral, raw: bytes) -> None:
        await device.tell(self.value, raw)
        if self.hangs_up:
            device.controller.lose_links(HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)
        if self.sleeps:
            device.controller.vanish()


@asynccontextmanager
async def working(
    adapter: Adapter, outbox: Outbox, *devices: GatewayDevice, **settings: Any
) -> AsyncIterator[tuple[VisitScheduler, list[VisitResult]]]:
    """An scheduler at work, and what it has told."""
    told: list[VisitResult] = []
    options: dict[str, Any] = {"interval": 1000.0, "timeouts": TIMEOUTS, **settings}
    scheduler = VisitScheduler(
        outbox, VisitHistory(outbox), load(), lambda _: ["store"], VisitSettings(**options), on_result=told.append
    )
    scheduler.set_devices(devices)
    task = asyncio.create_task(scheduler.run(adapter))
    try:
        yield scheduler, told
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 15)


async def test_all_devices_in_reach_are_visited_once(bench: Bench, adapter: Adapter, outbox: Outbox) -> None:
    for number in range(1, 6):
        await Scale(number).start(bench)
    async with working(adapter, outbox, *(gateway_device(n) for n in range(1, 6))) as (scheduler, told):
        await until(lambda: len(told) == 5)
        assert {v.device.address for v in told} == {address(n) for n in range(1, 6)}
        assert [v.collected for v in told] == [1] * 5
        assert scheduler.unvisited == []
    assert outbox.counts()["store"].waiting == 5


async def test_one_that_hangs_up_when_it_has_told_all_was_visited(
    bench: Bench, adapter: Adapter, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is soon visited again, because the next person may have used it.
    monkeypatch.setattr(visit_scheduler, "AGAIN_SECONDS", 0.0)
    scale = await Scale(1).start(bench)
    scale.hangs_up = True
    # Nobody waits for silence: the end of the connection is the end of the visit.
    patient = VisitTimeouts(connect=10, first=600, quiet=600, total=600)
    async with working(adapter, outbox, gateway_device(1), timeouts=patient) as (scheduler, told):
        await until(lambda: told)
        assert (told[0].collected, told[0].failure) == (1, None)
        assert scheduler.unvisited == []
        (history,) = VisitHistory(outbox).devices()
        assert (history.failures, history.failure, history.visited is None) == (0, None, False)
        await until(lambda: len(told) == 2)
        assert told[1].failure is None


async def test_one_that_hangs_up_and_sleeps_is_left_alone(
    bench: Bench, adapter: Adapter, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit_scheduler, "AGAIN_SECONDS", 0.0)
    sleeper, other = await Scale(1).start(bench), Scale(2)
    sleeper.hangs_up = sleeper.sleeps = True
    patient = VisitTimeouts(connect=10, first=600, quiet=600, total=600)
    async with working(adapter, outbox, gateway_device(1), gateway_device(2), timeouts=patient) as (_, told):
        await until(lambda: told)
        # The scan goes on, and nobody calls the one that sleeps.
        other.hangs_up = True
        await other.start(bench)
        await until(lambda: any(result.device.address == address(2) for result in told))
        assert [result.failure for result in told if result.device.address == address(1)] == [None]


async def test_one_that_is_forgotten_before_its_visit_does_not_keep_the_others_from_being_heard(
    bench: Bench, adapter: Adapter, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Scan.ble_device

    def forgotten(scan: Scan, wanted: str) -> BLEDevice:
        if wanted == address(1):
            scan.forget(wanted)
        return known(scan, wanted)

    monkeypatch.setattr(Scan, "ble_device", forgotten)
    await Scale(1).start(bench)
    async with working(
        adapter, outbox, gateway_device(1), gateway_device(2), backoff=Backoff(1000.0, 1000.0, jitter=(0.5, 1.0))
    ) as (_, told):
        await until(lambda: told)
        assert told[0].failure is not None
        assert told[0].failure.code is ErrorCode.DEVICE_NOT_FOUND
        await Scale(2).start(bench)
        await until(lambda: len(told) == 2)
        assert (told[1].device.address, told[1].failure) == (address(2), None)


async def test_one_that_stays_is_visited_again_after_a_while_and_when_somebody_wakes_it(
    bench: Bench, adapter: Adapter, outbox: Outbox
) -> None:
    await Scale(1).start(bench)
    async with working(adapter, outbox, gateway_device(1), interval=0.3) as (_, told):
        await until(lambda: len(told) == 3)
    async with working(adapter, outbox, gateway_device(1), min_interval=0.0) as (scheduler, told):
        await until(lambda: len(told) == 1)
        scheduler.wake(address(1))
        await until(lambda: len(told) == 2)
        scheduler.wake(address(9))
        scheduler.wake(None)
        await until(lambda: len(told) == 3)


async def test_a_flood_of_calls_does_not_keep_a_device_connected(
    bench: Bench, adapter: Adapter, outbox: Outbox
) -> None:
    await Scale(1).start(bench)
    async with working(adapter, outbox, gateway_device(1), min_interval=1000.0) as (scheduler, told):
        await until(lambda: len(told) == 1)
        for _ in range(20):
            scheduler.wake(None)
            await asyncio.sleep(0.02)
        assert len(told) == 1


async def test_a_device_that_fails_waits_longer_each_time_and_holds_up_no_other(
    bench: Bench, adapter: Adapter, outbox: Outbox
) -> None:
    ill = await Scale(1).start(bench)
    assert ill.device is not None
    ill.device.hung = True
    await Scale(2).start(bench)
    timeouts = VisitTimeouts(connect=0.4, first=0.2, quiet=0.1, total=10)
    settings: dict[str, Any] = {"timeouts": timeouts, "backoff": Backoff(0.05, 0.2), "interval": 0.2}
    async with working(adapter, outbox, gateway_device(1), gateway_device(2), **settings) as (_, told):
        await until(lambda: sum(v.device == gateway_device(1) for v in told) >= 2)
        await until(lambda: sum(v.device == gateway_device(2) for v in told) >= 2)
        failures = [v.failure for v in told if v.failure is not None]
        assert {f.code for f in failures} == {ErrorCode.CONNECTION_FAILED}
        known = {k.address: k for k in VisitHistory(outbox).devices()}
        assert known[address(1)].failures >= 2
        assert known[address(1)].failed is not None
        ill.device.hung = False
        await until(lambda: any(v.device == gateway_device(1) and v.collected for v in told))
    known = {k.address: k for k in VisitHistory(outbox).devices()}
    assert known[address(1)].failures == 0
    assert known[address(1)].failure is None


async def test_a_device_that_nobody_named_is_left_alone(bench: Bench, adapter: Adapter, outbox: Outbox) -> None:
    stranger = await Scale(1).start(bench)
    await Scale(2).start(bench)
    async with working(adapter, outbox, gateway_device(2), interval=0.1) as (scheduler, told):
        await until(lambda: len(told) == 2)
        scheduler.set_devices([])
        scheduler.wake(None)
        assert stranger.device is not None
        assert stranger.device.requests == 0
    assert [k.address for k in VisitHistory(outbox).devices()] == [address(2)]


async def test_it_ends_whenever_it_is_told_to(bench: Bench, outbox: Outbox) -> None:
    for number in range(1, 4):
        await Scale(number).start(bench)
    dice = random.Random(1)
    for _ in range(15):
        async with (
            await open_adapter(bench.adapter) as adapter,
            working(adapter, outbox, *(gateway_device(n) for n in range(1, 4)), interval=0.05),
        ):
            await asyncio.sleep(dice.uniform(0.0, 0.2))


@pytest.mark.parametrize("jump", [1e9, -1e9])
async def test_a_clock_that_jumps_changes_nothing(bench: Bench, adapter: Adapter, outbox: Outbox, jump: float) -> None:
    await Scale(1).start(bench)
    now = [1.79e9]
    told: list[VisitResult] = []
    settings = VisitSettings(interval=0.1, timeouts=TIMEOUTS)
    scheduler = VisitScheduler(
        outbox, VisitHistory(outbox), load(), lambda _: ["store"], settings, on_result=told.append, clock=lambda: now[0]
    )  # fmt: skip
    scheduler.set_devices([gateway_device(1)])
    task = asyncio.create_task(scheduler.run(adapter))
    await until(lambda: len(told) == 1)
    now[0] += jump
    await until(lambda: len(told) == 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [v.failure for v in told] == [None] * 3
    raws = [item.raw for item in outbox.next_items("store", address(1), 9)]
    assert raws == [struct.pack("<BH", 0x02, 0x2701 + n) + WHEN for n in range(len(raws))]
    assert VisitHistory(outbox).devices()[0].seen == now[0]


async def test_a_radio_that_goes_away_is_told(bench: Bench, adapter: Adapter, outbox: Outbox) -> None:
    await Scale(1).start(bench)
    scheduler = VisitScheduler(
        outbox, VisitHistory(outbox), load(), lambda _: ["store"], VisitSettings(timeouts=TIMEOUTS)
    )
    scheduler.set_devices([gateway_device(1)])
    task = asyncio.create_task(scheduler.run(adapter))
    await until(lambda: outbox.count())
    bench.unplug()
    with pytest.raises(Exception) as caught:  # noqa: PT011
        await asyncio.wait_for(task, 15)
    assert getattr(caught.value, "code", None) is ErrorCode.ADAPTER_FAILED


async def test_a_device_that_was_heard_before_an_outage_is_not_missed_right_after_it(
    bench: Bench, adapter: Adapter, outbox: Outbox
) -> None:
    """A new scan knows nothing yet: what it has not heard is not out of reach."""
    await Scale(1).start(bench)
    told: list[VisitResult] = []
    settings = VisitSettings(min_interval=0.0, timeouts=TIMEOUTS)
    scheduler = VisitScheduler(
        outbox, VisitHistory(outbox), load(), lambda _: ["store"], settings, on_result=told.append
    )  # fmt: skip
    scheduler.set_devices([gateway_device(1)])
    for visits in (1, 2, 3):
        await asyncio.wait_for(scheduler.run(adapter, until=lambda visits=visits: len(told) == visits), 15)
    assert [visit.failure for visit in told] == [None] * 3
