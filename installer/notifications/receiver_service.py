"""The command `notifications serve`: the receiver, the work that follows a notification, and the looks without one."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer import output, settings
from installer.catalogue.catalogue import Catalogue, DataService, SyncMethod
from installer.cli.signals import on_signals
from installer.errors import ErrorCode, InstallerError
from installer.events.notifications import NotificationArrived, NotificationFollowed, ReceiverReady
from installer.flow.assembly import Assembly
from installer.gateway.wake import wake
from installer.measurements.fetch import APPLIS, Fetched, Fetcher
from installer.measurements.open_store import open_store
from installer.notifications import callback_url, inbox_worker, receiver, subscriptions
from installer.notifications.inbox import Entry, Inbox
from installer.notifications.notification import Notification
from installer.storage.file_lock import file_lock

if TYPE_CHECKING:
    from installer.cloud.accounts import Accounts
    from installer.events.stream import Event
    from installer.ledger.records import Records
    from installer.notifications.setup import NotificationSetup

RENEW_SECONDS = 3600.0
# What comes for an unknown user waits for a look at the stored accounts, of which there is one in so many seconds: the
# account may be new. Twice this must be well within the two seconds that the cloud waits for an answer.
KNOWN_SECONDS = 0.5
FILE, LAB_FILE = "notifications-inbox.sqlite", "lab-notifications-inbox.sqlite"
# All kinds of one service of the cloud are found by one look; the first stands for them.
FIRST = {service: appli for appli, service in reversed(APPLIS.items())}
WORDS = {DataService.MEASURES: "measurements", DataService.ACTIVITY: "activity", DataService.SLEEP: "sleep"}


@dataclass(frozen=True)
class Options:
    """`poll`: seconds between looks into all accounts without a notification; 0: never."""

    host: str
    port: int
    poll: float
    certificate: Path | None = None
    key: Path | None = None
    database: str | None = None
    show_url: bool = False
    json: bool = False


class Says:
    """Says what happens: events on standard output with `--json`, else words, and one line for what was fetched."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._troubles: dict[tuple[str, str], str] = {}

    def event(self, event: Event) -> None:
        """One event, for programs."""
        if self._json:
            output.result(event.model_dump_json())

    def ready(self, event: ReceiverReady) -> None:
        """The receiver listens."""
        self.event(event)
        if not self._json:
            at = f"; the cloud reaches it at {event.url}" if event.url else ""
            output.words(f"The receiver listens at {event.host}, port {event.port}{at}. Ctrl-C ends it.")

    def arrived(self, event: NotificationArrived) -> None:
        """A notification came."""
        self.event(event)
        if event.action and not self._json:
            output.words(f"The cloud says that the user of account “{event.account}” did this: {event.action}.")

    def followed(self, event: NotificationFollowed) -> None:
        """A look has ended. The same trouble again is not told again."""
        self.event(event)
        key = (event.account, event.kind)
        told, self._troubles[key] = self._troubles.get(key, ""), event.code
        if self._json:
            return
        if event.code and event.code != told:
            output.words(f"{event.what} {event.todo} Looking again in {event.again or 0:.0f} s.")
        elif not event.code and (event.new or event.changed):
            found = [f"{event.new} new"] if event.new else []
            found += [f"{event.changed} changed"] if event.changed else []
            output.result(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {event.account}  {event.kind}: {', '.join(found)}")


class Service:
    """The parts of a running receiver."""

    def __init__(
        self,
        accounts: Accounts,
        desk: NotificationSetup,
        inbox: Inbox,
        says: Says,
        records: Records,
        catalogue: Catalogue,
        *,
        lab: bool = False,
    ) -> None:
        self._records = records
        self._catalogue = catalogue
        self._lab = lab
        self.accounts = accounts
        self.desk = desk
        self.inbox = inbox
        self.says = says
        self.follower: inbox_worker.InboxWorker | None = None
        self._known: dict[str, str] = {}
        self._told: set[tuple[str, DataService]] = set()
        self._looked = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    async def keep(self, notice: Notification) -> None:
        """Keep a notification of a user of this computer. Raises DATABASE_FAILED."""
        account = await self._account(notice.userid)
        if account is None:
            return
        fresh = True
        if notice.appli in APPLIS:
            one = replace(notice, appli=FIRST[APPLIS[notice.appli]])
            fresh = await asyncio.to_thread(self.inbox.put, one, time.time())
        if fresh:
            if notice.appli in APPLIS:
                self._told.add((notice.userid, APPLIS[notice.appli]))
            kind = subscriptions.in_words([notice.appli])
            self.says.arrived(NotificationArrived(account=account, appli=notice.appli, kind=kind, action=notice.action))
            if self.follower is not None:
                self.follower.poke()

    async def wake(self, userid: str, appli: int) -> None:
        """Leave word for the gateway to visit this user's devices of that kind, if the cloud has told of it."""
        service = APPLIS[appli]
        if (userid, service) not in self._told:
            return
        self._told.discard((userid, service))
        try:
            for device in await asyncio.to_thread(self._records.installed, SyncMethod.BLUETOOTH.value):
                model = next((m for m in self._catalogue.models if m.id == device.model), None)
                kinds = subscriptions.applis(model) if model is not None else ()
                if device.account == self._known.get(userid) and service in {APPLIS.get(k) for k in kinds}:
                    await asyncio.to_thread(wake, device.address, lab=self._lab)
        except InstallerError as error:
            # The look into the account is worth more than the gateway's, which comes by itself in time.
            output.words(f"The gateway was not woken. {error}")

    def looked(self, entry: Entry, fetched: Fetched | None, error: InstallerError | None, again: float) -> None:
        """Tell what became of a look."""
        more: dict[str, Any] = {}
        if error is not None:
            more = {"code": error.code.value, "what": error.what, "todo": error.todo, "again": round(again, 3)}
        elif fetched is not None:
            more = {"new": fetched.new, "changed": fetched.changed}
        account, service = self._known.get(entry.userid, ""), APPLIS.get(entry.appli)
        what = WORDS[service] if service is not None else ""
        self.says.followed(NotificationFollowed(account=account, kind=what, **more))

    async def poll(self, every: float) -> None:
        """Look into all accounts now and then, as if told: what got lost on the way is found."""
        while True:
            try:
                await self._refresh()
                for userid in list(self._known):
                    for appli in FIRST.values():
                        await asyncio.to_thread(self.inbox.put, Notification(userid, appli), time.time())
            except InstallerError as error:
                # A disk that is full now may have room the next time; notifications are repeated meanwhile.
                output.words(f"Not all accounts can be looked into. {error}")
            if self.follower is not None:
                self.follower.poke()
            if not every:
                return
            await asyncio.sleep(every)

    async def renew(self) -> None:
        """Subscribe again what the cloud has removed, at the start and then every hour."""
        while True:
            try:
                wishes = self.desk.wishes.all()
            except InstallerError as error:
                output.words(f"What was subscribed cannot be renewed. {error}")
                wishes = []
            for wish in wishes:
                try:
                    account = await self.accounts.open(wish.account)
                    ensured = await subscriptions.Notifications(account).ensure(wish.url, wish.applis)
                except InstallerError as error:
                    output.words(f"Renewing the notifications of account “{wish.account}” failed: {error}")
                    continue
                if ensured.new:
                    kinds = subscriptions.in_words(ensured.new)
                    output.words(f"Subscribed again for account “{wish.account}”: {kinds}.")
            await asyncio.sleep(RENEW_SECONDS)

    async def _account(self, userid: str) -> str | None:
        # The second look has begun after this notification came.
        for _ in range(2):
            if userid in self._known:
                break
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look_again())
            await asyncio.shield(self._looking)
        return self._known.get(userid)

    async def _look_again(self) -> None:
        await asyncio.sleep(max(0.0, self._looked + KNOWN_SECONDS - time.monotonic()))
        await self._refresh()

    async def _refresh(self) -> None:
        self._looked = time.monotonic()
        self._known = {a.userid: a.name for a in reversed(await self.accounts.stored()) if a.userid}


