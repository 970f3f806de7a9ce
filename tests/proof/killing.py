"""Installs one device again and again, kills the installer at each event, resumes, and looks whether all is true.

The installer is a real process, killed without warning; the lab with device, access point and cloud lives on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installer.ledger.records import Records
from tests.flow.support import PASSPHRASE, PROOF
from tests.installer.lab.lab_process import LabProcess
from tests.proof.forking import Forks

PROGRAM = str(Path(sys.executable).with_name("device-installer"))
ADDRESS = "00:24:E4:20:00:3C"
DONE_IN_TIME = 120.0
ORDER = ("find", "sync", "network", "provision", "link", "verify")
BUSY = ("provisioning", "joining", "authentication", "association", "obtaining ip", "connecting")

WORLD = f"""
version = 1
name = "killing"
bystanders = 0
[radio]
advertising_interval = 0.05
supervision_timeout = 0.05
[timing]
join = 0.1
scan = 0.02
measure_after = 0.02
first_measurement_after = 0.05
[[network]]
ssid = "Home"
security = "wpa2"
passphrase = "{PASSPHRASE}"
"""


@dataclass(frozen=True)
class Lane:
    """One way to install a device. `device`: further lines of its entry; `cloud`: of the cloud's."""

    name: str
    device: str = ""
    model: str = "body-plus"
    sync: str = "wifi"
    cloud: str = 'mode = "contract"'
    options: tuple[str, ...] = ()
    since: str = ""  # only from this event, or the first of this step, on: before it, all is as in another lane

    @property
    def scenario(self) -> str:
        """The whole scenario."""
        entry = f'[[device]]\nmodel = "{self.model}"\naddress = "{ADDRESS}"\n{self.device}\n'
        return f"{WORLD}{entry}[cloud]\n{self.cloud}\n"

    @property
    def guided(self) -> bool:
        """Whether the vendor's app sets it up."""
        return "--guided" in self.options

    @property
    def arguments(self) -> list[str]:
        """The command that installs it."""
        command = ["install", "--device", ADDRESS, "--model", self.model, "--sync", self.sync, *self.options]
        if self.sync == "wifi" and not self.guided:
            command += ["--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"]
        return [*command, "--non-interactive"]


LANES = (
    Lane("improv"),
    Lane("improv-watched", cloud='mode = "public"\nassociate_after = 0.1', since="link"),
    Lane("espressif-0", "espressif = { security = 0 }", since="device_connected"),
    Lane(
        "espressif-1",
        f'espressif = {{ security = 1, proof = "{PROOF}" }}',
        options=("--proof-env", "TEST_PROOF"),
        since="device_connected",
    ),
    Lane(
        "espressif-2",
        f'espressif = {{ security = 2, username = "wifiprov", proof = "{PROOF}" }}',
        options=("--proof-env", "TEST_PROOF", "--username", "wifiprov"),
        since="device_connected",
    ),
    Lane("shelly", "shelly = {}\nimprov = false", since="device_connected"),
    Lane("nordic", "nordic = {}\nimprov = false", since="device_connected"),
    Lane("bluetooth", sync="bluetooth", since="device_connected"),
    Lane("bluetooth-watched", sync="bluetooth", cloud='mode = "public"\nassociate_after = 0.1', since="link"),
    Lane(
        "guided",
        "improv = false\nvendor_app_after = 0.3",
        cloud='mode = "public"\nassociate_after = 0',
        options=("--guided", "--guide-timeout", "30"),
    ),
)


@dataclass
class Run:
    """One run of the program."""

    status: int
    events: list[dict[str, Any]]
    words: str = ""

    def of(self, kind: str, **wanted: Any) -> list[dict[str, Any]]:
        """Its events of this kind."""
        return [e for e in self.events if e["event"] == kind and all(e.get(k) == v for k, v in wanted.items())]

    @property
    def done(self) -> set[str]:
        """The steps that it has done itself."""
        return {e["step"] for e in self.of("step_done") if not e.get("before")}

    @property
    def begun(self) -> set[str]:
        """The steps that it has begun."""
        return {e["step"] for e in self.of("step_started")}

    def __str__(self) -> str:
        return "\n".join([f"status {self.status}", self.words, *(json.dumps(e)[:300] for e in self.events)])


