"""From a measurement to the store: the lab's cloud notifies the receiver, which fetches the data; and faults."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from installer.catalogue.catalogue_file import load
from installer.cli.main import _main
from installer.cloud.account import Account
from installer.errors import ErrorCode
from installer.events.json_lines import Event
from installer.events.notifications import NotificationArrived, NotificationFollowed
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.wake import take_wake_requests
from installer.lab.cloud.scenario import CloudControl
from installer.ledger.records import Records
from installer.measurements.fetch import Fetched, Fetcher
from installer.measurements.store import Store
from installer.notifications.callback_setup import NotificationSetup
from installer.notifications.inbox import Inbox
from installer.notifications.inbox_worker import RETRY_BACKOFF, InboxWorker
from installer.notifications.receiver import Receiver, listen
from installer.notifications.receiver_service import ReceiverOutput, ReceiverService
from installer.notifications.subscriptions import AccountSubscriptions
from installer.settings import NotificationsSettings
from installer.storage.file_lock import lock_file_at
from tests.flow.support import LabWorld, lines
from tests.installer.cloud.world import SCALE, WATCH, Lab, lab

PATH = "a-path-that-nobody-may-see"
PROGRAM = [str(Path(sys.executable).with_name("device-installer"))]


class RecordedOutput(ReceiverOutput):
    """Records what is printed."""

    def __init__(self) -> None:
        super().__init__(json=False)
        self.arrivals: list[NotificationArrived] = []
        self.fetches: list[NotificationFollowed] = []
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def arrived(self, event: NotificationArrived) -> None:
        self.arrivals.append(event)

    def followed(self, event: NotificationFollowed) -> None:
        self.fetches.append(event)


@dataclass
class Station:
    """A receiver and its worker, subscribed at the lab's cloud for a scale and a watch."""

    cloud: Lab
    store: Store
    inbox: Inbox
    output: RecordedOutput
    fetcher: Fetcher
    url: str
    account: Account
    service: ReceiverService
    http: httpx.AsyncClient

    async def send(self, **fields: str) -> int:
        """A notification that the cloud did not send."""
        return (await self.http.post(self.url, data=fields)).status_code

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - many things are waited for, in two programs
                await asyncio.sleep(0.005)

    async def quiet(self) -> None:
        """Wait until the inbox is empty, and its worker has told what it did."""
        worker = self.service.worker
        await self.until(lambda: len(self.inbox) == 0 and not (worker and worker._fetching))

    def weigh(self, grams: int) -> None:
        self.cloud.weigh(SCALE, grams)

    def stored(self) -> list[float]:
        return sorted(float(row.value) for row in self.store.rows(kind="weight") if row.origin == "device")

    def callbacks(self, **changes: Any) -> None:
        self.cloud.store.apply_control(CloudControl.model_validate({"callbacks": changes}))


@asynccontextmanager
async def station(folder: Path, cooldown: float = 0.0, follow: bool = True, **scenario: Any) -> AsyncIterator[Station]:
    async with lab(folder / "accounts", {"callback_speed": 1e6, **scenario}) as cloud:
        account = await cloud.sign_in()
        for mac in (SCALE, WATCH):
            await account.link(mac)
        inbox = Inbox(folder / "inbox.sqlite")
        recorded = RecordedOutput()
        setup = NotificationSetup(NotificationsSettings(), lambda: cloud.cloud, folder)
        records = Records(folder / "ledger.sqlite")
        service = ReceiverService(cloud.accounts, setup, inbox, recorded, records, load(), lab=True)
        listener = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/{PATH}"
        with Store.open(f"sqlite:///{folder / 'store.sqlite'}") as store:
            fetcher = Fetcher(store, cloud.accounts, load())
            service.worker = InboxWorker(
                inbox,
                fetcher,
                service.fetched,
                service.wake_gateway,
                cooldown=cooldown,
                backoff=replace(RETRY_BACKOFF, first=0.02),
            )
            web = Receiver(SecretStr(PATH), service.store)
            client = httpx.AsyncClient(trust_env=False, timeout=20, verify=False)
            async with web.serve(listener), client:
                await setup.subscribe(account, SecretStr(url), (1, 16))
                await fetcher.fetch_all()  # reads the values that the person typed when signing up
                working = asyncio.create_task(service.worker.run()) if follow else None
                try:
                    yield Station(cloud, store, inbox, recorded, fetcher, url, account, service, client)
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
        assert [(a.account, a.kind) for a in here.output.arrivals] == [("default", "weight")]
        assert [(fetch.kind, fetch.new, fetch.code) for fetch in here.output.fetches] == [("measurements", 1, "")]