async def serve(assembly: Assembly, options: Options, path_file: Path | None) -> None:
    """Receive until SIGTERM or Ctrl-C. Raises RECEIVER_FAILED, SECRET_UNAVAILABLE, DATABASE_FAILED and others."""
    stop = asyncio.Event()
    on_signals(stop.set, signal.SIGTERM, signal.SIGINT)
    accounts = await assembly.accounts()
    desk = assembly.notifications(path_file)
    secret = callback_url.secret_path(desk.path_file)
    says = Says(json=options.json)
    own, lab = assembly.settings, assembly.place.lab
    file = settings.data_dir() / (LAB_FILE if lab else FILE)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(_alone(file))
        listener = receiver.listen(options.host, options.port)
        stack.callback(listener.close)
        inbox = Inbox(file)
        stack.callback(inbox.close)
        store = stack.enter_context(await asyncio.to_thread(open_store, own, lab=lab, given=options.database))
        service = Service(accounts, desk, inbox, says, assembly.records(), assembly.catalogue, lab=lab)
        fetcher = Fetcher(store, accounts, assembly.catalogue)
        service.follower = inbox_worker.InboxWorker(inbox, fetcher, service.looked, service.wake)
        web = receiver.Receiver(secret, service.keep)
        await stack.enter_async_context(web.serve(listener, options.certificate, options.key))
        port = listener.getsockname()[1]
        full = await _address(desk)
        says.ready(ReceiverReady(host=options.host, port=port, url=callback_url.masked(full) if full else ""))
        if options.show_url:
            output.words(f"Address to register, which nobody else may learn: {full or callback_url.PLACE}")
        if not desk.wishes.all() and not options.json:
            output.words("Nothing is subscribed yet: `device-installer notifications subscribe` does that.")
        await _until(stop, [service.follower.run(), service.renew(), service.poll(options.poll)])
    if not options.json:
        output.words("The receiver has ended. What it had not looked at is kept for its next start.")


