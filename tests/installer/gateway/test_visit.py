"""A visit: each message is on disk before its confirmation, and a repeated message is recognised."""

from __future__ import annotations

import asyncio
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bumble.gatt import Service
from bumble.hci import HCI_ErrorCode

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.scan import Scan
from installer.catalogue.catalogue_file import load
from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.gateway import visit as visits
from installer.gateway.devices import GatewayDevice
from installer.gateway.earlier_visits import clock_change, last_record, remember_clock_change
from installer.gateway.outbox import Item, Outbox
from installer.gateway.outbox_writer import OutboxWriter
from installer.gateway.sinks import measurement_of
from installer.gateway.visit import VisitTimeouts, visit_device
from installer.gateway.visit_history import VisitHistory
from installer.health_profiles.arrived_measurements import ArrivedMeasurements
from installer.health_profiles.device_clock import ClockChange
from installer.health_profiles.device_features import DeviceFeatures
from installer.provisioning import registry
from tests.installer.bluetooth.bench import ADDRESS, Bench, Peripheral, Properties, characteristic, sighted

WHEN = bytes.fromhex("ea070b17120f1e")  # 2026-11-23 18:15:30
FAST = VisitTimeouts(connect=10, first=0.3, quiet=0.3, total=10)
DEVICE = GatewayDevice(ADDRESS, (Profile.WEIGHT,), "bench", "Bench")


def weight(number: int, *, dated: bool = True) -> bytes:
    """A measurement of `number` * 5 g."""
    return struct.pack("<BH", 0x02 if dated else 0x00, 0x2700 + number) + (WHEN if dated else b"")


