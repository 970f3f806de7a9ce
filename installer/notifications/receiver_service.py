"""The receiver service of `notifications serve`: stores notifications, fetches their data, polls, and renews.

Polling finds data whose notification was lost. Renewing subscribes again what the cloud has removed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from installer import output
from installer.catalogue.catalogue_file import Catalogue
from installer.catalogue.model import DataService, SyncMethod
from installer.cloud.data_api import ENDPOINTS
from installer.cloud.notification_categories import (
    FIRST_APPLI,
    applis_for_model,
    categories_in_words,
    data_service,
)
from installer.errors import InstallerError
from installer.events.notifications import NotificationArrived, NotificationFollowed, ReceiverReady
from installer.gateway.wake import wake
from installer.measurements.fetch import Fetched
from installer.measurements.zone_notes import ZoneNotes
from installer.notifications.inbox import Entry, Inbox
from installer.notifications.inbox_worker import InboxWorker
from installer.notifications.notification import Notification
from installer.notifications.subscriptions import AccountSubscriptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from installer.cloud.accounts import Accounts
    from installer.cloud.token_store import ListedAccount
    from installer.events.json_lines import Event
    from installer.ledger.records import Records
    from installer.notifications.callback_setup import NotificationSetup

RENEW_SECONDS = 3600.0
# A notification for an unknown user waits until the stored accounts are read again, because the account may be new.
# They are read at most once in this time. Twice this time must be well below the two seconds that the cloud waits.
ACCOUNTS_READ_SECONDS = 0.5


class ReceiverOutput:
    """Prints what happens: JSON events with `--json`, else text, with one line for each fetch that found data."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._error_codes: dict[tuple[str, str], str] = {}
        self._zone_notes = ZoneNotes()
        self._damaged: dict[str, str] = {}

    def event(self, event: Event) -> None:
        """Print an event as JSON."""
        if self._json:
            output.print_result(event.model_dump_json())

    def ready(self, event: ReceiverReady) -> None:
        """Print that the receiver listens."""
        self.event(event)
        if not self._json:
            at = f"; the cloud reaches it at {event.url}" if event.url else ""
            output.print_message(f"The receiver listens at {event.host}, port {event.port}{at}. Ctrl-C ends it.")

    def arrived(self, event: NotificationArrived) -> None:
        """Print that a notification arrived."""
        self.event(event)
        if event.action and not self._json:
            output.print_message(
                f"The cloud reports an action of the user of account “{event.account}”: {event.action}."
            )

    def unknown_zones(self, names: Iterable[str]) -> None:
        """Print which time zones this computer does not know, once each."""
        for note in self._zone_notes.about(names):
            output.print_message(note)

    def accounts_read(self, accounts: Sequence[ListedAccount]) -> None:
        """Print which accounts are damaged, each once."""
        damaged = {a.name: a.damage for a in accounts if a.damage is not None}
        for name, error in damaged.items():
            if self._damaged.get(name) == error.what:
                continue
            self.event(
                NotificationFollowed(account=name, kind="", code=error.code.value, what=error.what, todo=error.todo)
            )
            if not self._json:
                output.print_message(str(error))
        self._damaged = {name: error.what for name, error in damaged.items()}

    def followed(self, event: NotificationFollowed) -> None:
        """Print the result of a fetch. The same error is printed once."""
        self.event(event)
        key = (event.account, event.kind)
        before, self._error_codes[key] = self._error_codes.get(key, ""), event.code
        if self._json:
            return
        if event.code and event.code != before:
            output.print_message(f"{event.what} {event.todo} The next attempt is in {event.again or 0:.0f} s.")
        elif not event.code and (event.new or event.changed):
            found = [f"{event.new} new"] if event.new else []
            found += [f"{event.changed} changed"] if event.changed else []
            output.print_result(
                f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {event.account}  {event.kind}: {', '.join(found)}"
            )


