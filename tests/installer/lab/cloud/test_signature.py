"""Signed calls: the published vectors, nonces, and what may be done with a signature only."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

import pytest

from installer.lab.cloud.tokens import sign
from tests.installer.lab.cloud.running_cloud import BACK, World


def mac(message: str, secret: str = "lab-secret") -> str:
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


async def nonce(world: World, **changes: Any) -> dict[str, Any]:
    now = str(int(time.time()))
    fields = {"client_id": "lab-client", "timestamp": now, "signature": mac(f"getnonce,lab-client,{now}")}
    return await world.call("/v2/signature", "getnonce", **(fields | changes))


async def signed(world: World, path: str, action: str, **fields: str) -> dict[str, Any]:
    value = (await nonce(world))["body"]["nonce"]
    proof = {"client_id": "lab-client", "nonce": value, "signature": mac(f"{action},lab-client,{value}")}
    return await world.call(path, action, **proof, **fields)


def test_the_vectors_of_the_facts_sheet() -> None:
    first = {"timestamp": "1700000000", "action": "getnonce", "client_id": "demo-client"}
    second = {"nonce": "demo-nonce", "client_id": "demo-client", "action": "requesttoken"}
    assert sign("demo-secret", first) == "ed8bb390250b1ffe0821b7135946072cd741845e044f87a0238d2d3100571b10"
    assert sign("demo-secret", second) == "5d847f2dcfb54a3ff7fd0a19b22bf26a45a29aa686d813a4b39b652a28f617ec"


async def test_a_signature_takes_the_place_of_the_secret_in_both_grants(world: World) -> None:
    code = await world.code()
    grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
    first = await signed(world, "/v2/oauth2", "requesttoken", **grant)
    assert first["status"] == 0
    again = {"grant_type": "refresh_token", "refresh_token": first["body"]["refresh_token"]}
    assert (await signed(world, "/v2/oauth2", "requesttoken", **again))["status"] == 0


async def test_a_nonce_works_once(world: World) -> None:
    value = (await nonce(world))["body"]["nonce"]
    proof = {"client_id": "lab-client", "nonce": value, "signature": mac(f"getdemoaccess,lab-client,{value}")}
    fields = {"scope_oauth2": "user.metrics", **proof}
    assert (await world.call("/v2/oauth2", "getdemoaccess", **fields))["status"] == 0
    again = await world.call("/v2/oauth2", "getdemoaccess", **fields)
    assert (again["status"], again["error"]) == (503, "Invalid Params: invalid nonce")


async def test_a_nonce_is_good_for_thirty_minutes(world: World) -> None:
    value = (await nonce(world))["body"]["nonce"]
    proof = {"client_id": "lab-client", "nonce": value, "signature": mac(f"getdemoaccess,lab-client,{value}")}
    await world.control(clock=1801)
    late = await world.call("/v2/oauth2", "getdemoaccess", scope_oauth2="user.metrics", **proof)
    assert (late["status"], late["error"]) == (503, "Invalid Params: invalid nonce")


async def test_a_wrong_signature_does_not_use_up_the_nonce(world: World) -> None:
    value = (await nonce(world))["body"]["nonce"]
    fields = {"client_id": "lab-client", "nonce": value, "scope_oauth2": "user.metrics"}
    wrong = await world.call("/v2/oauth2", "getdemoaccess", **fields, signature=mac(f"revoke,lab-client,{value}"))
    assert (wrong["status"], wrong["error"]) == (503, "Invalid Params: invalid signature")
    right = await world.call(
        "/v2/oauth2", "getdemoaccess", **fields, signature=mac(f"getdemoaccess,lab-client,{value}")
    )
    assert right["status"] == 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"signature": "0" * 64}, "invalid signature"),
        ({"signature": ""}, "missing signature"),
        ({"client_id": "other"}, "invalid client id/secret"),
        ({"timestamp": "1700000000", "signature": mac("getnonce,lab-client,1700000000")}, "invalid timestamp"),
        ({"timestamp": "now"}, "timestamp must be a number"),
        ({"timestamp": ""}, "invalid timestamp"),
    ],
)
async def test_a_nonce_is_given_for_a_right_and_recent_signature_only(
    world: World, changes: dict[str, str], error: str
) -> None:
    envelope = await nonce(world, **changes)
    assert (envelope["status"], envelope["error"]) == (503, f"Invalid Params: {error}")


async def test_demo_tokens_without_a_browser(world: World) -> None:
    body = (await signed(world, "/v2/oauth2", "getdemoaccess", scope_oauth2="user.info,user.metrics"))["body"]
    assert set(body) == {"access_token", "refresh_token", "expires_in"}
    assert [d["model"] for d in await world.devices(body["access_token"])] == ["Body+"]
    bad = await signed(world, "/v2/oauth2", "getdemoaccess", scope_oauth2="everything")
    assert bad["status"] == 503


async def test_revoke_ends_the_tokens_of_that_user_only(world: World) -> None:
    tokens = await world.tokens()
    demo = (await signed(world, "/v2/oauth2", "getdemoaccess", scope_oauth2="user.info"))["body"]
    assert (await signed(world, "/v2/oauth2", "revoke", userid=tokens["userid"])) == {"status": 0, "body": {}}
    assert (await world.call("/v2/user", "getdevice", tokens["access_token"]))["status"] == 401
    assert (await world.refresh(tokens["refresh_token"]))["status"] == 503
    assert len(await world.devices(demo["access_token"])) == 1


async def test_revoke_needs_a_signature_and_a_user(world: World) -> None:
    tokens = await world.tokens()
    unsigned = await world.call(
        "/v2/oauth2", "revoke", client_id="lab-client", client_secret="lab-secret", userid=tokens["userid"]
    )
    assert unsigned["status"] == 503
    assert (await signed(world, "/v2/oauth2", "revoke", userid="1"))["status"] == 503
    assert (await world.call("/v2/user", "getdevice", tokens["access_token"]))["status"] == 0


async def test_the_profile_of_a_user_is_a_signed_call(world: World) -> None:
    profile = await signed(world, "/v2/user", "get", email="alex@example.org")
    assert profile["body"]["user"]["userid"] == "40000001"
    assert (await signed(world, "/v2/user", "get", userid="1"))["status"] == 503
    await world.control(mode="public")
    assert (await signed(world, "/v2/user", "get", userid="40000001"))["status"] == 2555
