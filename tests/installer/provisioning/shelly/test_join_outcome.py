"""The outcome of a join, decided from the states of the device's Wi-Fi over time."""

from __future__ import annotations

import pytest

from installer.provisioning.shelly.codec import Phase, WifiStatus
from installer.provisioning.shelly.driver import JoinOutcome
from installer.provisioning.shelly.rpc_client import Timings

JOINED, IDLE, BUSY = WifiStatus(Phase.JOINED, "Home"), WifiStatus(Phase.IDLE), WifiStatus(Phase.BUSY)
ELSEWHERE, NAMELESS = WifiStatus(Phase.JOINED, "Cafe"), WifiStatus(Phase.JOINED)
TIMINGS = Timings(settle=15, fall=3)


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        ([(0, BUSY), (1, JOINED)], Phase.JOINED),
        ([(0, IDLE), (1, BUSY), (2, NAMELESS)], Phase.JOINED),
        # It may take its time to begin.
        ([(0, IDLE), (14, IDLE)], None),
        ([(0, IDLE), (14, IDLE), (15, IDLE)], Phase.FAILED),
        # A fall that lasts; a fall that does not; a second one.
        ([(0, BUSY), (1, IDLE), (3, IDLE)], None),
        ([(0, BUSY), (1, IDLE), (4, IDLE)], Phase.FAILED),
        ([(0, BUSY), (1, IDLE), (2, BUSY), (9, BUSY), (10, JOINED)], Phase.JOINED),
        ([(0, BUSY), (1, IDLE), (2, BUSY), (3, IDLE)], Phase.FAILED),
        # The network from before, as long as that is told.
        ([(0, ELSEWHERE), (9, ELSEWHERE)], None),
        ([(0, ELSEWHERE), (1, IDLE), (2, JOINED)], Phase.JOINED),
        ([(0, WifiStatus(Phase.NOT_FOUND))], Phase.NOT_FOUND),
        ([(0, BUSY), (1, WifiStatus(Phase.FAILED))], Phase.FAILED),
    ],
)
def test_outcomes(seen: list[tuple[float, WifiStatus]], outcome: Phase | None):
    join = JoinOutcome("Home", TIMINGS, 0)
    results = [join.update(status, now) for now, status in seen]
    assert results == [None] * (len(seen) - 1) + [outcome]


def test_a_device_that_was_joined_before_is_not_believed_at_once():
    join = JoinOutcome("Home", TIMINGS, 4)
    assert [join.update(JOINED, now) for now in (0, 3.9, 4)] == [None, None, Phase.JOINED]
    join = JoinOutcome("Home", TIMINGS, 4)
    assert [join.update(status, 1) for status in (JOINED, BUSY, JOINED)] == [None, None, Phase.JOINED]
