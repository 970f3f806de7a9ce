"""Another program listens at the adapter as well: what bluetoothd knows already counts, and it may not blind us."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.flow.support import LabWorld
from tests.guest.inside import system_bus
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.program import Program
from tests.guest.inside.waiting import until

SCRIPT = ("--lab", "--adapter", "system", "--non-interactive", "--json")
WEIGHT = "00002a9d-"  # Weight Measurement
WIFI = ("--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE")


@pytest.fixture
def world(bluez: BlueZ, world: LabWorld) -> LabWorld:
    """The lab's world, heard by hci0."""
    return world


@pytest.fixture
def desktop(world: LabWorld) -> Iterator[subprocess.Popen[str]]:
    """A desktop's Bluetooth window: it scans without a filter, and has heard the lab's devices."""
    with subprocess.Popen(["bluetoothctl"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as window:
        assert window.stdin is not None
        window.stdin.write("scan on\n")
        window.stdin.flush()
        until(lambda: all("RSSI" in system_bus.device(world.address(m)) for m in ("body", "thermo")), "the devices")
        yield window
        window.kill()


def test_a_scan_beside_it_lists_what_is_in_reach(
    desktop: subprocess.Popen[str], world: LabWorld, program: Program
) -> None:
    for _ in range(3):
        done = program.run("scan", "--lab", "--adapter", "system", "--json", "--seconds", "3")
        heard = {e["sighting"]["address"] for e in done.events}
        assert {world.address("body"), world.address("thermo"), world.address("sleep")} <= heard, done
    assert desktop.poll() is None


def test_an_installation_beside_it_is_as_quick_as_alone(
    world: LabWorld, program: Program, request: pytest.FixtureRequest
) -> None:
    def seconds_to_connect() -> float:
        done = program.run("install", *SCRIPT, "--device", world.address("body"), *WIFI, *program.set_up_only())
        assert done.status == 0, done
        times = {e["event"]: e["time"] for e in done.events}
        world.act("body", "reset")
        found, connected = (datetime.fromisoformat(times[name]) for name in ("device_found", "device_connected"))
        return (connected - found).total_seconds()

    alone = seconds_to_connect()
    request.getfixturevalue("desktop")
    # A connection that waits for the end of the other's scan takes 10 s more, every time.
    assert min(seconds_to_connect() for _ in range(2)) < alone + 5.0


def test_the_gateway_makes_room_for_an_installation(world: LabWorld, program: Program) -> None:
    named = ("--device", world.address("thermo"), "--profile", "temperature")
    gateway = program.start("gateway", "run", "--lab", "--adapter", "system", "--json", *named)
    gateway.wait_text('"gateway_visited"')
    done = program.run("install", *SCRIPT, "--device", world.address("body"), *WIFI, *program.set_up_only())
    assert done.status == 0, done
    gateway.wait_text('"goes_on"')
    assert gateway.text.index('"makes_room"') < gateway.text.index('"goes_on"')
    assert gateway.stop(signal.SIGTERM) == 0


def test_each_measurement_is_kept_once_although_two_are_subscribed(world: LabWorld, program: Program) -> None:
    """Rule 6: bluetoothd gives each notification to everybody, once per subscriber."""
    address = world.address("body")
    installed = program.run("install", *SCRIPT, "--device", address, "--sync", "bluetooth", "--no-wait")
    assert installed.status == 0, installed

    def measured() -> list[float]:
        # Equal weights of one second are one measurement.
        return sorted({one["weight"] for one in world.call("GET", f"/lab/devices/{address}/measurements")})

    def stored() -> list[float]:
        shown = program.run("data", "show", "--lab", "--json")
        return sorted(float(e["value"]) for e in shown.events if e.get("kind") == "weight")

    with subprocess.Popen(["python3", "-c", SUBSCRIBER, address], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            # It comes again and again, and stays long enough for the other one to see it.
            often = ("--every", "5", "--quiet", "10")
            gateway = program.start("gateway", "run", "--lab", "--adapter", "system", "--json", *often)
            assert any(uuid.startswith(WEIGHT) for uuid in other.stdout)
            for _ in range(3):
                world.act("body", "measure")
            until(lambda: set(stored()) == set(measured()), "all measurements in the store")
            assert gateway.stop(signal.SIGTERM) == 0
        finally:
            other.kill()
    assert stored() == measured()


# Subscribes to all to which somebody else has subscribed. One who came first would get what is sent at once alone.
SUBSCRIBER = """
import asyncio, sys
from dbus_fast import BusType, Message
from dbus_fast.aio import MessageBus
path = "/org/bluez/hci0/dev_" + sys.argv[1].replace(":", "_")

async def main():
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    done = set()
    while True:
        answer = await bus.call(Message("org.bluez", "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))
        for at, interfaces in answer.body[0].items():
            found = interfaces.get("org.bluez.GattCharacteristic1")
            notifies = found and found.get("Notifying")
            if notifies and notifies.value and at.startswith(path) and at not in done:
                done.add(at)
                await bus.call(Message("org.bluez", at, "org.bluez.GattCharacteristic1", "StartNotify"))
                print(found["UUID"].value, flush=True)
        await asyncio.sleep(0.1)

asyncio.run(main())
"""
