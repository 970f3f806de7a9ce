"""What `gateway status` tells: whether a gateway runs, what it reaches, and since when it does not.

Read from the outbox's file, so that it is told also of a gateway that was killed; nothing here asks the network.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from installer import output
from installer.gateway.files_and_lock import GatewayFiles, is_running, running_pid
from installer.gateway.heartbeat import Heartbeat, LastHeartbeat
from installer.gateway.outbox import Count, Outbox
from installer.gateway.visit_history import Known, VisitHistory
from installer.text import printable

# A device that was not heard for so long, seconds, is told to be out of range.
OUT_OF_RANGE = 600.0
# A gateway that holds its lock, but gave no sign of life for so long, hangs or sleeps.
SILENT = 120.0


@dataclass(frozen=True)
class SinkStatus:
    """One sink. `waiting`, `refused`: measurements; times are unix seconds."""

    name: str
    waiting: int = 0
    refused: int = 0
    delivered: int = 0
    last: float | None = None
    failing_since: float | None = None
    failure: str | None = None


@dataclass(frozen=True)
class Status:
    """All of it. `devices` in order of address; `collected`: measurements taken since the outbox was begun."""

    running: bool
    pid: int | None
    noted: LastHeartbeat = field(default_factory=LastHeartbeat)
    devices: list[Known] = field(default_factory=list)
    sinks: list[SinkStatus] = field(default_factory=list)
    collected: int = 0
    not_understood: int = 0

    @property
    def waiting(self) -> int:
        """Measurements that somebody has still to get."""
        return sum(sink.waiting for sink in self.sinks)


async def look(place: GatewayFiles) -> Status:
    """The status now. Raises OUTBOX_INVALID, DATABASE_FAILED."""
    running = await is_running(place)
    pid = running_pid(place) if running else None
    outbox = Outbox.look(place.outbox)
    if outbox is None:
        return Status(running, pid)
    with outbox:
        counts = outbox.counts()
        columns = "name, delivered, last, failing_since, failure"
        known = {row["name"]: dict(row) for row in outbox.rows(f"SELECT {columns} FROM sinks")}
        noted = Heartbeat(outbox).read()
        names = list(dict.fromkeys([*noted.sinks, *counts, *known]))
        devices = VisitHistory(outbox).all()
        return Status(
            running,
            pid,
            noted,
            devices,
            [_sink(name, counts.get(name, Count()), known.get(name, {})) for name in names],
            sum(device.collected for device in devices),
            outbox.not_understood(),
        )


def problems(status: Status, now: float) -> list[str]:
    """Why data does not flow right now, as sentences; none if it does."""
    found = flow_problems(status, now)
    for device in status.devices:
        trouble = _of_device(device, now, listening=status.running)
        if trouble is not None:
            found.append(f"{device.name or 'The device'} {device.address} {trouble}")
    if status.not_understood:
        found.append(f"{_many(status.not_understood)} could not be understood; their bytes are kept in the outbox.")
    return found


def flow_problems(status: Status, now: float) -> list[str]:
    """Those of the gateway itself and its sinks, the worst first."""
    found = []
    if not status.running:
        last = status.noted.alive
        when = f" It ran last {ago(last, now)}." if last is not None else ""
        found.append(f"The gateway is not running: nothing is collected.{when}")
    elif status.noted.alive is not None and now - status.noted.alive > SILENT:
        found.append(f"The gateway has given no sign of life since {clock(status.noted.alive)}.")
    if status.running and status.noted.radio is not None:
        found.append(f"Bluetooth does not work since {clock(status.noted.radio_since)}: {status.noted.radio}")
    for sink in status.sinks:
        if sink.failing_since is not None and sink.waiting:
            since = clock(sink.failing_since)
            found.append(f"Nothing reaches {sink.name} since {since} ({sink.waiting} waiting): {sink.failure}")
        if sink.refused:
            found.append(f"{sink.name} refuses {_many(sink.refused)}; they are kept, and offered again each day.")
    return found


def lines(status: Status, now: float | None = None) -> list[str]:
    """The status for a person: the gateway, a table of devices, one of sinks, and each problem."""
    now = time.time() if now is None else now
    if status.running:
        since = f" since {clock(status.noted.started)}" if status.noted.started is not None else ""
        process = f" (process {status.pid})" if status.pid else ""
        text = [f"The gateway is running{since}{process}."]
    else:
        text = ["The gateway is not running."]
    if status.devices:
        titles = ("DEVICE", "NAME", "HEARD", "VISITED", "COLLECTED")
        text += ["", *output.table(titles, [_device_row(device, now) for device in status.devices])]
    else:
        text += ["", "No device: none was installed for Bluetooth-only sync, and none was named."]
    if status.sinks:
        titles = ("SINK", "DELIVERED", "WAITING", "REFUSED", "LAST")
        text += ["", *output.table(titles, [_sink_row(sink, now) for sink in status.sinks])]
    found = problems(status, now)
    # One line each for whoever reads them through a pipe.
    width = min(max(shutil.get_terminal_size((80, 24)).columns, 60), 100) if sys.stdout.isatty() else 10_000
    for number, problem in enumerate(found):
        text += [""] if not number else []
        text += textwrap.wrap(f"Problem: {printable(problem, 500)}", width, subsequent_indent="  ")
    return text


def plain(status: Status, now: float) -> dict[str, Any]:
    """The status as JSON has it; times are ISO 8601 in UTC."""
    noted = status.noted
    return {
        "running": status.running,
        "pid": status.pid,
        "started": _iso(noted.started),
        "alive": _iso(noted.alive),
        "bluetooth": None
        if noted.radio is None
        else {"failing_since": _iso(noted.radio_since), "code": noted.radio_code, "failure": noted.radio},
        "devices": [
            {
                **asdict(device),
                "seen": _iso(device.seen),
                "visited": _iso(device.visited),
                "failed": _iso(device.failed),
                "in_range": is_in_range(device, now),
            }
            for device in status.devices
        ],
        "sinks": [
            {**asdict(sink), "last": _iso(sink.last), "failing_since": _iso(sink.failing_since)}
            for sink in status.sinks
        ],
        "collected": status.collected,
        "waiting": status.waiting,
        "not_understood": status.not_understood,
        "problems": problems(status, now),
    }


def is_in_range(device: Known, now: float) -> bool:
    """Whether it was heard lately; a note from the future (a clock that was set back) counts as now."""
    return device.seen is not None and now - device.seen <= OUT_OF_RANGE


def ago(when: float | None, now: float) -> str:
    """“3 minutes ago”, or “never”."""
    if when is None:
        return "never"
    seconds = max(0.0, now - when)
    for size, word in ((86_400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' if count != 1 else ''} ago"
    return "just now"


def clock(when: float | None) -> str:
    """A moment in this computer's time zone."""
    if when is None:
        return "an unknown time"
    moment = datetime.fromtimestamp(min(max(when, 0.0), 4e9)).astimezone()
    return f"{moment:%Y-%m-%d %H:%M}"


