"""A batch of fifty devices, ten of them with faults, each with the right outcome; and a batch killed several times."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from installer.batch.options_and_result import BatchOptions
from installer.batch.progress import Progress
from installer.batch.station import Station
from installer.events.batch import BatchRow, BatchStarted
from installer.events.installation import InstallationDone
from installer.events.json_lines import Event
from installer.flow import lab_process
from installer.flow.run_options import Deadlines, Options, RunConfig
from tests.flow.support import PASSPHRASE, LabWorld, use
from tests.installer.lab.lab_process import LabProcess
from tests.proof.crowd import Device, crowd, plan, save_networks, scenario

PROGRAM = str(Path(sys.executable).with_name("device-installer"))
QUICK = Deadlines(find=5.0, connect=4.0, authorization=3.0, link=10.0, data=10.0, measurement=10.0)

# Faults on ten of fifty devices: {number: (fault, error code of its row; empty: it succeeds)}.
FAULTS: dict[int, tuple[str, str]] = {
    1: ('drop = { on = "credentials", times = 1 }', ""),  # the link drops when the credentials arrive: retried
    3: ("refuse_connections = { times = 2 }", ""),  # two connections fail
    6: ("refuse_connections = { times = 0 }", "connection_failed"),
    9: ("network_vanishes = { times = 0 }", "join_failed"),
    12: ("never_authorized = { times = 0 }", "authorization_timeout"),
    17: ('garbage = { kind = "checksum", on = "info", times = 1 }', ""),
    23: ('drop = { on = "joining", times = 1 }', ""),  # it joins unseen: the second attempt only links it
    25: ('garbage = { kind = "truncated", on = "scan", times = 0 }', "device_misbehaved"),
}
NOT_ADVERTISING = 33  # its battery is flat
OTHER_ACCOUNT = 41  # it is in the account of another person
EXPECTED = {n: code for n, (_, code) in FAULTS.items() if code} | {
    NOT_ADVERTISING: "device_not_found",
    OTHER_ACCOUNT: "link_refused",
}


def world_of(devices: list[Device], lab_factory: Callable[[str], LabProcess], extra: str = "") -> LabWorld:
    lab = lab_factory(scenario(devices, extra))
    state = lab_process.read_state(lab.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, lab.state_file)
    save_networks()
    return world


def states(world: LabWorld) -> dict[str, dict[str, Any]]:
    return {d["address"]: d for d in world.call("GET", "/lab/state")["devices"]}


def faulty() -> tuple[list[Device], str]:
    devices = crowd(50)
    for device in devices:
        device.faults = FAULTS.get(device.number, ("", ""))[0]
    devices[NOT_ADVERTISING - 1].more += "\nadvertising = false"
    foreign = devices[OTHER_ACCOUNT - 1].address
    users = (
        'users = [{ email = "alex@example.org", password = "lab-password" }, '
        f'{{ email = "kim@example.org", password = "lab-password", devices = ["{foreign}"] }}]\n'
    )
    return devices, users


@pytest.mark.timeout(300)
async def test_fifty_devices_ten_of_them_with_faults(
    home: Path, lab_factory: Callable[[str], LabProcess], tmp_path: Path
) -> None:
    devices, users = faulty()
    world = world_of(devices, lab_factory, users)
    port = world.state.adapter.rpartition(":")[2]
    # Two adapters of this station. The lab gives each its own controller.
    adapters = (f"hci:tcp-client:127.0.0.1:{port}", f"hci:tcp-client:localhost:{port}")
    options = BatchOptions(parallel=3, tries=3, retry_delay=0.1, device_timeout=6.0)
    station = Station(
        RunConfig(lab=True, options=Options(deadlines=QUICK, timeout=60.0, allow_references=True)), adapters, options
    )
    seen: list[Event] = []
    progress = Progress()

    def show(event: Event) -> None:
        seen.append(event)
        progress.apply(event, 0.0)

    try:
        await station.prepare()
        result = await station.batch(await station.check(plan(devices, tmp_path), {}), show).run()
        labels = await station.labels(await station.check(plan(devices, tmp_path), {}))
    finally:
        await station.close()

    ended = {int(name): state for name, state in result.states.items()}
    failed = {int(name): error.code.value for name, error in result.failures.items()}
    assert failed == EXPECTED
    assert Counter(ended.values())["installed"] == 50 - len(EXPECTED)
    after = states(world)
    for device in devices:
        state = after[device.address]
        if ended[device.number] == "installed":
            assert state["linked"], device
            assert state["joined"] == ("Home" if device.sync == "wifi" else None), device
        elif device.number != OTHER_ACCOUNT:
            assert not state["linked"], device
    # The one that joined unseen got its credentials once.
    assert after[devices[22].address]["credentials_received"] == 1
    # The devices with a button to press blinked.
    assert all(after[d.address]["identified"] for d in devices if d.model == "thermo" and d.number not in (12,))
    # Never more at once than allowed; one sign-in for all.
    assert [e.parallel for e in seen if isinstance(e, BatchStarted)] == [3]
    assert max_running(seen) <= 6
    assert sum(e.event == "signed_in" for e in seen) == 1
    assert {label.address for label in labels} == {d.address for d in devices if ended[d.number] == "installed"}
    assert progress.ended is not None
    assert PASSPHRASE not in "".join(e.model_dump_json() for e in seen)


def max_running(events: list[Event]) -> int:
    running: set[str] = set()
    maximum = 0
    for event in events:
        if isinstance(event, BatchRow):
            if event.state in ("started", "retrying"):
                running.add(event.row)
            else:
                running.discard(event.row)
            maximum = max(maximum, len(running))
    return maximum


def run_until(command: list[str], stop: Callable[[dict[str, Any]], bool]) -> tuple[int, list[dict[str, Any]]]:
    """Run the program, and kill it (SIGKILL) at the first event for which `stop` is true."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    guard = threading.Timer(120, process.kill)
    guard.start()
    events: list[dict[str, Any]] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            events.append(json.loads(line))
            if stop(events[-1]):
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        status = process.wait(60)
        assert process.stderr is not None
        words = process.stderr.read()
        process.stderr.close()
        assert status != 1, words
    finally:
        guard.cancel()
    return status, events