class ReceiverService:
    """A running receiver: `store` gets its notifications; `poll` and `renew` run beside it."""

    def __init__(
        self,
        accounts: Accounts,
        setup: NotificationSetup,
        inbox: Inbox,
        reporter: ReceiverOutput,
        records: Records,
        catalogue: Catalogue,
        *,
        lab: bool = False,
    ) -> None:
        self._records = records
        self._catalogue = catalogue
        self._lab = lab
        self.accounts = accounts
        self.setup = setup
        self.inbox = inbox
        self.reporter = reporter
        self.worker: InboxWorker | None = None
        self._account_names: dict[str, str] = {}
        self._notified: set[tuple[str, DataService]] = set()
        self._accounts_read_at = float("-inf")
        self._reading_accounts: asyncio.Task[None] | None = None

    async def store(self, notification: Notification) -> None:
        """Put a notification into the inbox if its user has an account here. Raises DATABASE_FAILED."""
        account = await self._account_name(notification.userid)
        if account is None:
            return
        appli, service = notification.appli, data_service(notification.appli)
        new = True
        if service is not None:
            entry = replace(notification, appli=FIRST_APPLI[service])
            new = await asyncio.to_thread(self.inbox.put, entry, time.time())
        if new:
            if service is not None:
                self._notified.add((notification.userid, service))
            kind = categories_in_words([appli])
            self.reporter.arrived(
                NotificationArrived(account=account, appli=appli, kind=kind, action=notification.action)
            )
            if self.worker is not None:
                self.worker.notify()

    async def wake_gateway(self, userid: str, appli: int) -> None:
        """Ask the gateway to visit this user's devices of the category, if a notification announced data of theirs."""
        service = data_service(appli)
        if service is None or (userid, service) not in self._notified:
            return
        self._notified.discard((userid, service))
        try:
            for device in await asyncio.to_thread(self._records.installed, SyncMethod.BLUETOOTH.value):
                model = next((m for m in self._catalogue.models if m.id == device.model), None)
                applis = applis_for_model(model) if model is not None else ()
                if device.account == self._account_names.get(userid) and service in map(data_service, applis):
                    await asyncio.to_thread(wake, device.address, lab=self._lab)
        except InstallerError as error:
            # The fetch from the cloud goes on. The gateway visits the devices later by itself.
            output.print_message(f"The gateway was not woken. {error}")

    def fetched(self, entry: Entry, result: Fetched | None, error: InstallerError | None, retry: float) -> None:
        """Print the result of a fetch. `retry`: the seconds until the next attempt, after an error."""
        fields: dict[str, Any] = {}
        if error is not None:
            fields = {"code": error.code.value, "what": error.what, "todo": error.todo, "again": round(retry, 3)}
        elif result is not None:
            fields = {"new": result.new, "changed": result.changed}
            self.reporter.unknown_zones(result.unknown_zones)
        account, service = self._account_names.get(entry.userid, ""), data_service(entry.appli)
        kind = ENDPOINTS[service].words if service is not None else ""
        self.reporter.followed(NotificationFollowed(account=account, kind=kind, **fields))

    async def poll(self, every: float) -> None:
        """Fetch the data of all accounts every so many seconds (0: once), as if notifications had come."""
        while True:
            try:
                await self._read_accounts()
                for userid in list(self._account_names):
                    for appli in FIRST_APPLI.values():
                        await asyncio.to_thread(self.inbox.put, Notification(userid, appli), time.time())
            except InstallerError as error:
                # For example a full disk; the next round may work.
                output.print_message(f"Not all accounts can be polled. {error}")
            if self.worker is not None:
                self.worker.notify()
            if not every:
                return
            await asyncio.sleep(every)

    async def renew(self) -> None:
        """Renew the subscriptions that the cloud has removed, at the start and then every hour.

        What fails again in the same way is told once.
        """
        told: list[str] = []
        while True:
            subscriptions = []
            failures: list[str] = []
            try:
                subscriptions = self.setup.saved.all()
            except InstallerError as error:
                failures.append(f"The subscriptions cannot be renewed. {error}")
            for saved in subscriptions:
                try:
                    account = await self.accounts.open(saved.account)
                    ensured = await AccountSubscriptions(account).ensure(saved.url, saved.applis)
                except InstallerError as error:
                    failures.append(f"The notifications of account “{saved.account}” could not be renewed: {error}")
                    continue
                if ensured.new:
                    output.print_message(
                        f"Subscribed again for account “{saved.account}”: {categories_in_words(ensured.new)}."
                    )
            for text in failures:
                if text not in told:
                    output.print_message(text)
            told = failures
            await asyncio.sleep(RENEW_SECONDS)

    async def _account_name(self, userid: str) -> str | None:
        # Twice: the first read may have started before this notification came.
        for _ in range(2):
            if userid in self._account_names:
                break
            if self._reading_accounts is None or self._reading_accounts.done():
                self._reading_accounts = asyncio.create_task(self._read_accounts_again())
            await asyncio.shield(self._reading_accounts)
        return self._account_names.get(userid)

    async def _read_accounts_again(self) -> None:
        await asyncio.sleep(max(0.0, self._accounts_read_at + ACCOUNTS_READ_SECONDS - time.monotonic()))
        await self._read_accounts()

    async def _read_accounts(self) -> None:
        self._accounts_read_at = time.monotonic()
        stored = await self.accounts.stored()
        self.reporter.accounts_read(stored)
        self._account_names = {a.userid: a.name for a in reversed(stored) if a.userid}