async def test_a_notification_that_gets_lost_is_repeated(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.callbacks(lose=5)
        here.weigh(72_350)
        await here.until(lambda: here.stored() == [72.35])


async def test_polling_finds_the_data_of_a_lost_notification(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.callbacks(lose=10, remove_after=0)
        here.weigh(72_350)
        await here.until(lambda: here.cloud.store.notification_counts["attempts"] == 10)
        assert not here.stored()
        await here.service.poll(0)
        await here.until(lambda: here.stored() == [72.35])


async def test_the_next_notification_brings_what_a_lost_one_told_of(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.callbacks(lose=10, remove_after=0)
        here.weigh(72_350)
        await here.until(lambda: here.cloud.store.notification_counts["attempts"] == 10)
        here.weigh(72_400)
        await here.until(lambda: here.stored() == [72.35, 72.4])


async def test_a_doubled_and_a_late_notification_change_nothing(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.callbacks(double=1, delay=0.1)
        here.weigh(72_350)
        await here.service.poll(0)  # faster than the cloud
        await here.until(lambda: here.stored() == [72.35])
        await here.until(lambda: here.cloud.store.notification_counts["heard"] == 2)
        await here.quiet()
        assert here.stored() == [72.35]
        assert sum(fetch.new for fetch in here.output.fetches) == 1


async def test_forged_notifications_cost_one_fetch(tmp_path: Path) -> None:
    async with station(tmp_path, cooldown=60.0) as here:
        user, before = here.account.userid, here.cloud.calls("/measure getmeas")
        for start in range(200):
            assert await here.send(userid=user, appli="1", startdate=str(start), enddate="4000000000") == 200
        await here.until(lambda: here.output.fetches)
        # One fetch, and no other one before the cooldown is over.
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
        assert not here.output.fetches
        assert here.cloud.calls("/measure getmeas") == before
        # The action is printed and nothing else happens: the account is still there.
        assert [a.action for a in here.output.arrivals if a.action] == ["delete"]
        assert [a.name for a in await here.cloud.accounts.stored()] == ["default"]


async def test_an_account_that_is_signed_in_later_is_known_at_once(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        await here.cloud.accounts.logout("default")
        user = here.account.userid
        assert await here.send(userid=user, appli="1") == 200
        assert not here.output.arrivals
        await here.cloud.sign_in("again")
        assert await here.send(userid=user, appli="1") == 200
        assert [a.account for a in here.output.arrivals] == ["again"]


async def test_a_cloud_that_is_away_is_asked_again_until_it_answers(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.cloud.arm(path="/measure", http=503, times=0)
        here.weigh(72_350)
        await here.until(lambda: len(here.output.fetches) >= 2)
        assert {fetch.code for fetch in here.output.fetches} == {ErrorCode.CLOUD_UNREACHABLE.value}
        waits = [fetch.again or 0 for fetch in here.output.fetches]
        assert waits[1] > waits[0]
        here.cloud.store.apply_control(CloudControl(fail=()))
        await here.until(lambda: here.stored() == [72.35])
        await here.quiet()


async def test_an_account_that_is_signed_out_keeps_no_other_waiting(tmp_path: Path) -> None:
    users = [{"email": f"{n}@example.org", "password": "lab-password"} for n in ("alex", "kim")]
    async with station(tmp_path, users=users) as here:
        # The tokens of another person are no longer valid.
        here.cloud.arm(path="/v2/sleep", status=401, times=0)
        assert await here.send(userid=here.account.userid, appli="44") == 200
        await here.until(lambda: here.output.fetches)
        assert here.output.fetches[0].code == ErrorCode.TOKEN_REJECTED.value
        assert (here.output.fetches[0].again or 0) > 60
        here.weigh(72_350)
        await here.until(lambda: here.stored() == [72.35])


async def test_a_disk_that_is_full_for_a_while_ends_nothing(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        here.inbox._connection.execute("PRAGMA query_only=1")
        assert await here.send(userid=here.account.userid, appli="1") == 503
        await here.service.poll(0)
        here.weigh(72_350)
        await here.until(lambda: here.cloud.store.notification_counts["attempts"] >= 2)
        here.inbox._connection.execute("PRAGMA query_only=0")
        await here.until(lambda: here.stored() == [72.35])
        await here.quiet()


async def test_a_notification_during_a_fetch_is_not_lost(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        before = here.cloud.calls("/measure getmeas")
        here.cloud.arm(path="/measure", delay=0.3, times=1)
        here.weigh(72_350)
        await here.until(lambda: here.cloud.calls("/measure getmeas") == before + 1)
        assert await here.send(userid=here.account.userid, appli="1") == 200
        await here.until(lambda: len(here.output.fetches) == 2)
        await here.quiet()


async def test_what_the_cloud_removed_is_subscribed_again_at_the_start(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        client = AccountSubscriptions(here.account)
        await client.revoke(here.url, 1)
        renewing = asyncio.create_task(here.service.renew())
        await here.until(lambda: len(here.cloud.store.subscriptions) == 2)
        renewing.cancel()
        assert sorted(s.appli for s in await client.list()) == [1, 16]
        here.weigh(72_350)
        await here.until(lambda: here.stored() == [72.35])


async def test_the_inbox_is_worked_on_after_a_restart(tmp_path: Path) -> None:
    async with station(tmp_path, follow=False) as here:
        here.weigh(72_350)
        await here.until(lambda: len(here.inbox) == 1)
        again = Inbox(tmp_path / "inbox.sqlite")
        fetches: list[Fetched | None] = []
        worker = InboxWorker(again, here.fetcher, lambda _e, fetched, _x, _w: fetches.append(fetched))
        working = asyncio.create_task(worker.run())
        await here.until(lambda: here.stored() == [72.35])
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        again.close()


async def bluetooth_only(file: Path, number: int, model: str, account: str) -> str:
    """A device of the ledger that syncs by Bluetooth only; its address."""
    records = Records(file)
    address = f"00:24:E4:00:00:{number:02X}"
    record = records.begin(f"{number:012x}", "0.1.0")
    await record.set_device(address, name=model, model=model, method="bluetooth")
    await record.set_known_devices(account, [])
    await record.step_done("link", 0.1, {"account": account, "way": "link", "device_id": str(number)})
    await record.end("installed")
    records.close()
    return address


async def test_the_gateway_is_woken_for_the_devices_of_that_kind(tmp_path: Path, home: Path) -> None:
    watch = await bluetooth_only(tmp_path / "ledger.sqlite", 1, "move", "default")
    scale = await bluetooth_only(tmp_path / "ledger.sqlite", 2, "body", "default")
    await bluetooth_only(tmp_path / "ledger.sqlite", 3, "body", "another")
    folder = GatewayFiles.in_data_dir(lab=True).wake
    async with station(tmp_path) as here:
        await here.service.poll(0)
        await here.quiet()
        assert take_wake_requests(folder) == set()  # polling does not wake the gateway
        assert await here.send(userid=here.account.userid, appli="16", date="2026-11-25") == 200
        await here.quiet()
        assert take_wake_requests(folder) == {watch}
        here.weigh(72_350)
        await here.until(lambda: here.stored() == [72.35])
        assert take_wake_requests(folder) == {scale}


# The command as a process.


class Serving:
    """The process `notifications serve --lab`."""

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
        """Start it again."""
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
    wait_for(lambda: len(followed()) >= 3)  # the fetches at its start
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


def test_files_that_are_deleted_under_it_are_made_again_and_a_second_receiver_ends_it(
    world: LabWorld, serving: Serving
) -> None:
    followed = lambda: [e for e in serving.events() if e["event"] == "notification_followed"]  # noqa: E731
    wait_for(lambda: len(followed()) >= 3)
    userid = next(a["userid"] for a in world.call("GET", "/lab/state")["cloud"]["accounts"])
    path = serving.home / "data" / "lab-notifications-inbox.sqlite"
    lock = path.with_suffix(".lock")
    path.rename(path.with_name("tidied-up.sqlite"))
    lock.unlink()
    world.cloud(down=True)
    assert post(serving.url, userid=userid, appli="1") == 200
    inbox = Inbox(path)
    assert [(e.userid, e.appli) for e in inbox.due(time.time() + 3600)] == [(userid, 1)]
    inbox.close()
    wait_for(lock.exists)
    wait_for(lambda: is_held(lock))
    lock.unlink()
    descriptor = lock_file_at(lock)
    assert descriptor is not None
    wait_for(lambda: serving.process.poll() is not None)
    os.close(descriptor)
    assert serving.process.returncode == ErrorCode.RECEIVER_FAILED.exit_status
    assert "was renamed to tidied-up.sqlite while this program used it" in serving.said()
    assert "another receiver has started" in serving.said()


def is_held(lock: Path) -> bool:
    descriptor = lock_file_at(lock)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


async def test_a_damaged_account_is_told_once_and_again_after_it_was_mended(tmp_path: Path) -> None:
    async with station(tmp_path, follow=False) as here:
        [path] = (tmp_path / "accounts").glob("*.json")
        content = path.read_bytes()
        here.output.events.clear()
        for damaged in (True, True, False, True):
            path.write_bytes(b"" if damaged else content)
            await here.service.poll(0)
        told = [event for event in here.output.events if isinstance(event, NotificationFollowed)]
        assert [(one.account, one.code) for one in told] == [("default", "secret_unavailable")] * 2
        assert str(path) in told[0].what
