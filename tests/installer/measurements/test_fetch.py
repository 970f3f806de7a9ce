"""Fetching into the store: real HTTP against the lab's cloud, and against one that answers what a test writes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from installer.catalogue.model import DataService
from installer.cli.measurement_printer import MeasurementPrinter
from installer.cloud import client
from installer.cloud.account_file import Application
from installer.cloud.accounts import Accounts
from installer.cloud.token_store import TokenStore
from installer.errors import ErrorCode, InstallerError
from installer.lab.cloud.store import Sample
from installer.measurements import fetch
from installer.measurements.fetch import Fetcher
from installer.measurements.store import Added, Store
from installer.storage import database
from tests.installer.cloud.world import (
    CUFF,
    MAT,
    MODELS,
    SCALE,
    THERMO,
    WATCH,
    Lab,
    Odd,
    bad,
    lab,
    odd,
    ok,
    settings,
    tokens,
)
from tests.installer.measurements.store_behaviours import as_version_1
from tests.installer.storage.file_changes import CHANGES, back_up, change_file

DATE = 1_730_003_600
NOTHING: dict[str, list[Any]] = {
    "getmeas": [ok({"measuregrps": []})],
    "getactivity": [ok({"activities": [], "more": False})],
    "getsummary": [ok({"series": []})],
    "getdevice": [ok({"devices": []})],
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(database.sqlite_url(tmp_path / "store.sqlite")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(client, "FIRST_WAIT", 0.001)


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path / "accounts", {"page_size": 2}) as running:
        for mac in (SCALE, MAT, WATCH, CUFF, THERMO):
            running.store.link_with_vendor_app(mac)
        await running.sign_in()
        yield running


def fetcher(practice: Lab, store: Store) -> Fetcher:
    return Fetcher(store, practice.accounts, MODELS)


def deliver(practice: Lab, mac: str, service: Any, **values: Any) -> None:
    assert practice.store.store_sample(mac, Sample(date=time.time(), service=service, values=values))


def measured(store: Store) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for row in store.rows():
        if row.origin == "device":
            found.setdefault((row.model, row.kind), []).append(f"{row.value:f} {row.unit}")
    return found


async def test_each_service_into_the_store(practice: Lab, store: Store) -> None:
    now = int(time.time())
    practice.weigh(SCALE)
    deliver(practice, CUFF, "getmeas", measures=[{"type": t, "value": v, "unit": 0} for t, v in ((10, 121), (9, 79))])
    deliver(practice, THERMO, "getmeas", measures=[{"type": 71, "value": 3672, "unit": -2}])
    deliver(practice, WATCH, "getactivity", date="2026-11-24", steps=4200, distance=3010.5)
    deliver(practice, MAT, "getsummary", startdate=now - 27_000, enddate=now, data={"total_sleep_time": 24_600})
    [ended] = await fetcher(practice, store).fetch_all()
    assert (ended.error, ended.new, ended.changed, ended.not_understood, ended.not_granted) == (None, 9, 0, 0, [])
    assert measured(store) == {
        ("body-plus", "weight"): ["72.35 kg"],
        ("bpm-connect", "systolic pressure"): ["121 mmHg"],
        ("bpm-connect", "diastolic pressure"): ["79 mmHg"],
        ("thermo", "temperature"): ["36.72 °C"],
        ("move", "steps"): ["4200 steps"],
        ("move", "distance"): ["3010.5 m"],
        ("sleep", "time asleep"): ["24600 s"],
    }
    # What the person typed when signing up is kept apart.
    assert {r.kind for r in store.rows() if r.origin == "person"} == {"weight", "height"}
    names = {d.name for d in store.devices().values()}
    assert names == {"Body+", "BPM Connect", "Thermo", "Move", "Sleep"}


async def test_only_what_is_new_comes_again(practice: Lab, store: Store) -> None:
    for n in range(5):
        practice.weigh(SCALE, 70_000 + n)
    told: list[Added] = []
    asked = practice.calls("/v2/user getdevice")  # who signs in is shown with the devices
    getting = Fetcher(store, practice.accounts, MODELS, told.append)
    assert (await getting.fetch_all())[0].new == 7
    assert sum(len(t.new) for t in told) == 7
    told.clear()
    assert (await getting.fetch_all())[0].new == 0
    assert told == []
    practice.weigh(SCALE, 71_000)
    assert (await getting.fetch_all())[0].new == 1
    assert [r.value for t in told for r in t.new] == [Decimal(71)]
    # What the devices are called is asked once, also by the next program.
    await Fetcher(store, practice.accounts, MODELS).fetch_all()
    assert practice.calls("/v2/user getdevice") == asked + 1


async def test_a_day_that_grows_is_one_value(practice: Lab, store: Store) -> None:
    deliver(practice, WATCH, "getactivity", date="2026-11-24", steps=800)
    await fetcher(practice, store).fetch_all()
    practice.store.clock = lambda: time.time() + 60
    deliver(practice, WATCH, "getactivity", date="2026-11-24", steps=1600)
    [ended] = await fetcher(practice, store).fetch_all()
    assert (ended.new, ended.changed) == (0, 1)
    assert measured(store) == {("move", "steps"): ["1600 steps"]}


async def test_what_was_corrected_takes_the_place_of_the_old(tmp_path: Path, store: Store) -> None:
    first, corrected = group(1, 72_350), group(1, 68_000, modified=DATE + 500)
    async with accounts_at({**NOTHING, "getmeas": [measures(first), measures(corrected)]}, tmp_path) as (_, accounts):
        getting = Fetcher(store, accounts, MODELS)
        await getting.fetch_all()
        assert ((await getting.fetch_all())[0].new, [r.value for r in store.rows()]) == (0, [68])


async def test_without_the_scope_a_service_is_left_out(practice: Lab, store: Store) -> None:
    practice.weigh(SCALE)
    application = Application.of(practice.cloud)
    kept = await TokenStore(practice.folder, "file").load(application, "default")
    assert kept is not None
    narrow = kept.tokens.model_copy(update={"scope": "user.info,user.metrics"})
    await TokenStore(practice.folder, "file").save(application, "default", narrow)
    [ended] = await fetcher(practice, store).fetch_all()
    assert ended.not_granted == [DataService.ACTIVITY, DataService.SLEEP]
    assert (ended.error, ended.new) == (None, 3)
    assert practice.calls("/v2/measure getactivity") == 0


async def test_a_service_that_fails_does_not_stop_the_others(practice: Lab, store: Store) -> None:
    deliver(practice, WATCH, "getactivity", date="2026-11-24", steps=800)
    practice.arm(path="/measure", action="getmeas", status=2555)
    [ended] = await fetcher(practice, store).fetch_all()
    assert ended.error is not None
    assert ended.error.code is ErrorCode.CLOUD_FAILED
    assert measured(store) == {("move", "steps"): ["800 steps"]}
    [ended] = await fetcher(practice, store).fetch_all()
    assert (ended.error, ended.new) == (None, 2)


async def test_one_account_that_fails_does_not_stop_the_others(practice: Lab, store: Store) -> None:
    practice.weigh(SCALE)
    dead = tokens(userid="40000099", scope="")
    await TokenStore(practice.folder, "file").save(Application.of(practice.cloud), "dead", dead)
    dead_one, living = sorted(await fetcher(practice, store).fetch_all(), key=lambda e: e.account == "default")
    assert dead_one.error is not None
    assert dead_one.error.code is ErrorCode.TOKEN_REJECTED
    assert (living.error, living.new) == (None, 3)


async def test_accounts_are_chosen_by_name(practice: Lab, store: Store) -> None:
    with pytest.raises(InstallerError) as caught:
        await fetcher(practice, store).fetch_all(["nobody"])
    assert caught.value.code is ErrorCode.ACCOUNT_UNKNOWN
    await practice.sign_in("again")
    # The same user under two names is asked for once.
    assert [e.account for e in await fetcher(practice, store).fetch_all()] == ["again"]
    assert [e.account for e in await fetcher(practice, store).fetch_all(["default"])] == ["default"]


async def test_no_account_at_all_is_said(tmp_path: Path, store: Store) -> None:
    async with lab(tmp_path / "none") as empty:
        with pytest.raises(InstallerError) as caught:
            await fetcher(empty, store).fetch_all()
    assert caught.value.code is ErrorCode.ACCOUNT_UNKNOWN
    assert "account login" in caught.value.todo


# What a notification tells of.


async def test_a_notification_fetches_its_user_and_service(practice: Lab, store: Store) -> None:
    practice.weigh(SCALE)
    deliver(practice, WATCH, "getactivity", date="2026-11-24", steps=800)
    now = int(time.time())
    getting = fetcher(practice, store)
    ended = await getting.fetch("40000001", 1, now - 5, now + 5)
    assert ended is not None
    assert (ended.new, ended.error) == (3, None)
    assert practice.calls("/v2/measure getactivity") == 0
    # The same once more does no harm, and what is known to be there is not looked for twice.
    again = await getting.fetch("40000001", 1, now - 5, now + 5)
    assert again is not None
    assert again.new == 0
    assert practice.calls("/measure getmeas") == 2 + 2  # pages of two
    activity = await getting.fetch("40000001", 16)
    assert activity is not None
    assert activity.new == 1


@pytest.mark.parametrize(("userid", "appli"), [("4711", 1), ("", 1), ("40000001", 46), ("40000001", 50)])
async def test_what_is_nobodys_or_no_data_asks_nothing(practice: Lab, store: Store, userid: str, appli: int) -> None:
    assert await fetcher(practice, store).fetch(userid, appli, 1, 2) is None
    assert practice.calls("/measure getmeas") == 0


async def test_what_a_notification_tells_of_is_looked_for_by_its_time_too(tmp_path: Path, store: Store) -> None:
    def answer(form: dict[str, str]) -> Any:
        return measures(group(1, 72_350)) if "startdate" in form else measures()

    async with accounts_at({**NOTHING, "getmeas": [answer]}, tmp_path) as (cloud, accounts):
        ended = await Fetcher(store, accounts, MODELS).fetch("7", 1, DATE - 10, DATE + 10)
    assert ended is not None
    assert ended.new == 1
    assert asked(cloud, "startdate") == [None, str(DATE - 12)]


@pytest.mark.parametrize("window", [(None, None), (5, 1), (-(10**18), 10**18), (None, 3)])
async def test_an_odd_window_is_none(practice: Lab, store: Store, window: tuple[Any, Any]) -> None:
    practice.weigh(SCALE)
    ended = await fetcher(practice, store).fetch("40000001", 1, *window)
    assert ended is not None
    assert (ended.new, ended.error) == (3, None)


# Time zones.


async def test_what_version_1_stored_is_fetched_once_more_for_its_zone(tmp_path: Path) -> None:
    url = database.sqlite_url(tmp_path / "store.sqlite")
    day = {"date": "2026-11-24", "deviceid": "d2", "is_tracker": True, "modified": DATE, "steps": 800}
    days = ok({"activities": [{**day, "timezone": "Pacific/Kiritimati"}], "more": False})
    answers = {**NOTHING, "getmeas": [measures(group(1), timezone="Asia/Kolkata")], "getactivity": [days]}
    async with accounts_at(answers, tmp_path) as (cloud, accounts):
        with Store.open(url) as store:
            await Fetcher(store, accounts, MODELS).fetch_all()
            right = list(store.rows())
        as_version_1(url)
        with Store.open(url) as store:
            [ended] = await Fetcher(store, accounts, MODELS).fetch_all()
            assert (ended.new, ended.changed, ended.placed, ended.unknown_zones) == (0, 0, 2, set())
            assert list(store.rows()) == right
            [ended] = await Fetcher(store, accounts, MODELS).fetch_all()
            assert ended.placed == 0
    # From the first value on, once; the cursor stays.
    assert asked(cloud, "startdate") == [None, str(DATE - 2), None, None]


@pytest.mark.parametrize("zone", ["Pacific/Pago_Pago", "Europe/Paris", "Pacific/Kiritimati"])
async def test_a_notification_of_a_date_finds_the_day_of_the_person_at_once(
    tmp_path: Path, store: Store, zone: str
) -> None:
    day = {"date": "2026-11-24", "timezone": zone, "deviceid": "d2", "is_tracker": True, "modified": DATE, "steps": 800}
    answers = {**NOTHING, "getactivity": [ok({"activities": [day], "more": False})]}
    midnight = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp())
    async with accounts_at(answers, tmp_path) as (cloud, accounts):
        ended = await Fetcher(store, accounts, MODELS).fetch("7", 16, midnight)
    assert ended is not None
    assert ended.new == 1
    assert [form["action"] for _, form, _ in cloud.requests].count("getactivity") == 1


async def test_a_zone_that_is_not_known_is_told_once(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {**NOTHING, "getmeas": [measures(group(1), timezone="Mars/Olympus")]}
    async with accounts_at(answers, tmp_path) as (_, accounts):
        [ended] = await Fetcher(store, accounts, MODELS).fetch_all()
    assert (ended.new, ended.unknown_zones) == (1, {"Mars/Olympus"})
    printer = MeasurementPrinter(store, json=True)
    for _ in range(2):
        printer.round_ended([ended])
    said = capsys.readouterr()
    assert said.err.count("“Mars/Olympus”") == 1
    assert '"unknown_zones":["Mars/Olympus"]' in said.out


# Pages, and up to where it was fetched.


def group(number: int, grams: int = 70_000, **more: Any) -> dict[str, Any]:
    return {
        "grpid": number,
        "date": DATE,
        "modified": DATE,
        "category": 1,
        "hash_deviceid": "d1",
        "modelid": 5,
        "measures": [{"value": grams, "type": 1, "unit": -3}],
        **more,
    }


def measures(*groups: Any, **more: Any) -> dict[str, Any]:
    return ok({"measuregrps": list(groups), **more})


@asynccontextmanager
async def accounts_at(answers: dict[str, list[Any]], folder: Path) -> AsyncIterator[tuple[Odd, Accounts]]:
    async with odd(**answers) as cloud:
        own = settings(cloud.base)
        kept = TokenStore(folder / "accounts", "file")
        await kept.save(Application.of(own), "default", tokens(scope=""))
        accounts = Accounts(own, kept)
        try:
            yield cloud, accounts
        finally:
            await accounts.close()


def asked(cloud: Odd, field: str) -> list[str | None]:
    return [form.get(field) for _, form, _ in cloud.requests if form["action"] == "getmeas"]


async def test_the_next_fetch_begins_a_while_before_the_newest_change(tmp_path: Path, store: Store) -> None:
    answers = {**NOTHING, "getmeas": [measures(group(1), group(2, modified=DATE + 9)), measures()]}
    async with accounts_at(answers, tmp_path) as (cloud, accounts):
        for _ in range(3):
            await Fetcher(store, accounts, MODELS).fetch_all()
    assert asked(cloud, "lastupdate") == [
        None,
        str(DATE + 9 - fetch.OVERLAP_SECONDS),
        str(DATE + 9 - fetch.OVERLAP_SECONDS),
    ]


@pytest.mark.parametrize(("more", "offset"), [(1, 2), (True, 2), ("1", "2"), (2, 2)])
async def test_every_page_is_read(tmp_path: Path, store: Store, more: Any, offset: Any) -> None:
    pages = [measures(group(1), group(2), more=more, offset=offset), measures(group(3), more=0, offset=0)]
    async with accounts_at({**NOTHING, "getmeas": pages}, tmp_path) as (cloud, accounts):
        [ended] = await Fetcher(store, accounts, MODELS).fetch_all()
    assert (ended.new, ended.error) == (3, None)
    assert asked(cloud, "offset") == [None, "2"]


@pytest.mark.parametrize("offset", [None, 0, "next", True, -1, []])
async def test_pages_without_end_are_an_error_not_a_loop(tmp_path: Path, store: Store, offset: Any) -> None:
    answers = {**NOTHING, "getmeas": [measures(group(1), more=1, offset=offset)]}
    async with accounts_at(answers, tmp_path) as (cloud, accounts):
        [ended] = await Fetcher(store, accounts, MODELS).fetch_all()
        assert ended.error is not None
        assert ended.error.code is ErrorCode.CLOUD_FAILED
        assert ended.new == 1
        # What was there is kept, but nobody takes the rest for fetched.
        await Fetcher(store, accounts, MODELS).fetch_all()
    assert asked(cloud, "lastupdate") == [None, None]


async def test_a_fetch_that_ends_in_the_middle_leaves_no_gap(tmp_path: Path, store: Store) -> None:
    pages = [measures(group(1, modified=DATE + 99), more=1, offset=1), bad(503), measures(group(1), group(2))]
    async with accounts_at({**NOTHING, "getmeas": pages}, tmp_path) as (cloud, accounts):
        getting = Fetcher(store, accounts, MODELS)
        assert (await getting.fetch_all())[0].error is not None
        assert (await getting.fetch_all())[0].new == 1
    assert asked(cloud, "lastupdate") == [None, None, None]
    assert store.count() == 2


async def test_a_change_from_the_future_hides_nothing(tmp_path: Path, store: Store) -> None:
    answers = {**NOTHING, "getmeas": [measures(group(1, modified=int(time.time()) + 10**7)), measures()]}
    async with accounts_at(answers, tmp_path) as (cloud, accounts):
        await Fetcher(store, accounts, MODELS).fetch_all()
        await Fetcher(store, accounts, MODELS).fetch_all()
    assert int(asked(cloud, "lastupdate")[1] or 0) <= time.time() - fetch.OVERLAP_SECONDS + 60


async def test_what_cannot_be_understood_is_counted(tmp_path: Path, store: Store) -> None:
    answers = {**NOTHING, "getmeas": [measures(group(1), "nonsense", 7, None)]}
    async with accounts_at(answers, tmp_path) as (_, accounts):
        [ended] = await Fetcher(store, accounts, MODELS).fetch_all()
    assert (ended.new, ended.not_understood) == (1, 3)


@pytest.mark.parametrize("body", [[], None, {}, {"measuregrps": {}}, {"measuregrps": None, "more": False}])
async def test_an_answer_without_anything_is_nothing(tmp_path: Path, store: Store, body: Any) -> None:
    answers = {**NOTHING, "getmeas": [{"status": 0, "body": body}]}
    async with accounts_at(answers, tmp_path) as (_, accounts):
        [ended] = await Fetcher(store, accounts, MODELS).fetch_all()
    assert (ended.new, ended.error) == (0, None)


async def test_since_looks_at_what_was_measured_from_then_on(tmp_path: Path, store: Store) -> None:
    since = datetime(2026, 11, 1, tzinfo=UTC)
    async with accounts_at({**NOTHING, "getmeas": [measures(group(1))]}, tmp_path) as (cloud, accounts):
        getting = Fetcher(store, accounts, MODELS)
        await getting.fetch_all(since=since)
        # The first time it also says where to go on; later it must not pass over anything.
        assert store.cursor("lab 7", "getmeas") == DATE
        await getting.fetch_all(since=since + timedelta(days=1))
    assert asked(cloud, "startdate") == [str(int(since.timestamp())), str(int(since.timestamp()) + 86_400)]
    days = [form["startdateymd"] for _, form, _ in cloud.requests if form["action"] == "getactivity"]
    assert days == ["2026-10-31", "2026-11-01"]


async def test_a_database_that_fails_ends_it_all(practice: Lab, store: Store, tmp_path: Path) -> None:
    practice.weigh(SCALE)
    import sqlite3

    with sqlite3.connect(tmp_path / "store.sqlite") as other:
        other.execute("DROP TABLE measurements")
    with pytest.raises(InstallerError) as caught:
        await fetcher(practice, store).fetch_all()
    assert caught.value.code is ErrorCode.DATABASE_FAILED


async def test_two_at_once_store_everything_once(practice: Lab, store: Store, tmp_path: Path) -> None:
    for number in range(30):
        practice.weigh(SCALE, 70_000 + number)
    other = practice.another()
    with Store.open(database.sqlite_url(tmp_path / "store.sqlite")) as same:
        both = await asyncio.gather(fetcher(practice, store).fetch_all(), Fetcher(same, other, MODELS).fetch_all())
    await other.close()
    assert [ended.error for [ended] in both] == [None, None]
    assert sum(ended.new for [ended] in both) == store.count() == 32


KILLED = """
import asyncio, sys
from pathlib import Path
from pydantic import SecretStr
from installer.catalogue import catalogue_file
from installer.cloud.accounts import Accounts
from installer.cloud.token_store import TokenStore
from installer.measurements.fetch import Fetcher
from installer.measurements.store import Store
from installer.settings import CloudSettings

