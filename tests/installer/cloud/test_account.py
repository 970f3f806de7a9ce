"""An account: devices, linking with and without a contract, watching for a device, and the first measurement."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from installer.cloud.api_models import CloudDevice
from installer.errors import ErrorCode, InstallerError
from installer.lab.cloud.store import Sample
from installer.measurement import Quantity
from tests.installer.cloud.world import (
    CUFF,
    MAT,
    OTHER_SCALE,
    SCALE,
    THERMO,
    WATCH,
    Lab,
    account_at,
    bad,
    in_time,
    lab,
    model,
    odd,
    ok,
    raw,
)


def device(**changes: Any) -> dict[str, Any]:
    return {
        "type": "Scale",
        "model": "Body+",
        "model_id": 5,
        "battery": "high",
        "deviceid": "d1",
        "hash_deviceid": "d1",
        "timezone": "Europe/Paris",
        "first_session_date": 1730000000,
        "last_session_date": 1730003600,
        **changes,
    }


async def read(tmp_path: Path, *raws: Any) -> list[CloudDevice]:
    async with odd(getdevice=[ok({"devices": list(raws)})]) as cloud, account_at(cloud, tmp_path) as account:
        return await account.devices()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"device_id": "d1", "model_id": 5, "last_session": 1730003600, "battery": "high"}),
        ({"model": "", "battery": "unknown", "last_session_date": None, "first_session_date": None}, {"model": ""}),
        ({"model_id": 98765, "type": "Toaster"}, {"model_id": 98765, "type": "Toaster"}),
        ({"model_id": None}, {"model_id": None}),
        ({"model_id": "5"}, {"model_id": 5}),
        ({"hash_deviceid": None, "deviceid": 123456}, {"device_id": "123456"}),
        ({"hash_deviceid": "d2", "deviceid": None}, {"device_id": "d2"}),
        ({"battery": 77, "timezone": None, "extra": {"a": []}}, {"battery": "77"}),
        ({"battery": ["x"], "model": None, "last_session_date": "soon"}, {"battery": "", "last_session": None}),
        ({"mac_address": "00:24:e4:00:00:01"}, {"mac": "00:24:e4:00:00:01"}),
    ],
)
async def test_a_device_as_odd_as_they_come(tmp_path: Path, changes: dict[str, Any], expected: dict[str, Any]) -> None:
    (found,) = await read(tmp_path, device(**changes))
    assert {key: getattr(found, key) for key in expected} == expected


async def test_what_is_no_device_hides_no_other(tmp_path: Path) -> None:
    found = await read(tmp_path, None, "x", {}, device(deviceid=None, hash_deviceid=None), [1], device())
    assert [d.device_id for d in found] == ["d1"]


@pytest.mark.parametrize("body", [{}, [], {"devices": None}, {"devices": {}}, {"devices": []}])
async def test_no_devices(tmp_path: Path, body: Any) -> None:
    async with odd(getdevice=[ok(body)]) as cloud, account_at(cloud, tmp_path) as account:
        assert await account.devices() == []


async def test_a_device_is_linked_by_its_address(practice: Lab) -> None:
    account = await practice.sign_in()
    linked = await account.link(SCALE)
    assert practice.store.is_linked(SCALE)
    assert linked.model_id == 5
    assert [d.device_id for d in await account.devices()] == [linked.device_id]
    assert await account.link(SCALE) == linked
    await account.unlink(SCALE)
    assert not practice.store.is_linked(SCALE)


async def test_without_a_contract_linking_is_refused_and_watching_works(tmp_path: Path) -> None:
    async with lab(tmp_path, {"mode": "public", "associate_after": 0.1}) as practice:
        account = await practice.sign_in()
        for attempt in (account.link(SCALE), account.unlink(SCALE)):
            with pytest.raises(InstallerError) as caught:
                await attempt
            assert caught.value.code is ErrorCode.LINK_REFUSED
            assert caught.value.data["no_contract"] is True
            assert caught.value.data["status"] == 2555
        started = time.time()
        watching = asyncio.ensure_future(account.watch_for(model("body-plus"), set(), started, 20))
        practice.store.record_contact(SCALE)
        found = await in_time(watching)
        assert found.model_id == 5
        practice.weigh(SCALE)
        measurement = await account.first_data(model("body-plus"), found.device_id, started, 20)
        assert measurement.readings[0].value == Decimal("72.35")


@pytest.mark.parametrize(
    ("status", "no_contract"),
    [(214, True), (277, True), (2553, True), (2555, True), (2554, True), (293, False), (503, False), (524, False)],
)
async def test_every_refusal_is_a_refusal(tmp_path: Path, status: int, no_contract: bool) -> None:
    async with odd(link=[bad(status)]) as cloud, account_at(cloud, tmp_path) as account:
        with pytest.raises(InstallerError) as caught:
            await account.link(SCALE)
    assert caught.value.code is ErrorCode.LINK_REFUSED
    assert caught.value.data["status"] == status
    assert bool(caught.value.data.get("no_contract")) is no_contract
    assert cloud.count("link") == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (bad(601, wait_seconds=99), ErrorCode.CLOUD_BUSY),
        (raw("{"), ErrorCode.CLOUD_FAILED),
        (bad(7), ErrorCode.CLOUD_FAILED),
    ],
)
async def test_trouble_is_no_refusal(tmp_path: Path, answer: Any, code: ErrorCode) -> None:
    async with odd(link=[answer]) as cloud, account_at(cloud, tmp_path) as account:
        with pytest.raises(InstallerError) as caught:
            await account.link(SCALE)
    assert caught.value.code is code


async def test_a_device_of_somebody_else(tmp_path: Path) -> None:
    other = {"email": "kim@example.org", "password": "kims-password", "devices": [SCALE]}
    me = {"email": "alex@example.org", "password": "lab-password"}
    async with lab(tmp_path, {"users": [me, other]}) as practice:
        account = await practice.sign_in()
        with pytest.raises(InstallerError) as caught:
            await account.link(SCALE)
    assert caught.value.code is ErrorCode.LINK_REFUSED
    assert "another account" in caught.value.what
    assert not caught.value.data.get("no_contract")


async def test_an_address_that_is_no_mac_cannot_be_linked(practice: Lab) -> None:
    account = await practice.sign_in()
    with pytest.raises(InstallerError) as caught:
        await account.link("5D1F8A3E-0000-4000-8000-00805F9B34FB")
    assert caught.value.code is ErrorCode.LINK_REFUSED
    assert caught.value.data["no_contract"] is True
    assert practice.calls("/v2/user link") == 0


async def test_a_link_whose_answer_leaves_the_device_out(tmp_path: Path) -> None:
    known = ok({"devices": [device(mac_address=SCALE.lower())]})
    async with odd(link=[ok({})], getdevice=[known]) as cloud, account_at(cloud, tmp_path) as account:
        assert (await account.link(SCALE)).device_id == "d1"
        with pytest.raises(InstallerError) as caught:
            await account.link(OTHER_SCALE)
    assert caught.value.code is ErrorCode.CLOUD_FAILED


async def watch(tmp_path: Path, *rounds: list[dict[str, Any]], name: str = "body-plus", **more: Any) -> CloudDevice:
    answers = [ok({"devices": devices}) for devices in rounds]
    options = {"before": {"old"}, "since": 1_760_000_000.0, "deadline": 20.0, **more}
    async with odd(getdevice=answers) as cloud, account_at(cloud, tmp_path) as account:
        found: CloudDevice = await in_time(account.watch_for(model(name), **options))
        return found


async def test_watching_goes_on_until_a_device_of_the_model_is_new(tmp_path: Path) -> None:
    old, other = device(hash_deviceid="old"), device(hash_deviceid="watch", model_id=90, model="Move")
    found = await watch(tmp_path, [old], [old, other], [old, other, device(hash_deviceid="new")])
    assert found.device_id == "new"


async def test_watching_finds_a_known_device_that_has_spoken_again(tmp_path: Path) -> None:
    def at(when: int | None) -> dict[str, Any]:
        return device(hash_deviceid="old", last_session_date=when)

    found = await watch(tmp_path, [at(None)], [at(1_759_999_000)], [at(1_760_000_005)])
    assert found.last_session == 1_760_000_005


async def test_where_only_a_new_device_counts_another_one_may_report_meanwhile(tmp_path: Path) -> None:
    def at(first: int | None, last: int) -> dict[str, Any]:
        return device(hash_deviceid="old", first_session_date=first, last_session_date=last)

    told: list[InstallerError | None] = []
    found = await watch(
        tmp_path,
        [at(1_750_000_000, 1_760_000_005)],
        [at(None, 1_760_000_006)],
        [at(1_760_000_007, 1_760_000_007)],
        only_new=True,
        on_poll=told.append,
    )
    assert found.first_session == 1_760_000_007
    assert told == [None, None]


async def test_a_new_device_goes_before_one_that_has_only_spoken(tmp_path: Path) -> None:
    old = device(hash_deviceid="old", last_session_date=1_760_000_009)
    assert (await watch(tmp_path, [old, device(hash_deviceid="new")])).device_id == "new"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("body", {"model_id": 7}),
        ("body-plus", {"model_id": 5, "model": ""}),
        ("body-plus", {"model_id": None, "model": "Body+"}),
        ("bpm-connect", {"model_id": 45}),
        ("thermo", {"model_id": 70}),
        ("move", {"model_id": 90}),
        ("pulse-hr", {"model_id": 58}),
        ("sleep", {"model_id": 63, "type": "Sleep Monitor"}),
        ("sleep", {"model_id": 13, "type": "Sleep Monitor", "model": ""}),
        ("sleep", {"model_id": 4711, "type": "Sleep Monitor"}),
    ],
)
async def test_a_model_is_known_by_its_number_and_the_mat_by_its_type(
    tmp_path: Path, name: str, changes: dict[str, Any]
) -> None:
    assert (await watch(tmp_path, [device(**changes)], name=name)).device_id == "d1"


async def test_a_body_cardio_is_no_body_plus_whatever_the_setup_list_says(tmp_path: Path) -> None:
    with pytest.raises(InstallerError) as caught:
        await watch(tmp_path, [device(model_id=6, model="Body Cardio")], deadline=0.2)
    assert caught.value.code is ErrorCode.LINK_TIMEOUT
    assert "somebody else" in caught.value.todo


async def test_a_cloud_that_is_away_for_a_while_is_waited_for(practice: Lab) -> None:
    account = await practice.sign_in()
    practice.arm(path="/v2/user", action="getdevice", http=503, times=7)
    watching = asyncio.ensure_future(account.watch_for(model("body-plus"), set(), time.time(), 20))
    practice.store.record_contact(SCALE)
    await account.link(SCALE)
    assert (await in_time(watching)).model_id == 5


async def test_a_cloud_that_stays_away_is_the_error(tmp_path: Path) -> None:
    async with odd(getdevice=[raw("", 502)]) as cloud, account_at(cloud, tmp_path) as account:
        with pytest.raises(InstallerError) as caught:
            await account.watch_for(model("body-plus"), set(), 0.0, 2.0)
    assert caught.value.code is ErrorCode.CLOUD_UNREACHABLE


async def test_a_cloud_that_never_answers_does_not_hold_up_the_deadline(tmp_path: Path) -> None:
    silence = asyncio.Event()

    async def hang(_form: dict[str, str]) -> Any:
        await silence.wait()
        return ok()

    async with odd(getdevice=[hang]) as cloud, account_at(cloud, tmp_path) as account:
        with pytest.raises(InstallerError) as caught:
            await in_time(account.watch_for(model("body-plus"), set(), 0.0, 0.2))
        silence.set()
    assert cloud.count("getdevice") == 1
    assert caught.value.code is ErrorCode.LINK_TIMEOUT


async def test_a_601_while_watching_is_waited_for(tmp_path: Path) -> None:
    answers = [bad(601, wait_seconds=0.05), ok({"devices": [device()]})]
    async with odd(getdevice=answers) as cloud, account_at(cloud, tmp_path) as account:
        assert (await account.watch_for(model("body-plus"), set(), 0.0, 20)).device_id == "d1"
    assert cloud.count("getdevice") == 2


@pytest.mark.parametrize("mac", [SCALE, CUFF, THERMO, MAT, WATCH])
async def test_the_first_data_of_each_kind_of_device(practice: Lab, mac: str) -> None:
    now = time.time()
    day = {"date": time.strftime("%Y-%m-%d"), "steps": 4200, "distance": 3010.5}
    night = {"startdate": now - 27_000, "enddate": now, "data": {"total_sleep_time": 24_600, "hr_average": 58}}
    pressure = [
        {"type": 9, "value": 79, "unit": 0},
        {"type": 10, "value": 121, "unit": 0},
        {"type": 11, "value": 60, "unit": 0},
    ]
    name, sample, expected = {
        SCALE: ("body-plus", ("getmeas", {"measures": [{"type": 1, "value": 72_350, "unit": -3}]}), "72.35 kg"),
        CUFF: ("bpm-connect", ("getmeas", {"measures": pressure}), "121 mmHg"),
        THERMO: ("thermo", ("getmeas", {"measures": [{"type": 71, "value": 37_12, "unit": -2}]}), "37.12 °C"),
        MAT: ("sleep", ("getsummary", night), "24600 s"),
        WATCH: ("move", ("getactivity", day), "4200 steps"),
    }[mac]
    account = await practice.sign_in()
    linked = await account.link(mac)
    waiting = asyncio.ensure_future(account.first_data(model(name), linked.device_id, now, 20))
    assert practice.store.store_sample(mac, Sample(now, *sample))  # type: ignore[arg-type]
    measurement = await in_time(waiting)
    first = measurement.readings[0]
    assert f"{first.value.normalize():f} {first.unit}" == expected
    assert measurement.taken is not None


async def test_what_was_typed_and_other_devices_are_no_first_data(practice: Lab) -> None:
    account = await practice.sign_in()  # signing up made groups with attrib 4
    linked, other = await account.link(SCALE), await account.link(OTHER_SCALE)
    assert linked.device_id != other.device_id
    practice.weigh(OTHER_SCALE, 60_000)
    practice.weigh(SCALE, 61_000, attrib=2)
    practice.weigh(SCALE, 62_000, category=2)
    with pytest.raises(InstallerError) as caught:
        await account.first_data(model("body-plus"), linked.device_id, time.time() - 5, 0.3)
    assert caught.value.code is ErrorCode.FIRST_DATA_TIMEOUT
    practice.weigh(SCALE, 63_000)
    found = await account.first_data(model("body-plus"), linked.device_id, time.time() - 5, 20)
    assert found.readings[0].quantity is Quantity.WEIGHT
    assert found.readings[0].value == 63


async def test_a_reading_that_the_device_had_stored_counts(practice: Lab) -> None:
    account = await practice.sign_in()
    linked = await account.link(SCALE)
    started = time.time()
    values = {"measures": [{"type": 1, "value": 700, "unit": -1}]}
    practice.store.store_sample(SCALE, Sample(started - 86_400, "getmeas", values))
    found = await account.first_data(model("body-plus"), linked.device_id, started, 20)
    assert found.taken is not None
    assert found.taken.timestamp() == int(started - 86_400)


async def test_all_pages_are_read(tmp_path: Path) -> None:
    async with lab(tmp_path, {"page_size": 2}) as practice:
        account = await practice.sign_in()
        linked = await account.link(SCALE)
        await account.link(OTHER_SCALE)
        practice.weigh(SCALE, 70_000)
        for grams in range(60_000, 60_007):
            practice.weigh(OTHER_SCALE, grams)
        found = await account.first_data(model("body-plus"), linked.device_id, time.time() - 5, 20)
        assert found.readings[0].value == 70


@pytest.mark.parametrize("more", [{"more": 1}, {"more": True, "offset": 0}, {"more": 1, "offset": "x"}])
async def test_pages_that_never_end_are_not_followed_for_ever(tmp_path: Path, more: dict[str, Any]) -> None:
    async with odd(getmeas=[ok({"measuregrps": [], **more})]) as cloud, account_at(cloud, tmp_path) as account:
        with pytest.raises(InstallerError) as caught:
            await account.first_data(model("body-plus"), "d1", 0.0, 0.2)
    assert caught.value.code is ErrorCode.FIRST_DATA_TIMEOUT


async def test_a_clock_that_is_wrong_on_this_computer_hides_no_data(tmp_path: Path) -> None:
    """The clock of this computer is 600 s ahead, so all data of the cloud seems older than the start."""
    there = time.time() - 600

    def answer(form: dict[str, str]) -> Any:
        group = {
            "attrib": 0,
            "category": 1,
            "date": int(there),
            "created": int(there) + 1,
            "modified": int(there) + 1,
            "hash_deviceid": "d1",
            "measures": [{"type": 1, "value": 7, "unit": 1}],
        }
        groups = [group] if int(form["lastupdate"]) <= there else []
        return raw(json.dumps(ok({"measuregrps": groups})), date=formatdate(there, usegmt=True))

    async with odd(getmeas=[answer]) as cloud, account_at(cloud, tmp_path) as account:
        found = await in_time(account.first_data(model("body-plus"), "d1", time.time(), 20))
    assert found.readings[0].value == 70


async def test_a_model_without_a_cloud_has_no_data_there(practice: Lab) -> None:
    account = await practice.sign_in()
    without = model("body-plus").model_copy(
        update={"cloud": model("body-plus").cloud.model_copy(update={"data": None})}
    )
    with pytest.raises(InstallerError) as caught:
        await account.first_data(without, "d1", 0.0, 5)
    assert caught.value.code is ErrorCode.CATALOGUE_INVALID
