"""What `gateway status` tells, with since when; and that it is told also when nobody runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.gateway import status
from installer.gateway.devices import GatewayDevice
from installer.gateway.files_and_lock import GatewayFiles, alone
from installer.gateway.heartbeat import Heartbeat
from installer.gateway.outbox import Outbox
from installer.gateway.visit_history import VisitHistory
from tests.installer.gateway.support import ONE, OTHER, weighed

NOW = 1_790_000_000.0
DAY = 86_400.0
GONE = InstallerError(ErrorCode.CLOUD_UNREACHABLE, "The webhook at clinic.example does not answer.", "")
OFF = InstallerError(ErrorCode.BLUETOOTH_OFF, "Bluetooth is switched off.", "")
LOST = InstallerError(ErrorCode.CONNECTION_FAILED, f"No connection to Scale {OTHER} came about.", "")


@pytest.fixture
def place(tmp_path: Path) -> GatewayFiles:
    return GatewayFiles(tmp_path)


def scene(place: GatewayFiles) -> None:
    """A scale that was not heard for days, one that cannot be read, and a webhook that is away."""
    with Outbox.open(place.outbox) as box:
        Heartbeat(box).started(NOW - 3 * DAY, ["store", "webhook"])
        Heartbeat(box).alive(NOW - 5)
        visits = VisitHistory(box)
        visits.know(GatewayDevice(ONE, (), "body", "Scale in the hall"))
        visits.know(GatewayDevice(OTHER, (), "thermo", "Thermo"))
        visits.begin(ONE, NOW - 2 * DAY)
        visits.end(ONE, NOW - 2 * DAY)
        visits.seen(OTHER, NOW - 60)
        visits.failed(OTHER, LOST, NOW - 60)
        for number in range(3):
            box.append(weighed(number), ["store", "webhook"])
        box.done("store", [1, 2, 3], NOW - 60)
        box.failing("webhook", "cloud_unreachable", GONE.what, NOW - DAY)
        box.failing("webhook", "cloud_unreachable", GONE.what, NOW - 10)


async def test_each_limit_is_a_line_with_since_when(place: GatewayFiles) -> None:
    scene(place)
    async with alone(place):
        with Outbox.open(place.outbox) as box:
            Heartbeat(box).radio(OFF, NOW - 7200)
            Heartbeat(box).radio(OFF, NOW - 10)
        found = await status.look(place)
    problems = status.problems(found, NOW)
    assert problems == [
        f"Bluetooth does not work since {status.clock(NOW - 7200)}: Bluetooth is switched off.",
        f"Nothing reaches webhook since {status.clock(NOW - DAY)} (3 waiting): {GONE.what}",
        f"Scale in the hall {ONE} was not heard since {status.clock(NOW - 2 * DAY)}: "
        "it is out of range, asleep, or switched off.",
        f"Thermo {OTHER} could not be read since {status.clock(NOW - 60)}: {LOST.what}",
    ]
    text = "\n".join(status.lines(found, NOW))
    assert "2 days ago" in text
    assert all(f"Problem: {problem}" in text.splitlines() for problem in problems)
    plain = status.plain(found, NOW)
    assert plain["problems"] == problems
    assert plain["bluetooth"]["code"] == "bluetooth_off"
    assert [d["in_range"] for d in plain["devices"]] == [False, True]


async def test_a_gateway_that_does_not_run_says_when_it_ran_last(place: GatewayFiles) -> None:
    scene(place)
    found = await status.look(place)
    assert status.problems(found, NOW + 3600)[0] == (
        "The gateway is not running: nothing is collected. It ran last 1 hour ago."
    )
    # What is in reach now, nobody knows.
    assert not any("not heard" in problem for problem in status.problems(found, NOW))


async def test_a_gateway_that_hangs_is_told(place: GatewayFiles) -> None:
    scene(place)
    async with alone(place):
        found = await status.look(place)
    assert any("no sign of life" in problem for problem in status.problems(found, NOW + 600))


async def test_a_clock_that_was_set_back_makes_nothing_negative(place: GatewayFiles) -> None:
    scene(place)
    async with alone(place):
        found = await status.look(place)
    ahead = status.lines(found, NOW - 365 * DAY)
    assert "just now" in next(line for line in ahead if line.startswith(ONE))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (DAY, "1 day ago"),
        (-9, "just now"),
    ],
)
def test_how_long_ago(seconds: float, words: str) -> None:
    assert status.ago(NOW - seconds, NOW) == words
    assert status.ago(None, NOW) == "never"
