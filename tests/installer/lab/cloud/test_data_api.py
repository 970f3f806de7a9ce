"""What was delivered, as the Data API gives it: measures, activity, nights, filters and pages."""

from __future__ import annotations

import time
from typing import Any

import pytest

from installer.lab.cloud.store import Sample
from tests.installer.lab.cloud.running_cloud import CUFF, MAT, SCALE, WATCH, World, running

NOON = 1_730_000_000  # 2024-10-27 03:33 UTC


def weight(grams: int = 72_350, date: float = NOON, **more: Any) -> Sample:
    fat = {"type": 6, "value": 210, "unit": -1}
    return Sample(date, "getmeas", {"measures": [{"type": 1, "value": grams, "unit": -3}, fat], **more})


async def start(world: World, *macs: str) -> str:
    token = await world.access()
    assert (await world.link(token, *macs))["status"] == 0
    return token


async def groups(world: World, token: str, **fields: Any) -> list[dict[str, Any]]:
    envelope = await world.call("/measure", "getmeas", token, **fields)
    assert envelope["status"] == 0
    found: list[dict[str, Any]] = envelope["body"]["measuregrps"]
    return found


async def test_a_weight_has_the_shape_of_a_real_answer(world: World) -> None:
    token = await start(world, SCALE)
    assert world.store.store_sample(SCALE, weight())
    body = (await world.call("/measure", "getmeas", token, meastypes="1,6"))["body"]
    device = (await world.devices(token))[0]
    mine = [g for g in body["measuregrps"] if g["hash_deviceid"]]
    assert body["timezone"] == "Europe/Paris"
    assert isinstance(body["updatetime"], int)
    assert (body["more"], body["offset"]) == (0, 0)
    assert len(mine) == 1
    assert mine[0]["measures"] == [
        {"value": 72_350, "type": 1, "unit": -3, "algo": 0, "fm": 3},
        {"value": 210, "type": 6, "unit": -1, "algo": 0, "fm": 3},
    ]
    assert (mine[0]["date"], mine[0]["category"], mine[0]["attrib"], mine[0]["comment"]) == (NOON, 1, 0, None)
    assert (mine[0]["modelid"], mine[0]["model"]) == (5, "Body+")
    assert mine[0]["deviceid"] == mine[0]["hash_deviceid"] == device["hash_deviceid"]
    assert mine[0]["created"] == mine[0]["modified"] > NOON, "a stored reading is older than its delivery"
    assert isinstance(mine[0]["grpid"], int)


async def test_what_the_user_typed_at_sign_up_looks_like_data_but_is_not(world: World) -> None:
    t0 = int(time.time())
    found = await groups(world, await world.access(), lastupdate=t0)
    assert {g["attrib"] for g in found} == {4}
    assert {m["type"] for g in found for m in g["measures"]} == {1, 4}
    assert all(g["hash_deviceid"] is None and g["category"] == 1 for g in found)
    again = await groups(world, await world.access())
    assert len(again) == len(found), "a second sign-in is no second sign-up"


async def test_a_device_on_no_account_stores_nothing(world: World) -> None:
    token = await world.access()
    assert not world.store.store_sample(SCALE, weight())
    assert all(g["attrib"] == 4 for g in await groups(world, token))


async def test_filters(world: World) -> None:
    token = await start(world, SCALE, CUFF)
    world.store.store_sample(SCALE, weight(70_000, NOON))
    world.store.store_sample(SCALE, weight(71_000, NOON + 100))
    world.store.store_sample(SCALE, weight(60_000, NOON + 200, category=2))
    pressure = [{"type": 9, "value": 80, "unit": 0}, {"type": 10, "value": 120, "unit": 0}]
    world.store.store_sample(CUFF, Sample(NOON + 300, "getmeas", {"measures": pressure, "attrib": 7}))

    async def values(**fields: Any) -> list[int]:
        return [g["measures"][0]["value"] for g in await groups(world, token, enddate=NOON + 1000, **fields)]

    assert await values() == [80, 60_000, 71_000, 70_000], "the newest first"
    assert await values(meastype=10) == [120]
    assert await values(meastypes="1, 9", category=1) == [80, 71_000, 70_000]
    assert await values(category=2) == [60_000]
    assert await values(startdate=NOON + 100, meastype=1) == [60_000, 71_000]
    assert await values(startdate=NOON + 101, category=1) == [80]
    assert await values(meastype=54) == []
    only = await groups(world, token, meastype=6, category=1)
    assert all([m["type"] for m in g["measures"]] == [6] for g in only)
    assert len(await groups(world, token, lastupdate=int(time.time()) - 60, meastype=9)) == 1
    assert await groups(world, token, lastupdate=int(time.time()) + 60) == []
    assert (await groups(world, token, meastype=9))[0]["attrib"] == 7


