"""Taking a measurement over Bluetooth: from the lab's devices, and from devices that do not play along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from bumble import att
from bumble.gatt import Service

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.open_adapter import open_adapter
from installer.catalogue.catalogue_file import load
from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.health_profiles.reader import (
    CollectedMeasurement,
    collect,
    measurements,
    offered_profiles,
    take_measurement,
)
from installer.measurement import Quantity
from tests.installer.bluetooth.bench import Bench, Peripheral, Properties, characteristic, connected
from tests.installer.lab.lab_process import LabProcess

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
    assert {quantity: float(found[quantity]) for quantity in MODELS[model]} == pytest.approx(
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


class Station:
    """A device with several profiles, which sends what a test says once all of `waits_for` are subscribed."""

    def __init__(self, *said: tuple[Profile, bytes], drop: bool = False) -> None:
        self.said = said
        self.drop = drop
        self.values = {
            Profile.WEIGHT: characteristic("2a9d", Properties.INDICATE),
            Profile.HEART_RATE: characteristic("2a37", Properties.NOTIFY),
            Profile.TEMPERATURE: characteristic("2a1c", Properties.INDICATE),
        }
        self.wanted: set[str] = set()
        self.confirmed: list[bytes] = []
        self.device: Peripheral | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, bench: Bench) -> None:
        services = {Profile.WEIGHT: "181d", Profile.HEART_RATE: "180d", Profile.TEMPERATURE: "1809"}
        self.device = await bench.peripheral([Service(services[p], [value]) for p, value in self.values.items()])
        self.device.stack.gatt_server.on("characteristic_subscription", self._subscribed)

    def _subscribed(self, _bearer: Any, wanted: Any, notify: bool, indicate: bool) -> None:
        if notify or indicate:
            self.wanted.add(str(wanted.uuid))
        if len(self.wanted) == len({profile for profile, _ in self.said}) and self._task is None:
            self._task = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        assert self.device is not None
        for profile, message in self.said:
            await self.device.tell(self.values[profile], message)
            self.confirmed.append(message)
        if self.drop:
            self.device.drop()


async def take_all(
    stream: AsyncIterator[CollectedMeasurement], into: list[bytes], then: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Take each one's bytes, and do something after it."""
    async for one in stream:
        into.append(one.raw)
        if then is not None:
            await then()


WEIGHTS = [b"\x00" + bytes((n, 0x27)) for n in range(4)]
PULSE, FEVER = b"\x00\x48", bytes.fromhex("00730100ff")


async def test_several_profiles_in_one_visit(bench: Bench, adapter: Adapter) -> None:
    said = [(Profile.WEIGHT, WEIGHTS[0]), (Profile.TEMPERATURE, FEVER), (Profile.WEIGHT, WEIGHTS[1])]
    await Station(*said).start(bench)
    async with await connected(adapter) as connection:
        assert offered_profiles(connection) == (Profile.WEIGHT, Profile.TEMPERATURE, Profile.HEART_RATE)
        # A profile that the device lacks is left out.
        wanted = (Profile.WEIGHT, Profile.TEMPERATURE, Profile.STEPS)
        found = [one async for one in collect(connection, wanted, quiet=0.3)]
        assert [(profile, raw) for profile, _, raw in found] == said
        assert [str(one.measurement) for one in found] == ["weight 49.92 kg", "temperature 37.1 °C", "weight 49.925 kg"]
        with pytest.raises(InstallerError) as caught:
            [one async for one in collect(connection, (Profile.STEPS, Profile.BLOOD_PRESSURE), quiet=0.3)]
        assert caught.value.code is ErrorCode.MEASUREMENT_FAILED


async def test_what_had_arrived_before_the_link_dropped_is_handed_on(bench: Bench, adapter: Adapter) -> None:
    station = Station(*((Profile.WEIGHT, weight) for weight in WEIGHTS), drop=True)
    await station.start(bench)
    found: list[bytes] = []
    async with await connected(adapter) as connection:
        with pytest.raises(InstallerError) as caught:
            await take_all(collect(connection, [Profile.WEIGHT], quiet=10), found, connection.wait_until_lost)
    assert caught.value.code is ErrorCode.CONNECTION_LOST
    assert found == station.confirmed == WEIGHTS


