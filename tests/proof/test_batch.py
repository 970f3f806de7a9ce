"""Fifty devices by one plan: ten with faults, each with its right outcome; and a run that is killed again and again."""

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

from installer.batch.progress import Progress
from installer.batch.row_state import BatchOptions
from installer.batch.station import Station
from installer.events.batch import BatchRow, BatchStarted
from installer.events.stream import Event, InstallationDone
from installer.flow import lab_process
from installer.flow.assembly import Place
from installer.flow.steps.step import Deadlines, Options
from tests.flow.support import PASSPHRASE, LabWorld, use
from tests.installer.lab.support import LabProcess
from tests.proof.crowd import Device, crowd, plan, save_networks, scenario

PROGRAM = str(Path(sys.executable).with_name("device-installer"))
QUICK = Deadlines(find=5.0, connect=4.0, authorization=1.5, link=10.0, data=10.0, measurement=10.0)

# Faults on ten of fifty: the number of the device, its fault, and how its row must end.
FAULTS: dict[int, tuple[str, str]] = {
    1: ('drop = { on = "credentials", times = 1 }', ""),  # the link drops as the credentials arrive: tried again
    3: ("refuse_connections = { times = 2 }", ""),  # two connections do not come about
    6: ("refuse_connections = { times = 0 }", "connection_failed"),
    9: ("network_vanishes = { times = 0 }", "join_failed"),
    12: ("never_authorized = { times = 0 }", "authorization_timeout"),
    17: ('garbage = { kind = "checksum", on = "info", times = 1 }', ""),
    23: ('drop = { on = "joining", times = 1 }', ""),  # it joins unseen: only linked at the second try
    25: ('garbage = { kind = "truncated", on = "scan", times = 0 }', "device_misbehaved"),
}
UNSEEN = 33  # its battery is flat
FOREIGN = 41  # it is on somebody else's account
EXPECTED = {n: code for n, (_, code) in FAULTS.items() if code} | {UNSEEN: "device_not_found", FOREIGN: "link_refused"}


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
    devices[UNSEEN - 1].more += "\nadvertising = false"
    foreign = devices[FOREIGN - 1].address
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
    # Two adapters of this station; the lab gives each a controller of its own.
    adapters = (f"hci:tcp-client:127.0.0.1:{port}", f"hci:tcp-client:localhost:{port}")
    options = BatchOptions(parallel=3, tries=3, pause=0.1, patience=6.0)
    station = Station(Place(lab=True, options=Options(deadlines=QUICK, timeout=60.0)), adapters, options)
    seen: list[Event] = []
    board = Progress()

    def show(event: Event) -> None:
        seen.append(event)
        board.apply(event, 0.0)

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
        elif device.number != FOREIGN:
            assert not state["linked"], device
    # The one that joined unseen was not given its credentials twice.
    assert after[devices[22].address]["credentials_received"] == 1
    # Whose button had to be pressed blinked.
    assert all(after[d.address]["identified"] for d in devices if d.model == "thermo" and d.number not in (12,))
    # Never more at once than was asked for; and one sign-in for all.
    assert [e.parallel for e in seen if isinstance(e, BatchStarted)] == [3]
    assert most_at_once(seen) <= 6
    assert sum(e.event == "signed_in" for e in seen) == 1
    assert {label.address for label in labels} == {d.address for d in devices if ended[d.number] == "installed"}
    assert board.ended is not None
    assert PASSPHRASE not in "".join(e.model_dump_json() for e in seen)


def most_at_once(events: list[Event]) -> int:
    running: set[str] = set()
    most = 0
    for event in events:
        if isinstance(event, BatchRow):
            if event.state in ("started", "retrying"):
                running.add(event.row)
            else:
                running.discard(event.row)
            most = max(most, len(running))
    return most


def run_until(command: list[str], stop: Callable[[dict[str, Any]], bool]) -> tuple[int, list[dict[str, Any]]]:
    """Run the program, and kill it without warning as soon as `stop` holds for one of its events."""
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
    command = [PROGRAM, "batch", str(plan(devices, tmp_path)), "--lab", "--json", "--wait", "10"]
    # Killed at the first of each: sending, joining, on the network, linked, a step done; then left to end.
    points: list[Callable[[dict[str, Any]], bool]] = [
        lambda e: e.get("stage") == "sending",
        lambda e: e.get("stage") == "joined",
        lambda e: e["event"] == "linked",
        lambda e: e["event"] == "installation_done",
        lambda e: e.get("stage") == "joining",
    ]
    done: set[str] = set()
    given: dict[str, int] = {}
    for stop in points:
        status, events = run_until(command, stop)
        assert status == -signal.SIGKILL
        started = next(e for e in events if e["event"] == "batch_started")
        # What was done stays done, and is not begun again.
        assert done <= {r["row"] for r in started["rows"] if r["state"] == "done_before"}
        assert not done & {e["row"] for e in events if e["event"] == "step_started"}
        done |= {e["row"] for e in events if e["event"] == "batch_row" and e["state"] == "installed"}
        now = states(world)
        for address, state in now.items():
            if given.get(address):
                # It had joined before this run began: nothing was sent to it again.
                assert state["credentials_received"] == given[address], address
        given = {a: s["credentials_received"] for a, s in now.items() if s["joined"]}
    status, events = run_until(command, lambda _: False)
    assert status == 0
    last = events[-1]
    assert last["event"] == "batch_done"
    assert sum(last["counts"].values()) == 16
    for device in devices:
        state = states(world)[device.address]
        assert state["linked"], device
        told = [(e["event"], e.get("step"), e.get("stage"), e.get("code")) for e in events if _of(e, device)]
        assert state["credentials_received"] == given.get(device.address, state["credentials_received"]), told
    status, events = run_until(command, lambda _: False)
    assert (status, events[0]["left"]) == (0, 0)
    assert InstallationDone.__name__ not in {e["event"] for e in events}


def _of(event: dict[str, Any], device: Device) -> bool:
    return event.get("row") == str(device.number)
