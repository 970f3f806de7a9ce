"""Taking a measurement over Bluetooth: from the lab's devices, and from devices that do not play along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from bumble.gatt import Service

from installer.bluetooth.adapter import Adapter, open_adapter
from installer.bluetooth.connection import Connection
from installer.catalog import Profile, load
from installer.errors import ErrorCode, InstallerError
from installer.health.reader import measurements, take_measurement
from installer.measurement import Quantity
from tests.installer.bluetooth.bench import Bench, Peripheral, Properties, characteristic, connected
from tests.installer.lab.support import LabProcess

MODELS = {
    "body": {Quantity.WEIGHT: "weight"},
    "body-plus": {Quantity.WEIGHT: "weight"},
    "bpm-connect": {Quantity.SYSTOLIC: "systolic", Quantity.DIASTOLIC: "diastolic", Quantity.PULSE: "pulse"},
    "thermo": {Quantity.TEMPERATURE: "temperature"},
    "move": {Quantity.STEPS: "steps"},
    "pulse-hr": {Quantity.STEPS: "steps"},
}


@pytest.mark.parametrize("model", MODELS)
async def test_a_model_gives_what_it_measured(lab: LabProcess, model: str) -> None:
    profile = load().get(model).profile
    assert profile is not None
    async with await open_adapter(lab.adapter) as adapter, await connected(adapter, lab.address(model)) as connection:
        measurement = await take_measurement(connection, profile, timeout=10)
    last = (await lab.device(model))["last_measurement"]
    found = {reading.quantity: reading.value for reading in measurement.readings}
    assert {quantity: float(value) for quantity, value in found.items()} == pytest.approx(
        {quantity: last[name] for quantity, name in MODELS[model].items()}
    )


class Scale:
    """A scale that sends what a test says, as soon as somebody subscribes."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = messages
        self.value = characteristic("2a9d", Properties.INDICATE)
        self.device: Peripheral | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, bench: Bench, **kwargs: Any) -> None:
        self.device = await bench.peripheral([Service("181d", [self.value])], **kwargs)
        self.device.stack.gatt_server.on("characteristic_subscription", self._subscribed)

    def _subscribed(self, _bearer: Any, _characteristic: Any, _notify: bool, indicate: bool) -> None:
        if indicate:
            self._task = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        assert self.device is not None
        for message in self.messages:
            await self.device.tell(self.value, message)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Bench() as made:
        yield made


@pytest.fixture
async def adapter(bench: Bench) -> AsyncIterator[Adapter]:
    async with await open_adapter(bench.adapter) as made:
        yield made


async def failed(connection: Connection, profile: Profile, timeout: float = 5) -> ErrorCode:
    with pytest.raises(InstallerError) as caught:
        await take_measurement(connection, profile, timeout)
    return caught.value.code


async def test_a_failed_attempt_of_the_person_is_passed_over(bench: Bench, adapter: Adapter) -> None:
    await Scale(b"\x00\xff\xff", b"\x00\x10\x27").start(bench)
    async with await connected(adapter) as connection:
        measurement = await take_measurement(connection, Profile.WEIGHT, 5)
    assert measurement.readings[0].value == Decimal(50)


async def test_all_that_was_kept_is_taken(bench: Bench, adapter: Adapter) -> None:
    await Scale(*(b"\x00" + bytes((n, 0x27)) for n in range(5))).start(bench)
    async with await connected(adapter) as connection:
        found = [m.readings[0].value async for m in measurements(connection, Profile.WEIGHT, quiet=0.3)]
    assert found == [(0x2700 + n) * Decimal("0.005") for n in range(5)]


async def test_a_device_that_sends_nothing(bench: Bench, adapter: Adapter) -> None:
    await Scale().start(bench)
    async with await connected(adapter) as connection:
        assert await failed(connection, Profile.WEIGHT, 0.1) is ErrorCode.MEASUREMENT_FAILED
        # It can be tried again on the same connection.
        assert await failed(connection, Profile.WEIGHT, 0.1) is ErrorCode.MEASUREMENT_FAILED


async def test_a_device_without_the_profile(bench: Bench, adapter: Adapter) -> None:
    await Scale().start(bench)
    async with await connected(adapter) as connection:
        assert await failed(connection, Profile.TEMPERATURE) is ErrorCode.MEASUREMENT_FAILED


async def test_a_measurement_that_makes_no_sense(bench: Bench, adapter: Adapter) -> None:
    await Scale(b"\x02\x10").start(bench)
    async with await connected(adapter) as connection:
        assert await failed(connection, Profile.WEIGHT) is ErrorCode.DEVICE_MISBEHAVED


async def test_the_link_drops_meanwhile(bench: Bench, adapter: Adapter) -> None:
    scale = Scale()
    await scale.start(bench)
    assert scale.device is not None
    async with await connected(adapter) as connection:
        waiting = asyncio.ensure_future(failed(connection, Profile.WEIGHT, 20))
        asyncio.get_running_loop().call_later(0.05, scale.device.drop)
        assert await asyncio.wait_for(waiting, 10) is ErrorCode.CONNECTION_LOST
