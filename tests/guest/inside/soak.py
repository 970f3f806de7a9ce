"""A soak: a gateway and installations go on while bluetoothd, the adapter and the programs are killed at random.

Not among the tests of every day: `make guest-long` runs it. `SOAK_MINUTES` (60) says how long, `SOAK_SEED` (1) with
which dice. At its end nothing is lost, nothing is there twice, and nobody was blamed who did nothing.
"""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from installer import settings
from installer.flow import lab_process
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.outbox import Outbox
from installer.measurements.open_store import open_store
from tests.flow.support import LabWorld, use
from tests.guest.inside.background import Background
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.program import Program
from tests.guest.inside.test_protocols import SCRIPT, WIFI
from tests.guest.inside.waiting import until
from tests.installer.lab.lab_process import LabProcess

MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
# Scales that the gateway visits, and one that is installed for Wi-Fi again and again.
SCALES = [f"00:24:E4:00:00:{number:02X}" for number in range(3)]
INSTALLED = "00:24:E4:20:00:3C"
WORLD = f"""
version = 1
name = "soak"
seed = {SEED}
bystanders = 0
[radio]
advertising_interval = 0.4
[timing]
measure_after = "never"
[cloud]
rate_limit = 100000
[[network]]
ssid = "Home"
security = "wpa2"
passphrase = "correct horse battery staple"
[[device]]
model = "body-plus"
address = "{INSTALLED}"
"""
# What an installation may end with when this computer's Bluetooth went away in the middle of it; never with a fault of
# the device. It was killed: -9.
OK, MISSING, OFF, FAILED, KILLED = 0, 10, 11, 13, -signal.SIGKILL
ALLOWED = {OK, MISSING, OFF, FAILED, KILLED}
# What the gateway may say of itself.
TROUBLES = {"bluetooth_missing", "bluetooth_off", "adapter_failed"}
CALM_SECONDS = 300.0


@dataclass
class Soak:
    """The world, the dice, and what has happened so far."""

    bluez: BlueZ
    lab: LabProcess
    world: LabWorld
    program: Program
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))
    happened: collections.Counter[str] = field(default_factory=collections.Counter)
    ended: collections.Counter[int] = field(default_factory=collections.Counter)
    gateways: list[Background] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def measure(self) -> None:
        """Each scale once. Two equal weights of one scale in one second would be one measurement."""
        time.sleep(1.01 - time.time() % 1)
        for address in SCALES:
            self.world.call("POST", f"/lab/devices/{address}/measure")

    def start_gateway(self) -> None:
        arguments = ("gateway", "run", "--lab", "--adapter", "system", "--json", "--every", "5", "--quiet", "1")
        self.gateways.append(self.program.start(*arguments))

    def disturb(self) -> None:
        """One thing that goes wrong, and its end a moment later."""
        name, begin, end = self.dice.choice(self._ways())
        self.happened[name] += 1
        begin()
        time.sleep(self.dice.uniform(0.0, 5.0))
        end()

    def _ways(self) -> list[tuple[str, Callable[[], object], Callable[[], object]]]:
        daemon = self.bluez.daemon
        return [
            ("bluetoothd killed", daemon.kill, self._start_daemon),
            ("bluetoothd stopped", daemon.stop, self._start_daemon),
            ("adapter off", lambda: daemon.power(False), lambda: daemon.power(True)),
            ("adapter pulled", self.bluez.unplug, lambda: self.bluez.plug(self.lab)),
            ("gateway killed", lambda: self._end_gateway(signal.SIGKILL), self.start_gateway),
            ("gateway ended", lambda: self._end_gateway(signal.SIGTERM), self.start_gateway),
        ]

    def _start_daemon(self) -> None:
        self.bluez.daemon.start()
        self.bluez.daemon.wait_powered()

    def _end_gateway(self, number: signal.Signals) -> None:
        status = self.gateways[-1].stop(number)
        if status not in (0, -signal.SIGKILL):
            self.wrong.append(f"gateway: {status}\n{self.gateways[-1].text[-3000:]}")

    def install(self, disturb: bool) -> None:
        """Install the Wi-Fi scale from its beginning, perhaps disturbed; what its run ended with is checked."""
        self.world.call("POST", f"/lab/devices/{INSTALLED}/reset")
        running = self.program.start("install", *SCRIPT, "--device", INSTALLED, *WIFI, "--no-wait")
        if disturb:
            time.sleep(self.dice.uniform(0.0, 15.0))
            if self.dice.random() < 0.25:
                self.happened["installation killed"] += 1
                running.kill()
            else:
                self.disturb()
        until(lambda: not running.running, "the end of an installation", 240)
        status = running.process.returncode
        self.ended[status] += 1
        if status not in ALLOWED or "Traceback" in running.text or (status != OK and not disturb):
            self.wrong.append(f"installation: {status}\n{running.text[-3000:]}")