async def test_pages() -> None:
    async with running({"page_size": 3}) as world:
        token = await start(world, SCALE)
        for i in range(7):
            world.store.store_sample(SCALE, weight(70_000 + i, NOON + i))
        seen: list[int] = []
        offset, rounds, more = 0, 0, True
        while more:
            body = (await world.call("/measure", "getmeas", token, meastype=6, offset=offset))["body"]
            seen += [g["date"] - NOON for g in body["measuregrps"]]
            offset, more, rounds = body["offset"], bool(body["more"]), rounds + 1
        assert (seen, rounds) == ([6, 5, 4, 3, 2, 1, 0], 3)


@pytest.mark.parametrize(
    "fields",
    [
        {"meastype": "weight"},
        {"meastypes": "1,,6"},
        {"meastype": "1", "meastypes": "1"},
        {"category": "3"},
        {"startdate": "yesterday"},
        {"lastupdate": "1", "startdate": "1"},
        {"offset": "-1"},
        {"lastupdate": "9" * 30},
    ],
)
async def test_wrong_parameters_of_getmeas(world: World, fields: dict[str, str]) -> None:
    assert (await world.call("/measure", "getmeas", await world.access(), **fields))["status"] == 503


async def test_getmeas_may_be_asked_with_get_too(world: World) -> None:
    headers = {"Authorization": f"Bearer {await world.access()}"}
    answer = await world.http.get("/measure", params={"action": "getmeas", "meastype": "4"}, headers=headers)
    assert answer.json()["body"]["measuregrps"][0]["measures"][0]["value"] == 176


@pytest.mark.parametrize(
    ("path", "action", "scope"),
    [
        ("/measure", "getmeas", "user.info,user.activity"),
        ("/v2/measure", "getactivity", "user.info,user.metrics"),
        ("/v2/sleep", "getsummary", "user.info,user.metrics"),
    ],
)
async def test_each_service_needs_its_scope(world: World, path: str, action: str, scope: str) -> None:
    token = await world.access(scope=scope)
    assert (await world.call(path, action, token, lastupdate=0))["status"] == 277


def steps(date: str, count: int) -> Sample:
    values = {"date": date, "steps": count, "distance": 3010.5, "calories": 140.2, "hr_average": 71}
    return Sample(NOON, "getactivity", values)


async def activities(world: World, token: str, **fields: Any) -> list[dict[str, Any]]:
    envelope = await world.call("/v2/measure", "getactivity", token, **fields)
    assert envelope["status"] == 0
    found: list[dict[str, Any]] = envelope["body"]["activities"]
    return found


async def test_activity(world: World) -> None:
    token = await start(world, WATCH)
    device = (await world.devices(token))[0]
    world.store.store_sample(WATCH, steps("2024-10-27", 100))
    world.store.store_sample(WATCH, steps("2024-10-27", 4200))
    world.store.store_sample(WATCH, steps("2024-10-28", 10))
    found = await activities(world, token, startdateymd="2024-10-20", enddateymd="2024-10-27")
    assert len(found) == 1, "a day is told once, with the latest count"
    day = found[0]
    assert (day["date"], day["steps"], day["distance"], day["calories"]) == ("2024-10-27", 4200, 3010.5, 140.2)
    assert (day["brand"], day["modelid"], day["model"], day["is_tracker"]) == (1, 90, "Move", True)
    assert day["hash_deviceid"] == day["deviceid"] == device["hash_deviceid"]
    assert "hr_average" not in day, "only what is named, or the default set"
    named = await activities(world, token, lastupdate=0, data_fields="steps,hr_average")
    assert [(d["date"], d["steps"], d["hr_average"]) for d in named] == [
        ("2024-10-27", 4200, 71),
        ("2024-10-28", 10, 71),
    ]
    assert "distance" not in named[0]
    assert await activities(world, token, lastupdate=int(time.time()) + 60) == []