def run(
    home: Path,
    arguments: list[str],
    kill: Callable[[int, dict[str, Any]], bool] | None = None,
    after: float | None = None,
    forks: Forks | None = None,
) -> Run:
    """Run the program; kill it as soon as `kill(number of the event, event)` holds, or `after` seconds.

    It is forked by `forks`, or started for itself.
    """
    environment = {**os.environ, "DEVICE_INSTALLER_HOME": str(home), "TEST_PROOF": PROOF}
    environment.setdefault("TEST_PASSPHRASE", PASSPHRASE)
    arguments = [*arguments, "--lab", "--json"]
    with (home / "words").open("w+") as words:
        if forks is not None:
            read, write = os.pipe()
            forks.start(arguments, environment, write, words.fileno())
            os.close(write)
            out, stop, ended = os.fdopen(read), forks.kill, forks.ended
        else:
            process = subprocess.Popen(
                [PROGRAM, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=words,
                text=True,
                env=environment,
            )
            assert process.stdout is not None
            out, stop, ended = process.stdout, process.kill, process.wait
        guard = threading.Timer(after or DONE_IN_TIME, stop)
        guard.start()
        events: list[dict[str, Any]] = []
        try:
            for line in out:
                if not line.endswith("\n"):
                    break  # cut off in the middle
                events.append(json.loads(line))
                if kill is not None and kill(len(events), events[-1]):
                    stop()
                    break
            out.close()
            status = ended(DONE_IN_TIME)
        finally:
            guard.cancel()
            stop()
        words.seek(0)
        return Run(status, events, words.read())


@dataclass
class Bench:
    """A lane at work: its lab, and a fresh home for each trial."""

    lane: Lane
    lab: LabProcess
    folder: Path
    number: int = 0
    home: Path = field(default_factory=Path)
    ledger: tuple[str, ...] = ()
    records: Callable[[], Records] | None = None
    forks: Forks | None = None

    def fresh(self) -> None:
        """A world in which nothing has happened."""
        self.number += 1
        self.home = self.folder / f"home-{self.number}"
        self.home.mkdir()
        # The place of the lab's state file in a home.
        target = self.home / "runtime" / "lab.json"
        target.parent.mkdir(parents=True, mode=0o700)
        shutil.copy(self.lab.state_file, target)
        self.lab.call_now("POST", "/lab/reset")

    def install(self, kill: Callable[[int, dict[str, Any]], bool] | None = None, after: float | None = None) -> Run:
        """The installation, killed or not."""
        return run(self.home, [*self.lane.arguments, *self.ledger], kill, after, self.forks)

    def resume(
        self, name: str = "", kill: Callable[[int, dict[str, Any]], bool] | None = None, after: float | None = None
    ) -> Run:
        """Go on with the one of this id, or with the only one that can be."""
        named = [name] if name else []
        command = ["resume", *named, "--non-interactive", *self.ledger]
        return run(self.home, command, kill, after, self.forks)

    @property
    def device(self) -> dict[str, Any]:
        """What the lab says of the device."""
        devices = self.lab.call_now("GET", "/lab/state")["devices"]
        return dict(next(d for d in devices if d["address"] == ADDRESS))

    def settled(self) -> dict[str, Any]:
        """The device once it is done with what it was given."""
        end = time.monotonic() + 20
        while (state := self.device)["state"] in BUSY or state["connected"]:
            assert time.monotonic() < end, state
            time.sleep(0.02)
        return state

    def links(self) -> int:
        """How often the cloud was asked to link."""
        calls = self.lab.call_now("GET", "/lab/state")["cloud"]["calls"]
        return sum(count for name, count in calls.items() if name.endswith("link") and "unlink" not in name)

    def all_records(self) -> list[dict[str, Any]]:
        """The ledger of this home."""
        records = self.records() if self.records else Records(self.home / "data" / "lab-ledger.sqlite")
        try:
            return records.all()
        finally:
            records.close()


def trial(bench: Bench, killed: Run, *more: Run) -> dict[str, Any]:
    """What must hold after `killed`, `more` resumes that were killed too, and one that ends. Returns the record."""
    lane = bench.lane
    before = bench.settled()
    links = bench.links()
    # One that has ended is no candidate, but can be named.
    ended = any(run.of("installation_done") or "verify" in run.done for run in (killed, *more))
    resumed = bench.resume(killed.events[0]["installation"] if ended or more else "")
    told = f"{lane.name}, killed after {len(killed.events)} events\n{killed}\n"
    told += "".join(f"--- resumed and killed:\n{run}\n" for run in more) + f"--- resumed:\n{resumed}"
    anew = resumed.status == 16
    if anew:
        # Killed before a device was found: there is nothing to resume, and the same command begins anew.
        assert not before["credentials_received"], told
        assert "device_found" not in {e["event"] for e in killed.events}, told
        resumed = bench.install()
        told += f"\n--- installed anew:\n{resumed}"
    assert resumed.status == 0, told
    assert resumed.events[-1]["event"] == "installation_done", told
    assert resumed.events[-1]["outcome"] == "installed", told
    after = bench.device
    assert after["linked"], told
    if lane.sync == "wifi" and not lane.guided:
        assert after["joined"] == "Home", told
        if before["joined"]:
            # It had joined: nothing was sent to it again.
            assert after["credentials_received"] == before["credentials_received"], told
    else:
        assert after["credentials_received"] == 0, told
    if before["linked"]:
        assert bench.links() == links or lane.guided or "public" in lane.cloud, told
    never_again: set[str] = set()
    for run in (killed, *more, resumed):
        assert not never_again & run.begun, told
        # In a guided one the account is opened first, under the name of the link step.
        never_again |= run.done & ({"provision", "verify"} if lane.guided else {"provision", "verify", "link"})
    record = story(bench, [killed, *more], told)
    if not more:
        # One that was killed at its last events may have ended all the same.
        assert record["attempts"] in ({1} if anew else {1, 2} if ended else {2}), f"{told}\n{record}"
    return record


def story(bench: Bench, killed: list[Run], told: str) -> dict[str, Any]:
    """Exactly one record, and what it tells is true."""
    records = bench.all_records()
    assert len(records) == 1, told
    (record,) = records
    told = f"{told}\n--- record:\n{json.dumps(record, indent=1)}"
    assert record["outcome"] == "installed", told
    assert (record["error"], record["step"]) == (None, None), told
    assert record["address"] == ADDRESS, told
    assert record["model"] == bench.lane.model, told
    assert record["method"] == bench.lane.sync, told
    assert record["ended"] >= record["started"], told
    assert record["took"] > 0, told
    expected = ["find", "sync", "network", "provision", "link", "verify"]
    if bench.lane.sync == "bluetooth":
        expected = ["find", "sync", "link", "verify"]
    elif bench.lane.guided:
        expected.remove("network")
    names = [s["step"] for s in record["steps"]]
    assert names == expected, told
    for step in record["steps"]:
        assert record["started"] <= step["done"] <= record["ended"], told
        assert step["took"] >= 0, told
    times = {s["step"]: s["done"] for s in record["steps"]}
    assert times["provision" if "provision" in times else "sync"] <= times["link"] <= times["verify"], told
    if bench.lane.sync == "wifi" and not bench.lane.guided:
        assert record["sent"]["address"] == ADDRESS, told
        assert record["ssid"] == "Home", told
    assert PASSPHRASE not in json.dumps(record), told
    # What a killed attempt had done, and nothing had to be repeated of, is told by its own time.
    for run in killed:
        for step in run.done & {"provision", "verify"}:
            assert times[step] <= run.events[-1]["time"].replace("Z", "+00:00"), told
    return record
