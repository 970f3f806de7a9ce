"""A whole process from its start to its end: this program beside py-improv-ble-client, with the same device."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from installer.flow import lab_process
from tests.flow.support import PASSPHRASE, LabWorld, use
from tests.installer.lab.lab_process import LabProcess

ROUNDS = 7
PROGRAM = str(Path(sys.executable).with_name("device-installer"))
# What a script does that only wants the device on the network, as the other client does.
LATER = "[link]\nlater = true\n"
# The other client, with the same backend for a raw adapter, as a program that tells when it has what.
PEER = """
import asyncio, sys, time
import bleak
from installer.bluetooth.hci.client import HciClient
from installer.bluetooth.hci.host import HciHost
from installer.bluetooth.hci.scanner import HciScanner

async def main(transport, address, ssid, passphrase):
    host = await HciHost.open(transport)

    class Client(HciClient):
        def __init__(self, device, **named):
            super().__init__(device, host=host, **named)

    class Scanner(HciScanner):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, host=host, **named)

    bleak.get_platform_client_backend_type = lambda: (Client, "hci")
    bleak.get_platform_scanner_backend_type = lambda: (Scanner, "hci")
    from improv_ble_client import ImprovBLEClient

    found = await bleak.BleakScanner.find_device_by_address(address, timeout=20)
    print('{"event": "device_found"}', flush=True)
    client = ImprovBLEClient(found)
    await client.provision(ssid, passphrase, None)
    print('{"event": "provisioning", "stage": "joined"}', flush=True)

asyncio.run(main(*sys.argv[1:4], sys.stdin.read()))
"""


@dataclass(frozen=True)
class Times:
    """Seconds from the start of the process until it has found the device, the device has joined, the process ended.

    `processor`: seconds that its processor worked for it.
    """

    found: float
    joined: float
    over: float
    processor: float


def run(command: list[str], stdin: str = "") -> Times:
    """Run it to its end; it tells what happens as JSON lines."""
    seen: dict[str, float] = {}
    before = os.times()
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(stdin)
        process.stdin.close()
        for line in process.stdout:
            event = json.loads(line)
            seen.setdefault(event.get("stage") or event["event"], time.perf_counter() - began)
        errors = process.stderr.read()
        process.wait(60)
    over = time.perf_counter() - began
    assert process.returncode == 0, errors
    after = os.times()
    worked = after.children_user + after.children_system - before.children_user - before.children_system
    return Times(seen["device_found"], seen["joined"], over, worked)


def measure(world: LabWorld, folder: Path) -> dict[str, list[Times]]:
    """The rounds alternate, so that all meet the same machine."""
    address, transport = world.address("body-plus"), world.state.adapter.removeprefix("hci:")
    later = folder / "later.toml"
    later.write_text(LATER, "utf-8")
    script = [PROGRAM, "install", "--lab", "--non-interactive", "--json", "--answers", str(later), "--sync", "wifi"]
    script += ["--ssid", "Home", "--passphrase-file", "-", "--no-wait"]
    commands = {
        "py-improv-ble-client": [sys.executable, "-c", PEER, transport, address, "Home"],
        "device-installer --device ADDRESS": [*script, "--device", address],
        "device-installer --model NAME": [*script, "--model", "body-plus"],
    }
    times: dict[str, list[Times]] = {name: [] for name in commands}
    for number in range(ROUNDS + 1):
        for name, command in commands.items():
            world.call("POST", "/lab/reset")
            found = run(command, PASSPHRASE)
            if number:  # the first round fills the caches
                times[name].append(found)
    return times


def table(times: dict[str, list[Times]]) -> list[str]:
    """The medians in milliseconds; the first row is what the others are compared with."""
    lines = [f"{'whole process, ms (median)':<40}{'found':>8}{'joined':>8}{'over':>8}{'processor':>11}{'×':>7}"]
    base = 0.0
    for name, rounds in times.items():
        medians = [
            statistics.median(getattr(one, part) for one in rounds) for part in ("found", "joined", "over", "processor")
        ]
        base = base or medians[2]
        figures = "".join(
            f"{seconds * 1000:>{width}.0f}" for seconds, width in zip(medians, (8, 8, 8, 11), strict=True)
        )
        lines.append(f"{name:<40}{figures}{medians[2] / base:>7.2f}")
    return lines


def report() -> list[str]:
    """Run it in a home of its own, in a lab whose device joins in 0.05 s."""
    os.environ["PYTHONDONTWRITEBYTECODE"] = ""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["DEVICE_INSTALLER_HOME"] = str(folder / "home")
        with LabProcess(folder / "lab") as lab:
            state = lab_process.read_state(lab.state_file)
            assert state is not None
            world = LabWorld(state)
            use(world, lab.state_file)
            return table(measure(world, folder))