async def test_nonsense_among_stored_measurements_costs_no_other(bench: Bench, adapter: Adapter) -> None:
    messages = [WEIGHTS[0], b"\x02\x10", WEIGHTS[1], b"\x00", b"\x00\xff\xff", WEIGHTS[2]]
    await Station(*((Profile.WEIGHT, message) for message in messages)).start(bench)
    found: list[bytes] = []
    async with await connected(adapter) as connection:
        with pytest.raises(InstallerError) as caught:
            await take_all(collect(connection, [Profile.WEIGHT], quiet=0.3), found)
    assert (caught.value.code, caught.value.data["count"]) == (ErrorCode.DEVICE_MISBEHAVED, 2)
    assert found == WEIGHTS[:3]


async def test_each_is_kept_before_it_is_handed_on(bench: Bench, adapter: Adapter) -> None:
    await Station(*((Profile.WEIGHT, weight) for weight in WEIGHTS)).start(bench)
    kept: list[CollectedMeasurement] = []
    async with await connected(adapter) as connection:
        async for one in collect(connection, [Profile.WEIGHT], quiet=0.3, keep=kept.append):
            assert one in kept
    assert [one.raw for one in kept] == WEIGHTS


async def test_what_cannot_be_kept_ends_the_visit(bench: Bench, adapter: Adapter) -> None:
    await Station(*((Profile.WEIGHT, weight) for weight in WEIGHTS)).start(bench)
    kept: list[bytes] = []
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))

    def keep(one: CollectedMeasurement) -> None:
        if len(kept) == 2:
            raise OSError(28, "No space left on device")
        kept.append(one.raw)

    found: list[bytes] = []
    async with await connected(adapter) as connection:
        with pytest.raises(OSError, match="No space"):
            await take_all(collect(connection, [Profile.WEIGHT], quiet=10, keep=keep), found)
    assert found == kept == WEIGHTS[:2]
    # The stack heard of it, too.
    assert all(isinstance(fault["exception"], OSError) for fault in faults)


async def test_a_heart_rate_that_never_stops_does_not_hold_a_visit_up(bench: Bench, adapter: Adapter) -> None:
    station = Station((Profile.WEIGHT, WEIGHTS[0]), *[(Profile.HEART_RATE, PULSE)] * 2)
    await station.start(bench)

    async def beat() -> None:
        assert station.device is not None
        while True:
            await station.device.tell(station.values[Profile.HEART_RATE], PULSE)
            await asyncio.sleep(0.02)

    beating = asyncio.ensure_future(beat())
    try:
        async with await connected(adapter) as connection, asyncio.timeout(10):
            found = [one.profile async for one in collect(connection, offered_profiles(connection), quiet=0.3)]
            rushed = [one async for one in collect(connection, [Profile.HEART_RATE], quiet=30, limit=0.1)]
    finally:
        beating.cancel()
    assert found.count(Profile.WEIGHT) == 1
    assert Profile.HEART_RATE in found
    assert rushed


async def test_a_profile_that_is_refused_costs_no_other(bench: Bench, adapter: Adapter) -> None:
    station = Station((Profile.WEIGHT, WEIGHTS[0]))
    await station.start(bench)
    assert station.device is not None
    server = station.device.stack.gatt_server
    heard = server.on_gatt_pdu
    refused = {station.values[Profile.TEMPERATURE].handle + 1}

    def locked(bearer: Any, pdu: Any) -> None:
        if pdu.op_code == att.Opcode.ATT_WRITE_REQUEST and pdu.attribute_handle in refused:
            error = att.ATT_Error_Response(
                request_opcode_in_error=pdu.op_code,
                attribute_handle_in_error=pdu.attribute_handle,
                error_code=att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR,
            )
            server.send_response(bearer, error)
        else:
            heard(bearer, pdu)

    server.on_gatt_pdu = locked  # type: ignore[method-assign]
    async with await connected(adapter) as connection:
        found = [one.raw async for one in collect(connection, [Profile.WEIGHT, Profile.TEMPERATURE], quiet=0.3)]
        assert found == [WEIGHTS[0]]
        with pytest.raises(InstallerError) as caught:
            await take_all(collect(connection, [Profile.TEMPERATURE], quiet=0.3), found)
    assert caught.value.code is ErrorCode.PAIRING_NEEDED


