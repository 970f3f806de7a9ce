"""The device's clock, and the times of measurements corrected by it."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.health_profiles.characteristic_fields import CodecError
from installer.health_profiles.device_clock import DeviceClock, parse_current_time
from installer.measurement import Measurement

NOW = datetime(2026, 11, 23, 18, 15, 30)
RECEIVED = NOW.astimezone()


def current_time(when: datetime, fraction: int = 0) -> bytes:
    day = struct.pack("<HBBBBB", when.year, when.month, when.day, when.hour, when.minute, when.second)
    return day + bytes((when.isoweekday(), fraction, 0))


def taken(shown: datetime | None, clock: DeviceClock, received: datetime = RECEIVED) -> datetime | None:
    found = clock.add_times(Measurement(readings=(), device_time=shown), received)
    assert (found.received, found.device_time) == (received, shown)
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
    assert parse_current_time(current_time(shows), RECEIVED).error == wrong


def test_fractions_of_a_second_count() -> None:
    clock = parse_current_time(current_time(NOW - timedelta(seconds=91), fraction=128), RECEIVED)
    assert clock.error == timedelta(seconds=90.5)
    # Times of devices have whole seconds, corrected ones as well.
    corrected = taken(NOW - timedelta(hours=1), clock)
    assert corrected is not None
    assert corrected.microsecond == 0


def test_a_clock_that_was_never_set() -> None:
    clock = parse_current_time(bytes(10), RECEIVED)
    assert clock.error is None
    assert taken(datetime(2000, 1, 1, 12), clock) is None


def test_nonsense() -> None:
    for data in (b"", current_time(NOW)[:8], b"\xea\x07\x0d\x01" + bytes(6)):
        with pytest.raises(CodecError):
            parse_current_time(data, RECEIVED)


def test_a_measurement_is_corrected_by_what_the_clock_is_wrong() -> None:
    ago = timedelta(days=400, hours=3)
    slow = DeviceClock(NOW - ago, RECEIVED)
    assert taken(NOW - ago - timedelta(days=1), slow) == RECEIVED - timedelta(days=1)
    right = DeviceClock(NOW, RECEIVED)
    assert taken(NOW - timedelta(days=2), right) == RECEIVED - timedelta(days=2)
    assert taken(None, slow) is None


@pytest.mark.parametrize("clock", [DeviceClock(), DeviceClock(NOW, RECEIVED)])
@pytest.mark.parametrize("shown", [NOW + timedelta(days=2), datetime(2009, 12, 31), datetime(1970, 1, 1)])
def test_a_time_that_cannot_be_is_no_time(clock: DeviceClock, shown: datetime) -> None:
    assert taken(shown, clock) is None


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where the clocks went back from 03:00 to 02:00 on 25 October 2026."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_clocks_went_back_since(berlin: None) -> None:
    visited = datetime(2026, 10, 26, 9, 0, tzinfo=UTC)  # 10:00 local, 11:00 as before
    measured = datetime(2026, 10, 24, 8, 0, tzinfo=UTC)  # 10:00 local
    shown = datetime(2026, 10, 24, 10, 0)
    # Nobody has set the device's clock.
    stubborn = DeviceClock(datetime(2026, 10, 26, 11, 0), visited)
    assert stubborn.error == -timedelta(hours=1)
    assert taken(shown, stubborn, visited) == measured
    # Somebody has, after it had measured.
    assert taken(shown, DeviceClock(datetime(2026, 10, 26, 10, 0), visited), visited) == measured
    assert taken(shown, DeviceClock(), visited) == measured


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ("00:31", "00:30"),  # the first 02:30, told at once
        ("01:31", "01:30"),  # the second one
        ("01:29:30", "01:30"),  # the same, by a device whose clock is a little fast
        ("02:29", "01:30"),
        ("09:00", "00:30"),  # told much later: nobody can know
    ],
)
@pytest.mark.parametrize("clock_is_read", [True, False])
def test_an_hour_that_comes_twice(berlin: None, received: str, expected: str, clock_is_read: bool) -> None:
    visited = datetime.fromisoformat(f"2026-10-25T{received}+00:00")
    clock = DeviceClock(visited.astimezone().replace(tzinfo=None), visited) if clock_is_read else DeviceClock()
    assert taken(datetime(2026, 10, 25, 2, 30), clock, visited) == datetime.fromisoformat(
        f"2026-10-25T{expected}+00:00"
    )


def test_an_hour_that_is_left_out(berlin: None) -> None:
    # A device that nobody has set to summer time: 02:30 is 03:30.
    for received in ("01:31", "09:00"):
        visited = datetime.fromisoformat(f"2026-03-29T{received}+00:00")
        assert taken(datetime(2026, 3, 29, 2, 30), DeviceClock(), visited) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@given(
    st.datetimes(min_value=datetime(1582, 1, 1)),
    st.none() | st.datetimes(min_value=datetime(1582, 1, 1)),
)
def test_no_time_breaks_it(shown: datetime, clock: datetime | None) -> None:
    found = taken(shown, DeviceClock(clock, RECEIVED))
    assert found is None or (found.tzinfo is not None and found <= RECEIVED + timedelta(days=1, seconds=1))
