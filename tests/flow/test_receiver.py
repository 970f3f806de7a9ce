"""From a measurement to the store: the lab's cloud notifies the receiver, which fetches; and what goes wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from installer.catalogue.catalogue import load
from installer.cli.main import _main
from installer.cloud.account import Account
from installer.errors import ErrorCode
from installer.events.notifications import NotificationArrived, NotificationFollowed
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.wake import woken
from installer.lab.cloud.scenario import CloudControl
from installer.ledger.records import Records
from installer.measurements.fetch import Fetched, Fetcher
from installer.measurements.store import Store
from installer.notifications.inbox import Inbox
from installer.notifications.inbox_worker import InboxWorker
from installer.notifications.receiver import Receiver, listen
from installer.notifications.receiver_service import Says, Service
from installer.notifications.setup import NotificationSetup
from installer.notifications.subscriptions import Notifications
from installer.settings import NotificationsSettings
from tests.flow.support import LabWorld, lines
from tests.installer.cloud.world import SCALE, WATCH, Lab, lab

PATH = "a-path-that-nobody-may-see"
PROGRAM = [str(Path(sys.executable).with_name("device-installer"))]


class Heard(Says):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(json=False)
        self.arrivals: list[NotificationArrived] = []
        self.looks: list[NotificationFollowed] = []

    def arrived(self, event: NotificationArrived) -> None:
        self.arrivals.append(event)

    def followed(self, event: NotificationFollowed) -> None:
        self.looks.append(event)


@dataclass
class Station:
    """A receiver and its follower, subscribed at the lab's cloud for a scale and a watch."""

    cloud: Lab
    store: Store
    inbox: Inbox
    heard: Heard
    fetcher: Fetcher
    url: str
    account: Account
    service: Service
    http: httpx.AsyncClient

    async def send(self, **fields: str) -> int:
        """A notification that the cloud did not send."""
        return (await self.http.post(self.url, data=fields)).status_code

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - many things are waited for, in two programs
                await asyncio.sleep(0.005)

    async def quiet(self) -> None:
        """Until nothing is left to look at."""
        await self.until(lambda: len(self.inbox) == 0)

    def weigh(self, grams: int) -> None:
        self.cloud.weigh(SCALE, grams)

    def stored(self) -> list[float]:
        return sorted(float(row.value) for row in self.store.rows(kind="weight") if row.origin == "device")

    def callbacks(self, **changes: Any) -> None:
        self.cloud.store.control(CloudControl.model_validate({"callbacks": changes}))


@asynccontextmanager
async def station(folder: Path, rest: float = 0.0, follow: bool = True, **scenario: Any) -> AsyncIterator[Station]:
    async with lab(folder / "accounts", {"callback_speed": 1e6, **scenario}) as cloud:
        account = await cloud.sign_in()
        for mac in (SCALE, WATCH):
            await account.link(mac)
        inbox = Inbox(folder / "inbox.sqlite")
        heard = Heard()
        desk = NotificationSetup(NotificationsSettings(), lambda: cloud.cloud, folder)
        records = Records(folder / "ledger.sqlite")
        service = Service(cloud.accounts, desk, inbox, heard, records, load(), lab=True)
        listener = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/{PATH}"
        with Store.open(f"sqlite:///{folder / 'store.sqlite'}") as store:
            fetcher = Fetcher(store, cloud.accounts, load())
            service.follower = InboxWorker(inbox, fetcher, service.looked, service.wake, rest=rest, first_wait=0.02)
            web = Receiver(SecretStr(PATH), service.keep)
            client = httpx.AsyncClient(trust_env=False, timeout=20, verify=False)
            async with web.serve(listener), client:
                await desk.subscribe(account, SecretStr(url), (1, 16))
                await fetcher.all()  # what the person typed when signing up is known
                working = asyncio.create_task(service.follower.run()) if follow else None
                try:
                    yield Station(cloud, store, inbox, heard, fetcher, url, account, service, client)
                finally:
                    if working is not None:
                        working.cancel()
                        await asyncio.gather(working, return_exceptions=True)
            inbox.close()
            records.close()


