"""One connection: its calls, their deadlines, and what happens when the link drops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bumble.gatt import Service

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.scan import Scan
from installer.catalogue import catalogue_file
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import registry
from tests.installer.bluetooth.bench import (
    LOCKED,
    NOTES,
    SERVICE,
    VALUE,
    Bench,
    Properties,
    characteristic,
    connected,
    sighted,
)
from tests.installer.bluetooth.test_hci_client import refuse, world


async def test_reading_writing_and_listening(bench: Bench, adapter: Adapter) -> None:
    made = world()
    device = await bench.peripheral([made.service])
    async with await connected(adapter) as connection:
        assert connection.is_open
        assert (connection.address, connection.name) == ("F0:00:00:00:00:01", "Bench")
        assert SERVICE in connection.services
        assert connection.has_service(SERVICE.upper())
        assert connection.has_characteristic(VALUE, SERVICE)
        assert not connection.has_characteristic(VALUE, "1800")
        assert connection.has_characteristic("2a00", "1800")
        assert connection.max_write(VALUE) == 514
        assert await connection.read(VALUE) == b"hello"
        await connection.write(VALUE, b"one")
        await connection.write(VALUE, b"two", response=False)
        got: asyncio.Queue[bytes] = asyncio.Queue()
        await connection.subscribe(NOTES, got.put_nowait)
        await device.tell(made.notes, b"note")
        assert await connection.run_while_connected(got.get(), 5, "listening") == b"note"
        await connection.unsubscribe(NOTES)
        assert made.written == [b"one", b"two"]
    assert not connection.is_open
    assert connection.lost.is_set()
    await connection.close()
    await connection.unsubscribe(NOTES)


async def test_what_waits_is_told_at_once_that_the_link_dropped(bench: Bench, adapter: Adapter) -> None:
    device = await bench.peripheral([world().service])
    connection = await connected(adapter)
    device.hung = True
    forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = [
        asyncio.ensure_future(connection.read(VALUE, timeout=60)),
        asyncio.ensure_future(connection.write(VALUE, b"secret-passphrase", timeout=60)),
        asyncio.ensure_future(connection.run_while_connected(forever, 60, "waiting for the button")),
    ]
    await asyncio.sleep(0)
    device.drop()
    async with asyncio.timeout(5):
        results = await asyncio.gather(*waiting, return_exceptions=True)
        await connection.wait_until_lost()
    for result in results:
        assert isinstance(result, InstallerError)
        assert result.code is ErrorCode.CONNECTION_LOST
        assert "secret" not in f"{result} {result!r} {result.__cause__!r} {result.__context__!r}"
    assert "dropped while waiting for the button" in str(results[2])
    assert forever.cancelled()
    with pytest.raises(InstallerError) as caught:
        await connection.read(VALUE)
    assert caught.value.code is ErrorCode.CONNECTION_LOST


async def test_an_answer_that_came_before_the_link_dropped_counts(bench: Bench, adapter: Adapter) -> None:
    device = await bench.peripheral([world().service])
    connection = await connected(adapter)

    async def answered_and_on_its_way() -> bytes:
        await connection.lost.wait()
        for _ in range(4):  # the layers that an answer comes through
            await asyncio.sleep(0)
        return b"done"

    waiting = asyncio.ensure_future(connection.run_while_connected(answered_and_on_its_way(), 5, "x"))
    await asyncio.sleep(0)
    device.drop()
    assert await waiting == b"done"


async def test_a_device_that_refuses_or_hangs_has_its_own_error(bench: Bench, adapter: Adapter) -> None:
    device = await bench.peripheral([Service(SERVICE, [characteristic(LOCKED, Properties.READ, read=refuse)])])
    async with await connected(adapter) as connection:
        with pytest.raises(InstallerError) as caught:
            await connection.read(LOCKED)
        assert caught.value.code is ErrorCode.PAIRING_NEEDED  # nobody is there to answer
        assert connection.is_open
        with pytest.raises(InstallerError) as caught:
            await connection.read(VALUE)
        assert caught.value.code is ErrorCode.DEVICE_MISBEHAVED
        device.hung = True
        with pytest.raises(InstallerError) as caught:
            await connection.read(LOCKED, timeout=0.05)
        assert caught.value.code is ErrorCode.DEVICE_MISBEHAVED
        assert "within 0.05 s" in caught.value.what


async def test_a_race_hands_on_results_errors_and_deadlines(bench: Bench, adapter: Adapter) -> None:
    await bench.peripheral([world().service])
    async with await connected(adapter) as connection:
        with pytest.raises(TimeoutError):
            await connection.run_while_connected(asyncio.Event().wait(), 0.01, "x")
        with pytest.raises(TimeoutError):
            await connection.run_while_connected(asyncio.Event().wait(), -1, "x")

        async def broken() -> None:
            raise LookupError("broken")

        with pytest.raises(LookupError):
            await connection.run_while_connected(broken(), 5, "x")


async def test_a_refused_connection_is_tried_again(bench: Bench, adapter: Adapter) -> None:
    device = await bench.peripheral([world().service])
    refusals = [True, True]
    device.controller.refuse = lambda: bool(refusals and refusals.pop())
    async with Scan(adapter, registry.detector(catalogue_file.load()), settle=0) as scan:
        found = await sighted(scan)
    async with await Connection.open(adapter, found, timeout=20) as connection:
        assert await connection.read(VALUE) == b"hello"
    device.controller.refuse = lambda: True
    with pytest.raises(InstallerError) as caught:
        await Connection.open(adapter, found, timeout=20, attempts=2)
    assert caught.value.code is ErrorCode.CONNECTION_FAILED


async def test_a_device_out_of_reach_is_given_up_in_time(bench: Bench, adapter: Adapter) -> None:
    device = await bench.peripheral([world().service])
    async with Scan(adapter, registry.detector(catalogue_file.load()), settle=0) as scan:
        found = await sighted(scan)
    await device.stack.stop_advertising()
    with pytest.raises(InstallerError) as caught:
        await Connection.open(adapter, found, timeout=0.3)
    assert caught.value.code is ErrorCode.CONNECTION_FAILED
    assert caught.value.data["address"] == "F0:00:00:00:00:01"
    assert "did not answer in time" in caught.value.what


async def test_a_controller_that_is_gone_is_named_as_the_cause(bench: Bench, adapter: Adapter) -> None:
    await bench.peripheral([world().service])
    async with Scan(adapter, registry.detector(catalogue_file.load()), settle=0) as scan:
        found: Any = await sighted(scan)
        bench.unplug()
        with pytest.raises(InstallerError):
            await scan.wait_until(lambda _: None, 5)
    with pytest.raises(InstallerError) as caught:
        await Connection.open(adapter, found, timeout=5)
    assert caught.value.code is ErrorCode.ADAPTER_FAILED


async def test_what_was_advertised_is_known_to_the_connection(bench: Bench, adapter: Adapter) -> None:
    await bench.peripheral([world().service], service_data=bytes.fromhex("7746020f00000000"))
    async with await connected(adapter) as connection:
        assert connection.advert is not None
        assert connection.advert.service_data["00004677-0000-1000-8000-00805f9b34fb"] == b"\x02\x0f\0\0\0\0"
    assert not adapter.heard