@pytest.mark.timeout(300)
def test_a_batch_that_is_killed_again_and_again(
    home: Path, lab_factory: Callable[[str], LabProcess], tmp_path: Path
) -> None:
    devices = crowd(16)
    world = world_of(devices, lab_factory)
    command = [PROGRAM, "batch", str(plan(devices, tmp_path)), "--lab", "--json", "--wait", "10", "--allow-references"]
    # Killed at the first event of each kind. After that it runs to its end.
    points: list[Callable[[dict[str, Any]], bool]] = [
        lambda e: e.get("stage") == "sending",
        lambda e: e.get("stage") == "joined",
        lambda e: e["event"] == "linked",
        lambda e: e["event"] == "installation_done",
        lambda e: e.get("stage") == "joining",
    ]
    done: set[str] = set()
    received: dict[str, int] = {}
    for stop in points:
        status, events = run_until(command, stop)
        assert status == -signal.SIGKILL
        started = next(e for e in events if e["event"] == "batch_started")
        # Done rows stay done and are not started again.
        assert done <= {r["row"] for r in started["rows"] if r["state"] == "done_before"}
        assert not done & {e["row"] for e in events if e["event"] == "step_started"}
        done |= {e["row"] for e in events if e["event"] == "batch_row" and e["state"] == "installed"}
        now = states(world)
        for address, state in now.items():
            if received.get(address):
                # It had joined before this run: nothing was sent to it again.
                assert state["credentials_received"] == received[address], address
        received = {a: s["credentials_received"] for a, s in now.items() if s["joined"]}
    status, events = run_until(command, lambda _: False)
    assert status == 0
    last = events[-1]
    assert last["event"] == "batch_done"
    assert sum(last["counts"].values()) == 16
    for device in devices:
        state = states(world)[device.address]
        assert state["linked"], device
        told = [(e["event"], e.get("step"), e.get("stage"), e.get("code")) for e in events if _of(e, device)]
        assert state["credentials_received"] == received.get(device.address, state["credentials_received"]), told
    status, events = run_until(command, lambda _: False)
    assert (status, events[0]["left"]) == (0, 0)
    assert InstallationDone.__name__ not in {e["event"] for e in events}


def _of(event: dict[str, Any], device: Device) -> bool:
    return event.get("row") == str(device.number)