async def main():
    cloud = CloudSettings().at_lab(sys.argv[1], "lab-client", SecretStr("lab-secret"))
    with Store.open(sys.argv[3]) as store:
        await Fetcher(store, Accounts(cloud, TokenStore(Path(sys.argv[2]), "file")), catalogue_file.load()).fetch_all()

asyncio.run(main())
"""


async def test_a_fetch_that_is_killed_leaves_no_gap(tmp_path: Path, store: Store) -> None:
    third = asyncio.Event()
    alive = True

    async def page(form: dict[str, str]) -> Any:
        number = int(form.get("offset", "0"))
        if number == 2 and alive:
            third.set()
            await asyncio.sleep(60)
        # The newest first: what is stored before the kill is newer than what is not.
        return measures(
            group(number, 70_000 + number, modified=DATE + 9 - number), more=int(number < 4), offset=number + 1
        )

    async with accounts_at({**NOTHING, "getmeas": [page]}, tmp_path) as (cloud, accounts):
        url = database.sqlite_url(tmp_path / "store.sqlite")
        program = await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", KILLED, cloud.base, str(tmp_path / "accounts"), url],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        try:
            await asyncio.wait_for(third.wait(), 30)
        finally:
            program.kill()
            await program.wait()
        alive = False
        assert store.count() == 2
        [ended] = await Fetcher(store, accounts, MODELS).fetch_all()
    assert (ended.new, store.count()) == (3, 5)
    assert sorted(int(row.value * 1000) for row in store.rows()) == [70_000 + n for n in range(5)]


async def test_a_fetch_that_is_cancelled_ends(tmp_path: Path, store: Store) -> None:
    asked_for = asyncio.Event()

    async def never(_form: dict[str, str]) -> Any:
        asked_for.set()
        await asyncio.sleep(60)

    async with accounts_at({**NOTHING, "getmeas": [never]}, tmp_path) as (_, accounts):
        task = asyncio.create_task(Fetcher(store, accounts, MODELS).fetch_all())
        await asyncio.wait_for(asked_for.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("kind", CHANGES)
async def test_a_file_that_is_replaced_during_a_fetch_has_all_at_its_end(
    practice: Lab, store: Store, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "store.sqlite"
    practice.weigh(SCALE, 69_000)
    getting = fetcher(practice, store)
    await getting.fetch_all()
    backup = back_up(path)
    for n in range(5):
        practice.weigh(SCALE, 70_000 + n)
    pages: list[Added] = []

    def stored(added: Added) -> None:
        pages.append(added)
        if len(pages) == 1:
            change_file(kind, path, backup)

    [ended] = await Fetcher(store, practice.accounts, MODELS, stored).fetch_all()
    assert ended.error is None
    # `data show`, in another process.
    with Store.open(database.sqlite_url(path)) as reader:
        weights = [row.value for row in reader.rows(kind="weight") if row.origin == "device"]
        assert sorted(weights) == [Decimal(69), *(Decimal(70_000 + n) / 1000 for n in range(5))]
        assert len(reader.devices()) >= 1
    assert (await getting.fetch_all())[0].new == 0


async def test_watching_goes_on_in_the_file_at_the_path_and_fetches_what_it_lacks(
    practice: Lab, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "store.sqlite"
    getting = fetcher(practice, store)
    for grams in (70_000, 71_000):
        practice.weigh(SCALE, grams)
        await getting.fetch_all()
    path.rename(tmp_path / "tidied-up.sqlite")
    practice.weigh(SCALE, 72_000)
    [ended] = await getting.fetch_all()
    with Store.open(database.sqlite_url(path)) as reader:
        weights = [row.value for row in reader.rows(kind="weight") if row.origin == "device"]
        assert sorted(weights) == [70, 71, 72]
    assert ended.new
    assert "was renamed to tidied-up.sqlite while this program used it" in capsys.readouterr().err


async def test_a_damaged_account_is_an_error_of_its_own_and_hides_no_notification(practice: Lab, store: Store) -> None:
    practice.weigh(SCALE)
    [path] = practice.folder.glob("*.json")
    content = path.read_bytes()
    path.write_bytes(b"")
    getting = fetcher(practice, store)
    [ended] = await getting.fetch_all()
    assert (ended.account, ended.new) == ("default", 0)
    # Whose file it is cannot be told, so the notification must stay in the inbox.
    kept = await getting.fetch("40000001", 1)
    for one in (ended, kept):
        assert one is not None
        assert one.error is not None
        assert one.error.code is ErrorCode.SECRET_UNAVAILABLE
        assert str(path) in one.error.what
    path.write_bytes(content)
    [ended] = await getting.fetch_all()
    assert (ended.error, ended.new) == (None, 3)
    assert await getting.fetch("40000777", 1) is None
