"""Shared tests of records and leases, for SQLite (here) and for PostgreSQL (tests/system).

`make()` opens the same, empty ledger as another station.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.ledger.query_types import Filter
from installer.ledger.records import Context, Record, Records
from installer.ledger.shared import failure_for_ledger

Make = Callable[[], Records]
FOUND = {"address": "A", "name": "Scale", "model": "body", "certainty": "certain", "reasons": ["it says so"]}


def code(raised: pytest.ExceptionInfo[InstallerError]) -> ErrorCode:
    return raised.value.code


async def found(records: Records, installation: str, address: str = "A", **context: Any) -> Record:
    """A record with a device."""
    record = records.begin(installation, "1.0", Context(station="north", **context))
    await record.set_device(address, name="Scale", model="body", certainty="certain", reasons=["it says so"])
    return record


async def installed(records: Records, installation: str, address: str, method: str, **context: Any) -> None:
    record = await found(records, installation, address, **context)
    await record.step_done("find", 1.0, {**FOUND, "address": address, "serial": f"told-{address}"})
    await record.step_done("sync", 0.1, {"method": method})
    linked = {"account": "clinic", "way": "link", "device_id": f"id-{address}", "serial": f"cloud-{address}"}
    await record.step_done("link", 2.0, linked)
    await record.end("installed")


async def a_record_is_whole_after_every_step(make: Make) -> None:
    records = make()
    record = records.begin(
        "abc", "1.0", Context(site="Ward 3", operator="Ann", label="L1", station="north"), {"sync": {"method": "wifi"}}
    )
    assert records.all() == []
    await record.set_device("A", name="Scale", model="body", certainty="likely", reasons=["its name"])
    await record.step_done("find", 1.0, {**FOUND, "firmware": "1.2"}, reached="sync", answers={"find": {"device": "A"}})
    one = make().get("abc")
    assert one is not None
    assert (one["outcome"], one["step"], one["attempts"]) == ("running", "sync", 1)
    assert (one["address"], one["model"], one["certainty"], one["firmware"]) == ("A", "body", "certain", "1.2")
    assert (one["site"], one["operator"], one["label"], one["station"]) == ("Ward 3", "Ann", "L1", "north")
    assert one["answers"] == {"find": {"device": "A"}}
    assert one["reasons"] == ["it says so"]
    await record.step_done("find", 2.0, {**FOUND, "rssi": -40})
    record.failed("provision", "join_failed", "no")
    await record.end("failed")
    (one,) = records.all()
    assert [(s["step"], s["took"]) for s in one["steps"]] == [("find", 2.0)]
    assert [(f["step"], f["code"], f["what"]) for f in one["failures"]] == [
        ("provision", "join_failed", failure_for_ledger("join_failed", "no", private=False))
    ]
    assert (one["outcome"], one["error"], one["step"]) == ("failed", "join_failed", "provision")
    assert one["ended"] >= one["started"]
    records.close()


async def what_was_mended_is_no_error_any_more(make: Make) -> None:
    records = make()
    record = await found(records, "1")
    record.failed("provision", "join_failed", "no")
    await record.step_done("provision", 1.0, {"ssid": "Home"})
    await record.end("installed")
    one = records.get("1")
    assert one is not None
    assert (one["error"], one["outcome"], len(one["failures"])) == (None, "installed", 1)


async def the_network_that_a_device_got_is_remembered(make: Make) -> None:
    records = make()
    assert records.last_provisioned_ssid("A") is None
    record = await found(records, "1")
    assert records.last_provisioned_ssid("A") is None
    await record.sending("A", "Home")
    assert make().last_provisioned_ssid("A") == "Home"
    assert records.last_provisioned_ssid("B") is None
    since = records.last_provisioning_started("A")
    assert since is not None
    assert abs(since - datetime.now(UTC).timestamp()) < 60
    await record.end("failed")
    again = await found(records, "2")
    await again.sending("A", "Café \U0001f600")
    assert records.last_provisioned_ssid("A") == "Café \U0001f600"


async def a_device_that_came_by_the_vendors_app_is_remembered(make: Make) -> None:
    records = make()
    record = await found(records, "1")
    await record.step_done("provision", 1.0, {"protocol": "guided", "address": "A", "device_id": "cloud-7"})
    assert records.handed_over("A") == "cloud-7"
    assert records.handed_over("B") is None


async def the_devices_of_a_sync_method_are_those_last_installed_so(make: Make) -> None:
    records = make()
    await installed(records, "1", "A", "bluetooth")
    await installed(records, "2", "B", "bluetooth")
    await installed(records, "3", "C", "wifi")
    await asyncio.sleep(0.002)  # another millisecond
    await installed(records, "4", "A", "wifi")
    broken = await found(records, "5", "B")
    await broken.end("failed")
    (only,) = records.installed("bluetooth")
    assert (only.address, only.model, only.name, only.account, only.id) == ("B", "body", "Scale", "clinic", "2")
    assert only.serial == "told-B"  # by the device, not by the cloud
    assert [d.address for d in records.installed("wifi")] == ["C", "A"]


async def records_are_filtered_and_paged(make: Make) -> None:
    records = make()
    for number in range(7):
        site = "north" if number % 2 else "south"
        await installed(
            records, f"i{number}", f"0{number}", "wifi", site=site, operator="Ann", label=f"Müller_{number}"
        )
    failed = await found(records, "bad", "09", site="south")
    failed.failed("link", "link_refused", "no")
    await failed.end("failed")
    page = records.find(Filter(), 3)
    assert [r["id"] for r in page.records] == ["bad", "i6", "i5"]
    assert page.total == 8
    assert page.next is not None
    await installed(records, "new", "10", "wifi")  # comes in between: nothing is shown twice
    rest = records.find(Filter(), 10, page.next)
    assert [r["id"] for r in rest.records] == ["i4", "i3", "i2", "i1", "i0"]
    assert rest.next is None

    def ids(wanted: Filter) -> list[str]:
        return [r["id"] for r in records.find(wanted).records]

    assert ids(Filter(outcome=("failed",))) == ["bad"]
    assert ids(Filter(site=("north",))) == ["i5", "i3", "i1"]
    assert ids(Filter(site=("north", "south"), outcome=("installed",)))[:2] == ["i6", "i5"]
    assert ids(Filter(text="MÜLLER_3")) == ["i3"]
    assert ids(Filter(text="south link_ref")) == ["bad"]
    assert ids(Filter(text="m%ller")) == []
    assert ids(Filter(model=("sleep",))) == []
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert ids(Filter(since=tomorrow)) == []
    assert len(ids(Filter(until=tomorrow))) == 9
    assert [r["steps"][0]["step"] for r in records.every(Filter(site=("north",)))] == ["find"] * 3


async def a_device_is_installed_by_one_station_at_a_time(make: Make) -> None:
    north, south = make(), make()
    first = await found(north, "1")
    second = south.begin("2", "1.0", Context(station="south"))
    with pytest.raises(InstallerError) as raised:
        await second.set_device("A", name="Scale", model="body", certainty="certain", reasons=[])
    assert code(raised) is ErrorCode.DEVICE_TAKEN
    assert "north" in raised.value.what
    await second.set_device("B", name="Scale", model="body", certainty="certain", reasons=[])
    await first.end("installed")
    await second.set_device("A", name="Scale", model="body", certainty="certain", reasons=[])
    # By changing over, it has given the other device back.
    await found(north, "3", "B")


async def a_lease_ends_by_itself(make: Make) -> None:
    north, south = make(), make()
    lease = north.lease("A", "north", 0.3)
    with pytest.raises(InstallerError):
        south.lease("A", "south", 60)
    lease.renew()
    async with asyncio.timeout(10):
        while True:
            try:
                south.lease("A", "south", 60)
                break
            except InstallerError:
                await asyncio.sleep(0.02)
    with pytest.raises(InstallerError) as raised:
        lease.renew()
    assert code(raised) is ErrorCode.DEVICE_TAKEN
    assert "south" in raised.value.what
    lease.release()  # gives back nothing that is not its own
    with pytest.raises(InstallerError):
        north.lease("A", "north", 60)


async def a_device_that_shows_another_address_keeps_its_record(make: Make) -> None:
    north, south = make(), make()
    record = await found(north, "1")
    await record.step_done("find", 1.0, FOUND, reached="provision")
    await record.sending("A", "Home")
    await record.change_address("B")
    one = north.get("1")
    assert one is not None
    assert (one["address"], one["sent"]["address"], [s["step"] for s in one["steps"]]) == ("B", "B", ["find"])
    # The lease has gone with it.
    with pytest.raises(InstallerError):
        south.lease("B", "south", 60)
    other = south.lease("A", "south", 60)
    with pytest.raises(InstallerError) as raised:
        await record.change_address("A")
    assert code(raised) is ErrorCode.DEVICE_TAKEN
    other.release()


async def nothing_is_sent_after_the_lease_was_lost(make: Make) -> None:
    north, south = make(), make()
    north.lease_seconds = 0.05
    record = await found(north, "1")
    south_record = south.begin("2", "1.0", Context(station="south"))
    async with asyncio.timeout(10):
        while True:
            try:
                await south_record.set_device("A", name="Scale", model="body", certainty="certain", reasons=[])
                break
            except InstallerError:
                await asyncio.sleep(0.02)
    with pytest.raises(InstallerError) as raised:
        await record.sending("A", "Home")
    assert code(raised) is ErrorCode.DEVICE_TAKEN
    assert south.last_provisioned_ssid("A") is None


async def a_silent_installation_is_interrupted_and_can_be_taken_up(make: Make) -> None:
    north, south = make(), make()
    north.lease_seconds = 0.05
    record = await found(north, "1")
    await record.step_done("find", 1.0, FOUND, reached="sync")
    async with asyncio.timeout(10):
        while not (waiting := south.unfinished()):  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.02)
    assert [(r["id"], r["outcome"], r["step"]) for r in waiting] == [("1", "interrupted", "sync")]
    resumed = south.resume("1", "1.1", Context(station="south"))
    await resumed.claim()
    with pytest.raises(InstallerError) as raised:
        await north.resume("1", "1.0").claim()
    assert code(raised) is ErrorCode.DEVICE_TAKEN
    # The one that was silent is told when it speaks again.
    for late in (record.heartbeat(), record.step_done("sync", 1.0, {"method": "wifi"}), record.end("failed")):
        with pytest.raises(InstallerError) as raised:
            await late
        assert code(raised) is ErrorCode.DEVICE_TAKEN
    await resumed.end("installed")
    one = north.get("1")
    assert one is not None
    assert (one["attempts"], one["outcome"], one["version"]) == (2, "installed", "1.1")
    assert north.unfinished() == []


async def what_can_be_gone_on_with_is_listed(make: Make) -> None:
    """Interrupted, failed half-way, stopped after sending; of a device the newest; not what is to be forgotten."""
    records = make()
    made = []
    for number in range(7):
        made.append(await found(records, str(number), f"A{number}"))
        await asyncio.sleep(0.002)  # another millisecond
    early, late, stopped, sent, older, newer, forgotten = made
    early.failed("sync", "sync_wifi_only", "no")
    for record in (late, older, newer, forgotten):
        record.failed("link", "cloud_unreachable", "no")
    for record in (early, late, older, forgotten):
        await record.end("failed")
    await stopped.end("cancelled")
    await sent.sending("A3", "Home")
    await sent.end("cancelled")
    await newer.set_device("A4", name="Scale", model="body", certainty="certain", reasons=[])
    await newer.end("failed")
    records.hide_from_resume("6")
    assert [r["id"] for r in records.unfinished()] == ["5", "3", "1"]
    assert records.unfinished()[0]["failures"]
    again = await found(records, "7", "A1")
    await again.end("installed")
    assert [r["id"] for r in records.unfinished()] == ["5", "3"]
    whole = records.get("6")
    assert whole is not None
    assert whole["outcome"] == "failed"


async def who_was_only_thought_dead_goes_on(make: Make) -> None:
    north, south = make(), make()
    north.lease_seconds = 0.05
    record = await found(north, "1")
    async with asyncio.timeout(10):
        while not south.unfinished():  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.02)
    north.lease_seconds = 60
    with pytest.raises(InstallerError):
        await record.heartbeat()  # its lease was given up with it
    await record.set_device("A", name="Scale", model="body", certainty="certain", reasons=[])
    await record.heartbeat()
    one = south.get("1")
    assert one is not None
    assert one["outcome"] == "running"


async def a_record_that_is_not_there(make: Make) -> None:
    records = make()
    assert records.get("nothing") is None
    with pytest.raises(InstallerError) as raised:
        await records.resume("nothing", "1.0").claim()
    assert code(raised) is ErrorCode.RECORD_UNKNOWN


async def text_that_no_database_holds_is_kept_readable(make: Make) -> None:
    records = make()
    record = records.begin("1", "1.0", Context(label="a\x00b\ud800"))
    await record.set_device("A", name="x\x00y", model="body", certainty="certain", reasons=["r\x00"])
    one = records.get("1")
    assert one is not None
    assert one["name"] == "x\ufffdy"
    assert "\x00" not in str(one)


async def many_stations_race_for_the_same_devices(make: Make) -> None:
    """Each device is taken exactly once."""
    stations = [make() for _ in range(4)]
    taken: list[str] = []

    def work(records: Records, station: str) -> None:
        for number in range(12):
            with contextlib.suppress(InstallerError):
                records.lease(f"D{number}", station, 60)
                taken.append(f"D{number}")

    await asyncio.gather(*(asyncio.to_thread(work, r, f"s{n}") for n, r in enumerate(stations)))
    assert sorted(taken) == sorted(f"D{n}" for n in range(12))


ALL = [
    a_record_is_whole_after_every_step,
    what_was_mended_is_no_error_any_more,
    the_network_that_a_device_got_is_remembered,
    a_device_that_came_by_the_vendors_app_is_remembered,
    the_devices_of_a_sync_method_are_those_last_installed_so,
    records_are_filtered_and_paged,
    a_device_is_installed_by_one_station_at_a_time,
    a_lease_ends_by_itself,
    a_device_that_shows_another_address_keeps_its_record,
    nothing_is_sent_after_the_lease_was_lost,
    a_silent_installation_is_interrupted_and_can_be_taken_up,
    what_can_be_gone_on_with_is_listed,
    who_was_only_thought_dead_goes_on,
    a_record_that_is_not_there,
    text_that_no_database_holds_is_kept_readable,
    many_stations_race_for_the_same_devices,
]
