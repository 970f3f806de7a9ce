"""The program beside py-improv-ble-client, with the same device over BlueZ: printed, never asserted."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.flow.support import PASSPHRASE, LabWorld
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.program import Program
from tests.guest.inside.test_protocols import SCRIPT, WIFI

ADDRESS = "7C:DF:A1:00:00:42"
PEER = """
import asyncio, sys
from bleak import BleakScanner
from improv_ble_client import ImprovBLEClient

async def main(address, ssid, passphrase):
    found = await BleakScanner.find_device_by_address(address, timeout=20)
    assert found is not None
    client = ImprovBLEClient(found)
    await client.ensure_connected()
    await client.provision(ssid, passphrase, None)

asyncio.run(main(*sys.argv[1:3], sys.stdin.read()))
"""


def test_the_whole_process_beside_another_client(
    bluez: BlueZ, world: LabWorld, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = program.run("install", *SCRIPT, "--device", ADDRESS, *WIFI, "--no-wait")
    assert ours.status == 0, ours
    world.call("POST", f"/lab/devices/{ADDRESS}/reset")
    began = time.monotonic()
    command = [sys.executable, "-c", PEER, ADDRESS, "Home"]
    subprocess.run(command, input=PASSPHRASE, text=True, check=True, timeout=90)
    peer = time.monotonic() - began
    with capsys.disabled():
        print(
            f"\ndevice-installer {ours.seconds:.1f} s, py-improv-ble-client {peer:.1f} s: {ours.seconds / peer:.2f} ×"
        )
