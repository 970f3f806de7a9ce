"""bleak's own facade over the HCI backend, against a Bumble peripheral: what a real backend must do."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from bleak import BleakClient
from bleak.exc import BleakCharacteristicNotFoundError, BleakError, BleakGATTProtocolError
from bumble.att import ATT_Error, ErrorCode
from bumble.gatt import Descriptor, Service

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.scan import Scan
from installer.catalogue.catalogue_file import load
from installer.provisioning import registry
from tests.installer.bluetooth.bench import (
    ADDRESS,
    LOCKED,
    NOTES,
    SERVICE,
    SIGNS,
    VALUE,
    Bench,
    Properties,
    characteristic,
    sighted,
)


def refuse(_: Any) -> bytes:
    raise ATT_Error(ErrorCode.INSUFFICIENT_AUTHENTICATION)


def world(mtu: int = 517) -> Any:
    """A peripheral with one of everything."""
    made = SimpleNamespace(written=[], value=b"hello")
    made.notes = characteristic(NOTES, Properties.NOTIFY)
    made.signs = characteristic(SIGNS, Properties.INDICATE)
    value = characteristic(
        VALUE,
        Properties.READ | Properties.WRITE | Properties.WRITE_WITHOUT_RESPONSE,
        read=lambda _: made.value,
        write=lambda _, data: made.written.append(bytes(data)),
        descriptors=[Descriptor("2901", Descriptor.READABLE, b"what it is")],
    )
    locked = characteristic(LOCKED, Properties.READ, read=refuse)
    made.service = Service(SERVICE, [value, made.notes, made.signs, locked])
    return made


async def client_for(adapter: Adapter, callback: Any = None, address: str = ADDRESS) -> BleakClient:
    async with Scan(adapter, registry.detector(load()), settle=0) as scan:
        device = await sighted(scan, address)
    return adapter.client(device, callback, 10)


async def test_the_table_of_services_has_everything(bench: Bench, adapter: Adapter) -> None:
    made = world()
    await bench.peripheral([made.service])
    async with await client_for(adapter) as client:
        service = client.services.get_service(SERVICE)
        assert service is not None
        assert [c.uuid for c in service.characteristics] == [VALUE, NOTES, SIGNS, LOCKED]
        value = service.get_characteristic(VALUE)
        assert value is not None
        assert value.properties == ["read", "write-without-response", "write"]
        assert value.max_write_without_response_size == client.mtu_size - 3 == 514
        description = value.get_descriptor("2901")
        assert description is not None
        assert await client.read_gatt_descriptor(description.handle) == b"what it is"
        assert client.name == "Bench"


@pytest.mark.parametrize("mtu", [23, 64, 517])
@pytest.mark.parametrize("size", [0, 1, 19, 20, 21, 22, 23, 61, 200, 512])
async def test_values_of_any_size_are_read_and_written_whole(
    bench: Bench, adapter: Adapter, mtu: int, size: int
) -> None:
    made = world()
    made.value = bytes(i % 251 for i in range(size))
    await bench.peripheral([made.service], mtu=mtu)
    async with await client_for(adapter) as client:
        assert client.mtu_size == mtu
        assert await client.read_gatt_char(VALUE) == made.value
        await client.write_gatt_char(VALUE, made.value, response=True)
        assert b"".join(made.written) == made.value


async def test_a_write_without_response_arrives(bench: Bench, adapter: Adapter) -> None:
    made = world()
    await bench.peripheral([made.service])
    async with await client_for(adapter) as client:
        await client.write_gatt_char(VALUE, b"quick", response=False)
        await client.read_gatt_char(VALUE)  # ATT keeps the order: the write has arrived before this
        assert made.written == [b"quick"]
        with pytest.raises(BleakError, match="limit is 514"):
            await client.write_gatt_char(VALUE, bytes(515), response=False)
        with pytest.raises(BleakError, match="limit is 512"):
            await client.write_gatt_char(VALUE, bytes(513), response=True)


@pytest.mark.parametrize("uuid", [NOTES, SIGNS])
async def test_notifications_and_indications_come_in_order_until_unsubscribed(
    bench: Bench, adapter: Adapter, uuid: str
) -> None:
    made = world()
    device = await bench.peripheral([made.service])
    source = made.notes if uuid == NOTES else made.signs
    got: asyncio.Queue[bytes] = asyncio.Queue()
    async with await client_for(adapter) as client:
        await client.start_notify(uuid, lambda _, data: got.put_nowait(bytes(data)))
        with pytest.raises(BleakError, match="already on"):
            await client.start_notify(uuid, lambda _, data: None)
        for number in range(20):
            await device.tell(source, bytes([number]))
        assert [await asyncio.wait_for(got.get(), 5) for _ in range(20)] == [bytes([n]) for n in range(20)]
        await client.stop_notify(uuid)
        await device.tell(source, b"late")
        await client.read_gatt_char(VALUE)
        assert got.empty()
        await client.start_notify(uuid, lambda _, data: got.put_nowait(bytes(data)))
        await device.tell(source, b"again")
        assert await asyncio.wait_for(got.get(), 5) == b"again"


async def test_an_indication_whose_callback_raises_is_not_confirmed_and_the_link_ends(
    bench: Bench, adapter: Adapter
) -> None:
    made = world()
    device = await bench.peripheral([made.service])
    got: asyncio.Queue[bytes] = asyncio.Queue()

    def callback(_: Any, data: bytearray) -> None:
        got.put_nowait(bytes(data))
        raise ZeroDivisionError

    gone = asyncio.Event()
    async with await client_for(adapter, lambda _: gone.set()) as client:
        await client.start_notify(SIGNS, callback)
        telling = asyncio.ensure_future(device.tell(made.signs, b"1"))
        assert await asyncio.wait_for(got.get(), 5) == b"1"
        await asyncio.wait_for(gone.wait(), 10)
        assert not telling.done()
        telling.cancel()


async def test_an_indication_is_confirmed_when_its_callback_has_returned(bench: Bench, adapter: Adapter) -> None:
    made = world()
    device = await bench.peripheral([made.service])
    done: list[bytes] = []
    async with await client_for(adapter) as client:
        await client.start_notify(SIGNS, lambda _, data: done.append(bytes(data)))
        for value in (b"1", b"2"):
            await device.tell(made.signs, value)  # returns when it is confirmed
            assert done[-1] == value


async def test_errors_of_the_device_keep_their_number(bench: Bench, adapter: Adapter) -> None:
    await bench.peripheral([world().service])
    async with await client_for(adapter) as client:
        with pytest.raises(BleakGATTProtocolError) as caught:
            await client.read_gatt_char(LOCKED)
        assert caught.value.code == 0x05
        with pytest.raises(BleakCharacteristicNotFoundError):
            await client.read_gatt_char("2a00aaaa-0000-1000-8000-00805f9b34fb")
        with pytest.raises(BleakError, match="neither notifications"):
            await client.start_notify(VALUE, lambda _, data: None)


async def test_a_request_fails_at_once_when_the_link_drops(bench: Bench, adapter: Adapter) -> None:
    device = await bench.peripheral([world().service])
    gone: asyncio.Event = asyncio.Event()
    client = await client_for(adapter, lambda _: gone.set())
    await client.connect()
    device.hung = True
    reads = [asyncio.ensure_future(client.read_gatt_char(VALUE)) for _ in range(3)]
    await asyncio.sleep(0)
    device.drop()
    async with asyncio.timeout(5):
        results = await asyncio.gather(*reads, return_exceptions=True)
        await gone.wait()
    assert all(isinstance(result, BleakError) for result in results)
    assert not client.is_connected
    with pytest.raises(BleakError):
        await client.read_gatt_char(VALUE)
    device.hung = False
    await client.connect()
    assert await client.read_gatt_char(VALUE) == b"hello"
    await client.disconnect()


async def test_an_answer_that_comes_late_is_not_taken_for_the_next(bench: Bench, adapter: Adapter) -> None:
    answers = [b"first", b"second"]
    made = world()
    hold, asked = asyncio.Event(), asyncio.Event()

    async def slow(_: Any) -> bytes:
        answer = answers.pop(0)
        if answer == b"first":
            asked.set()
            await hold.wait()
        return answer

    reader = characteristic(VALUE, Properties.READ, read=slow)  # type: ignore[arg-type]
    await bench.peripheral([Service(SERVICE, [reader])])
    del made
    async with await client_for(adapter) as client:
        first = asyncio.ensure_future(client.read_gatt_char(VALUE))
        await asked.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(first, 0.05)
        second = asyncio.ensure_future(client.read_gatt_char(VALUE))
        await asyncio.sleep(0)
        hold.set()
        assert await asyncio.wait_for(second, 5) == b"second"


async def test_connecting_gives_up_in_time_and_the_controller_is_free_again(bench: Bench, adapter: Adapter) -> None:
    device = await bench.peripheral([world().service])
    client = await client_for(adapter)
    await device.stack.stop_advertising()
    with pytest.raises(BleakError):
        await client.connect(timeout=0.2)
    assert not client.is_connected
    await device.advertise("Bench", [])
    await client.connect()
    assert client.is_connected
    await client.disconnect()


async def test_a_cancelled_connect_frees_the_controller(bench: Bench, adapter: Adapter) -> None:
    device = await bench.peripheral([world().service])
    client = await client_for(adapter)
    await device.stack.stop_advertising()
    attempt = asyncio.ensure_future(client.connect())
    await asyncio.sleep(0.05)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    await device.advertise("Bench", [])
    await client.connect()
    await client.disconnect()
    assert not client.is_connected


async def test_connects_wait_for_each_other(bench: Bench, adapter: Adapter) -> None:
    addresses = [f"F0:00:00:00:01:{n:02X}" for n in range(6)]
    for address in addresses:
        await bench.peripheral([world().service], address=address)
    clients = [await client_for(adapter, address=address) for address in addresses]
    await asyncio.gather(*(client.connect() for client in clients))
    assert [bytes(await client.read_gatt_char(VALUE)) for client in clients] == [b"hello"] * 6
    await asyncio.gather(*(client.disconnect() for client in clients))


async def test_a_device_that_says_nothing_after_connecting_is_given_up(bench: Bench, adapter: Adapter) -> None:
    device = await bench.peripheral([world().service])
    device.hung = True
    client = await client_for(adapter)
    with pytest.raises(TimeoutError):
        await client.connect(timeout=0.5)
    assert not client.is_connected
    device.hung = False
    await client.connect()
    await client.disconnect()


async def test_a_controller_that_goes_away_ends_connections_and_scans(bench: Bench, adapter: Adapter) -> None:
    await bench.peripheral([world().service])
    gone: asyncio.Event = asyncio.Event()
    client = await client_for(adapter, lambda _: gone.set())
    await client.connect()
    bench.unplug()
    async with asyncio.timeout(5):
        await gone.wait()
    assert not client.is_connected
    assert adapter.failure is not None
    with pytest.raises(BleakError):
        await client.connect()


async def test_a_device_of_another_scan_or_a_bare_address_is_refused(adapter: Adapter) -> None:
    client = BleakClient(
        "F0:00:00:00:00:09", backend=type(adapter.client(_device(), None, 5)._backend), host=adapter._host
    )
    with pytest.raises(BleakError, match="not with its address"):
        await client.connect()
    with pytest.raises(BleakError, match="not found by this adapter"):
        await adapter.client(_device(), None, 5).connect()


def _device() -> Any:
    from bleak.backends.device import BLEDevice

    return BLEDevice("F0:00:00:00:00:09", "x", {"path": "/org/bluez/hci0/dev"})
