"""The program beside py-improv-ble-client, with the same device over BlueZ: printed, never asserted."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import datetime

import pytest

from tests.flow.support import PASSPHRASE, LabWorld
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.program import Program
from tests.guest.inside.test_protocols import SCRIPT, WIFI

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


LATER = "[link]\nlater = true\n"


@pytest.mark.long
def test_the_whole_process_beside_another_client(
    bluez: BlueZ, world: LabWorld, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    """The account is left out: the other client only brings the device to its network."""
    address = world.address("body-plus")
    later = program.home / "later.toml"
    later.write_text(LATER, "utf-8")
    script = (*SCRIPT, *WIFI, "--answers", str(later), "--no-wait")
    # The first run compiles the modules.
    first = program.run("install", *script, "--device", address, forked=False)
    assert first.status == 0, first
    world.call("POST", "/lab/reset")
    began = time.monotonic()
    command = [sys.executable, "-c", PEER, address, "Home"]
    subprocess.run(command, input=PASSPHRASE, text=True, check=True, timeout=90)
    peer = time.monotonic() - began
    lines = [f"{'py-improv-ble-client':<36} over after {peer:.1f} s"]
    for name, find in (("--device ADDRESS", ("--device", address)), ("--model NAME", ("--model", "body-plus"))):
        world.call("POST", "/lab/reset")
        started = time.time()
        ours = program.run("install", *script, *find, forked=False)
        assert ours.status == 0, ours
        found, joined = (
            next(datetime.fromisoformat(e["time"]).timestamp() for e in ours.events if e.get(key) == value) - started
            for key, value in (("event", "device_found"), ("stage", "joined"))
        )
        lines.append(
            f"{f'device-installer {name}':<36} over after {ours.seconds:.1f} s, {ours.seconds / peer:.2f} × "
            f"(found after {found:.1f} s, joined after {joined:.1f} s)"
        )
    with capsys.disabled():
        print("\n" + "\n".join(lines))