def _device_row(device: Known, now: float) -> output.Row:
    name = printable(device.name or device.model or "-", 24)
    heard, visited = ago(device.seen, now), ago(device.visited, now)
    return output.Row((device.address, name, heard, visited, str(device.collected)))


def _sink_row(sink: SinkStatus, now: float) -> output.Row:
    counts = (str(sink.delivered), str(sink.waiting), str(sink.refused))
    return output.Row((sink.name, *counts, ago(sink.last, now)))


def _of_device(device: Known, now: float, *, listening: bool) -> str | None:
    if device.failures:
        return f"could not be read since {clock(device.failed)}: {device.failure}"
    if not listening:
        return None  # nobody knows
    if device.seen is None:
        return "was never within range of this gateway."
    if not is_in_range(device, now):
        return f"was not heard since {clock(device.seen)}: it is out of range, asleep, or switched off."
    return None


def _sink(name: str, count: Count, known: dict[str, Any]) -> SinkStatus:
    return SinkStatus(**{**known, "name": name, "waiting": count.waiting, "refused": count.refused})


def _iso(when: float | None) -> str | None:
    return None if when is None else datetime.fromtimestamp(min(max(when, 0.0), 4e9), UTC).isoformat()


def _many(count: int) -> str:
    return "1 measurement" if count == 1 else f"{count} measurements"
