"""Measurements per second through the gateway, beside a plain reader in the same run; and its memory over a day."""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bleak.backends.device import BLEDevice

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.open_adapter import open_adapter
from installer.bluetooth.scan import Scan
from installer.catalogue import catalogue_file
from installer.catalogue.model import Profile
from installer.gateway.delivery import Delivery
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Outbox
from installer.gateway.outbox_writer import OutboxWriter
from installer.gateway.sinks import StoreSink
from installer.gateway.visit import VisitTimeouts, visit_device
from installer.gateway.visit_history import VisitHistory
from installer.gateway.visit_scheduler import VisitScheduler, VisitSettings
from installer.health_profiles import reader
from installer.measurements.store import Store
from installer.provisioning import registry
from installer.storage.database import sqlite_url
from tests.installer.lab.lab_process import LabProcess

STORED = 500
ROUNDS = 3
DEVICES = 200
# A day in which each of 200 devices is visited every five minutes is 57,600 visits; here each is visited so often,
# one after the other without a pause, and the memory is looked at along the way.
VISITS_EACH = 6
SCALE = "00:24:E4:10:00:01"


def world(devices: int, stored: int) -> str:
    """A lab with scales that have measured before."""
    head = (
        'name = "bench"\nbystanders = 0\n[radio]\nadvertising_interval = 0.1\nsupervision_timeout = 0.1\n'
        '[timing]\nmeasure_after = "never"\n'
    )
    return head + "".join(
        f'[[device]]\nmodel = "body"\naddress = "{address(n)}"\nname = "Scale {n}"\nstored = {stored}\nmemory = 5000\n'
        for n in range(1, devices + 1)
    )


def address(number: int) -> str:
    """The address of the scale with this number."""
    return f"00:24:E4:10:{number // 256:02X}:{number % 256:02X}"


async def _found(adapter: Adapter, wanted: str) -> BLEDevice:
    async with Scan(adapter, registry.detector(catalogue_file.load()), settle=0) as scan:
        await scan.wait_until(lambda seen: next((s for s in seen if s.address == wanted), None), 20)
        return scan.ble_device(wanted)


async def _plain(adapter: Adapter, device: BLEDevice) -> float:
    """Seconds for a reader that keeps nothing."""
    async with await Connection.open(adapter, device) as connection:
        began = last = time.perf_counter()
        count = 0
        async for _ in reader.collect(connection, [Profile.WEIGHT], 0.5, first=5):
            count, last = count + 1, time.perf_counter()
        assert count == STORED, count
        return last - began


async def _through(adapter: Adapter, device: BLEDevice, folder: Path) -> tuple[float, float]:
    """Seconds until all is in the outbox, and until it is in the store as well."""
    gateway_device = GatewayDevice(SCALE, (Profile.WEIGHT,), "body", "Scale")
    with Outbox.open(folder / "gateway.sqlite") as outbox:
        visits = VisitHistory(outbox)
        visits.add_device(gateway_device)
        writer = OutboxWriter(outbox, gateway_device, visits.begin_visit(SCALE, time.time()), ["store"])
        delivery = Delivery(outbox, [StoreSink(lambda: Store.open(sqlite_url(folder / "store.sqlite")))])
        began = time.perf_counter()
        last = began
        keep = writer.write_measurement

        def timed(found: reader.CollectedMeasurement) -> None:
            nonlocal last
            keep(found)
            last = time.perf_counter()

        writer.write_measurement = timed  # type: ignore[method-assign]
        await visit_device(adapter, device, gateway_device.profiles, writer, VisitTimeouts(quiet=0.5, first=5))
        assert writer.collected == STORED, writer.collected
        collected = last - began
        began = time.perf_counter()
        assert await delivery.deliver_once()
        await delivery.close()
        return collected, time.perf_counter() - began


async def _rates(folder: Path) -> tuple[list[float], list[float], list[float]]:
    plain, outbox, store = [], [], []
    for number in range(ROUNDS):
        for through in (False, True):
            with LabProcess(folder / f"lab-{number}-{through}", world(1, STORED)) as lab:
                async with await open_adapter(lab.adapter) as adapter:
                    device = await _found(adapter, SCALE)
                    if not through:
                        plain.append(STORED / await _plain(adapter, device))
                        continue
                    collected, delivered = await _through(adapter, device, folder / f"home-{number}")
                    outbox.append(STORED / collected)
                    store.append(STORED / delivered)
    return plain, outbox, store


async def _memory(folder: Path) -> tuple[int, list[tuple[int, float]]]:
    """How many visits were made, and (visits, MiB) along the way."""
    told = 0

    def count(_: object) -> None:
        nonlocal told
        told += 1

    devices = [GatewayDevice(address(n), (Profile.WEIGHT,), "body", f"Scale {n}") for n in range(1, DEVICES + 1)]
    seen: list[tuple[int, float]] = []
    with LabProcess(folder / "crowd", world(DEVICES, VISITS_EACH)) as lab, Outbox.open(folder / "box.sqlite") as outbox:
        delivery = Delivery(outbox, [StoreSink(lambda: Store.open(sqlite_url(folder / "crowd.sqlite")))])
        settings = VisitSettings(interval=0.1, timeouts=VisitTimeouts(first=0.05, quiet=0.05))
        scheduler = VisitScheduler(
            outbox, VisitHistory(outbox), catalogue_file.load(), delivery.sinks_of, settings, on_result=count
        )
        scheduler.set_devices(devices)
        async with await open_adapter(lab.adapter) as adapter:
            tasks = [asyncio.create_task(scheduler.run(adapter)), asyncio.create_task(delivery.run())]
            for part in range(1, VISITS_EACH + 1):
                while told < part * DEVICES:  # noqa: ASYNC110 - a count
                    await asyncio.sleep(0.05)
                seen.append((told, _now_mib()))
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await delivery.close()
    return told, seen


def _now_mib() -> float:
    """Resident memory of this process now."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def report() -> Sequence[str]:
    """The tables."""
    with tempfile.TemporaryDirectory() as folder:
        plain, outbox, store = asyncio.run(_rates(Path(folder)))
        visits, memory = asyncio.run(_memory(Path(folder)))

    def line(name: str, rates: list[float]) -> str:
        best = max(rates)
        return f"| {name} | {best:.0f} | {best / max(plain):.2f} |"

    first, last = memory[0], memory[-1]
    return [
        f"## The gateway: {STORED} stored measurements of one scale, best of {ROUNDS}",
        "",
        "| | measurements per second | to a plain reader |",
        "|---|---|---|",
        line("a plain reader that keeps nothing", plain),
        line("into the outbox, each synced before it is confirmed", outbox),
        line("from the outbox into the store (SQLite)", store),
        "",
        f"Memory with {DEVICES} devices in reach: {first[1]:.0f} MiB after {first[0]} visits, "
        f"{last[1]:.0f} MiB after {visits}.",
    ]
