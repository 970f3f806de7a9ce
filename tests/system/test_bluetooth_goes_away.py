"""This computer's Bluetooth goes away at every stage, against a stand-in for BlueZ on a real D-Bus daemon.

Whoever is the cause is blamed: never a device. What listens goes on by itself. A real bluetoothd dies in the guest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from dbus_fast import ErrorType, Message

from installer.batch import device_assignment
from installer.batch.device_assignment import BatchAdapter
from installer.bluetooth import adapter as adapters
from installer.bluetooth import connecting as connections
from installer.bluetooth.adapter import Adapter
from installer.bluetooth.bluez import watch as watches
from installer.bluetooth.connection import Connection
from installer.bluetooth.open_adapter import check_adapter, open_adapter
from installer.bluetooth.scan import Scan
from installer.bluetooth.shared_radio import SharedRadio
from installer.catalogue import catalogue_file
from installer.errors import ErrorCode, InstallerError
from installer.gateway import status as statuses
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.gateway import BluetoothBack, Gateway, GatewayEvent, GatewayFailure, GatewayParts
from installer.gateway.heartbeat import Heartbeat
from installer.gateway.outbox import Outbox
from installer.provisioning import registry
from tests.system.bluez_stand_in import IN_PROGRESS, VALUE, StandIn, fails, never, path_of
from tests.system.test_host_network import bus

__all__ = ["bus"]

ADDRESS = "00:24:E4:00:00:01"
PATH = path_of(ADDRESS)
MISSING, OFF, FAILED = ErrorCode.BLUETOOTH_MISSING, ErrorCode.BLUETOOTH_OFF, ErrorCode.ADAPTER_FAILED
Event = Callable[[StandIn], Awaitable[None] | None]


async def blocked(bluez: StandIn) -> None:
    bluez.power(False, blocked=True)


# What happens, the code, and how it ends.
WAYS: dict[str, tuple[Event, ErrorCode, Event]] = {
    "killed": (StandIn.killed, MISSING, lambda bluez: back(bluez)),
    "stopped": (StandIn.stopped, MISSING, lambda bluez: back(bluez)),
    "restarted": (StandIn.restarted, MISSING, lambda bluez: None),
    "off": (lambda bluez: bluez.power(False), OFF, lambda bluez: bluez.power(True)),
    "blocked": (blocked, OFF, lambda bluez: bluez.power(True)),
    "pulled": (lambda bluez: bluez.pulled(), FAILED, lambda bluez: bluez.plugged()),
}
every_way = pytest.mark.parametrize("way", WAYS)


async def back(bluez: StandIn) -> None:
    await bluez.start()


async def happens(event: Event, bluez: StandIn) -> None:
    found = event(bluez)
    if found is not None:
        await found


@pytest_asyncio.fixture
async def bluez(bus: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    """The stand-in, not started; the program under test uses its bus."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
    monkeypatch.setattr(watches, "SETTLE_SECONDS", 0.6)
    service = StandIn(bus)
    service.in_reach[ADDRESS] = "Bench"
    yield service
    await service.killed()


def scan_of(adapter: Adapter) -> Scan:
    return Scan(adapter, registry.detector(catalogue_file.load()), settle=0)


async def found(scan: Scan) -> bool:
    return await scan.wait_until(lambda seen: True if any(s.address == ADDRESS for s in seen) else None, 5) is True


async def raised(work: Awaitable[Any]) -> InstallerError:
    with pytest.raises(InstallerError) as caught:
        await asyncio.wait_for(work, 15)
    assert str(caught.value).count("“") == str(caught.value).count("”")
    return caught.value


@every_way
async def test_a_search_says_what_happened_and_goes_on_by_itself(bluez: StandIn, way: str) -> None:
    event, code, end = WAYS[way]
    await bluez.start()
    async with await open_adapter() as adapter, scan_of(adapter) as scan:
        assert await found(scan)
        searching = asyncio.ensure_future(raised(scan.wait_until(lambda _: None, 60)))
        await asyncio.sleep(0)
        await happens(event, bluez)
        error = await searching
        assert (error.code, scan.restarts) == (code, True)
        assert ADDRESS not in str(error)
        await happens(end, bluez)
        assert await scan.wait_until_running(5)
        assert await found(scan)


@every_way
async def test_a_link_that_this_computer_ended_is_not_blamed_on_the_device(bluez: StandIn, way: str) -> None:
    event, code, _ = WAYS[way]
    await bluez.start()
    bluez.instead["ReadValue"] = repeat(never)
    async with await open_adapter() as adapter, await connected(adapter) as connection:
        reading = asyncio.ensure_future(raised(connection.read(VALUE, timeout=60)))
        waiting = asyncio.ensure_future(
            raised(connection.run_while_connected(asyncio.Event().wait(), 60, "waiting for a measurement"))
        )
        await bluez.asked("ReadValue")
        await happens(event, bluez)
        for error in (await reading, await waiting, await raised(connection.read(VALUE))):
            assert error.code is code
            assert error.link_is_down
            assert "ended the connection" in error.what
            assert "device off" not in error.todo
        assert not connection.is_open


