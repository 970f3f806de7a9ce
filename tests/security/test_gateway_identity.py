"""What another unit sends at an installed device's address is nobody's data: the serial number decides."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bumble.gatt import Service

from installer.bluetooth.adapter import Adapter
from installer.catalogue.catalogue_file import load
from installer.catalogue.model import Profile
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.gateway import status
from installer.gateway.device_identity import DeviceIdentities, known_addresses
from installer.gateway.devices import GatewayDevice, installed_devices
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.outbox import Outbox
from installer.gateway.visit import VisitTimeouts
from installer.gateway.visit_history import VisitHistory
from installer.gateway.visit_scheduler import VisitResult, VisitScheduler, VisitSettings
from installer.ledger.query_types import InstalledDevice
from tests.flow.support import LabWorld, answers_for, install
from tests.installer.bluetooth.bench import ADDRESS, Bench, Properties, characteristic
from tests.installer.gateway.support import until

TIMEOUTS = VisitTimeouts(connect=10, first=0.2, quiet=0.1, total=10)
RECORDED = GatewayDevice(ADDRESS, (Profile.WEIGHT,), "body", "Scale", serial="SN-1", installation="one")
KNOWN = '{"serial": "SN-1", "installation": "one"}'
UNRECORDED = replace(RECORDED, serial="")


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox.open(tmp_path / "gateway.sqlite") as box:
        yield box


class Unit:
    """A scale at the device's address that tells `serial` (None: it has none), and its weight to whoever subscribes."""

    def __init__(self, serial: str | None) -> None:
        self.serial = serial
        self.weight = characteristic("2a9d", Properties.INDICATE)
        self.sent: list[asyncio.Task[None]] = []
        self.peripheral: Any = None

    async def start(self, bench: Bench) -> Unit:
        services = [Service("181d", [self.weight])]
        if self.serial is not None:
            number = characteristic("2a25", Properties.READ, lambda _: (self.serial or "").encode())
            services.append(Service("180a", [number]))
        self.peripheral = await bench.peripheral(services, name="Scale")
        self.peripheral.stack.gatt_server.on("characteristic_subscription", self._subscribed)
        return self

    def _subscribed(self, _bearer: Any, _characteristic: Any, _notify: bool, indicate: bool) -> None:
        if indicate:
            raw = struct.pack("<BH", 0x00, 0x2700 + len(self.sent))
            self.sent.append(asyncio.ensure_future(self.peripheral.tell(self.weight, raw)))


async def visited(adapter: Adapter, outbox: Outbox, device: GatewayDevice) -> VisitResult:
    """The result of one visit of the gateway."""
    results: list[VisitResult] = []
    settings = VisitSettings(interval=1000.0, timeouts=TIMEOUTS)
    scheduler = VisitScheduler(
        outbox, VisitHistory(outbox), load(), lambda _: ["store"], settings, on_result=results.append
    )
    scheduler.set_devices([device])
    task = asyncio.create_task(scheduler.run(adapter))
    try:
        await until(lambda: results)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 15)
    return results[0]


