"""The token endpoint: both grants, lifetimes, rotation, and the refusal of repeated requests."""

from __future__ import annotations

import pytest

from tests.installer.lab.cloud.running_cloud import ALL, World, running


async def alive(world: World, token: str) -> bool:
    envelope = await world.call("/v2/user", "getdevice", token)
    assert envelope["status"] in (0, 401)
    return bool(envelope["status"] == 0)


async def test_a_code_becomes_tokens(world: World) -> None:
    envelope = await world.redeem(await world.code())
    body = envelope["body"]
    assert envelope["status"] == 0
    assert body["userid"] == "40000001"
    assert body["expires_in"] == 10_800
    assert body["scope"] == ALL
    assert body["token_type"] == "Bearer"
    assert len({body["access_token"], body["refresh_token"], body["csrf_token"]}) == 3
    assert await alive(world, body["access_token"])


async def test_only_the_scopes_that_were_asked_for_are_granted(world: World) -> None:
    assert (await world.tokens(scope="user.metrics, user.metrics"))["scope"] == "user.metrics"


async def test_a_code_is_good_for_thirty_seconds(world: World) -> None:
    young, old = await world.code(), await world.code()
    await world.control(clock=29)
    assert (await world.redeem(young))["status"] == 0
    await world.control(clock=31)
    envelope = await world.redeem(old)
    assert (envelope["status"], envelope["error"]) == (503, "Invalid Params: invalid code")


async def test_a_code_works_once(world: World) -> None:
    code = await world.code()
    assert (await world.redeem(code))["status"] == 0
    await world.control(clock=11)
    envelope = await world.redeem(code)
    assert (envelope["status"], envelope["error"]) == (503, "Invalid Params: invalid code")


async def test_the_redirect_uri_must_be_the_same_again(world: World) -> None:
    code = await world.code()
    other = await world.redeem(code, redirect_uri="http://localhost:1/other")
    assert (other["status"], other["error"]) == (503, "Invalid Params: invalid code")
    assert (await world.redeem(code))["status"] == 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "guess"}, "invalid client id/secret"),
        ({"client_id": "guess"}, "invalid client id/secret"),
        ({"client_secret": ""}, "missing client_secret"),
        ({"grant_type": "password"}, "invalid grant_type"),
        ({"grant_type": ""}, "missing grant_type"),
        ({"code": "0" * 40}, "invalid code"),
        ({"code": "\U0001f600\x00"}, "invalid code"),
        ({"redirect_uri": ""}, "missing redirect_uri"),
    ],
)
async def test_a_wrong_token_request_is_invalid_params(world: World, changes: dict[str, str], error: str) -> None:
    code = await world.code()
    envelope = await world.redeem(code, **changes)
    assert (envelope["status"], envelope["body"]) == (503, {})
    assert envelope["error"] == f"Invalid Params: {error}"
    assert (await world.redeem(code))["status"] == 0, "a wrong request must not use up the code"


async def test_the_same_request_again_within_ten_seconds_must_wait(world: World) -> None:
    code = await world.code()
    await world.redeem(code)
    again = await world.redeem(code)
    assert (again["status"], again["error"]) == (601, "Same arguments in less than 10 seconds")
    assert 1 <= again["body"]["wait_seconds"] <= 10
    assert (await world.redeem(await world.code()))["status"] == 0, "another code is another request"


async def test_an_access_token_lives_three_hours(world: World) -> None:
    token = await world.access()
    await world.control(clock=3 * 3600 - 5)
    assert await alive(world, token)
    await world.control(clock=3 * 3600 + 5)
    envelope = await world.call("/v2/user", "getdevice", token)
    assert (envelope["status"], envelope["body"]) == (401, {})
    assert "invalid_token" in envelope["error"]


async def test_a_refresh_token_outlives_the_access_token_by_far(world: World) -> None:
    first = await world.tokens()
    await world.control(clock=364 * 86_400)
    second = await world.refresh(first["refresh_token"])
    assert second["status"] == 0
    assert second["body"]["userid"] == first["userid"]
    assert second["body"]["scope"] == first["scope"]
    await world.control(clock=2 * 365 * 86_400)
    late = await world.refresh(second["body"]["refresh_token"])
    assert (late["status"], late["error"]) == (503, "Invalid Params: invalid refresh_token")


async def test_every_refresh_gives_new_tokens(world: World) -> None:
    first = await world.tokens()
    second = (await world.refresh(first["refresh_token"]))["body"]
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert await alive(world, second["access_token"])


async def test_the_old_refresh_token_dies_when_the_new_access_token_is_used(world: World) -> None:
    first = await world.tokens()
    second = (await world.refresh(first["refresh_token"]))["body"]
    assert await alive(world, second["access_token"])
    await world.control(clock=11)
    envelope = await world.refresh(first["refresh_token"])
    assert (envelope["status"], envelope["error"]) == (503, "Invalid Params: invalid refresh_token")
    assert (await world.refresh(second["refresh_token"]))["status"] == 0


async def test_until_then_the_old_refresh_token_saves_who_lost_the_new_one(world: World) -> None:
    first = await world.tokens()
    assert (await world.refresh(first["refresh_token"]))["status"] == 0
    await world.control(clock=7 * 3600)
    third = await world.refresh(first["refresh_token"])
    assert third["status"] == 0
    assert await alive(world, third["body"]["access_token"])


async def test_the_old_refresh_token_dies_after_eight_hours(world: World) -> None:
    first = await world.tokens()
    second = (await world.refresh(first["refresh_token"]))["body"]
    await world.control(clock=8 * 3600 + 1)
    assert (await world.refresh(first["refresh_token"]))["status"] == 503
    assert (await world.refresh(second["refresh_token"]))["status"] == 0


async def test_an_access_token_is_no_refresh_token_and_the_other_way_round(world: World) -> None:
    tokens = await world.tokens()
    assert (await world.refresh(tokens["access_token"]))["status"] == 503
    assert not await alive(world, tokens["refresh_token"])


async def test_the_token_endpoint_takes_nothing_from_the_address(world: World) -> None:
    answer = await world.http.get("/v2/oauth2", params={"action": "requesttoken", "client_secret": "lab-secret"})
    assert (answer.status_code, answer.json()["status"]) == (200, 2554)


async def test_lifetimes_can_be_shortened_by_the_scenario() -> None:
    async with running({"access_seconds": 60, "code_seconds": 5}) as world:
        assert (await world.tokens())["expires_in"] == 60
        code = await world.code()
        await world.control(clock=6)
        assert (await world.redeem(code))["status"] == 503