async def test_the_first_one_may_take_longer(bench: Bench, adapter: Adapter) -> None:
    scale = Scale()
    await scale.start(bench)
    device = scale.device
    assert device is not None
    async with await connected(adapter) as connection:
        stream = collect(connection, [Profile.WEIGHT], quiet=0.1, first=20)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)  # it begins to listen

        async def weigh() -> None:
            while not waiting.done():
                await device.tell(scale.value, WEIGHTS[0])
                await asyncio.sleep(0.2)

        weighing = asyncio.ensure_future(weigh())
        assert (await asyncio.wait_for(waiting, 10)).raw == WEIGHTS[0]
        await weighing
        assert [one async for one in stream] == []


async def test_the_pressure_in_the_cuff_is_no_blood_pressure(bench: Bench, adapter: Adapter) -> None:
    measured = characteristic("2a35", Properties.INDICATE)
    cuff = characteristic("2a36", Properties.NOTIFY)
    # Of the three findings in its status, this monitor can only vouch for the irregular pulse.
    feature = characteristic("2a49", Properties.READ, b"\x04\x00")
    device = await bench.peripheral([Service("1810", [cuff, measured, feature])])
    sent: list[asyncio.Task[None]] = []

    async def measure() -> None:
        for pressure in (b"\x00\x50\x00", b"\x00\x7a\x00"):
            await device.tell(cuff, pressure + b"\xff\x07\xff\x07")
        await device.tell(measured, bytes.fromhex("107a0050005e000700"))

    def subscribed(_bearer: Any, wanted: Any, notify: bool, indicate: bool) -> None:
        if (notify or indicate) and wanted is measured:
            sent.append(asyncio.ensure_future(measure()))

    device.stack.gatt_server.on("characteristic_subscription", subscribed)
    async with await connected(adapter) as connection:
        found = [one async for one in collect(connection, offered_profiles(connection), quiet=0.3)]
    assert [str(one.measurement) for one in found] == [
        "systolic pressure 122 mmHg, diastolic pressure 80 mmHg, mean pressure 94 mmHg (irregular pulse)"
    ]
    assert found[0].measurement.status == ("irregular pulse",)


async def test_what_a_device_tells_of_itself_is_optional(bench: Bench, adapter: Adapter) -> None:
    def locked(_: Any) -> bytes:
        raise att.ATT_Error(att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR)

    fever, ear, clock = (
        characteristic("2a1c", Properties.INDICATE),
        characteristic("2a1d", Properties.READ, b"\x03"),
        characteristic("2a2b", Properties.READ, locked),
    )
    device = await bench.peripheral([Service("1809", [fever, ear]), Service("1805", [clock])])

    def subscribed(_bearer: Any, _wanted: Any, notify: bool, indicate: bool) -> None:
        if indicate:
            telling.append(asyncio.ensure_future(tell()))

    async def tell() -> None:
        await device.tell(fever, FEVER)
        await device.tell(fever, b"\x04" + FEVER[1:] + b"\x06")

    telling: list[asyncio.Task[None]] = []
    device.stack.gatt_server.on("characteristic_subscription", subscribed)
    async with await connected(adapter) as connection:
        found = [one.measurement async for one in collect(connection, [Profile.TEMPERATURE], quiet=0.3)]
    # What a message says itself counts more.
    assert [one.site for one in found] == ["ear", "mouth"]