async def test_what_a_device_measures_is_stored_without_being_asked_for(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.weigh(72_350)
        await here.until(lambda: here.stored() == [72.35])
        await here.quiet()
        assert [(a.account, a.kind) for a in here.heard.arrivals] == [("default", "weight")]
        assert [(look.kind, look.new, look.code) for look in here.heard.looks] == [("measurements", 1, "")]


async def test_a_notification_that_gets_lost_is_repeated(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.callbacks(lose=5)
        here.weigh(72_350)
        await here.until(lambda: here.stored() == [72.35])


async def test_one_that_never_comes_is_made_up_for_by_a_look_without_it(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.callbacks(lose=10, remove_after=0)
        here.weigh(72_350)
        await here.until(lambda: here.cloud.store.told["attempts"] == 10)
        assert not here.stored()
        await here.service.poll(0)
        await here.until(lambda: here.stored() == [72.35])


async def test_the_next_notification_brings_what_a_lost_one_told_of(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.callbacks(lose=10, remove_after=0)
        here.weigh(72_350)
        await here.until(lambda: here.cloud.store.told["attempts"] == 10)
        here.weigh(72_400)
        await here.until(lambda: here.stored() == [72.35, 72.4])


async def test_a_doubled_and_a_late_notification_change_nothing(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.callbacks(double=1, delay=0.1)
        here.weigh(72_350)
        await here.service.poll(0)  # faster than the cloud
        await here.until(lambda: here.stored() == [72.35])
        await here.until(lambda: here.cloud.store.told["heard"] == 2)
        await here.quiet()
        assert here.stored() == [72.35]
        assert sum(look.new for look in here.heard.looks) == 1


async def test_a_forged_notification_costs_one_look(tmp_path: Path) -> None:
    async with station(tmp_path, rest=60.0) as here:
        user, before = here.account.userid, here.cloud.calls("/measure getmeas")
        for start in range(200):
            assert await here.send(userid=user, appli="1", startdate=str(start), enddate="4000000000") == 200
        await here.until(lambda: here.heard.looks)
        # One look, and no other for the flood until the rest is over.
        assert here.cloud.calls("/measure getmeas") - before <= 2
        assert len(here.inbox) <= 1
        assert not here.stored()


async def test_unknown_users_and_kinds_cost_nothing_and_learn_nothing(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        user, before = here.account.userid, here.cloud.calls("/measure getmeas")
        for fields in (
            {"userid": "1234567", "appli": "1"},
            {"userid": user, "appli": "53"},
            {"userid": user, "appli": "99"},
            {"userid": user, "appli": "46", "action": "delete"},
        ):
            assert await here.send(**fields) == 200
        await here.quiet()
        assert not here.heard.looks
        assert here.cloud.calls("/measure getmeas") == before
        # What befell the user is told, and believed by nobody: the account is still there.
        assert [a.action for a in here.heard.arrivals if a.action] == ["delete"]
        assert [a.name for a in await here.cloud.accounts.stored()] == ["default"]


async def test_an_account_that_is_signed_in_later_is_known_at_once(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        await here.cloud.accounts.logout("default")
        user = here.account.userid
        assert await here.send(userid=user, appli="1") == 200
        assert not here.heard.arrivals
        await here.cloud.sign_in("again")
        assert await here.send(userid=user, appli="1") == 200
        assert [a.account for a in here.heard.arrivals] == ["again"]


async def test_a_cloud_that_is_away_is_asked_again_until_it_answers(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.cloud.arm(path="/measure", http=503, times=0)
        here.weigh(72_350)
        await here.until(lambda: len(here.heard.looks) >= 2)
        assert {look.code for look in here.heard.looks} == {ErrorCode.CLOUD_UNREACHABLE.value}
        waits = [look.again or 0 for look in here.heard.looks]
        assert waits[1] > waits[0]
        here.cloud.store.control(CloudControl(fail=()))
        await here.until(lambda: here.stored() == [72.35])
        await here.quiet()


async def test_an_account_that_is_signed_out_keeps_no_other_waiting(tmp_path: Path) -> None:
    users = [{"email": f"{n}@example.org", "password": "lab-password"} for n in ("alex", "kim")]
    async with station(tmp_path, users=users) as here:
        # Another person's tokens that are good no more.
        here.cloud.arm(path="/v2/sleep", status=401, times=0)
        assert await here.send(userid=here.account.userid, appli="44") == 200
        await here.until(lambda: here.heard.looks)
        assert here.heard.looks[0].code == ErrorCode.TOKEN_REJECTED.value
        assert (here.heard.looks[0].again or 0) > 60
        here.weigh(72_350)
        await here.until(lambda: here.stored() == [72.35])


async def test_a_disk_that_is_full_for_a_while_ends_nothing(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.inbox._connection.execute("PRAGMA query_only=1")
        assert await here.send(userid=here.account.userid, appli="1") == 503
        await here.service.poll(0)
        here.weigh(72_350)
        await here.until(lambda: here.cloud.store.told["attempts"] >= 2)
        here.inbox._connection.execute("PRAGMA query_only=0")
        await here.until(lambda: here.stored() == [72.35])
        await here.quiet()


async def test_what_comes_during_a_look_is_not_taken_for_done(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        before = here.cloud.calls("/measure getmeas")
        here.cloud.arm(path="/measure", delay=0.3, times=1)
        here.weigh(72_350)
        await here.until(lambda: here.cloud.calls("/measure getmeas") == before + 1)
        assert await here.send(userid=here.account.userid, appli="1") == 200
        await here.until(lambda: len(here.heard.looks) == 2)
        await here.quiet()


async def test_what_the_cloud_removed_is_subscribed_again_at_the_start(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        client = Notifications(here.account)
        await client.revoke(here.url, 1)
        renewing = asyncio.create_task(here.service.renew())
        await here.until(lambda: len(here.cloud.store.subscriptions) == 2)
        renewing.cancel()
        assert sorted(s.appli for s in await client.list()) == [1, 16]
        here.weigh(72_350)
        await here.until(lambda: here.stored() == [72.35])


async def test_what_is_left_in_the_inbox_is_looked_at_after_a_restart(tmp_path: Path) -> None:
    async with station(tmp_path, follow=False) as here:
        here.weigh(72_350)
        await here.until(lambda: len(here.inbox) == 1)
        again = Inbox(tmp_path / "inbox.sqlite")
        looks: list[Fetched | None] = []
        follower = InboxWorker(again, here.fetcher, lambda _e, fetched, _x, _w: looks.append(fetched))
        working = asyncio.create_task(follower.run())
        await here.until(lambda: here.stored() == [72.35])
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        again.close()


async def bluetooth_only(file: Path, number: int, model: str, account: str) -> str:
    """A device of the ledger that syncs by Bluetooth only; its address."""
    records = Records(file)
    address = f"00:24:E4:00:00:{number:02X}"
    record = records.begin(f"{number:012x}", "0.1.0")
    await record.device(address, name=model, model=model, method="bluetooth")
    await record.known(account, [])
    await record.step_done("link", 0.1, {"account": account, "way": "link", "device_id": str(number)})
    await record.end("installed")
    records.close()
    return address


async def test_the_gateway_is_woken_for_the_devices_of_that_kind(tmp_path: Path, home: Path) -> None:
    watch = await bluetooth_only(tmp_path / "ledger.sqlite", 1, "move", "default")
    scale = await bluetooth_only(tmp_path / "ledger.sqlite", 2, "body", "default")
    await bluetooth_only(tmp_path / "ledger.sqlite", 3, "body", "another")
    folder = GatewayFiles.here(lab=True).wake
    async with station(tmp_path) as here:
        await here.service.poll(0)
        await here.quiet()
        assert woken(folder) == set()  # a look without a notification wakes nobody
        assert await here.send(userid=here.account.userid, appli="16", date="2026-11-25") == 200
        await here.quiet()
        assert woken(folder) == {watch}
        here.weigh(72_350)
        await here.until(lambda: here.stored() == [72.35])
        assert woken(folder) == {scale}


# The command itself, as a process.


class Serving:
    """`notifications serve --lab` as a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.words: list[str] = []
        self._start()

    def _start(self) -> None:
        (self.home / "words").parent.mkdir(parents=True, exist_ok=True)
        self._said = (self.home / "words").open("w+b")
        self.process = subprocess.Popen(
            [*PROGRAM, "notifications", "serve", "--lab", "--port", "0", "--poll", "0", "--show-url", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=(self.home / "events").open("wb"),
            stderr=self._said,
        )
        self.url = wait_for(self._address)

    def _address(self) -> str | None:
        assert self.process.poll() is None, self.said()
        for line in self.said().splitlines():
            if line.startswith("Address to register"):
                port = next(e["port"] for e in self.events() if e["event"] == "receiver_ready")
                return line.rpartition(": ")[2].replace(":8085/", f":{port}/")
        return None

    def said(self) -> str:
        return (self.home / "words").read_text("utf-8")

    def events(self) -> list[dict[str, Any]]:
        text = (self.home / "events").read_text("utf-8")
        return lines(text[: text.rfind("\n") + 1])

    def again(self) -> None:
        """Start it anew."""
        self._start()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(timeout=20)
        self._said.close()
        return status


def wait_for(holds: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


@pytest.fixture
def serving(world: LabWorld, home: Path) -> Iterator[Serving]:
    wifi = ["--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"]
    assert _main(["install", "--lab", "--non-interactive", "--device", world.address("body"), *wifi]) == 0
    one = Serving(home)
    yield one
    if one.process.poll() is None:
        one.end()


def post(url: str, **fields: str) -> int:
    return httpx.post(url, data=fields, trust_env=False, timeout=20, verify=False).status_code


def test_killed_between_answer_and_fetch(world: LabWorld, serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    followed = lambda: [e for e in serving.events() if e["event"] == "notification_followed"]  # noqa: E731
    wait_for(lambda: len(followed()) >= 3)  # what it looks at by itself when it starts
    userid = next(a["userid"] for a in world.call("GET", "/lab/state")["cloud"]["accounts"])
    world.cloud(down=True)
    world.act("body", "measure")
    assert post(serving.url, userid=userid, appli="1") == 200
    assert serving.end(signal.SIGKILL) == -signal.SIGKILL
    inbox = Inbox(serving.home / "data" / "lab-notifications-inbox.sqlite")
    assert [(e.userid, e.appli) for e in inbox.due(time.time() + 3600)] == [(userid, 1)]
    inbox.close()
    world.cloud(down=False)
    serving.again()
    wait_for(lambda: any(e["kind"] == "measurements" and not e["code"] for e in followed()))
    assert serving.end() == 0


def test_it_ends_in_order_and_shows_its_secret_only_when_asked(serving: Serving) -> None:
    secret = serving.url.rpartition("/")[2]
    assert len(secret) >= 32
    assert serving.said().count(secret) == 1
    assert secret not in (serving.home / "events").read_text("utf-8")
    file = serving.home / "data" / "lab-notifications-path"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text("utf-8").strip() == secret
    assert serving.end(signal.SIGINT) == 0
    assert "Traceback" not in serving.said()


def test_a_second_receiver_is_told_that_there_is_one(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["notifications", "serve", "--lab", "--port", "0"]) == ErrorCode.RECEIVER_FAILED.exit_status
    assert "another one runs already" in capsys.readouterr().err
    os.kill(serving.process.pid, 0)
