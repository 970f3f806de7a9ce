"""The first-data rule, with answers that were seen and with invalid answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.cloud.first_measurement import first_measurement
from installer.measurement import Quantity
from tests.installer.cloud.world import MODELS, model

SINCE = 1_730_000_000.0


def group(**changes: Any) -> dict[str, Any]:
    return {
        "grpid": 5123456789,
        "attrib": 0,
        "date": 1730003600,
        "created": 1730003650,
        "modified": 1730003650,
        "category": 1,
        "deviceid": "d1",
        "hash_deviceid": "d1",
        "measures": [{"value": 72350, "type": 1, "unit": -3, "algo": 0, "fm": 3}],
        "modelid": 5,
        "model": "Body+",
        "comment": None,
        **changes,
    }


def values(found: Any) -> dict[Quantity, Decimal]:
    return {r.quantity: r.value for r in found.readings} if found else {}


def scale(*groups: Any) -> dict[Quantity, Decimal]:
    return values(first_measurement(model("body-plus"), "d1", SINCE, {"measuregrps": list(groups)}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"attrib": 1},
        {"attrib": 7},
        {"attrib": 17},
        {"attrib": None},
        {"hash_deviceid": None},
        {"created": None},
        {"created": None, "modified": None},
        {"date": 1_600_000_000},
        {"date": None},
        {"model_id": 5, "modelid": None},
        {"category": "1"},
    ],
)
def test_a_group_that_proves_it(changes: dict[str, Any]) -> None:
    assert scale(group(**changes)) == {Quantity.WEIGHT: Decimal("72.350")}


@pytest.mark.parametrize(
    "changes",
    [
        {"attrib": 2},
        {"attrib": 4},
        {"attrib": "4"},
        {"category": 2},
        {"category": None},
        {"hash_deviceid": "d2", "deviceid": "d1"},
        {"hash_deviceid": None, "deviceid": None},
        {"hash_deviceid": None, "deviceid": 42},
        {"created": 1_729_999_999},
        {"measures": []},
        {"measures": None},
        {"measures": [{"value": 180, "type": 4, "unit": -2}]},
        {"measures": [{"value": "heavy", "type": 1, "unit": -3}]},
        {"measures": [{"value": 1, "type": 1, "unit": 10**9}]},
        {"measures": [None, 5, {}]},
    ],
)
def test_a_group_that_does_not(changes: dict[str, Any]) -> None:
    assert scale(group(**changes)) == {}


def test_the_earliest_of_several_counts_and_odd_ones_hide_none() -> None:
    late = group(created=1730009999, measures=[{"value": 80, "type": 1, "unit": 0}])
    assert scale(None, "x", late, {}, group(), late) == {Quantity.WEIGHT: Decimal("72.350")}


def test_the_value_keeps_every_digit() -> None:
    measures = [
        {"value": 7235, "type": 1, "unit": -2},
        {"value": 21, "type": 6, "unit": 0},
        {"value": 9, "type": 999, "unit": 0},
    ]
    found = first_measurement(model("body-plus"), "d1", SINCE, {"measuregrps": [group(measures=measures)]})
    assert str(found) == "weight 72.35 kg, fat ratio 21 %"


def test_one_pressure_is_no_blood_pressure() -> None:
    low, high = {"value": 80, "type": 9, "unit": 0}, {"value": 120, "type": 10, "unit": 0}
    cuff = model("bpm-connect")
    assert first_measurement(cuff, "d1", SINCE, {"measuregrps": [group(measures=[low])]}) is None
    assert first_measurement(cuff, "d1", SINCE, {"measuregrps": [group(measures=[high])]}) is None
    found = first_measurement(cuff, "d1", SINCE, {"measuregrps": [group(measures=[low, high])]})
    assert values(found) == {Quantity.SYSTOLIC: 120, Quantity.DIASTOLIC: 80}


def night(**changes: Any) -> dict[str, Any]:
    return {
        "id": 2081804182,
        "model": 32,
        "model_id": 63,
        "hash_deviceid": "d1",
        "startdate": 1730000000,
        "enddate": 1730027000,
        "created": 1730028000,
        "modified": 1730028000,
        "data": {"total_sleep_time": 24600},
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 24600),
        ({"data": {}}, 27000),
        ({"data": None}, 27000),
        ({"data": []}, 27000),
        ({"hash_deviceid": None}, 24600),
        ({"model": 16}, None),
        ({"hash_deviceid": "d2"}, None),
        ({"created": 1_729_000_000}, None),
        ({"data": {}, "enddate": None}, None),
        ({"data": {}, "enddate": 1}, None),
    ],
)
def test_a_night_on_the_mat(changes: dict[str, Any], seconds: int | None) -> None:
    found = first_measurement(model("sleep"), "d1", SINCE, {"series": [night(**changes)]})
    assert values(found) == ({Quantity.SLEEP: seconds} if seconds is not None else {})


def day(**changes: Any) -> dict[str, Any]:
    return {
        "date": "2024-10-27",
        "deviceid": "d1",
        "hash_deviceid": "d1",
        "brand": 1,
        "is_tracker": True,
        "modified": 1730060000,
        "steps": 4200,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 4200),
        ({"is_tracker": 1}, 4200),
        ({"steps": 0}, 0),
        ({"modified": None}, 4200),
        ({"is_tracker": False}, None),
        ({"hash_deviceid": None, "deviceid": None, "modelid": 1055}, None),
        ({"hash_deviceid": "d2"}, None),
        ({"modified": 1_729_000_000}, None),
        ({"steps": None}, None),
    ],
)
def test_a_day_of_the_watch(changes: dict[str, Any], steps: int | None) -> None:
    found = first_measurement(model("move"), "d1", SINCE, {"activities": [day(**changes)]})
    assert values(found) == ({Quantity.STEPS: steps} if steps is not None else {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*group(), *night(), *day()])


@given(st.lists(st.dictionaries(KEYS, JSON) | JSON, max_size=3), st.sampled_from(MODELS.models))
def test_no_answer_of_any_shape_breaks_it(items: list[Any], of: Any) -> None:
    body = {"measuregrps": items, "series": items, "activities": items}
    assert first_measurement(of, "nobody", SINCE, body) is None
    changed = [{**entry, **item} for item in items if isinstance(item, dict) for entry in (group(), night(), day())]
    first_measurement(of, "d1", SINCE, {"measuregrps": changed, "series": changed, "activities": changed})