@pytest.mark.parametrize("kind", ["other", "unreadable"])
async def test_an_installed_unit_that_is_exchanged_gives_no_data_by_the_command(
    world: LabWorld, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    ended, _ = await install(answers_for(world, "body", "bluetooth"))
    assert ended.outcome == "installed"
    world.faults("body", {"serial": {"kind": kind, "times": 0, "after": 0}})
    world.act("body", "measure")
    words = ["gateway", "once", "--lab", "--seconds", "10", "--quiet", "0.3", "--json"]
    capsys.readouterr()
    assert await asyncio.to_thread(_main, words) == ErrorCode.GATEWAY_INCOMPLETE.exit_status
    printed = capsys.readouterr()
    [visit] = json.loads(printed.out)["visited"]
    assert (visit["address"], visit["code"], visit["collected"]) == (world.address("body"), "device_changed", 0)
    assert "Not everything was collected" in printed.err
    with Outbox.open(GatewayFiles.in_data_dir(lab=True).outbox) as outbox:
        assert outbox.count() == 0


@pytest.mark.parametrize("serial", ["SN-2", None, ""])
async def test_another_unit_at_the_address_of_an_installed_device_gives_no_data(
    bench: Bench, adapter: Adapter, outbox: Outbox, serial: str | None
) -> None:
    unit = await Unit(serial).start(bench)
    result = await visited(adapter, outbox, RECORDED)
    assert result.failure is not None
    assert result.failure.code is ErrorCode.DEVICE_CHANGED
    assert "SN-1" in result.failure.what
    assert (result.collected, outbox.count(), unit.sent) == (0, 0, [])


async def test_the_installed_unit_gives_its_data(bench: Bench, adapter: Adapter, outbox: Outbox) -> None:
    await Unit("SN-1").start(bench)
    result = await visited(adapter, outbox, RECORDED)
    assert (result.failure, result.collected, outbox.count()) == (None, 1, 1)


@pytest.mark.parametrize("device", [UNRECORDED, replace(UNRECORDED, installation="")])
async def test_the_first_visit_decides_where_the_record_has_no_serial_number(
    bench: Bench, adapter: Adapter, outbox: Outbox, device: GatewayDevice
) -> None:
    unit = await Unit("SN-1").start(bench)
    assert (await visited(adapter, outbox, device)).failure is None
    unit.serial = "SN-2"
    result = await visited(adapter, outbox, device)
    assert result.failure is not None
    assert result.failure.code is ErrorCode.DEVICE_CHANGED
    assert outbox.count() == 1


async def test_a_new_installation_and_a_person_decide_anew(bench: Bench, adapter: Adapter, outbox: Outbox) -> None:
    unit = await Unit("SN-1").start(bench)
    assert (await visited(adapter, outbox, RECORDED)).failure is None
    unit.serial = "SN-2"
    again = replace(RECORDED, serial="SN-2", installation="two")
    assert (await visited(adapter, outbox, again)).failure is None
    unit.serial = "SN-3"
    assert (await visited(adapter, outbox, again)).failure is not None
    assert DeviceIdentities(outbox).accept(ADDRESS)
    assert (await visited(adapter, outbox, again)).failure is None
    assert DeviceIdentities(outbox).serial(ADDRESS) == "SN-3"
    unit.serial = "SN-2"
    assert (await visited(adapter, outbox, again)).failure is not None


async def test_a_person_accepts_a_unit_that_was_refused_at_its_first_visit(
    bench: Bench, adapter: Adapter, outbox: Outbox
) -> None:
    await Unit("SN-2").start(bench)
    refused = (await visited(adapter, outbox, RECORDED)).failure
    assert refused is not None
    assert f"gateway accept {ADDRESS}" in refused.todo
    assert DeviceIdentities(outbox).accept(ADDRESS)
    result = await visited(adapter, outbox, RECORDED)
    assert (result.failure, result.collected) == (None, 1)


async def test_the_status_says_who_changed_and_where_it_cannot_be_told(
    bench: Bench, adapter: Adapter, outbox: Outbox
) -> None:
    files = GatewayFiles(outbox.path.parent)
    unit = await Unit(None).start(bench)
    assert (await visited(adapter, outbox, UNRECORDED)).failure is None
    found = await status.read_status(files)
    assert any("No serial number: Scale." in line for line in status.status_lines(found, time.time()))
    assert status.status_json(found, time.time())["devices"][0]["serial"] == ""
    assert unit.sent
    await visited(adapter, outbox, replace(RECORDED, installation="two"))
    found = await status.read_status(files)
    assert [device.address for device in status.changed_devices(found)] == [ADDRESS]  # what `doctor` tells
    problems = status.problems(found, time.time())
    assert any("Another device may answer at the address of Scale" in problem for problem in problems)


def test_the_serial_number_of_the_record_is_the_one_that_the_device_told() -> None:
    """Not that of the cloud, which need not be the same text."""
    [device] = installed_devices([InstalledDevice(ADDRESS, "body", "Scale", None, "one", "SN-1")], load())
    assert (device.serial, device.installation) == ("SN-1", "one")


def test_a_person_accepts_only_a_device_that_the_gateway_has_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path))
    files = GatewayFiles.in_data_dir(lab=False)
    assert _main(["gateway", "accept", ADDRESS]) == ErrorCode.USAGE.exit_status
    assert "has not met a device" in capsys.readouterr().err
    with Outbox.open(files.outbox) as outbox:
        outbox.write("x", lambda c: c.execute("INSERT INTO state VALUES (?, ?)", (f"identity:{ADDRESS}", KNOWN)))
    assert _main(["gateway", "accept", ADDRESS.lower()]) == 0
    assert _main(["gateway", "accept", ADDRESS[:-2]]) == ErrorCode.USAGE.exit_status
    with Outbox.open(files.outbox) as outbox:
        assert known_addresses(outbox) == [ADDRESS]
        assert DeviceIdentities(outbox).serial(ADDRESS) is None


@pytest.mark.parametrize("damaged", ["{", "[1]", '{"serial": 7}', "null"])
def test_a_damaged_note_counts_as_none(outbox: Outbox, damaged: str) -> None:
    outbox.write("x", lambda c: c.execute("INSERT INTO state VALUES (?, ?)", (f"identity:{ADDRESS}", damaged)))
    assert DeviceIdentities(outbox).serial(ADDRESS) is None
