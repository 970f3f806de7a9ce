"""The devices of an account: linking by MAC address, the public plan, and what getdevice shows."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from installer.lab.cloud.store import Sample
from tests.installer.lab.cloud.running_cloud import CUFF, MAT, SCALE, WATCH, World, running

SECOND = {"email": "kim@example.org", "password": "lab-password"}
FIRST = {"email": "alex@example.org", "password": "lab-password"}
WEIGHT = Sample(1_700_000_000, "getmeas", {"measures": [{"type": 1, "value": 72_350, "unit": -3}]})


async def test_an_account_is_empty_at_first(world: World) -> None:
    assert await world.devices(await world.access()) == []


async def test_link_puts_devices_on_the_account_and_tells_the_lab(world: World) -> None:
    told: list[str] = []
    world.store.on_linked.append(told.append)
    token = await world.access()
    envelope = await world.link(token, SCALE, MAT)
    assert envelope["status"] == 0
    scale, mat = envelope["body"]["devices"]
    assert scale["mac_address"] == SCALE.lower()
    assert (scale["type"], scale["model"], scale["model_id"]) == ("Scale", "Body+", 5)
    assert (mat["type"], mat["model"], mat["model_id"]) == ("Sleep Monitor", "Aura Sensor V2", 63)
    assert set(scale) == {
        *("mac_address", "type", "model", "model_id", "battery", "deviceid", "timezone", "last_session_date"),
        "serial_number",
    }
    assert told == [SCALE, MAT]
    assert world.store.is_linked(SCALE.lower())
    assert not world.store.is_linked(WATCH)
    assert [d["deviceid"] for d in await world.devices(token)] == [scale["deviceid"], mat["deviceid"]]


async def test_linking_again_is_no_mistake_and_no_news(world: World) -> None:
    told: list[str] = []
    token = await world.access()
    assert (await world.link(token, SCALE))["status"] == 0
    world.store.on_linked.append(told.append)
    assert (await world.link(token, SCALE.lower(), SCALE))["status"] == 0
    assert told == []
    assert len(await world.devices(token)) == 1


async def test_session_dates_are_null_until_the_device_reached_the_cloud(world: World) -> None:
    token = await world.access()
    await world.link(token, SCALE)
    before = (await world.devices(token))[0]
    assert (before["first_session_date"], before["last_session_date"]) == (None, None)
    world.store.record_contact(SCALE)
    after = (await world.devices(token))[0]
    assert isinstance(after["first_session_date"], int)
    assert after["last_session_date"] == after["first_session_date"]


async def test_a_delivered_measurement_is_a_session_too(world: World) -> None:
    token = await world.access()
    await world.link(token, SCALE)
    assert world.store.store_sample(SCALE, WEIGHT)
    assert (await world.devices(token))[0]["last_session_date"] is not None


async def test_the_mac_address_is_for_partners_only(world: World) -> None:
    token = await world.access()
    await world.link(token, SCALE)
    assert (await world.devices(token))[0]["mac_address"] == SCALE.lower()
    await world.control(mode="public")
    public = (await world.devices(token))[0]
    assert set(public) == {
        *("type", "model", "model_id", "battery", "deviceid", "hash_deviceid", "timezone"),
        *("first_session_date", "last_session_date"),
    }
    assert public["deviceid"] == public["hash_deviceid"]
    assert len(public["deviceid"]) == 40


@pytest.mark.parametrize(
    "macs",
    [
        "",
        "[]",
        "{}",
        '"00:24:E4:00:00:01"',
        "[1]",
        "00:24:E4:00:00:01",
        "[" * 5000,
        json.dumps(["00:24:E4:00:00:99"]),
        json.dumps(["0024E4000001"]),
        json.dumps([SCALE + "0"]),
        json.dumps([SCALE] * 101),
    ],
)
async def test_what_is_no_list_of_known_mac_addresses_is_invalid(world: World, macs: str) -> None:
    token = await world.access()
    envelope = await world.call("/v2/user", "link", token, mac_addresses=macs)
    assert (envelope["status"], envelope["body"]) == (503, {})
    assert envelope["error"].startswith("Invalid Params: ")
    assert await world.devices(token) == []


async def test_link_takes_all_devices_or_none(world: World) -> None:
    token = await world.access()
    assert (await world.link(token, SCALE, "00:24:E4:00:00:99"))["status"] == 503
    assert await world.devices(token) == []


async def test_a_device_of_somebody_else_is_refused(world: World) -> None:
    async with running({"users": [FIRST, {**SECOND, "devices": [SCALE.lower()]}]}) as other:
        kim, alex = await other.access(email="kim@example.org"), await other.access()
        envelope = await other.link(alex, MAT, SCALE)
        assert (envelope["status"], envelope["body"]) == (524, {})
        assert await other.devices(alex) == []
        assert len(await other.devices(kim)) == 1
        unlinked = await other.call("/v2/user", "unlink", kim, mac_address=SCALE)
        assert unlinked == {"status": 0, "body": {}}
        assert (await other.link(alex, MAT, SCALE))["status"] == 0


async def test_unlink_is_for_the_own_devices(world: World) -> None:
    token = await world.access()
    for mac in (SCALE, "", "nonsense"):
        assert (await world.call("/v2/user", "unlink", token, mac_address=mac))["status"] == 503
    await world.link(token, SCALE)
    assert (await world.call("/v2/user", "unlink", token, mac_address=SCALE))["status"] == 0
    assert await world.devices(token) == []


async def test_a_factory_reset_takes_the_device_off_the_account(world: World) -> None:
    token = await world.access()
    await world.link(token, SCALE)
    world.store.store_sample(SCALE, WEIGHT)
    world.store.factory_reset(SCALE)
    assert await world.devices(token) == []
    assert not world.store.store_sample(SCALE, WEIGHT)
    kept = (await world.call("/measure", "getmeas", token, meastype="1"))["body"]["measuregrps"]
    assert len([g for g in kept if g["hash_deviceid"]]) == 1, "what was synced stays"


@pytest.mark.parametrize("token", ["guess", "ÿ", "a b"])
async def test_without_a_valid_token_there_is_nothing(world: World, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
    for path, action in (("/v2/user", "getdevice"), ("/v2/user", "link"), ("/measure", "getmeas"), ("/notify", "list")):
        answer = await world.http.post(path, data={"action": action}, headers=headers)
        assert answer.status_code == 200
        assert (answer.json()["status"], answer.json()["body"]) == (401, {})
        assert "invalid_token" in answer.json()["error"]


async def test_the_token_must_be_a_bearer_token(world: World) -> None:
    token = await world.access()
    for headers in ({"Authorization": token}, {"Authorization": f"Basic {token}"}, {}):
        answer = await world.http.post("/v2/user", data={"action": "getdevice", "access_token": token}, headers=headers)
        assert answer.json()["status"] == 401


@pytest.mark.parametrize("action", ["getdevice", "link", "unlink", "getgoals"])
async def test_the_devices_need_the_scope_user_info(world: World, action: str) -> None:
    token = await world.access(scope="user.metrics,user.activity")
    envelope = await world.call("/v2/user", action, token, mac_addresses="[]")
    assert envelope["status"] == 277
    assert "insufficient_scope" in envelope["error"]


async def test_the_scenario_may_refuse_a_scope_as_was_seen_in_the_field() -> None:
    async with running({"scope_status": 403}) as world:
        token = await world.access(scope="user.metrics")
        assert (await world.call("/v2/user", "getdevice", token))["status"] == 403


async def test_without_a_contract_linking_is_not_allowed() -> None:
    async with running({"mode": "public"}) as world:
        token = await world.access()
        for action, fields in (
            ("link", {"mac_addresses": json.dumps([SCALE])}),
            ("unlink", {"mac_address": SCALE}),
            ("activate", {}),
            ("getgoals", {}),
        ):
            assert (await world.call("/v2/user", action, token, **fields))["status"] == 2555
        assert await world.devices(token) == []


async def test_with_a_contract_the_rest_is_minimal(world: World) -> None:
    token = await world.access()
    assert (await world.call("/v2/user", "getgoals", token))["body"] == {"goals": []}
    assert (await world.call("/v2/user", "activate", token))["status"] == 2554


async def next_link(world: World) -> str:
    """The MAC address of the next device that comes onto an account."""
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def note(mac: str) -> None:
        if not found.done():
            found.set_result(mac)

    world.store.on_linked.append(note)
    return await asyncio.wait_for(found, 10)


async def test_in_public_mode_a_device_that_reached_the_cloud_appears_by_itself() -> None:
    async with running({"mode": "public", "associate_after": 0.05, "users": [FIRST, SECOND]}) as world:
        alex, kim = await world.access(), await world.access(email="kim@example.org")
        waiting = asyncio.create_task(next_link(world))
        await asyncio.sleep(0)
        world.store.record_contact(SCALE)
        world.store.record_contact(SCALE)
        assert not world.store.is_linked(SCALE)
        assert await waiting == SCALE
        assert [d["model"] for d in await world.devices(alex)] == ["Body+"]
        assert await world.devices(kim) == []


async def test_a_reset_device_does_not_appear_after_all() -> None:
    async with running({"mode": "public", "associate_after": 3600}) as world:
        world.store.record_contact(SCALE)
        world.store.record_contact(CUFF)
        assert (await world.control())["waiting"] == [SCALE, CUFF]
        world.store.factory_reset(SCALE)
        assert (await world.control())["waiting"] == [CUFF]
        world.store.reset()
        assert (await world.control())["waiting"] == []


async def test_switching_to_public_takes_up_the_devices_that_are_online() -> None:
    async with running({"associate_after": 0}) as world:
        world.store.record_contact(SCALE)
        assert not world.store.is_linked(SCALE)
        waiting = asyncio.create_task(next_link(world))
        await asyncio.sleep(0)
        await world.control(mode="public")
        assert await waiting == SCALE


async def test_switching_to_contract_ends_the_waiting() -> None:
    async with running({"mode": "public", "associate_after": 3600}) as world:
        world.store.record_contact(SCALE)
        assert (await world.control(mode="contract"))["waiting"] == []


@pytest.mark.parametrize(
    ("scenario", "shown"),
    [
        ({"battery": "unknown"}, {"battery": "unknown"}),
        ({"blank_model": True}, {"model": "", "model_id": 5}),
        ({"null_session_dates": True}, {"first_session_date": None, "last_session_date": None}),
    ],
)
async def test_odd_answers_that_were_seen_in_the_field(scenario: dict[str, Any], shown: dict[str, Any]) -> None:
    async with running(scenario) as world:
        token = await world.access()
        await world.link(token, SCALE)
        world.store.record_contact(SCALE)
        assert shown.items() <= (await world.devices(token))[0].items()


async def test_reset_brings_back_the_scenario() -> None:
    async with running({"users": [FIRST, {**SECOND, "devices": [MAT]}]}) as world:
        token = await world.access()
        await world.link(token, SCALE)
        world.store.store_sample(SCALE, WEIGHT)
        world.store.factory_reset(MAT)
        world.store.reset()
        assert (await world.call("/v2/user", "getdevice", token))["status"] == 401
        token = await world.access()
        assert await world.devices(token) == []
        assert len(await world.devices(await world.access(email="kim@example.org"))) == 1
        assert world.store.device(SCALE) is not None, "devices stay made"
        groups = (await world.call("/measure", "getmeas", token))["body"]["measuregrps"]
        assert all(group["attrib"] == 4 for group in groups)
