"""Notifications: subscribing a callback URL, and being told of new data at a real one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from installer.lab.cloud.store import Sample
from tests.installer.lab.cloud.running_cloud import ALL, CUFF, MAT, SCALE, WATCH, Server, World, running

WEIGHT = Sample(1_730_000_000.5, "getmeas", {"measures": [{"type": 1, "value": 72_350, "unit": -3}]})


class Subscriber:
    """A program with a callback URL. `head` and `answers`: the statuses that it gives (the last one stays)."""

    def __init__(self) -> None:
        self.url = ""
        self.head = 200
        self.answers = [200]
        self.slow = 0  # so many of the next answers take half a second
        self.got: list[dict[str, str]] = []
        self._changed = asyncio.Condition()

    async def callback(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(status_code=self.head)
        form = await request.form()
        async with self._changed:
            self.got.append({key: str(value) for key, value in form.items()} | dict(request.query_params))
            self._changed.notify_all()
        if self.slow:
            self.slow -= 1
            await asyncio.sleep(0.5)
        return Response(status_code=self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    async def wait(self, enough: Callable[[list[dict[str, str]]], bool]) -> list[dict[str, str]]:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: enough(self.got))
        return self.got


@pytest.fixture
async def subscriber() -> AsyncIterator[Subscriber]:
    async with listening() as found:
        yield found


@asynccontextmanager
async def listening() -> AsyncIterator[Subscriber]:
    subscriber = Subscriber()
    app = Starlette(routes=[Route("/cb", subscriber.callback, methods=["POST", "HEAD"])])
    server = Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        subscriber.url = f"http://127.0.0.1:{listener.getsockname()[1]}/cb?key=abc"
        task = asyncio.create_task(server.serve(sockets=[listener]))
        yield subscriber
        server.enough.set()
        await task


async def notify(world: World, action: str, token: str, **fields: Any) -> dict[str, Any]:
    return await world.call("/notify", action, token, **fields)


async def test_subscribe_list_get_update_revoke(world: World, subscriber: Subscriber) -> None:
    token, url = await world.access(), subscriber.url
    assert await notify(world, "subscribe", token, callbackurl=url, appli=1, comment="one") == {"status": 0, "body": {}}
    assert (await notify(world, "subscribe", token, callbackurl=url, appli=1, comment="uno"))["status"] == 0
    assert (await notify(world, "subscribe", token, callbackurl=url, appli=4))["status"] == 0
    listed = (await notify(world, "list", token))["body"]["profiles"]
    assert [(p["appli"], p["callbackurl"], p["comment"]) for p in listed] == [(1, url, "uno"), (4, url, "")]
    assert len((await notify(world, "list", token, appli=4))["body"]["profiles"]) == 1
    assert (await notify(world, "get", token, callbackurl=url))["body"] == {
        "appli": 1,
        "callbackurl": url,
        "comment": "uno",
    }
    assert (await notify(world, "update", token, callbackurl=url, appli=4, new_appli=16))["status"] == 0
    assert (await notify(world, "update", token, callbackurl=url, appli=16, comment="steps"))["status"] == 0
    assert (await notify(world, "update", token, callbackurl=url, appli=1, new_callbackurl=url + "&2"))["status"] == 0
    listed = (await notify(world, "list", token))["body"]["profiles"]
    assert [(p["appli"], p["callbackurl"], p["comment"]) for p in listed] == [
        (1, url + "&2", "uno"),
        (16, url, "steps"),
    ]
    assert (await notify(world, "revoke", token, callbackurl=url, appli=16))["status"] == 0
    assert (await notify(world, "revoke", token, callbackurl=url, appli=16))["status"] == 286
    assert (await notify(world, "revoke", token, callbackurl=url + "&2"))["status"] == 0
    assert (await notify(world, "list", token))["body"] == {"profiles": []}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"appli": ""}, 503),
        ({"appli": "99"}, 503),
        ({"callbackurl": ""}, 503),
        ({"callbackurl": "ftp://example.org"}, 293),
        ({"callbackurl": "http://example.org/"}, 293),
        ({"appli": "50"}, 277),
    ],
)
async def test_wrong_subscriptions(world: World, subscriber: Subscriber, changes: dict[str, str], status: int) -> None:
    fields = {"callbackurl": subscriber.url, "appli": "1"} | changes
    assert (await notify(world, "subscribe", await world.access(scope=ALL), **fields))["status"] == status


async def test_update_changes_one_thing(world: World, subscriber: Subscriber) -> None:
    token, url = await world.access(), subscriber.url
    await notify(world, "subscribe", token, callbackurl=url, appli=1)
    for changes in ({}, {"new_appli": 4, "comment": "x"}):
        assert (await notify(world, "update", token, callbackurl=url, appli=1, **changes))["status"] == 503


async def test_a_url_that_does_not_answer_head_is_refused(world: World, subscriber: Subscriber) -> None:
    token = await world.access()
    subscriber.head = 405
    assert (await notify(world, "subscribe", token, callbackurl=subscriber.url, appli=1))["status"] == 293
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    assert (await notify(world, "subscribe", token, callbackurl=closed, appli=1))["status"] == 293


async def test_strict_wants_a_public_https_address(subscriber: Subscriber) -> None:
    async with running({"strict": True, "redirect_uris": ["https://clinic.example/"]}) as world:
        uri = "https://clinic.example/"
        token = (await world.redeem(await world.code(redirect_uri=uri), redirect_uri=uri))["body"]["access_token"]
        assert (await notify(world, "subscribe", token, callbackurl=subscriber.url, appli=1))["status"] == 293


async def test_new_data_is_told_to_those_who_want_that_kind(world: World, subscriber: Subscriber) -> None:
    token = await world.access()
    await world.link(token, SCALE, CUFF, MAT, WATCH)
    for appli in (1, 4, 16, 44):
        await notify(world, "subscribe", token, callbackurl=subscriber.url, appli=appli)
    pressure = {"measures": [{"type": 10, "value": 120, "unit": 0}]}
    night = {"startdate": 1_730_000_000, "enddate": 1_730_027_000, "data": {}}
    world.store.store_sample(SCALE, WEIGHT)
    world.store.store_sample(CUFF, Sample(1_730_000_100, "getmeas", pressure))
    world.store.store_sample(MAT, Sample(1_730_000_000, "getsummary", night))
    world.store.store_sample(WATCH, Sample(1_730_000_000, "getactivity", {"date": "2024-10-27", "steps": 1}))
    got = await subscriber.wait(lambda got: len(got) == 4)
    common = {"userid": "40000001", "key": "abc"}
    assert sorted(got, key=lambda fields: int(fields["appli"])) == [
        {**common, "appli": "1", "startdate": "1730000000", "enddate": "1730000001"},
        {**common, "appli": "4", "startdate": "1730000100", "enddate": "1730000101"},
        {**common, "appli": "16", "date": "2024-10-27"},
        {**common, "appli": "44", "startdate": "1730000000", "enddate": "1730027000"},
    ]


async def test_what_was_not_heard_is_told_again(subscriber: Subscriber) -> None:
    async with running({"callback_speed": 1e6}) as world:
        token = await world.access()
        await world.link(token, SCALE)
        await notify(world, "subscribe", token, callbackurl=subscriber.url, appli=1)
        subscriber.answers = [500, 404, 503, 200]
        world.store.store_sample(SCALE, WEIGHT)
        got = await subscriber.wait(lambda got: len(got) == 4)
        assert all(fields == got[0] for fields in got)


async def test_the_cloud_ends_while_a_repetition_waits(subscriber: Subscriber) -> None:
    async with running({"callback_speed": 0.001}) as world:
        token = await world.access()
        await world.link(token, SCALE)
        await notify(world, "subscribe", token, callbackurl=subscriber.url, appli=1)
        subscriber.answers = [500]
        world.store.store_sample(SCALE, WEIGHT)
        await subscriber.wait(lambda got: len(got) == 2)


@asynccontextmanager
async def subscribed(subscriber: Subscriber, **callbacks: Any) -> AsyncIterator[tuple[World, str]]:
    """A cloud that repeats at once, with a scale on the account and its news subscribed; the access token."""
    async with running({"callback_speed": 1e6, "callbacks": callbacks}) as world:
        token = await world.access()
        await world.link(token, SCALE)
        await notify(world, "subscribe", token, callbackurl=subscriber.url, appli=1)
        yield world, token


async def test_what_gets_lost_is_told_again(subscriber: Subscriber) -> None:
    async with subscribed(subscriber, lose=3) as (world, _):
        world.store.store_sample(SCALE, WEIGHT)
        await subscriber.wait(lambda got: len(got) == 1)
        await in_time(lambda: world.store.notification_counts["heard"] == 1)
        assert dict(world.store.notification_counts) == {"notifications": 1, "attempts": 4, "lost": 3, "heard": 1}


async def test_after_ten_attempts_the_cloud_gives_a_notification_up(subscriber: Subscriber) -> None:
    async with subscribed(subscriber, lose=10) as (world, _):
        world.store.store_sample(SCALE, WEIGHT)
        await in_time(lambda: world.store.notification_counts["attempts"] == 10)
        world.store.store_sample(SCALE, replace(WEIGHT, date=1_730_000_200.0))
        got = await subscriber.wait(lambda got: len(got) == 1)
        assert got[0]["startdate"] == "1730000200"


async def test_a_doubled_notification_comes_twice(subscriber: Subscriber) -> None:
    async with subscribed(subscriber, double=1) as (world, _):
        world.store.store_sample(SCALE, WEIGHT)
        got = await subscriber.wait(lambda got: len(got) == 2)
        assert got[0] == got[1]
        world.store.store_sample(SCALE, WEIGHT)
        await subscriber.wait(lambda got: len(got) == 3)
        await in_time(lambda: world.store.notification_counts["heard"] == 3)


async def test_a_delayed_notification_comes_all_the_same(subscriber: Subscriber) -> None:
    async with subscribed(subscriber, delay=0.05) as (world, _):
        world.store.store_sample(SCALE, WEIGHT)
        await asyncio.sleep(0)
        assert not subscriber.got
        await subscriber.wait(lambda got: len(got) == 1)


async def test_an_answer_that_takes_too_long_counts_as_none(subscriber: Subscriber) -> None:
    subscriber.slow = 1
    async with subscribed(subscriber, answer_seconds=0.2) as (world, _):
        world.store.store_sample(SCALE, WEIGHT)
        await subscriber.wait(lambda got: len(got) == 2)
        await in_time(lambda: world.store.notification_counts["heard"] == 1)
        assert world.store.notification_counts["attempts"] == 2


async def test_a_subscriber_who_never_hears_is_removed(subscriber: Subscriber) -> None:
    subscriber.answers = [500]
    async with subscribed(subscriber, remove_after=4) as (world, token):
        world.store.store_sample(SCALE, WEIGHT)
        await in_time(lambda: world.store.notification_counts["removed"] == 1)
        assert (await notify(world, "list", token))["body"] == {"profiles": []}
        assert world.store.notification_counts["attempts"] == 4


async def test_a_success_in_between_starts_the_count_anew(subscriber: Subscriber) -> None:
    subscriber.answers = [500, 500, 200, 500, 500, 200]
    async with subscribed(subscriber, remove_after=3) as (world, token):
        for number in (1, 2):
            world.store.store_sample(SCALE, WEIGHT)
            await in_time(lambda number=number: world.store.notification_counts["heard"] == number)
        assert len((await notify(world, "list", token))["body"]["profiles"]) == 1


async def test_the_faults_of_notifications_change_while_it_runs(world: World) -> None:
    answer = await world.http.post("/lab/cloud", json={"callbacks": {"lose": 2, "remove_after": 4}})
    assert answer.status_code == 200
    assert world.store.callbacks.remove_after == 4
    assert [world.store.state.lose_attempt() for _ in range(3)] == [True, True, False]
    assert (await world.http.post("/lab/cloud", json={"callbacks": {"lose": -1}})).status_code == 400


async def in_time(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the counters of the cloud have no event of their own
            await asyncio.sleep(0.002)
