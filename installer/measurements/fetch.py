"""Fetches new measurements from the cloud into the store: of all accounts, or those of a notification.

    fetcher = Fetcher(store, accounts, catalogue)
    result = await fetcher.fetch_all()                              # polling
    result = await fetcher.fetch("40012345", 1, start, end)   # after a notification

The store has a cursor for each user and service: the newest change that was fetched. The rows of the last page and the
new cursor are written in one transaction, so the next fetch has no gap after an error or a kill. Each fetch starts a
while before the cursor, because the cloud publishes some changes late. Known rows are not stored twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from installer.catalogue.catalogue_file import Catalogue
from installer.catalogue.model import DataService
from installer.cloud import data_api, measure_types
from installer.cloud.notification_categories import data_service
from installer.cloud.token_refresh import account_unknown
from installer.errors import ErrorCode, InstallerError
from installer.measurements import from_cloud
from installer.measurements.own_day import DAY_PERIOD
from installer.measurements.store import Added, CursorStart, Device, Store
from installer.measurements.stored_value import Row
from installer.settings import is_loopback
from installer.storage.open_file_identity import MOST_REOPENINGS

if TYPE_CHECKING:
    from installer.cloud.account import Account
    from installer.cloud.accounts import Accounts
    from installer.cloud.token_store import ListedAccount

# How long before the cursor a fetch starts.
OVERLAP_SECONDS = 3600
# Accounts that are fetched at the same time. `RateLimit` limits the requests.
PARALLEL_ACCOUNTS = 4
# A notification gives whole seconds, and the measurement may lie on a bound.
WINDOW_MARGIN = timedelta(seconds=2)

_FIELDS = {DataService.SLEEP: measure_types.NIGHT_FIELDS, DataService.ACTIVITY: measure_types.DAY_FIELDS}
ALL_SERVICES = (DataService.MEASURES, DataService.ACTIVITY, DataService.SLEEP)

OnStored = Callable[[Added], None]


@dataclass
class Fetched:
    """The result for one account. `new`, `changed`: values; `not_understood`: entries that could not be read.

    `placed`: stored values that only got their time zone and day. `unknown_zones`: names of zones of its values that
    this computer does not know. `not_granted`: services that the account did not grant. `error`: why the account or one
    service failed, also that its stored tokens are damaged.
    """

    account: str
    userid: str = ""
    new: int = 0
    changed: int = 0
    not_understood: int = 0
    placed: int = 0
    unknown_zones: set[str] = field(default_factory=set)
    not_granted: list[DataService] = field(default_factory=list)
    error: InstallerError | None = None


class Fetcher:
    """Fetches into one store. `on_stored` is called for each stored page, in the event loop's thread."""

    def __init__(
        self, store: Store, accounts: Accounts, catalogue: Catalogue, on_stored: OnStored | None = None
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._catalogue = catalogue
        self._on_stored = on_stored
        self._named_devices: set[str] | None = None
        self._names_of = 0  # the opening of the store that they are in

    async def fetch_all(self, names: Collection[str] = (), since: datetime | None = None) -> list[Fetched]:
        """Fetch these accounts, or all. A failure of one account does not stop the others.

        `since`: fetch all that was measured from then on, also before the cursor. Raises ACCOUNT_UNKNOWN before the
        first request, and DATABASE_FAILED, which concerns all accounts.
        """
        chosen = _choose_accounts(await self._accounts.stored(), names)
        turn = asyncio.Semaphore(PARALLEL_ACCOUNTS)

        async def one(account: ListedAccount) -> Fetched:
            async with turn:
                return await self._fetch_account(account, ALL_SERVICES, since)

        tasks = [asyncio.create_task(one(account)) for account in chosen]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def fetch(self, userid: str, appli: int, start: int | None = None, end: int | None = None) -> Fetched | None:
        """Fetch the data of a notification: its user, its appli, and when it was measured (unix seconds).

        Other new data of the service is fetched, too. None, and no request: no account here belongs to this user, or
        the appli is not about data. An account that is damaged gives its error.
        """
        service = data_service(appli)
        stored = await self._accounts.stored()
        own = [a for a in stored if userid and a.userid == userid]
        account = next((a for a in own if a.damage is None), next(iter(own), None))
        if service is not None and account is None:
            # A damaged file may hide this user's account. The notification stays until the file is mended.
            account = next((a for a in stored if a.damage is not None and not a.userid), None)
        if service is None or account is None:
            return None
        return await self._fetch_account(account, [service], None, _window(start, end))

    async def _fetch_account(
        self,
        stored: ListedAccount,
        services: Iterable[DataService],
        since: datetime | None,
        window: tuple[datetime, datetime] | None = None,
    ) -> Fetched:
        result = Fetched(stored.name, stored.userid, error=stored.damage)
        if stored.damage is not None:
            return result
        try:
            account = await self._accounts.open(stored.name)
            for service in services:
                if not data_api.allowed(account, service):
                    result.not_granted.append(service)
                    continue
                try:
                    await self._fetch_service(account, service, since, window, result)
                except InstallerError as error:
                    if error.code is not ErrorCode.CLOUD_FAILED:
                        raise
                    # Only this service may fail: not granted, or not working.
                    result.error = result.error or error
        except InstallerError as error:
            if error.code is ErrorCode.DATABASE_FAILED:
                raise
            result.error = error
        return result

    async def _fetch_service(
        self,
        account: Account,
        service: DataService,
        since: datetime | None,
        window: tuple[datetime, datetime] | None,
        result: Fetched,
    ) -> None:
        key = cursor_key(self._accounts.cloud.api, account)
        for _ in range(MOST_REOPENINGS):
            start = await asyncio.to_thread(self._store.cursor_start, key, service.value)
            cursor = start.value
            await self._fetch_again(account, service, start, key, result)
            if since is not None:
                measured = (since, max(since, datetime.now(UTC)) + timedelta(days=1))
                moved = key if cursor is None else None
                await self._fetch_pages(account, service, result, start, moved, measured=measured)
            else:
                changed = None if cursor is None else max(0, cursor - OVERLAP_SECONDS, start.first_change)
                window_found = await self._fetch_pages(
                    account, service, result, start, key, changed_since=changed, window=window
                )
                if window is not None and not window_found:
                    await self._fetch_pages(account, service, result, start, None, measured=window)
            await asyncio.to_thread(self._store.follow_file)
            if self._store.opened == start.opened:
                return
            # The file was replaced: what it lacks is fetched once more, from its own cursor on.

    async def _fetch_again(
        self, account: Account, service: DataService, start: CursorStart, key: str, result: Fetched
    ) -> None:
        """Fetch once more what an earlier version stored without its time zone."""
        begin = await asyncio.to_thread(self._store.again_from, key, service.value)
        if begin is not None:
            measured = (begin - WINDOW_MARGIN, max(begin, datetime.now(UTC)) + timedelta(days=1))
            await self._fetch_pages(account, service, result, start, None, measured=measured)
            if self._store.opened == start.opened:
                await asyncio.to_thread(self._store.fetched_again, key, service.value)

    async def _fetch_pages(
        self,
        account: Account,
        service: DataService,
        result: Fetched,
        start: CursorStart,
        key: str | None,
        *,
        changed_since: int | None = None,
        measured: tuple[datetime, datetime] | None = None,
        window: tuple[datetime, datetime] | None = None,
    ) -> bool:
        """Fetch and store all pages; whether a row lies in `window`. `key`: the cursor to move, if it is at `start`."""
        owner = from_cloud.Owner(account.name, account.userid, self._catalogue)
        newest, found = 0, False
        async for page in data_api.pages(
            account, service, _FIELDS.get(service, ()), changed_since=changed_since, measured=measured
        ):
            rows = [row for entry in page.entries for row in from_cloud.rows(entry, owner, page.timezone)]
            # The cloud sends the newest first. In the same second, the later group has the higher number.
            rows.sort(key=lambda row: (row.taken, row.modified, len(row.group), row.group))
            newest = max([newest, *(entry.modified or 0 for entry in page.entries)])
            found = found or (window is not None and any(_within(row, window) for row in rows))
            cursors: list[tuple[str, str, int]] = []
            if page.last and key is not None and newest:
                # A date in the future must not hide the changes until then.
                now = int(account.cloud_time(time.time()))
                cursors = [(key, service.value, min(newest, now))]
            added = await asyncio.to_thread(self._store.add, rows, cursors, start)
            result.new += len(added.new)
            result.changed += len(added.changed)
            result.placed += added.placed
            result.unknown_zones.update(row.zone or "" for row in rows if not row.zone_known)
            result.not_understood += page.misfits
            await self._name_devices(account, rows, page.entries)
            if self._on_stored is not None and (added.new or added.changed):
                self._on_stored(added)
        return found

    async def _name_devices(self, account: Account, rows: Sequence[Row], entries: Sequence[data_api.Entry]) -> None:
        """Store the names of the devices of these rows, once for each device."""
        if self._named_devices is None or self._names_of != self._store.opened:
            self._names_of = self._store.opened
            known = await asyncio.to_thread(self._store.devices)
            self._named_devices = {device for device, entry in known.items() if entry.name}
        fresh = {row.device: row.model for row in rows if row.device and row.device not in self._named_devices}
        if not fresh:
            return
        cloud_models = {e.device_id: e.model for e in entries if isinstance(e.model, str)}
        names = {m.id: m.name for m in self._catalogue.models}
        macs = await self._addresses(account)
        named = [
            Device(device, names.get(model) or cloud_models.get(device, ""), model, macs.get(device, ""), account.name)
            for device, model in fresh.items()
        ]
        await asyncio.to_thread(self._store.name_devices, named)
        self._named_devices.update(fresh)

    async def _addresses(self, account: Account) -> dict[str, str]:
        """The Bluetooth addresses of the account's devices. The cloud gives them to partners only (§2.1)."""
        try:
            return {d.device_id: d.mac.upper() for d in await account.devices() if d.mac}
        except InstallerError:
            return {}  # the data is more important than the addresses


def cursor_key(api: str, account: Account) -> str:
    """The cloud and the user as the store's cursor knows them; the account's name here does not matter."""
    host = urlsplit(api).hostname or api
    return f"{'lab' if is_loopback(host) else host} {account.userid or account.name}"


def _choose_accounts(stored: Sequence[ListedAccount], names: Collection[str]) -> list[ListedAccount]:
    """The accounts with these names, or all; a user with two accounts only once."""
    known = {account.name: account for account in stored}
    for name in names:
        if name not in known:
            raise account_unknown(name, sorted(known))
    if not known:
        raise InstallerError(
            ErrorCode.ACCOUNT_UNKNOWN,
            "No account is stored, so there is no data to fetch.",
            "Sign in: device-installer account login. An installation that links a device does it, too.",
            known=[],
        )
    chosen: dict[str, ListedAccount] = {}
    for name in names or known:
        account = known[name]
        # A damaged one stands in for nobody, and nobody stands in for it.
        chosen.setdefault(account.userid if account.userid and not account.damage else f"name {name}", account)
    return list(chosen.values())


def _window(start: int | None, end: int | None) -> tuple[datetime, datetime] | None:
    try:
        first = datetime.fromtimestamp(start, UTC) if start is not None else None
        last = datetime.fromtimestamp(end, UTC) if end is not None else first
        if first is None or last is None or first > last:
            return None
        return first - WINDOW_MARGIN, last + WINDOW_MARGIN
    except (ValueError, OverflowError, OSError):
        return None


def _within(row: Row, window: tuple[datetime, datetime]) -> bool:
    if row.taken <= window[1] and (row.ended or row.taken) >= window[0]:
        return True
    # A notification can name a date (in UTC, see `Notification`), and the person's day of that date is at another time.
    first, last = (window[0] + WINDOW_MARGIN).date(), (window[1] - WINDOW_MARGIN).date()
    return row.period.startswith(DAY_PERIOD) and first.isoformat() <= row.day <= last.isoformat()
