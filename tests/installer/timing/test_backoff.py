"""The waits between tries: longer each time, up to a limit."""

from __future__ import annotations

from itertools import islice

from installer.timing.backoff import Backoff


def test_waits_grow_to_the_limit() -> None:
    backoff = Backoff(2.0, 60.0)
    assert [backoff.after_failures(n) for n in (1, 2, 3, 6, 10_000)] == [2.0, 4.0, 8.0, 60.0, 60.0]
    assert list(islice(Backoff(0.5, 1.0, factor=1.5).waits(), 4)) == [0.5, 0.75, 1.0, 1.0]


def test_a_first_wait_above_the_limit_stays() -> None:
    assert list(islice(Backoff(5.0, 1.0).waits(), 3)) == [5.0, 5.0, 5.0]


def test_jitter_is_within_its_range() -> None:
    backoff = Backoff(8.0, 100.0, jitter=(0.75, 1.25))
    waits = {backoff.after_failures(1) for _ in range(50)}
    assert len(waits) > 1
    assert min(waits) >= 6.0
    assert max(waits) <= 10.0


def test_the_other_side_can_ask_for_a_longer_wait() -> None:
    backoff = Backoff(2.0, 60.0, jitter=(0.5, 1.0))
    assert backoff.after_failures(1, 900.0) == 900.0
    assert backoff.after_failures(1, 0.1) >= 1.0
