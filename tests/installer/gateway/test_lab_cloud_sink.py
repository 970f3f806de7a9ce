"""Delivery to the lab's cloud over real HTTP with a real sign-in: the Data API has each measurement once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from installer.errors import ErrorCode
from installer.gateway.delivery import Delivery, DeliveryResult
from installer.gateway.devices import GatewayDevice
from installer.gateway.lab_cloud_sink import LabCloudSink
from installer.gateway.outbox import Outbox, SinkCounts
from tests.installer.cloud.world import OTHER_SCALE, SCALE, WATCH, Lab, lab
from tests.installer.gateway.support import NOON, SOON, delivering, until, waiting, weighed

SINK = "lab-cloud"


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path / "accounts") as running:
        account = await running.sign_in()
        for mac in (SCALE, OTHER_SCALE, WATCH):
            await account.link(mac)
        yield running


def fill(outbox: Outbox, *numbers: int, device: str = SCALE, account: str = "default") -> None:
    for number in numbers:
        outbox.append(weighed(number, device, account=account), [SINK])


async def weights(practice: Lab) -> list[int]:
    account = await practice.accounts.open("default")
    groups: list[dict[str, Any]] = []
    fields = {"meastype": "1"}
    while True:
        body = await account.call("/measure", "getmeas", "reading", fields)
        groups += [g for g in body["measuregrps"] if g["deviceid"]]
        if not body["more"]:
            break
        fields["offset"] = str(body["offset"])
    # By the id, which counts up: in the order of arrival.
    return [g["measures"][0]["value"] for g in sorted(groups, key=lambda g: g["grpid"])]


async def test_it_is_found_by_the_data_api_and_those_who_subscribed_are_told(practice: Lab, outbox: Outbox) -> None:
    heard: list[Any] = []
    practice.store.on_sample.append(lambda account, device, sample: heard.append((device.mac, sample.service)))
    fill(outbox, 72_350, 72_400)
    assert await Delivery(outbox, [LabCloudSink(practice.accounts.open)]).deliver_once()
    assert await weights(practice) == [72_350, 72_400]
    assert heard == [(SCALE, "getmeas")] * 2


async def test_what_is_sent_twice_is_there_once(practice: Lab, outbox: Outbox) -> None:
    fill(outbox, 1, 2)
    items = outbox.next_items(SINK, SCALE, 10)
    sink = LabCloudSink(practice.accounts.open)
    await sink.deliver(items)  # and the gateway is killed before it could note that
    fill(outbox, 3)
    assert await Delivery(outbox, [sink]).deliver_once()
    assert await weights(practice) == [1, 2, 3]


async def test_down_and_back_all_arrives_in_order(practice: Lab, outbox: Outbox) -> None:
    from installer.lab.cloud.scenario import CloudControl

    told: list[DeliveryResult] = []
    practice.store.apply_control(CloudControl(down=True))
    fill(outbox, *range(1, 120))
    async with delivering(Delivery(outbox, [LabCloudSink(practice.accounts.open)], SOON, on_result=told.append)):
        await until(lambda: len([t for t in told if t.failure]) >= 3)
        assert waiting(outbox, SINK) == 119
        practice.store.apply_control(CloudControl(down=False))
        await until(lambda: not waiting(outbox, SINK))
    assert await weights(practice) == list(range(1, 120))


async def test_the_cloud_is_busy_and_says_for_how_long(practice: Lab, outbox: Outbox) -> None:
    fill(outbox, 1)
    practice.arm(path="/lab/gateway", status=601, wait_seconds=1000, times=1)
    told: list[DeliveryResult] = []
    delivery = Delivery(outbox, [LabCloudSink(practice.accounts.open)], SOON, on_result=told.append)
    async with delivering(delivery):
        await until(lambda: told)
    assert told[0].failure is not None
    assert told[0].failure.code is ErrorCode.CLOUD_BUSY
    assert told[0].wait == 1000


async def test_a_lost_sign_in_holds_up_its_own_devices_only(practice: Lab, outbox: Outbox) -> None:
    fill(outbox, 1, device=OTHER_SCALE, account="gone")
    fill(outbox, 2)
    assert not await Delivery(outbox, [LabCloudSink(practice.accounts.open)]).deliver_once()
    assert await weights(practice) == [2]
    assert waiting(outbox, SINK) == 1
    await practice.sign_in("gone")
    assert await Delivery(outbox, [LabCloudSink(practice.accounts.open)]).deliver_once()
    assert await weights(practice) == [2, 1]


async def test_a_device_that_left_the_account_is_refused_and_kept(practice: Lab, outbox: Outbox) -> None:
    fill(outbox, 1, device="F0:00:00:00:00:77")
    fill(outbox, 2)
    assert await Delivery(outbox, [LabCloudSink(practice.accounts.open)]).deliver_once()
    assert await weights(practice) == [2]
    assert outbox.counts() == {SINK: SinkCounts(0, 1)}


def test_only_devices_on_an_account_are_for_it() -> None:
    sink = LabCloudSink(lambda name: asyncio.sleep(0))  # type: ignore[arg-type, return-value]
    assert sink.accepts(GatewayDevice(SCALE, (), account="default"))
    assert not sink.accepts(GatewayDevice(SCALE, ()))


@pytest.mark.parametrize(
    ("measurements", "refusal"),
    [
        ("nonsense", "list"),
        (json.dumps([{"key": "short"}]), "key"),
        (json.dumps([{"key": "k" * 32}] * 101), "at most"),
    ],
)
async def test_nonsense_is_refused_whole(practice: Lab, measurements: str, refusal: str) -> None:
    account = await practice.accounts.open("default")
    with pytest.raises(Exception, match=refusal):
        await account.call("/lab/gateway", "upload", "testing", {"measurements": measurements}, idempotent=False)


@pytest.mark.parametrize(
    "change",
    [
        {"taken": "now"}, {"taken": -1}, {"readings": None}, {"readings": [{}]}, {"mac": None},
        {"readings": [{"quantity": "weight", "value": "NaN", "unit": "kg"}]},
        {"readings": [{"quantity": "mood", "value": "1", "unit": ""}]},
    ],
)  # fmt: skip
async def test_an_odd_measurement_is_refused_and_the_others_are_taken(practice: Lab, change: dict[str, Any]) -> None:
    account = await practice.accounts.open("default")
    good = {
        "key": "g" * 32,
        "mac": SCALE,
        "taken": NOON,
        "readings": [{"quantity": "weight", "value": "72.35", "unit": "kg"}],
    }
    sent = json.dumps([{**good, "key": "b" * 32, **change}, good])
    body = await account.call("/lab/gateway", "upload", "testing", {"measurements": sent})
    assert body["accepted"] == ["g" * 32]
    assert [r["key"] for r in body["refused"]] == ["b" * 32]
