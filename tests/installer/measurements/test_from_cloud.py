"""The cloud's entries as rows: seen ones and malformed ones."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.cloud.api_models import Day, Group, Night, parse_list
from installer.measurements import from_cloud
from installer.measurements.stored_value import Row
from tests.installer.cloud.world import MODELS

OWNER = from_cloud.Owner("clinic", "40012345", MODELS)
DATE = 1_730_003_600

Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def rows(kind: Any, key: str, *found: Any) -> list[Row]:
    entries = parse_list(kind, {key: list(found)}, key)
    return [row for entry in entries for row in from_cloud.rows(entry, OWNER, "Europe/Paris")]


def group(*measures: dict[str, Any], **changes: Any) -> list[Row]:
    values = measures or ({"value": 72350, "type": 1, "unit": -3, "algo": 0, "fm": 3},)
    seen = {
        "grpid": 5123456789,
        "attrib": 0,
        "date": DATE,
        "created": DATE + 50,
        "modified": DATE + 60,
        "category": 1,
        "deviceid": "d1",
        "hash_deviceid": "d1",
        "measures": list(values),
        "modelid": 5,
        "model": "Body+",
        "comment": None,
    }
    return rows(Group, "measuregrps", {**seen, **changes})


def night(**changes: Any) -> list[Row]:
    seen = {
        "id": 2081804182,
        "timezone": "Europe/Paris",
        "model": 32,
        "model_id": 63,
        "hash_deviceid": "77aa",
        "startdate": DATE,
        "enddate": DATE + 27_000,
        "date": "2024-10-27",
        "data": {"total_sleep_time": 24_600, "hr_average": 58},
        "created": DATE + 28_000,
        "modified": DATE + 28_000,
    }
    return rows(Night, "series", {**seen, **changes})


def day(**changes: Any) -> list[Row]:
    seen = {
        "date": "2024-10-27",
        "timezone": "Europe/Paris",
        "deviceid": "c0de",
        "hash_deviceid": "c0de",
        "brand": 1,
        "modelid": 90,
        "model": "Move",
        "is_tracker": True,
        "modified": DATE,
        "steps": 4200,
    }
    return rows(Day, "activities", {**seen, **changes})


def test_a_weight() -> None:
    [row] = group()
    assert row.as_json() == {
        "source": "cloud",
        "account": "clinic",
        "user": "40012345",
        "device": "d1",
        "model": "body-plus",
        "kind": "weight",
        "value": "72.35",
        "unit": "kg",
        "measured": "72.35",
        "measured_unit": "kg",
        "taken": "2024-10-27T04:33:20+00:00",
        "ended": None,
        "group": "5123456789",
        "origin": "device",
        "period": "group 5123456789",
        "modified": DATE + 60,
        "day": "2024-10-27",
        "zone": "Europe/Paris",
        "zone_known": True,
        "taken_local": "2024-10-27T05:33:20+01:00",
        "ended_local": None,
    }


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (72350, -3, "72.35"),
        ("72350", -3, "72.35"),
        (72350, "-3", "72.35"),
        (7, 2, "700"),
        (0, 5, "0"),
        (-12, -1, "-1.2"),
        (1, -30, f"{Decimal('1e-30'):f}"),
        (999_999_999_999_999, -9, "999999.999999999"),
    ],
)
def test_the_value_is_exact(value: Any, unit: Any, expected: str) -> None:
    assert [f"{r.value:f}" for r in group({"value": value, "type": 1, "unit": unit})] == [expected]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"modelid": None, "model_id": 5}, {"model": "body-plus"}),
        ({"modelid": "5"}, {"model": "body-plus"}),
        ({"modelid": 4711}, {"model": ""}),
        ({"hash_deviceid": None}, {"device": "d1"}),
        ({"hash_deviceid": None, "deviceid": 42}, {"device": "42"}),
        ({"hash_deviceid": None, "deviceid": None}, {"device": ""}),
        ({"grpid": "7"}, {"group": "7", "period": "group 7"}),
        ({"grpid": None}, {"group": "", "period": ""}),
        ({"attrib": 2}, {"origin": "person"}),
        ({"attrib": "4"}, {"origin": "person"}),
        ({"attrib": 17}, {"origin": "device"}),
        ({"attrib": None}, {"origin": "device"}),
        ({"date": None}, {"taken": datetime.fromtimestamp(DATE + 50, UTC)}),
        ({"modified": None}, {"modified": DATE + 50}),
        ({"category": None}, {"kind": "weight"}),
    ],
)
def test_what_was_seen_to_differ(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    [row] = group(**changes)
    assert {name: getattr(row, name) for name in expected} == expected


@pytest.mark.parametrize(
    "changes",
    [{"category": 2}, {"date": None, "created": None, "modified": None}, {"date": -5, "created": 0, "modified": None}],
)
def test_no_measurement(changes: dict[str, Any]) -> None:
    assert group(**changes) == []


def test_types_that_nobody_knows_and_values_that_do_not_fit() -> None:
    found = group(
        {"value": 1, "type": 4711, "unit": 0},
        {"value": 2, "type": 174, "unit": 0, "position": 3},
        {"value": 3, "type": 174, "unit": 0, "position": 4},
        {"value": 4, "type": 8, "unit": 0},
        {"value": 5, "type": 8, "unit": 0},
        {"value": "much", "type": 1, "unit": 0},
        {"value": 1, "type": 1, "unit": 31},
    )
    assert [(r.kind, int(r.value)) for r in found] == [
        ("type 4711", 1),
        ("segmental fat mass, position 3", 2),
        ("segmental fat mass, position 4", 3),
        ("fat mass", 4),
        ("fat mass", 5),
    ]
    assert len({r.key for r in found}) == 5


def test_a_night() -> None:
    asleep, pulse = night()
    assert (asleep.kind, asleep.value, asleep.unit, asleep.model, asleep.device) == (
        "time asleep", Decimal(24_600), "s", "sleep", "77aa",
    )  # fmt: skip
    assert (pulse.kind, pulse.value) == ("pulse asleep", Decimal(58))
    assert (asleep.taken, asleep.ended) == (
        datetime.fromtimestamp(DATE, UTC),
        datetime.fromtimestamp(DATE + 27_000, UTC),
    )
    assert {r.period for r in (asleep, pulse)} == {"night 2081804182"}
    assert {(r.day, r.zone) for r in (asleep, pulse)} == {("2024-10-27", "Europe/Paris")}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # The day of waking up, as the cloud says, or else where the person woke up.
        ({"date": "2024-10-28"}, "2024-10-28"),
        ({"date": None, "timezone": "Pacific/Kiritimati"}, "2024-10-28"),
        ({"date": "tomorrow", "timezone": "Pacific/Pago_Pago"}, "2024-10-27"),
        ({"date": None, "enddate": None, "timezone": "Pacific/Pago_Pago"}, "2024-10-26"),
        ({"date": "2024-10-27", "timezone": "Mars/Olympus"}, "2024-10-27"),
        ({"date": None, "timezone": "Mars/Olympus"}, ""),
    ],
)
def test_the_day_of_a_night(changes: dict[str, Any], expected: str) -> None:
    assert {r.day for r in night(**changes)} == {expected}


def test_an_odd_night() -> None:
    assert night(startdate=None) == []
    assert night(data=None) == night(data=[]) == []
    assert [r.ended for r in night(enddate=DATE - 1)] == [None, None]
    found = night(id=None, data={"apnea_hypopnea_index": 3, "night_events": [], "snoring": None, "sleep_score": "81"})
    assert [(r.kind, r.value, r.unit) for r in found] == [("apnea hypopnea index", 3, ""), ("sleep score", 81, "")]
    assert {r.period for r in found} == {"night 2024-10-27T04:33:20+00:00"}


@pytest.mark.parametrize(
    ("date", "zone", "start", "hours", "known"),
    [
        ("2024-10-27", "Europe/Paris", "2024-10-26T22:00:00+00:00", 25, True),
        ("2024-03-31", "Europe/Paris", "2024-03-30T23:00:00+00:00", 23, True),
        ("2024-10-27", "America/New_York", "2024-10-27T04:00:00+00:00", 24, True),
        ("2024-10-27", None, "2024-10-26T22:00:00+00:00", 25, True),
        ("2024-10-27", "Nowhere/Land", "2024-10-27T00:00:00+00:00", 24, False),
    ],
)
def test_a_day_is_where_the_person_is(date: str, zone: str | None, start: str, hours: int, known: bool) -> None:
    [row] = day(date=date, timezone=zone)
    assert row.ended is not None
    assert (row.taken.isoformat(), (row.ended - row.taken).total_seconds()) == (start, hours * 3600)
    assert (row.day, row.zone, row.zone_known) == (date, zone or "Europe/Paris", known)
    assert (row.value, row.unit, row.kind, row.model, row.period) == (4200, "steps", "steps", "move", f"day {date}")


def test_numbers_of_a_day_are_as_they_were_written() -> None:
    found = day(distance=3010.5, calories=140.2, totalcalories="2100.07", hr_min=float("nan"), hr_max=True, soft=[])
    assert {r.kind: f"{r.value:f}" for r in found} == {
        "steps": "4200",
        "distance": "3010.5",
        "active energy": "140.2",
        "total energy": "2100.07",
    }


def test_what_a_phone_counted_is_no_device() -> None:
    assert day(is_tracker=False, hash_deviceid=None, deviceid=None, brand=18, modelid=1055) == []
    assert day(date="yesterday") == day(date="9999-12-31") == day(date=None) == []


@given(st.dictionaries(st.sampled_from([*Group.model_fields, "grpid", "hash_deviceid", "modelid"]), Json))
def test_any_group_gives_rows_or_none(odd: dict[str, Any]) -> None:
    group(**odd)


@given(st.dictionaries(st.sampled_from([*Night.model_fields, "hash_deviceid"]), Json))
def test_any_night_gives_rows_or_none(odd: dict[str, Any]) -> None:
    for row in night(**odd):
        row.as_json()


@given(st.dictionaries(st.sampled_from([*Day.model_fields, "distance", "hash_deviceid"]), Json))
def test_any_day_gives_rows_or_none(odd: dict[str, Any]) -> None:
    for row in day(**odd):
        row.as_json()
