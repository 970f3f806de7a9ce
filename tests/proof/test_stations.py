"""Two stations with one plan and one PostgreSQL ledger share the devices, also if one of them is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from installer.flow import lab_process
from installer.ledger import schema_migration
from installer.ledger.database import Target, open_target
from installer.ledger.leases import LEASE_SECONDS
from installer.ledger.records import Records
from tests.flow.support import LabWorld, use
from tests.installer.lab.lab_process import LabProcess
from tests.postgres import PostgresServer
from tests.proof.crowd import HEADER, Device, crowd, save_networks, scenario

PROGRAM = str(Path(sys.executable).with_name("device-installer"))


@dataclass
class Station:
    """A computer with its own folders and its own process. `stop`: at which event it is killed."""

    name: str
    home: Path
    ledger: str
    plan: Path
    stop: Callable[[dict[str, Any]], bool] = lambda _: False
    events: list[dict[str, Any]] = field(default_factory=list)
    status: int | None = None
    words: str = ""

    def start(self) -> threading.Thread:
        command = [
            PROGRAM,
            "batch",
            str(self.plan),
            "--lab",
            "--json",
            "--wait",
            "30",
            "--ledger",
            self.ledger,
            "--allow-references",
            # Only the ledger names the device of a group's row that another station has begun.
            "--continue-from-ledger",
        ]
        env = {**os.environ, "DEVICE_INSTALLER_HOME": str(self.home), "DEVICE_INSTALLER_STATION": self.name}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        thread = threading.Thread(target=self._follow, daemon=True)
        thread.start()
        return thread

    def _follow(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        # Kept next to the station's folder, to analyse a failed proof.
        with self.home.with_suffix(".jsonl").open("w", encoding="utf-8") as kept:
            for line in self.process.stdout:
                kept.write(line)
                self.events.append(json.loads(line))
                if self.stop(self.events[-1]):
                    self.process.send_signal(signal.SIGKILL)
                    break
        self.process.stdout.close()
        self.words = self.process.stderr.read()
        self.process.stderr.close()
        self.status = self.process.wait(60)

    def rows(self, state: str) -> dict[str, str]:
        """The device of each row that reached this state here."""
        return {e["row"]: e["device"] for e in self.events if e["event"] == "batch_row" and e["state"] == state}

    def done(self) -> dict[str, str]:
        """The device of each row that this station itself installed."""
        begun = {e["row"] for e in self.events if e["event"] == "installation_done" and e["outcome"] == "installed"}
        return {row: device for row, device in self.rows("installed").items() if row in begun}


@dataclass
class Room:
    world: LabWorld
    process: LabProcess
    folder: Path
    url: str
    plan: Path
    patch: pytest.MonkeyPatch

    def station(self, name: str, **more: Any) -> Station:
        home = self.folder / name
        self.patch.setenv("DEVICE_INSTALLER_HOME", str(home))
        use(self.world, self.process.state_file)
        save_networks()
        return Station(name, home, self.url, self.plan, **more)

    def states(self) -> dict[str, dict[str, Any]]:
        return {d["address"]: d for d in self.world.call("GET", "/lab/state")["devices"]}

    def records(self) -> list[dict[str, Any]]:
        records = Records(Target(self.url), self.folder / "looking")
        try:
            return records.all()
        finally:
            records.close()


def rows_of(devices: list[Device]) -> list[str]:
    """One row for each device with special entries, and one row for all others of a model."""
    plain = [d for d in devices if not d.more]
    counts = Counter((d.model, d.sync) for d in plain)
    some = [f",{m},{n},{s},{'home' if s == 'wifi' else ''},,Lab,,," for (m, s), n in counts.items()]
    return [*some, *(d.row for d in devices if d.more)]


@pytest.fixture
def room(
    home: Path,
    lab_factory: Callable[[str], LabProcess],
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[list[Device]], Room]:
    def make(devices: list[Device]) -> Room:
        target = Target(postgres.database())
        engine = open_target(target)
        schema_migration.migrate_engine(engine, target)
        engine.dispose()
        process = lab_factory(scenario(devices))
        state = lab_process.read_state(process.state_file)
        assert state is not None
        file = tmp_path / "crowd.csv"
        file.write_text("\n".join([HEADER, *rows_of(devices)]) + "\n", "utf-8")
        return Room(LabWorld(state), process, tmp_path, target.url, file, monkeypatch)

    return make


@pytest.mark.timeout(300)
def test_two_stations_share_thirty_devices_and_do_none_twice(room: Callable[[list[Device]], Room]) -> None:
    devices = crowd(30)
    crowded = room(devices)
    stations = [crowded.station("north"), crowded.station("south")]
    threads = [s.start() for s in stations]
    for thread in threads:
        thread.join(200)
    assert [s.status for s in stations] == [0, 0], [(s.words, s.rows("failed"), s.events[-1]) for s in stations]

    north, south = (s.done() for s in stations)
    assert not north.keys() & south.keys()
    assert sorted([*north.values(), *south.values()]) == sorted(d.address for d in devices)
    # They share the work: each does some of it.
    assert min(len(north), len(south)) >= 5, (len(north), len(south))
    # The events include what the other one did.
    for station in stations:
        assert station.events[-1]["event"] == "batch_done"
        assert sum(station.events[-1]["counts"].values()) == 30
        assert set(station.events[-1]["counts"]) <= {"installed", "done_before"}
    states = crowded.states()
    for device in devices:
        assert states[device.address]["linked"], device
        assert states[device.address]["credentials_received"] == (1 if device.sync == "wifi" else 0), device
    records = crowded.records()
    assert Counter(r["outcome"] for r in records) == {"installed": 30}
    assert {r["station"] for r in records} == {"north", "south"}
    assert len({r["row"] for r in records}) == len({r["address"] for r in records}) == 30


@pytest.mark.timeout(300)
def test_a_station_is_killed_and_the_other_one_finishes_its_rows(room: Callable[[list[Device]], Room]) -> None:
    devices = crowd(12)
    crowded = room(devices)

    def has_sent(event: dict[str, Any]) -> bool:
        return event.get("stage") == "joined"

    north, south = crowded.station("north", stop=has_sent), crowded.station("south")
    threads = [s.start() for s in (north, south)]
    threads[0].join(100)
    assert north.status == -signal.SIGKILL
    joined = {a for a, s in crowded.states().items() if s["joined"]}
    given = {a: s["credentials_received"] for a, s in crowded.states().items()}
    held = north.rows("started").keys() - north.rows("installed").keys()
    assert held
    # The running station takes the rows of the dead one after the lease has expired.
    threads[1].join(2 * LEASE_SECONDS + 60)
    assert south.status == 0, south.words
    assert held <= south.done().keys()
    waited = [e for e in south.events if e["event"] == "batch_row" and e["state"] == "elsewhere"]
    assert held <= {e["row"] for e in waited}
    states = crowded.states()
    for device in devices:
        assert states[device.address]["linked"], device
        if device.address in joined:
            # A device that was on the network gets nothing again.
            assert states[device.address]["credentials_received"] == given[device.address] == 1, device
    records = crowded.records()
    assert sum(r["outcome"] == "installed" for r in records) == 12
    # An attempt during the lease of the dead station failed and did nothing.
    others = {(r["outcome"], r["error"]) for r in records if r["outcome"] not in ("installed", "interrupted")}
    assert others <= {("failed", "device_taken")}
