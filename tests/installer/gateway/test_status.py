"""`gateway status`: each problem with its start, also when no gateway runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from installer.catalogue import catalogue_file
from installer.errors import ErrorCode, InstallerError
from installer.gateway import status
from installer.gateway.devices import GatewayDevice
from installer.gateway.files_and_lock import GatewayFiles, hold_gateway_lock
from installer.gateway.heartbeat import Heartbeat
from installer.gateway.outbox import Outbox
from installer.gateway.visit_history import VisitHistory
from installer.ledger.query_types import InstalledDevice
from installer.timing.durations import local_time, of_timestamp
from tests.installer.gateway.support import ONE, OTHER, weighed

NOW = 1_790_000_000.0
DAY = 86_400.0
GONE = InstallerError(ErrorCode.CLOUD_UNREACHABLE, "The webhook at clinic.example does not answer.", "")
OFF = InstallerError(ErrorCode.BLUETOOTH_OFF, "Bluetooth is switched off.", "")
LOST = InstallerError(ErrorCode.CONNECTION_FAILED, f"No connection to Scale {OTHER} came about.", "")


@pytest.fixture
def files(tmp_path: Path) -> GatewayFiles:
    return GatewayFiles(tmp_path)


def _date(when: float) -> str:
    return local_time(of_timestamp(when))


def scene(files: GatewayFiles) -> None:
    """A scale that was not heard for days, one that cannot be read, and a webhook that is away."""
    with Outbox.open(files.outbox) as box:
        Heartbeat(box).record_start(NOW - 3 * DAY, ["store", "webhook"])
        Heartbeat(box).record_alive(NOW - 5)
        visits = VisitHistory(box)
        visits.add_device(GatewayDevice(ONE, (), "body", "Scale in the hall"))
        visits.add_device(GatewayDevice(OTHER, (), "thermo", "Thermo"))
        visits.begin_visit(ONE, NOW - 2 * DAY)
        visits.record_success(ONE, NOW - 2 * DAY)
        visits.record_seen(OTHER, NOW - 60)
        visits.record_failure(OTHER, LOST, NOW - 60)
        for number in range(3):
            box.append(weighed(number), ["store", "webhook"])
        box.mark_delivered("store", [weighed(number).key for number in range(3)], NOW - 60)
        box.mark_failing("webhook", "cloud_unreachable", GONE.what, NOW - DAY)
        box.mark_failing("webhook", "cloud_unreachable", GONE.what, NOW - 10)


async def test_each_limit_is_a_line_with_since_when(files: GatewayFiles) -> None:
    scene(files)
    async with hold_gateway_lock(files):
        with Outbox.open(files.outbox) as box:
            Heartbeat(box).record_radio(OFF, NOW - 7200)
            Heartbeat(box).record_radio(OFF, NOW - 10)
        found = await status.read_status(files)
    problems = status.problems(found, NOW)
    assert problems == [
        f"Bluetooth has not worked since {_date(NOW - 7200)} (120 min): Bluetooth is switched off.",
        f"Nothing has reached webhook since {_date(NOW - DAY)} (3 waiting): {GONE.what}",
        f"Thermo {OTHER} could not be read at {_date(NOW - 60)}: {LOST.what}",
    ]
    text = "\n".join(status.status_lines(found, NOW))
    assert "2 days ago" in text
    assert all(f"Problem: {problem}" in text.splitlines() for problem in problems)
    plain = status.status_json(found, NOW)
    assert plain["problems"] == problems
    assert plain["bluetooth"]["code"] == "bluetooth_off"
    assert [d["in_range"] for d in plain["devices"]] == [False, True]


async def test_a_device_that_is_only_not_there_is_no_failure(files: GatewayFiles) -> None:
    with Outbox.open(files.outbox) as box:
        Heartbeat(box).record_start(NOW - 3 * DAY, ["store"])
        Heartbeat(box).record_radio(None, NOW - 3 * DAY)
        Heartbeat(box).record_alive(NOW - 5)
        VisitHistory(box).add_device(GatewayDevice(ONE, (), "body", "Scale in the hall"))
        VisitHistory(box).record_seen(ONE, NOW - 2 * DAY)
    async with hold_gateway_lock(files):
        found = await status.read_status(files)
    silent = (
        f"Scale in the hall {ONE} has not been heard since {_date(NOW - 2 * DAY)}: "
        "it is out of range, asleep, or switched off."
    )
    assert (status.failures(found, NOW), status.problems(found, NOW)) == ([], [silent])
    assert f"Note: {silent}" in status.status_lines(found, NOW)


async def test_how_long_bluetooth_was_away_is_told_and_what_hears_nothing(files: GatewayFiles) -> None:
    def read() -> status.GatewayStatus:
        with Outbox.open(files.outbox) as box:
            return status.GatewayStatus(True, 1, Heartbeat(box).read())

    with Outbox.open(files.outbox) as box:
        Heartbeat(box).record_start(NOW - 3600, ["store"])
        Heartbeat(box).record_alive(NOW - 30, listens=False)
    (problem,) = status.failures(read(), NOW)
    assert "listened to no Bluetooth adapter" in problem
    with Outbox.open(files.outbox) as box:
        Heartbeat(box).record_radio(OFF, NOW - 100)
        Heartbeat(box).record_radio(OFF, NOW - 90)
        Heartbeat(box).record_radio(None, NOW - 30)
        Heartbeat(box).record_alive(NOW - 5)
    assert status.failures(read(), NOW) == []
    told = f"Bluetooth was away for 1 min 10 s, until {_date(NOW - 30)}: {OFF.what}"
    assert told in status.status_lines(read(), NOW)
    assert status.status_json(read(), NOW)["bluetooth_away"]["failure"] == OFF.what


async def test_a_gateway_that_does_not_run_says_when_it_ran_last(files: GatewayFiles) -> None:
    scene(files)
    found = await status.read_status(files)
    assert status.problems(found, NOW + 3600)[0] == (
        "The gateway is not running: nothing is collected. It last ran 1 hour ago."
    )
    # What is in reach now, nobody knows.
    assert not any("not been heard" in problem for problem in status.problems(found, NOW))


async def test_a_gateway_that_hangs_is_told(files: GatewayFiles) -> None:
    scene(files)
    async with hold_gateway_lock(files):
        found = await status.read_status(files)
    assert any("no activity" in problem for problem in status.problems(found, NOW + 600))


async def test_a_clock_that_was_set_back_makes_nothing_negative(files: GatewayFiles) -> None:
    scene(files)
    async with hold_gateway_lock(files):
        found = await status.read_status(files)
    ahead = status.status_lines(found, NOW - 365 * DAY)
    assert "just now" in next(line for line in ahead if line.startswith(ONE))


async def test_what_is_damaged_in_the_outbox_is_a_problem_and_the_rest_is_shown(files: GatewayFiles) -> None:
    scene(files)
    with closing(sqlite3.connect(files.outbox)) as connection, connection:
        connection.execute("UPDATE state SET value = '{' WHERE name = 'alive'")
        connection.execute("UPDATE state SET value = '7' WHERE name = 'sinks'")
        connection.execute("UPDATE devices SET seen = 'noon' WHERE address = ?", (ONE,))
        connection.execute("UPDATE sinks SET last = 'noon' WHERE name = 'store'")
    found = await status.read_status(files)
    assert "What the gateway noted of itself in the outbox is damaged (alive, sinks)." in str(
        status.problems(found, NOW)
    )
    assert [device.address for device in found.devices] == [ONE, OTHER]
    said = "\n".join(status.status_lines(found, NOW))
    assert f"What the outbox has of Scale in the hall {ONE} is damaged (seen)." in said
    assert "What the outbox has of store is damaged (last)." in said
    assert status.status_json(found, NOW)["devices"][0]["damaged"] == ("seen",)
    assert found.heartbeat.started == NOW - 3 * DAY


async def test_a_lock_that_cannot_be_opened_is_no_running_gateway_and_no_absent_one(files: GatewayFiles) -> None:
    files.lock.mkdir()
    with pytest.raises(InstallerError, match="Whether a gateway runs is not known") as caught:
        await status.read_status(files)
    assert caught.value.code is ErrorCode.FILE_UNWRITABLE
    assert str(files.lock) in caught.value.what


def installed(address: str, model: str = "body", name: str = "Scale") -> InstalledDevice:
    return InstalledDevice(address.lower(), model, name, "default", "abc")


async def test_a_device_of_the_ledger_is_listed_before_any_gateway_has_run(files: GatewayFiles) -> None:
    empty = await status.read_status(files)
    found = status.with_installed(empty, [installed(ONE), installed(OTHER, "unheard-of", "")], catalogue_file.load())
    text = "\n".join(status.status_lines(found, NOW))
    assert "No device" not in text
    assert f"Never visited: Scale, {OTHER}. Start a gateway: `device-installer gateway run`." in text
    listed = status.status_json(found, NOW)["devices"]
    assert [(d["address"], d["name"], d["visited"], d["in_range"]) for d in listed] == [
        (address, name, None, False) for address, name in sorted(((ONE, "Scale"), (OTHER, "")))
    ]
    assert status.problems(found, NOW) == ["The gateway is not running: nothing is collected."]


async def test_what_the_gateway_noted_of_a_device_counts_more_than_the_ledger(files: GatewayFiles) -> None:
    scene(files)
    before = await status.read_status(files)
    found = status.with_installed(before, [installed(ONE)], catalogue_file.load())
    assert found.devices == before.devices


async def test_a_ledger_that_cannot_be_read_is_a_problem_and_hides_nothing(files: GatewayFiles) -> None:
    scene(files)
    found = status.with_installed(await status.read_status(files), [], catalogue_file.load(), "The server is away.")
    assert len(found.devices) == 2
    assert "Which devices were installed is not known. The server is away." in status.problems(found, NOW)