async def connected(adapter: Adapter) -> Connection:
    async with scan_of(adapter) as scan:
        assert await found(scan)
        device = scan.ble_device(ADDRESS)
    return await Connection.open(adapter, device, timeout=10)


async def test_messages_are_as_long_as_the_link_allows(bluez: StandIn) -> None:
    """bleak's own `mtu_size` does not know it on BlueZ."""
    await bluez.start()
    async with await open_adapter() as adapter, await connected(adapter) as connection:
        assert connection.max_write(VALUE) == 517 - 3


@every_way
async def test_an_attempt_to_connect_ends_at_once(bluez: StandIn, way: str) -> None:
    event, code, _ = WAYS[way]
    await bluez.start()
    bluez.instead["Connect"] = repeat(Message.new_method_return)  # answers, and no service is ever found
    async with await open_adapter() as adapter:
        connecting = asyncio.ensure_future(raised(connected(adapter)))
        await bluez.asked("Connect")
        await happens(event, bluez)
        assert (await connecting).code is code


async def test_a_hang_up_in_a_request_is_a_lost_link(bluez: StandIn) -> None:
    await bluez.start()

    def hang_up(call: Message) -> Message:
        # Both come in one turn of the loop, the error first.
        asyncio.get_running_loop().call_soon(bluez.hangs_up, PATH)
        return Message.new_error(call, "org.bluez.Error.Failed", "Operation failed with ATT error: 0x0e")

    bluez.instead["ReadValue"] = repeat(hang_up)
    async with await open_adapter() as adapter, await connected(adapter) as connection:
        assert (await raised(connection.read(VALUE))).code is ErrorCode.CONNECTION_LOST


@pytest.mark.parametrize(
    ("name", "text", "code", "words"),
    [
        ("org.bluez.Error.Failed", "Operation failed with ATT error: 0x0e", ErrorCode.DEVICE_REFUSED, "0x0e"),
        ("org.bluez.Error.NotPermitted", "Not paired", ErrorCode.PAIRING_NEEDED, "wants to be paired"),
        ("org.freedesktop.DBus.Error.Spawn.ChildExited", "", MISSING, "Bluetooth service of this computer"),
        ("org.freedesktop.DBus.Error.NoReply", "", MISSING, "Bluetooth service of this computer"),
        ("org.freedesktop.DBus.Error.ServiceUnknown", "", MISSING, "Bluetooth service of this computer"),
    ],
)
async def test_each_answer_has_its_party(bluez: StandIn, name: str, text: str, code: ErrorCode, words: str) -> None:
    await bluez.start()
    bluez.instead["ReadValue"] = repeat(fails(name, text))
    async with await open_adapter() as adapter, await connected(adapter) as connection:
        error = await raised(connection.read(VALUE))
        assert error.code is code
        assert words in error.what


async def test_a_device_that_the_system_forgets_is_lost(bluez: StandIn) -> None:
    await bluez.start()
    bluez.instead["ReadValue"] = repeat(never)
    async with await open_adapter() as adapter, await connected(adapter) as connection:
        reading = asyncio.ensure_future(raised(connection.read(VALUE, timeout=60)))
        await bluez.asked("ReadValue")
        bluez.remove(PATH)  # without a word about `Connected`
        assert (await reading).code is ErrorCode.CONNECTION_LOST


async def test_work_that_a_dead_program_left_behind_is_waited_for(
    bluez: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "BUSY_SECONDS", 0.5)
    for module in (adapters, connections):
        monkeypatch.setattr(module, "BUSY_PAUSE_SECONDS", 0.01)
    await bluez.start()
    bluez.instead["StartDiscovery"] = repeat(IN_PROGRESS, 2)
    bluez.instead["Connect"] = repeat(IN_PROGRESS, 4)  # more than one attempt makes
    async with await open_adapter() as adapter:
        async with await connected(adapter) as connection:
            assert connection.is_open
        assert "Disconnect" in bluez.methods
        bluez.instead["StartDiscovery"] = repeat(IN_PROGRESS)
        error = await raised(scan_of(adapter).__aenter__())
        assert error.code is FAILED
        assert "another program of this computer keeps it busy" in error.what
        assert "bluetoothctl" in error.todo


@pytest.mark.parametrize(
    ("spec", "code"), [(None, MISSING), ("hci0", MISSING), ("hci7", MISSING), ("00:1A:7D:DA:71:10", MISSING)]
)
async def test_without_a_service_or_an_adapter(bluez: StandIn, spec: str, code: ErrorCode) -> None:
    error = await raised(check_adapter(spec))
    assert error.code is code
    assert "service" in error.what
    await bluez.start()
    bluez.pulled()
    error = await raised(check_adapter(spec))
    assert error.code is code
    assert "no Bluetooth adapter" in error.what