class Scale:
    """A scale that keeps each message until its indication was confirmed, and sends all when somebody subscribes."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.confirmed: list[bytes] = []
        self.at_confirmation: list[int] = []
        self.count: Any = lambda: 0
        self.value = characteristic("2a9d", Properties.INDICATE)
        self.device: Peripheral | None = None
        self.hangs_up = False
        self._task: asyncio.Task[None] | None = None

    async def start(self, bench: Bench) -> None:
        self.device = await bench.peripheral([Service("181d", [self.value])])
        self.device.stack.gatt_server.on("characteristic_subscription", self._subscribed)

    def _subscribed(self, _bearer: Any, _characteristic: Any, _notify: bool, indicate: bool) -> None:
        if indicate:
            self._task = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        assert self.device is not None
        link = self.device.link
        while self.kept and self.device.link is link and link is not None:
            await self.device.stack.gatt_server.indicate_subscriber(link, self.value, self.kept[0])
            self.at_confirmation.append(self.count())
            self.confirmed.append(self.kept.pop(0))
        if self.hangs_up and self.device.link is link:
            self.device.controller.lose_links(HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)


@pytest.fixture
async def scale(bench: Bench) -> Scale:
    scale = Scale()
    await scale.start(bench)
    return scale


@pytest.fixture
def outbox(tmp_path: Path) -> Any:
    with Outbox.open(tmp_path / "gateway.sqlite") as box:
        VisitHistory(box).add_device(DEVICE)
        yield box


async def visit(adapter: Adapter, outbox: Outbox, timeouts: VisitTimeouts = FAST) -> OutboxWriter:
    """One whole visit, as the agent makes it."""
    history = VisitHistory(outbox)
    writer = OutboxWriter(outbox, DEVICE, history.begin_visit(ADDRESS, 1.0), ["store"])
    async with Scan(adapter, registry.detector(load()), settle=0) as scan:
        device = await sighted(scan)
    end = await visit_device(adapter, device, DEVICE.profiles, writer, timeouts)
    history.record_success(ADDRESS, 1.0, in_doubt=end.in_doubt)
    return writer


def raws(outbox: Outbox) -> list[bytes]:
    return [i.raw for i in outbox.next_items("store", ADDRESS, 1000)]


async def test_each_is_on_disk_before_the_device_may_forget_it(scale: Scale, adapter: Adapter, outbox: Outbox) -> None:
    scale.kept = [weight(n) for n in range(10)]
    # Another process's view of the file, at the moment when the confirmation arrives.
    seen = Outbox.open_existing(outbox.path)
    assert seen is not None
    scale.count = seen.count
    writer = await visit(adapter, outbox)
    assert writer.collected == 10
    assert raws(outbox) == [weight(n) for n in range(10)]
    assert all(count > place for place, count in enumerate(scale.at_confirmation))
    seen.close()


async def test_what_cannot_be_written_is_not_confirmed_and_comes_again(
    scale: Scale, adapter: Adapter, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    scale.kept = [weight(n) for n in range(4)]
    append = outbox.append

    def full(item: Item, sinks: Any) -> bool:
        if item.raw == weight(2):
            raise InstallerError(ErrorCode.DATABASE_FAILED, "The disk is full.", "Free some space.")
        return append(item, sinks)

    monkeypatch.setattr(outbox, "append", full)
    with pytest.raises(InstallerError) as caught:
        await visit(adapter, outbox)
    assert caught.value.code is ErrorCode.DATABASE_FAILED
    assert scale.confirmed == [weight(0), weight(1)]
    monkeypatch.setattr(outbox, "append", append)
    await visit(adapter, outbox)
    assert raws(outbox) == [weight(n) for n in range(4)]


async def test_while_the_disk_is_full_the_device_keeps_its_measurements(
    scale: Scale, adapter: Adapter, outbox: Outbox
) -> None:
    # SQLite's own limit: it fails in the same way as on a disk without a free block.
    pages = outbox.rows("PRAGMA page_count")[0][0]
    outbox.rows(f"PRAGMA max_page_count = {pages + 2}")
    scale.kept = [weight(n) for n in range(200)]
    with pytest.raises(InstallerError) as caught:
        await visit(adapter, outbox)
    assert caught.value.code is ErrorCode.DATABASE_FAILED
    assert "Free some space" in caught.value.todo
    kept = outbox.count()
    assert 0 < kept == len(scale.confirmed) < 200
    outbox.rows("PRAGMA max_page_count = 100000")
    writer = await visit(adapter, outbox)
    assert writer.collected == 200 - kept
    assert raws(outbox) == [weight(n) for n in range(200)]


@pytest.mark.parametrize("dated", [True, False])
async def test_after_a_lost_confirmation_the_same_is_no_second_measurement(
    scale: Scale, adapter: Adapter, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, dated: bool
) -> None:
    scale.kept = [weight(1, dated=dated)]
    append = outbox.append

    def lost(item: Item, sinks: Any) -> bool:
        new = append(item, sinks)
        assert scale.device is not None
        scale.device.drop()  # written, and then the link is gone before the confirmation has left
        return new

    monkeypatch.setattr(outbox, "append", lost)
    with pytest.raises(InstallerError) as caught:
        await visit(adapter, outbox)
    assert caught.value.code is ErrorCode.CONNECTION_LOST
    assert scale.kept == [weight(1, dated=dated)]
    monkeypatch.setattr(outbox, "append", append)
    scale.kept += [weight(2, dated=dated)]
    writer = await visit(adapter, outbox)
    assert (writer.collected, writer.repeated) == (1, 1)
    assert raws(outbox) == [weight(1, dated=dated), weight(2, dated=dated)]


@pytest.mark.parametrize(("at_once", "repeated"), [(True, 1), (False, 0)])
async def test_after_a_hang_up_only_a_message_whose_confirmation_is_in_doubt_may_be_a_repetition(
    scale: Scale,
    adapter: Adapter,
    outbox: Outbox,
    monkeypatch: pytest.MonkeyPatch,
    at_once: bool,
    repeated: int,
) -> None:
    # Whether the device hung up at once is judged by this time; no test waits for it.
    monkeypatch.setattr(visits, "CONFIRMATION_SECONDS", 60.0 if at_once else 0.0)
    scale.hangs_up = True
    patient = VisitTimeouts(connect=10, first=20, quiet=20, total=60)
    scale.kept = [weight(1, dated=False)]
    assert (await visit(adapter, outbox, patient)).collected == 1
    scale.kept = [weight(1, dated=False)]
    assert (await visit(adapter, outbox, patient)).repeated == repeated
    assert len(raws(outbox)) == 2 - repeated


PRESSURES = bytes.fromhex("78004e005c00")
SHOWN = int((datetime(2026, 11, 23, 18, 15, 30) - datetime(2000, 1, 1)).total_seconds()).to_bytes(4, "little")


@pytest.mark.parametrize(("record", "repeated"), [(SHOWN, 1), (bytes(4), 0)], ids=["the same", "another one"])
def test_a_stored_record_of_what_was_told_live_is_no_second_measurement(
    outbox: Outbox, record: bytes, repeated: int
) -> None:
    """A cuff tells a measurement to who is connected (0x2A35), and has it among its records (0x2B36), too."""
    writer = OutboxWriter(outbox, DEVICE, VisitHistory(outbox).begin_visit(ADDRESS, 1.0), ["store"])
    arrived = ArrivedMeasurements(writer.write_measurement, None, DeviceFeatures())
    arrived.listener(Profile.BLOOD_PRESSURE)(b"\x06" + PRESSURES + WHEN + b"\x3e\x00")
    arrived.record_listener(Profile.BLOOD_PRESSURE)(
        b"\x03\x07\x00\x34\x2b" + b"\x64" + PRESSURES + b"\x3e\x00" + record
    )
    assert (writer.collected, writer.repeated) == (2 - repeated, repeated)
    assert last_record(outbox, ADDRESS) == (None if repeated else 7)


def test_how_a_clock_was_set_is_kept_for_the_next_visit(outbox: Outbox) -> None:
    assert clock_change(outbox, ADDRESS) is None
    change = ClockChange(datetime(2018, 1, 1), datetime(2026, 11, 23, 18, 15, tzinfo=UTC))
    remember_clock_change(outbox, ADDRESS, change)
    assert clock_change(outbox, ADDRESS) == change
    outbox.write("damage it", lambda connection: connection.execute("UPDATE state SET value = '{\"now\": 3}'"))
    assert clock_change(outbox, ADDRESS) is None


async def test_two_equal_measurements_without_a_time_are_two(scale: Scale, adapter: Adapter, outbox: Outbox) -> None:
    scale.kept = [weight(1, dated=False)] * 2
    await visit(adapter, outbox)
    scale.kept = [weight(1, dated=False)]
    await visit(adapter, outbox)
    assert raws(outbox) == [weight(1, dated=False)] * 3


async def test_a_message_that_nobody_understands_is_kept_and_stops_nothing(
    scale: Scale, adapter: Adapter, outbox: Outbox
) -> None:
    scale.kept = [weight(1), b"\x02\x10", weight(2)]
    await visit(adapter, outbox)
    assert raws(outbox) == [weight(1), weight(2)]
    assert outbox.count_not_understood() == 1


async def test_a_measurement_that_failed_is_none(scale: Scale, adapter: Adapter, outbox: Outbox) -> None:
    scale.kept = [b"\x00\xff\xff", weight(1)]
    await visit(adapter, outbox)
    assert [measurement_of(i).readings[0].unit for i in outbox.next_items("store", ADDRESS, 9)] == ["kg"]
    assert outbox.count() == 1


async def test_a_device_without_the_profile_is_told(bench: Bench, adapter: Adapter, outbox: Outbox) -> None:
    await bench.peripheral([Service("1809", [characteristic("2a1c", Properties.INDICATE)])])
    with pytest.raises(InstallerError) as caught:
        await visit(adapter, outbox)
    assert caught.value.code is ErrorCode.MEASUREMENT_FAILED
