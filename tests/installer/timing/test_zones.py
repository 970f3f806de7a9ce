"""Time zones: odd names, the first moment of odd days, and hours that come twice. With the real database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.timing import zones

# Zones with odd rules: far from UTC, half hours, summer time by half an hour or at midnight, over the date line.
ODD_ZONES = [
    "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Apia", "Pacific/Chatham", "Asia/Kolkata", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Africa/Cairo", "Africa/Casablanca", "America/Havana", "America/Nuuk", "America/St_Johns",
    "America/Scoresbysund", "America/Santiago", "Antarctica/Troll", "Asia/Beirut", "Asia/Gaza", "Asia/Tehran",
    "Atlantic/Azores", "Europe/Dublin", "Europe/Paris", "UTC", "Etc/GMT+12",
]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "Mars/Olympus", "Europe", "Europe/", "/Europe/Paris", "../Europe/Paris", "Europe/../Europe/Paris",
        "/etc/localtime", "europe/paris", "localtime", "posixrules", "Factory", "posix/Europe/Paris", "tzdata.zi",
        "leapseconds", "zone.tab", "A" * 300, "Europe/Par\0is", "Europe/Paris\n", "É", "\ud800", "UTC+25:00", "UTC+2",
        "+02:00",
    ],
)  # fmt: skip
def test_a_name_that_is_no_zone(name: str) -> None:
    assert zones.known_zone(name) is None


@given(st.text(max_size=30) | st.from_regex(r"[A-Z][a-z./-]{0,8}(/[A-Za-z_.+-]{0,8}){0,3}", fullmatch=True))
def test_any_name_is_known_or_not(name: str) -> None:
    zone = zones.known_zone(name)
    assert zone is None or zones.day_of(datetime(2026, 11, 24, 12, tzinfo=UTC), zone)


@pytest.mark.parametrize("name", ODD_ZONES)
def test_a_day_begins_with_its_first_moment_and_ends_with_the_next_one(name: str) -> None:
    zone = zones.known_zone(name)
    assert zone is not None
    day = date(2010, 1, 1)
    while day < date(2027, 1, 1):
        first, end = zones.day_bounds(day, zone)
        assert zones.day_of(first - timedelta(seconds=1), zone) < day.isoformat()
        assert zones.day_of(end, zone) > day.isoformat()
        # Samoa had no 30 December 2011.
        assert first == end or zones.day_of(first, zone) == day.isoformat()
        day += timedelta(days=1)


@pytest.mark.parametrize(
    ("name", "day", "first", "hours"),
    [
        ("Pacific/Kiritimati", "2026-11-24", "2026-11-23T10:00Z", 24),
        ("Pacific/Pago_Pago", "2026-11-24", "2026-11-24T11:00Z", 24),
        ("Asia/Kolkata", "2026-11-24", "2026-11-23T18:30Z", 24),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00Z", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30Z", 23.5),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00Z", 0),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00Z", 24),
        # Midnight is left out: the day begins at 01:00.
        ("Africa/Cairo", "2024-04-26", "2024-04-25T22:00Z", 23),
        # Midnight comes twice: the day begins with the first one.
        ("America/Havana", "2024-11-03", "2024-11-03T04:00Z", 25),
        # Ramadan: the clocks go back for a month.
        ("Africa/Casablanca", "2024-03-10", "2024-03-09T23:00Z", 25),
        ("UTC-09:30", "2026-11-24", "2026-11-24T09:30Z", 24),
    ],
)
def test_known_odd_days(name: str, day: str, first: str, hours: float) -> None:
    zone = zones.known_zone(name)
    assert zone is not None
    begin, end = zones.day_bounds(date.fromisoformat(day), zone)
    assert (begin, (end - begin) / timedelta(hours=1)) == (datetime.fromisoformat(first), hours)


@pytest.mark.parametrize(
    ("local", "twice"),
    [
        (datetime(2024, 10, 27, 2, 30), True),
        (datetime(2024, 10, 27, 2, 30, fold=1), True),
        (datetime(2024, 10, 27, 3, 0), False),
        (datetime(2024, 3, 31, 2, 30), False),  # never
        (datetime(2024, 6, 1), False),
    ],
)
def test_a_time_that_comes_twice(local: datetime, twice: bool) -> None:
    assert zones.is_repeated(local.replace(tzinfo=zones.known_zone("Europe/Paris"))) is twice


def test_an_offset_is_a_name() -> None:
    for text in ("2026-11-24T12:00+05:45", "2026-11-24T12:00-03:30", "2026-11-24T12:00Z"):
        when = datetime.fromisoformat(text)
        zone = zones.known_zone(zones.offset_name(when))
        assert zone is not None
        assert when.astimezone(zone).isoformat() == when.isoformat()


@pytest.mark.parametrize(
    ("shown", "moment"),
    [
        (datetime(2026, 3, 29, 2, 30), "2026-03-29T03:30+02:00"),  # left out
        (datetime(2026, 10, 25, 2, 30), "2026-10-25T02:30+02:00"),
        (datetime(2026, 10, 25, 2, 30, fold=1), "2026-10-25T02:30+01:00"),
        (datetime(2026, 11, 24), "2026-11-24T00:00+01:00"),
    ],
)
def test_a_time_of_the_clock_here(in_berlin: None, shown: datetime, moment: str) -> None:
    found = zones.local_moment(shown)
    assert found.isoformat(timespec="minutes") == moment