@pytest.mark.parametrize("spec", [None, "hci0"])
async def test_a_user_who_may_not_ask_is_told_that(bluez: StandIn, spec: str | None) -> None:
    bluez.instead["GetManagedObjects"] = repeat(fails(ErrorType.ACCESS_DENIED))
    await bluez.start()
    error = await raised(check_adapter(spec))
    assert error.code is ErrorCode.BLUETOOTH_DENIED
    assert "may not use Bluetooth" in error.what


async def test_the_adapter_that_is_meant_is_named(bluez: StandIn) -> None:
    await bluez.start("hci10", "hci2")
    second = "hci2 (00:1A:7D:DA:71:11, switched on)"
    for spec in (None, "hci2", "00:1a:7d:da:71:11"):
        words = await check_adapter(spec)
        assert f"adapter {second} scans" in words
        assert "could choose hci10 (00:1A:7D:DA:71:10" in words
    for spec in ("hci7", "hci99x", "hci", "HCI2x", "00:1A:7D:DA:71", "00:00:00:00:00:99", "hci٣", "hci2 "):
        error = await raised(open_adapter(spec))
        assert error.code is FAILED
        assert second in error.todo


async def test_another_adapter_takes_over_if_none_was_chosen(bluez: StandIn) -> None:
    await bluez.start("hci0", "hci1")
    async with await open_adapter() as adapter, scan_of(adapter) as scan:
        assert await found(scan)
        bluez.pulled()
        assert (await raised(scan.wait_until(lambda _: None, 60))).code is FAILED
        assert await scan.wait_until_running(5)
        assert await found(scan)
    assert "hci1" in (await raised(open_adapter("hci0"))).todo


@every_way
async def test_a_batch_waits_and_goes_on(bluez: StandIn, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    event, code, end = WAYS[way]
    await bluez.start()
    radio = SharedRadio(open_adapter, registry.detector(catalogue_file.load()))
    adapter = BatchAdapter(radio, slots=2)
    await adapter.scan()
    assert adapter.can_find
    scan = await radio.scan()
    await happens(event, bluez)
    with pytest.raises(InstallerError):
        await scan.wait_until(lambda _: None, 5)
    await adapter.scan()
    if way != "restarted":  # that may be over by now
        assert adapter.outage is not None
        assert adapter.outage.code is code
        assert (adapter.can_find, adapter.has_free_slot) == (False, True)
    await happens(end, bluez)
    assert await radio.wait_until_back(5)
    # The scan went on by itself.
    await adapter.keep_scanning()
    assert adapter.can_find
    assert adapter.outage is None
    bluez.power(False)
    with pytest.raises(InstallerError):
        await scan.wait_until(lambda _: None, 5)
    monkeypatch.setattr(device_assignment, "MAX_AWAY_SECONDS", 0.0)
    await adapter.scan()
    assert adapter.error is not None
    assert adapter.error.code is OFF
    await radio.close()


async def test_a_batch_without_bluetooth_does_not_begin(bluez: StandIn) -> None:
    await bluez.start(powered=False)
    adapter = BatchAdapter(SharedRadio(open_adapter, registry.detector(catalogue_file.load())), slots=2)
    await adapter.scan()
    assert adapter.error is not None
    assert adapter.error.code is OFF
    await adapter.radio.close()


@pytest_asyncio.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    with Outbox.open(tmp_path / "outbox.sqlite") as opened:
        yield opened


@every_way
async def test_a_gateway_says_when_bluetooth_went_and_came_and_listens_again(
    bluez: StandIn, outbox: Outbox, tmp_path: Path, way: str
) -> None:
    event, code, end = WAYS[way]
    await bluez.start()
    told: asyncio.Queue[GatewayEvent] = asyncio.Queue()

    async def no_devices() -> list[Any]:
        return []

    parts = GatewayParts(
        GatewayFiles(tmp_path), catalogue_file.load(), open_adapter, no_devices, [], on_event=told.put_nowait
    )
    running = asyncio.ensure_future(Gateway(parts, outbox).run())
    try:
        await bluez.asked("StartDiscovery")
        bluez.calls.clear()
        await happens(event, bluez)
        failure = await asyncio.wait_for(told.get(), 10)
        assert isinstance(failure, GatewayFailure)
        assert failure.error.code is code
        if way != "restarted":
            await asyncio.sleep(0.4)  # away for a while
            problems = statuses.failures(status_of(outbox), time.time())
            assert "Bluetooth has not worked since" in problems[0]
            assert failure.error.what in problems[0]
        await happens(end, bluez)
        while not isinstance(event_now := await asyncio.wait_for(told.get(), 10), BluetoothBack):
            assert isinstance(event_now, GatewayFailure)
        await bluez.asked("StartDiscovery")
        assert statuses.failures(status_of(outbox), time.time()) == []
        lines = statuses.status_lines(status_of(outbox))
        assert any(line.startswith("Bluetooth was away for ") and failure.error.what in line for line in lines)
    finally:
        running.cancel()
        await asyncio.wait({running})


def status_of(outbox: Outbox) -> statuses.GatewayStatus:
    return statuses.GatewayStatus(running=True, pid=1, heartbeat=Heartbeat(outbox).read())
