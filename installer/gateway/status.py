"""The status of the gateway for `gateway status`: whether it runs, its devices, its sinks, and each problem.

It is read from the outbox's file, so it is also known of a gateway that was killed. Nothing here uses the network.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from installer import output
from installer.catalogue.catalogue_file import Catalogue
from installer.errors import ErrorCode
from installer.gateway.device_identity import DeviceIdentities
from installer.gateway.files_and_lock import GatewayFiles, is_running, running_pid
from installer.gateway.heartbeat import Heartbeat, LastHeartbeat
from installer.gateway.outbox import Outbox, SinkCounts
from installer.gateway.visit_history import DeviceHistory, VisitHistory
from installer.ledger.query_types import InstalledDevice
from installer.storage.damaged_rows import fitting
from installer.text import printable
from installer.timing.durations import local_time, minutes_and_seconds, of_timestamp, time_ago

# A device that was not heard for so long is out of range.
OUT_OF_RANGE_SECONDS = 600.0
# A gateway that holds its lock without a heartbeat for so long hangs.
NO_HEARTBEAT_SECONDS = 120.0
# A gateway that has not scanned for so long has no adapter that hears, whatever it says.
DEAF_SECONDS = 90.0


@dataclass(frozen=True)
class SinkStatus:
    """One sink. `waiting`, `refused`: measurements; times are unix seconds. `damaged`: what cannot be read of it."""

    name: str
    waiting: int = 0
    refused: int = 0
    delivered: int = 0
    last: float | None = None
    failing_since: float | None = None
    failure: str | None = None
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class GatewayStatus:
    """The whole status. `devices` in order of address; `collected`: measurements since the outbox was created.

    `serials`: by address, as `DeviceIdentities.serial`. `ledger_problem`: why it is not known which devices were
    installed, as a sentence.
    """

    running: bool
    pid: int | None
    heartbeat: LastHeartbeat = field(default_factory=LastHeartbeat)
    devices: list[DeviceHistory] = field(default_factory=list)
    sinks: list[SinkStatus] = field(default_factory=list)
    collected: int = 0
    not_understood: int = 0
    serials: dict[str, str | None] = field(default_factory=dict)
    ledger_problem: str = ""
    lab: bool = False

    @property
    def waiting(self) -> int:
        """Measurements that wait for a sink."""
        return sum(sink.waiting for sink in self.sinks)


async def read_status(files: GatewayFiles) -> GatewayStatus:
    """The status now. Raises OUTBOX_INVALID, DATABASE_FAILED."""
    running = await is_running(files)
    pid = running_pid(files) if running else None
    outbox = Outbox.open_existing(files.outbox)
    if outbox is None:
        return GatewayStatus(running, pid)
    with outbox:
        counts = outbox.counts()
        columns = "name, delivered, last, failing_since, failure"
        known = {row["name"]: fitting(dict(row), _SINK_KINDS) for row in outbox.rows(f"SELECT {columns} FROM sinks")}
        heartbeat = Heartbeat(outbox).read()
        names = list(dict.fromkeys([*heartbeat.sinks, *counts, *known]))
        devices = VisitHistory(outbox).devices()
        return GatewayStatus(
            running,
            pid,
            heartbeat,
            devices,
            [_sink_status(name, counts.get(name, SinkCounts()), *known.get(name, ({}, []))) for name in names],
            sum(device.collected for device in devices),
            outbox.count_not_understood(),
            {device.address: DeviceIdentities(outbox).serial(device.address) for device in devices},
        )


def with_installed(
    status: GatewayStatus,
    installed: Iterable[InstalledDevice],
    catalogue: Catalogue,
    problem: str = "",
    *,
    lab: bool = False,
) -> GatewayStatus:
    """The status with the devices of the ledger that no gateway has met yet. `problem`: why the ledger was not read."""
    without_profile = {model.id for model in catalogue.models if model.profile is None}
    names = {model.id: model.name for model in catalogue.models}
    found = {device.address.upper(): device for device in status.devices}
    for one in installed:
        address = one.address.upper()
        if one.model not in without_profile and address not in found:
            found[address] = DeviceHistory(address, one.model, printable(one.name or names.get(one.model, ""), 32))
    devices = sorted(found.values(), key=lambda device: device.address)
    return replace(status, devices=devices, ledger_problem=problem, lab=lab)


def problems(status: GatewayStatus, now: float) -> list[str]:
    """Why data does not flow now, as sentences; empty if it does."""
    return [*failures(status, now), *silent_devices(status, now)]


def failures(status: GatewayStatus, now: float) -> list[str]:
    """The problems that somebody must look at, for `status --check`. A device that is only not there is none."""
    found = flow_problems(status, now)
    if status.ledger_problem:
        found.append(f"Which devices were installed is not known. {status.ledger_problem}")
    if status.heartbeat.damaged:
        names = ", ".join(status.heartbeat.damaged)
        found.append(f"What the gateway noted of itself in the outbox is damaged ({names}). Check the disk.")
    noted = [(f"{d.name or 'The device'} {d.address}", d.damaged) for d in status.devices]
    for name, damaged in [*noted, *((sink.name, sink.damaged) for sink in status.sinks)]:
        if damaged:
            found.append(f"What the outbox has of {name} is damaged ({', '.join(damaged)}). Check the disk.")
    for device in status.devices:
        if device.failures:
            found.append(f"{_words(device)} could not be read at {_date(device.failed)}: {device.failure}")
    if status.not_understood:
        found.append(f"{_count_words(status.not_understood)} could not be read; their bytes are kept in the outbox.")
    return found


def silent_devices(status: GatewayStatus, now: float) -> list[str]:
    """The devices that a gateway which listens does not hear: they may only be out of range, or asleep."""
    heartbeat = status.heartbeat
    not_listening = heartbeat.radio is not None or heartbeat.room_since is not None or _is_deaf(heartbeat, now)
    if not status.running or not_listening:
        return []  # it cannot know
    silent = [device for device in status.devices if not device.failures and not is_in_range(device, now)]
    return [
        f"{_words(device)} was never in range of this gateway."
        if device.seen is None
        else f"{_words(device)} has not been heard since {_date(device.seen)}: it is out of range, asleep, or switched "
        "off."
        for device in silent
    ]


def changed_devices(status: GatewayStatus) -> list[DeviceHistory]:
    """The devices at whose address another unit answered last."""
    return [d for d in status.devices if d.failures and d.code == ErrorCode.DEVICE_CHANGED.value]


def flow_problems(status: GatewayStatus, now: float) -> list[str]:
    """The problems of the gateway itself and its sinks, the worst first."""
    found = []
    if not status.running:
        last = status.heartbeat.alive
        when = f" It last ran {time_ago(last, now)}." if last is not None else ""
        found.append(f"The gateway is not running: nothing is collected.{when}")
    elif status.heartbeat.alive is not None and now - status.heartbeat.alive > NO_HEARTBEAT_SECONDS:
        found.append(f"The gateway has shown no activity since {_date(status.heartbeat.alive)}.")
    if status.running and status.heartbeat.radio is not None:
        began = status.heartbeat.radio_since
        away = f" ({minutes_and_seconds(now - began)})" if began is not None else ""
        found.append(f"Bluetooth has not worked since {_date(began)}{away}: {status.heartbeat.radio}")
    elif status.running and _is_deaf(status.heartbeat, now):
        found.append(
            f"The gateway has listened to no Bluetooth adapter since {_date(status.heartbeat.deaf_since)}, though none "
            "fails: start it anew."
        )
    for sink in status.sinks:
        if sink.failing_since is not None and sink.waiting:
            since = _date(sink.failing_since)
            found.append(f"Nothing has reached {sink.name} since {since} ({sink.waiting} waiting): {sink.failure}")
        if sink.refused:
            found.append(f"{sink.name} refuses {_count_words(sink.refused)}. They are kept and sent again each day.")
    return found


def status_lines(status: GatewayStatus, now: float | None = None) -> list[str]:
    """The status for a person: the gateway, a table of devices, one of sinks, and each problem."""
    now = time.time() if now is None else now
    if status.running:
        since = f" since {_date(status.heartbeat.started)}" if status.heartbeat.started is not None else ""
        process = f" (process {status.pid})" if status.pid else ""
        text = [f"The gateway is running{since}{process}."]
    else:
        text = ["The gateway is not running."]
    text += _last_outage(status.heartbeat)
    if status.running and status.heartbeat.room_since is not None:
        text.append(f"It makes room for an installation since {_date(status.heartbeat.room_since)}.")
    if status.devices:
        titles = ("DEVICE", "NAME", "HEARD", "VISITED", "COLLECTED")
        text += ["", *output.table_lines(titles, [_device_row(device, now) for device in status.devices])]
    else:
        text += ["", "No device: none was installed for Bluetooth-only sync, and none was given with --device."]
    never = [printable(d.name or d.address, 32) for d in status.devices if d.visited is None and d.seen is None]
    if never and not status.running:
        command = f"device-installer gateway run{' --lab' if status.lab else ''}"
        text += ["", f"Never visited: {', '.join(never)}. Start a gateway: `{command}`."]
    if status.sinks:
        titles = ("SINK", "DELIVERED", "WAITING", "REFUSED", "LAST")
        text += ["", *output.table_lines(titles, [_sink_row(sink, now) for sink in status.sinks])]
    unknown = [printable(d.name or d.address, 32) for d in status.devices if status.serials.get(d.address) == ""]
    if unknown:
        names = ", ".join(unknown)
        text += ["", f"No serial number: {names}. Whether another unit answers in its place cannot be told."]
    found = [f"Problem: {one}" for one in failures(status, now)]
    found += [f"Note: {one}" for one in silent_devices(status, now)]
    # In a pipe, one line for each problem.
    width = min(max(shutil.get_terminal_size((80, 24)).columns, 60), 100) if sys.stdout.isatty() else 10_000
    for number, problem in enumerate(found):
        text += [""] if not number else []
        text += textwrap.wrap(printable(problem, 500), width, subsequent_indent="  ")
    return text


def status_json(status: GatewayStatus, now: float) -> dict[str, Any]:
    """The status for JSON; times are ISO 8601 in UTC."""
    heartbeat = status.heartbeat
    return {
        "running": status.running,
        "pid": status.pid,
        "started": _iso_time(heartbeat.started),
        "alive": _iso_time(heartbeat.alive),
        "bluetooth": None
        if heartbeat.radio is None
        else {
            "failing_since": _iso_time(heartbeat.radio_since),
            "code": heartbeat.radio_code,
            "failure": heartbeat.radio,
        },
        "makes_room_since": _iso_time(heartbeat.room_since) if status.running else None,
        "bluetooth_away": None
        if heartbeat.away_since is None or heartbeat.away_until is None
        else {
            "since": _iso_time(heartbeat.away_since),
            "until": _iso_time(heartbeat.away_until),
            "failure": heartbeat.away,
        },
        "devices": [
            {
                **asdict(device),
                "serial": status.serials.get(device.address),
                "seen": _iso_time(device.seen),
                "visited": _iso_time(device.visited),
                "failed": _iso_time(device.failed),
                "in_range": is_in_range(device, now),
            }
            for device in status.devices
        ],
        "sinks": [
            {**asdict(sink), "last": _iso_time(sink.last), "failing_since": _iso_time(sink.failing_since)}
            for sink in status.sinks
        ],
        "collected": status.collected,
        "waiting": status.waiting,
        "not_understood": status.not_understood,
        "problems": problems(status, now),
    }


def is_in_range(device: DeviceHistory, now: float) -> bool:
    """Whether it was heard lately. A time in the future (a clock that was set back) counts as now."""
    return device.seen is not None and now - device.seen <= OUT_OF_RANGE_SECONDS


def _last_outage(heartbeat: LastHeartbeat) -> list[str]:
    """When Bluetooth was away last, and for how long; nothing while it is away: that is a problem of its own."""
    since, until = heartbeat.away_since, heartbeat.away_until
    if since is None or until is None or heartbeat.radio is not None:
        return []
    took = minutes_and_seconds(max(until - since, 0.0))
    return [f"Bluetooth was away for {took}, until {_date(until)}: {printable(heartbeat.away or '', 200)}"]


def _is_deaf(heartbeat: LastHeartbeat, now: float) -> bool:
    """Whether no scan runs, for longer than one takes to begin."""
    if heartbeat.room_since is not None:
        return False
    return heartbeat.deaf_since is not None and now - heartbeat.deaf_since > DEAF_SECONDS


def _date(when: float | None) -> str:
    return "an unknown time" if when is None else local_time(of_timestamp(when))


def _device_row(device: DeviceHistory, now: float) -> output.Row:
    name = printable(device.name or device.model or "-", 24)
    heard, visited = time_ago(device.seen, now), time_ago(device.visited, now)
    return output.Row((device.address, name, heard, visited, str(device.collected)))


def _sink_row(sink: SinkStatus, now: float) -> output.Row:
    counts = (str(sink.delivered), str(sink.waiting), str(sink.refused))
    return output.Row((sink.name, *counts, time_ago(sink.last, now)))


def _words(device: DeviceHistory) -> str:
    return f"{device.name or 'The device'} {device.address}"


_SINK_KINDS: dict[str, Any] = {
    "delivered": int,
    "last": int | float | None,
    "failing_since": int | float | None,
    "failure": str | None,
}


def _sink_status(name: str, count: SinkCounts, known: dict[str, Any], damaged: list[str]) -> SinkStatus:
    counts = {"waiting": count.waiting, "refused": count.refused}
    return SinkStatus(**{**known, **counts}, name=name, damaged=tuple(damaged))


def _iso_time(when: float | None) -> str | None:
    return None if when is None else of_timestamp(when).isoformat()


def _count_words(count: int) -> str:
    return "1 measurement" if count == 1 else f"{count} measurements"