async def _address(desk: NotificationSetup) -> str:
    try:
        return (await desk.url(None)).get_secret_value()
    except InstallerError as error:
        if error.code is not ErrorCode.SETTINGS_INVALID:
            raise
        return ""


async def _until(stop: asyncio.Event, work: list[Coroutine[Any, Any, None]]) -> None:
    """Run these until `stop` is set; one that fails ends all, with its error."""
    waiting = asyncio.ensure_future(stop.wait())
    tasks: set[asyncio.Future[Any]] = {asyncio.ensure_future(one) for one in work}
    try:
        while not stop.is_set() and tasks:
            done, tasks = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            tasks.discard(waiting)
            for task in done - {waiting}:
                task.result()
    finally:
        for task in (waiting, *tasks):
            task.cancel()
        await asyncio.gather(waiting, *tasks, return_exceptions=True)


@asynccontextmanager
async def _alone(file: Path) -> AsyncIterator[None]:
    """Only one receiver works off an inbox. Raises RECEIVER_FAILED, FILE_UNWRITABLE."""
    lock = file.with_suffix(".lock")
    async with contextlib.AsyncExitStack() as stack:
        try:
            lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            await stack.enter_async_context(file_lock(lock, 0.5))
        except TimeoutError:
            raise InstallerError(
                ErrorCode.RECEIVER_FAILED,
                "The receiver of notifications cannot run: another one runs already for this user.",
                "End that one, or give this one a home of its own with DEVICE_INSTALLER_HOME.",
            ) from None
        except OSError as error:
            raise InstallerError(
                ErrorCode.FILE_UNWRITABLE, f"{lock} cannot be written ({error.strerror}).", "Check the permissions."
            ) from None
        yield
