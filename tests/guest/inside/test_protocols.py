"""Each protocol and each sync method over BlueZ, with the lab's devices."""

from __future__ import annotations

import pytest

from tests.flow.support import PASSPHRASE, LabWorld
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.program import Finished, Program

SCRIPT = ("--lab", "--adapter", "system", "--non-interactive", "--json")
WIFI = ("--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE")
SCALE = "00:24:E4:20:00:3C"
PROOF = ("--proof-env", "TEST_PROOF")


@pytest.mark.parametrize(
    ("address", "more"),
    [
        pytest.param("7C:DF:A1:00:00:C0", (), id="espressif-0"),
        pytest.param("00:24:E4:30:00:B1", PROOF, id="espressif-1"),
        pytest.param("7C:DF:A1:CE:03:C0", PROOF, id="espressif-2"),
        pytest.param("A8:03:2A:BE:54:DC", (), id="shelly"),
        pytest.param("F4:CE:36:00:00:01", (), id="nordic"),
    ],
)
def test_a_device_joins_a_network_of_the_lab(
    bluez: BlueZ, world: LabWorld, program: Program, address: str, more: tuple[str, ...]
) -> None:
    done = program.run("install", *SCRIPT, "--device", address, *WIFI, *more, *program.set_up_only())
    assert done.status == 0, done
    check_joined(world, address, done)


def test_improv_to_the_first_measurement(bluez: BlueZ, world: LabWorld, program: Program) -> None:
    done = program.run("install", *SCRIPT, "--device", SCALE, *WIFI)
    assert done.status == 0, done
    check_joined(world, SCALE, done)
    assert world.device("body-plus")["linked"]
    assert [event for event in done.events if event["event"] == "first_measurement"]


def check_joined(world: LabWorld, address: str, done: Finished) -> None:
    """The device is in the network, and its passphrase in no word of the program."""
    found = next(d for d in world.call("GET", "/lab/state")["devices"] if d["address"] == address)
    assert found["joined"] == "Home"
    assert PASSPHRASE not in done.output + done.errors


def test_bluetooth_only(bluez: BlueZ, world: LabWorld, program: Program) -> None:
    done = program.run("install", *SCRIPT, "--model", "move", "--sync", "bluetooth")
    assert done.status == 0, done
    assert world.device("move")["linked"]


def test_guided(bluez: BlueZ, world: LabWorld, program: Program) -> None:
    done = program.run("install", *SCRIPT, "--guided", "--sync", "wifi", "--device", "00:24:E4:10:00:99")
    assert done.status == 0, done
    assert [e for e in done.events if e["event"] == "guide_shown"]