@pytest.fixture(scope="module")
def soak_lab(tmp_path_factory: pytest.TempPathFactory) -> Any:
    scales = (f'[[device]]\nmodel = "body"\naddress = "{one}"\nname = "Scale"\nmemory = 1000\n' for one in SCALES)
    with LabProcess(tmp_path_factory.mktemp("soak"), WORLD + "".join(scales)) as lab:
        yield lab


@pytest.mark.timeout(MINUTES * 60 + 1800)
def test_nothing_is_lost_nothing_comes_twice_and_nobody_is_blamed(
    soak_lab: LabProcess, bare_bluez: BlueZ, home: Path, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    state = lab_process.read_state(soak_lab.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, soak_lab.state_file)
    bare_bluez.plug(soak_lab)
    soak = Soak(bare_bluez, soak_lab, world, program)
    for address in SCALES:
        arguments = ("--device", address, "--sync", "bluetooth", "--no-wait")
        done = program.run("install", *SCRIPT, *arguments, seconds=120)
        assert done.status == 0, done
    soak.start_gateway()
    deadline = time.monotonic() + MINUTES * 60
    while time.monotonic() < deadline:
        soak.measure()
        soak.install(disturb=True)
        soak.measure()
        soak.disturb()
    soak.measure()
    soak.install(disturb=False)
    assert world.device("body-plus")["joined"] == "Home"

    def left() -> dict[str, Any]:
        devices = world.call("GET", "/lab/state")["devices"]
        with Outbox.open(GatewayFiles.in_data_dir(lab=True).outbox) as box:
            kept = {d["address"]: d["kept"] for d in devices if d["address"] in SCALES and d["kept"]}
            return {"devices": kept, "outbox": box.counts(), "empty": box.count() == 0}

    until(lambda: not any(left().values()), "the end of all deliveries", CALM_SECONDS)
    assert soak.gateways[-1].stop(signal.SIGTERM) == 0
    check_gateways(soak)
    check_measurements(world)
    check_records(soak)
    with capsys.disabled():
        told = f"{MINUTES:g} minutes, seed {SEED}; {dict(soak.happened)}; installations ended: {dict(soak.ended)}"
        print(f"\n{told}; {len(soak.gateways)} gateways")
    assert not soak.wrong, "\n\n".join(soak.wrong)


def check_gateways(soak: Soak) -> None:
    """Each said only what is true: trouble of this computer, and no failure of a device."""
    for gateway in soak.gateways:
        if "Traceback" in gateway.text or "never retrieved" in gateway.text:
            soak.wrong.append(f"gateway:\n{gateway.text[-3000:]}")
        for line in gateway.text.splitlines():
            if not (line.startswith("{") and line.endswith("}")):
                continue
            event = json.loads(line)
            if event["event"] in ("gateway_trouble", "gateway_visited") and event["code"] not in {None, *TROUBLES}:
                soak.wrong.append(f"gateway: {line}")


def check_measurements(world: LabWorld) -> None:
    """All that the scales have measured is in the store, each once, in order."""
    with open_store(settings.load(), lab=True) as store:
        rows = list(store.rows(kind="weight"))
    for address in SCALES:
        measured = [one["weight"] for one in world.call("GET", f"/lab/devices/{address}/measurements")]
        assert [float(row.value) for row in rows if row.device == address] == measured


def check_records(soak: Soak) -> None:
    """Each installation has one record; only a killed one has no end of its own."""
    records = soak.program.run("records", "list", "--lab", "--json").events
    ends = collections.Counter(record["outcome"] for record in records)
    assert ends["installed"] >= soak.ended[OK] + len(SCALES), ends
    assert len(records) <= sum(soak.ended.values()) + len(SCALES), ends
