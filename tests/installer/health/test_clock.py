"""The device's clock, and the times of measurements corrected by it."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.health.clock import Clock, behind
from installer.health.values import CodecError
from installer.measurement import Measurement

NOW = datetime(2026, 11, 23, 18, 15, 30)
RECEIVED = NOW.astimezone()


def current_time(when: datetime, fraction: int = 0) -> bytes:
    day = struct.pack("<HBBBBB", when.year, when.month, when.day, when.hour, when.minute, when.second)
    return day + bytes((when.isoweekday(), fraction, 0))


def taken(shown: datetime | None, clock: Clock) -> datetime | None:
    found = clock.timed(Measurement(readings=(), device_time=shown), RECEIVED)
    assert (found.received, found.device_time) == (RECEIVED, shown)
    return found.taken


@pytest.mark.parametrize(
    ("shows", "wrong"),
    [
        (NOW, timedelta()),
        (NOW - timedelta(seconds=59), timedelta()),
        (NOW + timedelta(seconds=59), timedelta()),
        (NOW - timedelta(hours=1), timedelta(hours=1)),
        (NOW + timedelta(minutes=5), -timedelta(minutes=5)),
        (datetime(2000, 1, 1), NOW - datetime(2000, 1, 1)),
    ],
)
def test_how_wrong_a_clock_is(shows: datetime, wrong: timedelta) -> None:
    assert behind(current_time(shows), NOW) == wrong


def test_fractions_of_a_second_count() -> None:
    assert behind(current_time(NOW - timedelta(seconds=90), fraction=255), NOW) == timedelta(seconds=89)


def test_a_clock_that_was_never_set() -> None:
    assert behind(bytes(10), NOW) is None
    assert taken(datetime(2000, 1, 1, 12), Clock(None)) is None


def test_nonsense() -> None:
    for data in (b"", current_time(NOW)[:8], b"\xea\x07\x0d\x01" + bytes(6)):
        with pytest.raises(CodecError):
            behind(data, NOW)


def test_a_measurement_is_corrected_by_what_the_clock_is_wrong() -> None:
    slow = Clock(timedelta(days=400, hours=3))
    assert taken(NOW - timedelta(days=401, hours=3), slow) == RECEIVED - timedelta(days=1)
    right = Clock(timedelta())
    assert taken(NOW - timedelta(days=2), right) == RECEIVED - timedelta(days=2)
    assert taken(None, slow) is None


@pytest.mark.parametrize("clock", [Clock(), Clock(timedelta())])
@pytest.mark.parametrize("shown", [NOW + timedelta(days=2), datetime(2009, 12, 31), datetime(1970, 1, 1)])
def test_a_time_that_cannot_be_is_no_time(clock: Clock, shown: datetime) -> None:
    assert taken(shown, clock) is None


@given(
    st.datetimes(min_value=datetime(1582, 1, 1)),
    st.one_of(st.none(), st.timedeltas(min_value=-timedelta(days=3_000_000), max_value=timedelta(days=3_000_000))),
)
def test_no_time_breaks_it(shown: datetime, wrong: timedelta | None) -> None:
    found = taken(shown, Clock(wrong))
    assert found is None or (found.tzinfo is not None and found <= RECEIVED + timedelta(days=1))
