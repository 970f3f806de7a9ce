"""Limits, unknown calls, and the faults that a scenario or `POST /lab/cloud` brings about."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.installer.lab.cloud.running_cloud import Page, World, running


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("/v2/user", "selfdestruct"),
        ("/v2/user", None),
        ("/v2/oauth2", "createclient"),
        ("/v2/heart", "list"),
        ("/measure", "getactivity"),
        ("/", "getmeas"),
        ("/oauth2/token", "requesttoken"),
    ],
)
async def test_an_unknown_service_or_action(world: World, path: str, action: str | None) -> None:
    envelope = await world.call(path, action, await world.access())
    assert envelope == {"status": 2554, "body": {}, "error": "Not implemented"}


async def test_other_methods_are_not_implemented_either(world: World) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = await world.http.request(method, "/v2/user")
        assert (answer.status_code, answer.json()["status"]) == (200, 2554)


async def test_an_unknown_address_of_the_lab_is_not_an_answer_of_the_cloud(world: World) -> None:
    answer = await world.http.post("/lab/nothing")
    assert answer.status_code == 404
    assert "error" in answer.json()


async def test_bodies_that_are_no_form(world: World) -> None:
    token = await world.access()
    headers = {"Authorization": f"Bearer {token}"}
    as_json = await world.http.post("/v2/user", json={"action": "getdevice"}, headers=headers)
    assert as_json.json()["status"] == 2554
    long = await world.http.post("/v2/user", data={"action": "getdevice", "x": "x" * 70_000}, headers=headers)
    assert (long.status_code, long.json()["status"]) == (200, 503)
    many = await world.http.post("/v2/user", data={f"f{i}": "1" for i in range(100)}, headers=headers)
    assert (many.status_code, many.json()["status"]) == (200, 503)
    odd = await world.http.post(
        "/v2/user",
        content=b"action=getdevice&x=%ff%fe\xff",
        headers={**headers, "content-type": "application/x-www-form-urlencoded"},
    )
    assert odd.json()["status"] == 0


async def test_the_121st_request_of_a_minute_must_wait(world: World) -> None:
    token = await world.access()  # the first request that counts
    for _ in range(119):
        assert (await world.call("/v2/user", "getdevice", token))["status"] == 0
    envelope = await world.call("/v2/user", "getdevice", token)
    assert envelope["status"] == 601
    assert 1 <= envelope["body"]["wait_seconds"] <= 60
    assert (await world.call("/v2/user", "getdevice", "guess"))["status"] == 401, "a stranger is another application"
    await world.control(clock=61)
    assert (await world.call("/v2/user", "getdevice", token))["status"] == 0


async def test_the_limit_is_for_all_users_together() -> None:
    users = [{"email": f"{name}@example.org", "password": "lab-password"} for name in ("alex", "kim")]
    async with running({"users": users, "rate_limit": 5}) as world:
        alex, kim = await world.access(), await world.access(email="kim@example.org")
        states = [(await world.call("/v2/user", "getdevice", t))["status"] for t in (alex, kim, alex, kim)]
        assert states == [0, 0, 0, 601]
        refused = await world.redeem(await world.code())
        assert refused["status"] == 601


async def test_down_and_up_again(world: World) -> None:
    token = await world.access()
    assert (await world.control(down=True))["down"] is True
    for path in ("/v2/user", "/v2/oauth2", "/measure", "/"):
        answer = await world.http.post(path, data={"action": "getdevice"})
        assert answer.status_code == 503
    assert (await world.authorize()).status_code == 503
    await world.control(down=False)
    assert (await world.call("/v2/user", "getdevice", token))["status"] == 0


async def test_down_may_mean_connections_that_break_off(world: World) -> None:
    await world.control(down="closed")
    with pytest.raises(httpx.RemoteProtocolError):
        await world.http.post("/v2/user", data={"action": "getdevice"})
    await world.control(down=False)
    assert (await world.authorize()).status_code == 200


async def test_a_fault_hits_its_action_as_often_as_it_says(world: World) -> None:
    token = await world.access()
    fault = {"path": "/v2/user", "action": "getdevice", "status": 522, "times": 2}
    state = await world.control(fail=[fault])
    assert state["fail"][0]["left"] == 2
    assert (await world.call("/v2/user", "getgoals", token))["status"] == 0
    states = [(await world.call("/v2/user", "getdevice", token))["status"] for _ in range(3)]
    assert states == [522, 522, 0]
    assert (await world.control())["fail"] == []


async def test_faults_without_end_and_for_every_action(world: World) -> None:
    token = await world.access()
    await world.control(fail=[{"path": "/v2/user", "status": 2556, "times": 0}])
    for action in ("getdevice", "link", "getdevice"):
        assert (await world.call("/v2/user", action, token))["status"] == 2556
    await world.control(fail=[])
    assert (await world.call("/v2/user", "getdevice", token))["status"] == 0


async def test_several_faults_come_one_after_the_other(world: World) -> None:
    token = await world.access()
    await world.control(
        fail=[
            {"path": "/measure", "status": 601, "wait_seconds": 7},
            {"path": "/measure", "http": 502},
            {"path": "/measure", "raw": "<html>oops"},
            {"path": "/measure", "closed": True},
            {"path": "/measure", "delay": 0.01},
        ]
    )
    busy = await world.call("/measure", "getmeas", token)
    assert (busy["status"], busy["body"]) == (601, {"wait_seconds": 7})
    data, headers = {"action": "getmeas"}, {"Authorization": f"Bearer {token}"}
    assert (await world.http.post("/measure", data=data, headers=headers)).status_code == 502
    assert (await world.http.post("/measure", data=data, headers=headers)).text == "<html>oops"
    with pytest.raises(httpx.RemoteProtocolError):
        await world.http.post("/measure", data=data, headers=headers)
    assert (await world.call("/measure", "getmeas", token))["status"] == 0


async def test_a_fault_at_the_token_endpoint_leaves_the_code_alone(world: World) -> None:
    code = await world.code()
    await world.control(fail=[{"path": "/v2/oauth2", "action": "requesttoken", "status": 522}])
    assert (await world.redeem(code))["status"] == 522
    assert (await world.redeem(code))["status"] == 0


async def test_a_delay_is_longer_than_a_client_waits(world: World) -> None:
    await world.control(fail=[{"path": "/v2/user", "delay": 30}])
    with pytest.raises(httpx.ReadTimeout):
        await world.http.post("/v2/user", data={"action": "getdevice"}, timeout=0.05)
    assert (await world.call("/v2/user", "nonsense"))["status"] == 2554


async def test_the_sign_in_page_can_fail_too(world: World) -> None:
    await world.control(fail=[{"path": "/oauth2_user/authorize2", "http": 500}])
    assert (await world.authorize()).status_code == 500
    assert Page((await world.authorize()).text).fields


async def test_faults_from_the_scenario_come_back_with_a_reset() -> None:
    async with running({"fail": [{"path": "/v2/user", "status": 522}], "down": True, "clock": 5.0}) as world:
        assert (await world.control(down=False, clock=0, fail=[]))["fail"] == []
        world.store.reset()
        state = await world.control()
        assert (state["down"], state["clock"], len(state["fail"])) == (True, 5.0, 1)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("nonsense", "not JSON"),
        ("[]", "body"),
        ('{"mode": "wild"}', "mode"),
        ('{"up": true}', "up"),
        ('{"clock": NaN}', "clock"),
        ('{"fail": [{"path": "v2/user", "status": 1}]}', "fail.0.path"),
        ('{"fail": [{"path": "/v2/user"}]}', "give one of"),
        ('{"fail": [{"path": "/v2/user", "status": 1, "http": 500}]}', "give one of"),
        ('{"fail": [{"path": "/v2/user", "http": 200}]}', "fail.0.http"),
        ("\ud83d", "not JSON"),
    ],
)
async def test_a_wrong_control_request_is_told_and_changes_nothing(world: World, body: str, told: str) -> None:
    before = await world.control()
    answer = await world.http.post("/lab/cloud", content=body.encode("utf-8", "surrogatepass"))
    assert answer.status_code == 400
    assert told in answer.json()["error"]
    assert await world.control() == before


async def test_the_state_tells_what_happened(world: World) -> None:
    token = await world.access()
    await world.devices(token)
    await world.devices(token)
    state: dict[str, Any] = await world.control()
    assert state["calls"]["/v2/user getdevice"] == 2
    assert state["calls"]["/v2/oauth2 requesttoken"] == 1
    assert state["accounts"] == [
        {"userid": "40000001", "email": "alex@example.org", "devices": [], "measurements": 0},
    ]
    assert state["access_tokens"] == 1
    assert json.dumps(state)