async def test_steps_that_a_phone_counted_are_not_the_watch() -> None:
    user = {"email": "alex@example.org", "password": "lab-password", "phone_source": True}
    async with running({"users": [user]}) as world:
        found = await activities(world, await world.access(), lastupdate=0)
        assert [(d["model"], d["modelid"], d["brand"], d["is_tracker"]) for d in found] == [
            ("Google Fit", 1055, 18, False)
        ]
        assert found[0]["deviceid"] is None
        assert found[0]["hash_deviceid"] is None


def night(start: int, **data: int) -> Sample:
    return Sample(start, "getsummary", {"startdate": start, "enddate": start + 27_000, "data": data})


async def series(world: World, token: str, **fields: Any) -> list[dict[str, Any]]:
    envelope = await world.call("/v2/sleep", "getsummary", token, **fields)
    assert envelope["status"] == 0
    found: list[dict[str, Any]] = envelope["body"]["series"]
    return found


async def test_nights(world: World) -> None:
    token = await start(world, MAT, WATCH)
    evening = NOON + 18 * 3600  # 22:33 in Paris, where clocks went back that morning
    world.store.store_sample(MAT, night(evening, total_sleep_time=24_600, deepsleepduration=6600, sleep_score=78))
    world.store.store_sample(WATCH, night(evening, deepsleepduration=6000))
    found = await series(world, token, lastupdate=0)
    assert [(s["model"], s["model_id"]) for s in found] == [(32, 63), (16, 90)]
    mat = found[0]
    assert (mat["startdate"], mat["enddate"]) == (evening, evening + 27_000)
    assert mat["date"] == "2024-10-28", "the day of waking up, where the user lives"
    assert mat["data"] == {"deepsleepduration": 6600}
    assert (mat["completed"], mat["timezone"]) == (True, "Europe/Paris")
    assert isinstance(mat["id"], int)
    assert mat["hash_deviceid"] == (await world.devices(token))[0]["hash_deviceid"]
    named = await series(
        world, token, startdateymd="2024-10-28", enddateymd="2024-10-28", data_fields="total_sleep_time,snoring"
    )
    assert named[0]["data"] == {"total_sleep_time": 24_600}
    assert await series(world, token, startdateymd="2024-10-20", enddateymd="2024-10-27") == []


@pytest.mark.parametrize(("path", "action"), [("/v2/measure", "getactivity"), ("/v2/sleep", "getsummary")])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"startdateymd": "2024-10-28"},
        {"startdateymd": "2024-10-28", "enddateymd": "tomorrow"},
        {"startdateymd": "2024-10-28", "enddateymd": "2024-10-28", "lastupdate": "0"},
        {"lastupdate": "now"},
        {"lastupdate": "0", "offset": "x"},
    ],
)
async def test_dates_must_be_given_in_one_way(world: World, path: str, action: str, fields: dict[str, str]) -> None:
    assert (await world.call(path, action, await world.access(), **fields))["status"] == 503


async def test_pages_of_days() -> None:
    async with running({"page_size": 2}) as world:
        token = await start(world, WATCH)
        for day in range(1, 6):
            world.store.store_sample(WATCH, steps(f"2024-10-0{day}", day))
        seen: list[int] = []
        offset, more = 0, True
        while more:
            fields = {"startdateymd": "2024-10-01", "enddateymd": "2024-10-31", "offset": offset}
            body = (await world.call("/v2/measure", "getactivity", token, **fields))["body"]
            seen += [d["steps"] for d in body["activities"]]
            offset, more = body["offset"], body["more"]
            assert isinstance(more, bool)
        assert seen == [1, 2, 3, 4, 5]


async def test_nobody_sees_the_data_of_somebody_else() -> None:
    users = [{"email": f"{name}@example.org", "password": "lab-password"} for name in ("alex", "kim")]
    async with running({"users": users}) as world:
        alex = await start(world, SCALE, WATCH, MAT)
        world.store.store_sample(SCALE, weight())
        world.store.store_sample(WATCH, steps("2024-10-27", 5))
        world.store.store_sample(MAT, night(NOON))
        kim = await world.access(email="kim@example.org")
        assert all(g["hash_deviceid"] is None for g in await groups(world, kim))
        assert await activities(world, kim, lastupdate=0) == []
        assert await series(world, kim, lastupdate=0) == []
        assert len(await activities(world, alex, lastupdate=0)) == 1
