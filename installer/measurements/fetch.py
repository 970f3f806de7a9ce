"""Fetches from the cloud what is new into the store: of all accounts, or what a notification tells of.

    fetcher = Fetcher(store, accounts, catalogue)
    ended = await fetcher.all()                              # polling
    ended = await fetcher.fetch("40012345", 1, start, end)   # after a notification

Of every service of a user the store remembers up to which change it was fetched. That moves on only together with the
rows of the last page, in one transaction: whatever ends a fetch, the next one goes on without a gap. It begins a while
earlier each time, for what the cloud lets through late; what is known already is not stored twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from installer.catalogue.catalogue import Catalogue, DataService
from installer.cloud import data_api
from installer.cloud.token_refresh import unknown
from installer.errors import ErrorCode, InstallerError
from installer.measurements import from_cloud, units
from installer.measurements.row import Row
from installer.measurements.store import Added, Device, Store
from installer.settings import is_loopback

if TYPE_CHECKING:
    from installer.cloud.account import Account
    from installer.cloud.accounts import Accounts
    from installer.flow.questions import StoredAccount

# Seconds that a fetch begins before the newest change that it knows.
OVERLAP = 3600
# Accounts that are fetched at the same time; the pace of requests is kept elsewhere.
AT_ONCE = 4
# A notification's window is whole seconds, and its bounds may lie on the measurement.
WINDOW = timedelta(seconds=2)

# appli of a notification: the service that has the data (§3.2). The others tell of no data.
APPLIS: dict[int, DataService] = {
    1: DataService.MEASURES,
    2: DataService.MEASURES,
    4: DataService.MEASURES,
    16: DataService.ACTIVITY,
    44: DataService.SLEEP,
    58: DataService.MEASURES,
}
_FIELDS = {DataService.SLEEP: units.NIGHT_FIELDS, DataService.ACTIVITY: units.DAY_FIELDS}
ALL = (DataService.MEASURES, DataService.ACTIVITY, DataService.SLEEP)

Got = Callable[[Added], None]


@dataclass
class Fetched:
    """What became of one account. `new`, `changed`: values; `misfits`: entries that could not be understood.

    `left_out`: services that the account did not grant. `error`: what ended it, or ended one service of it.
    """

    account: str
    userid: str = ""
    new: int = 0
    changed: int = 0
    misfits: int = 0
    left_out: list[DataService] = field(default_factory=list)
    error: InstallerError | None = None


class Fetcher:
    """Fetches into one store. `got` is told of what was stored, page by page, in the event loop's thread."""

    def __init__(self, store: Store, accounts: Accounts, catalogue: Catalogue, got: Got | None = None) -> None:
        self._store = store
        self._accounts = accounts
        self._catalogue = catalogue
        self._got = got
        self._named: set[str] | None = None

    async def all(self, names: Collection[str] = (), since: datetime | None = None) -> list[Fetched]:
        """Fetch these accounts, or all; what happens to one does not stop the others.

        `since`: also what was measured from then on and is known as fetched. Raises ACCOUNT_UNKNOWN before anything
        is asked, and DATABASE_FAILED, which would meet every account.
        """
        chosen = _chosen(await self._accounts.stored(), names)
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(account: StoredAccount) -> Fetched:
            async with turn:
                return await self._account(account, ALL, since)

        tasks = [asyncio.create_task(one(account)) for account in chosen]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def fetch(self, userid: str, appli: int, start: int | None = None, end: int | None = None) -> Fetched | None:
        """Fetch what a notification tells of: the user, its appli, and when it was measured (unix seconds).

        None: no account here is this user's, or the appli tells of no data; nothing is asked then. What the
        notification does not tell of, but is new, comes along.
        """
        service = APPLIS.get(appli)
        account = next((a for a in await self._accounts.stored() if userid and a.userid == userid), None)
        if service is None or account is None:
            return None
        return await self._account(account, [service], None, _window(start, end))

    async def _account(
        self,
        stored: StoredAccount,
        services: Iterable[DataService],
        since: datetime | None,
        window: tuple[datetime, datetime] | None = None,
    ) -> Fetched:
        ended = Fetched(stored.name, stored.userid)
        try:
            account = await self._accounts.open(stored.name)
            for service in services:
                if not data_api.allowed(account, service):
                    ended.left_out.append(service)
                    continue
                try:
                    await self._service(account, service, since, window, ended)
                except InstallerError as error:
                    if error.code is not ErrorCode.CLOUD_FAILED:
                        raise
                    # It may be this service alone: not granted, or not working.
                    ended.error = ended.error or error
        except InstallerError as error:
            if error.code is ErrorCode.DATABASE_FAILED:
                raise
            ended.error = error
        return ended

    async def _service(
        self,
        account: Account,
        service: DataService,
        since: datetime | None,
        window: tuple[datetime, datetime] | None,
        ended: Fetched,
    ) -> None:
        key = cursor_key(self._accounts.cloud.api, account)
        cursor = await asyncio.to_thread(self._store.cursor, key, service.value)
        if since is not None:
            measured = (since, max(since, datetime.now(UTC)) + timedelta(days=1))
            await self._read(account, service, ended, key if cursor is None else None, measured=measured)
            return
        start = None if cursor is None else max(0, cursor - OVERLAP)
        told_of = await self._read(account, service, ended, key, changed_since=start, window=window)
        if window is not None and not told_of:
            await self._read(account, service, ended, None, measured=window)

    async def _read(
        self,
        account: Account,
        service: DataService,
        ended: Fetched,
        key: str | None,
        *,
        changed_since: int | None = None,
        measured: tuple[datetime, datetime] | None = None,
        window: tuple[datetime, datetime] | None = None,
    ) -> bool:
        """Read and store all pages; whether there was something of `window`. `key`: the cursor that moves on."""
        owner = from_cloud.Owner(account.name, account.userid, self._catalogue)
        newest, found = 0, False
        async for page in data_api.pages(
            account, service, _FIELDS.get(service, ()), changed_since=changed_since, measured=measured
        ):
            rows = [row for entry in page.entries for row in from_cloud.rows(entry, owner)]
            # The cloud gives the newest first; of the same second the later act has the higher number.
            rows.sort(key=lambda row: (row.taken, row.modified, len(row.group), row.group))
            newest = max([newest, *(entry.modified or 0 for entry in page.entries)])
            found = found or (window is not None and any(_within(row, window) for row in rows))
            cursors: list[tuple[str, str, int]] = []
            if page.last and key is not None and newest:
                # A date from the future must not hide what comes until then.
                now = int(account.cloud_time(time.time()))
                cursors = [(key, service.value, min(newest, now))]
            added = await asyncio.to_thread(self._store.add, rows, cursors)
            ended.new += len(added.new)
            ended.changed += len(added.changed)
            ended.misfits += page.misfits
            await self._name(account, rows, page.entries)
            if self._got is not None and (added.new or added.changed):
                self._got(added)
        return found

    async def _name(self, account: Account, rows: Sequence[Row], entries: Sequence[data_api.Entry]) -> None:
        """Remember what the devices of these rows are called, once."""
        if self._named is None:
            known = await asyncio.to_thread(self._store.devices)
            self._named = {device for device, said in known.items() if said.name}
        fresh = {row.device: row.model for row in rows if row.device and row.device not in self._named}
        if not fresh:
            return
        said = {e.device_id: e.model for e in entries if isinstance(e.model, str)}
        names = {m.id: m.name for m in self._catalogue.models}
        macs = await self._addresses(account)
        named = [
            Device(device, names.get(model) or said.get(device, ""), model, macs.get(device, ""), account.name)
            for device, model in fresh.items()
        ]
        await asyncio.to_thread(self._store.name_devices, named)
        self._named.update(fresh)

    async def _addresses(self, account: Account) -> dict[str, str]:
        """The Bluetooth addresses of the account's devices, which the cloud tells partners only (§2.1)."""
        try:
            return {d.device_id: d.mac.upper() for d in await account.devices() if d.mac}
        except InstallerError:
            return {}  # the data count, not the names


def cursor_key(api: str, account: Account) -> str:
    """Whose data it is, in the store: the cloud and the user, however the account is called here."""
    host = urlsplit(api).hostname or api
    return f"{'lab' if is_loopback(host) else host} {account.userid or account.name}"


def _chosen(stored: Sequence[StoredAccount], names: Collection[str]) -> list[StoredAccount]:
    """The accounts with these names, or all; a user with two names only once."""
    known = {account.name: account for account in stored}
    for name in names:
        if name not in known:
            raise unknown(name, sorted(known))
    if not known:
        raise InstallerError(
            ErrorCode.ACCOUNT_UNKNOWN,
            "No account is stored whose data could be fetched.",
            "Sign in: device-installer account login. An installation that links a device does it too.",
            known=[],
        )
    chosen: dict[str, StoredAccount] = {}
    for name in names or known:
        account = known[name]
        chosen.setdefault(account.userid or f"name {name}", account)
    return list(chosen.values())


def _window(start: int | None, end: int | None) -> tuple[datetime, datetime] | None:
    try:
        first = datetime.fromtimestamp(start, UTC) if start is not None else None
        last = datetime.fromtimestamp(end, UTC) if end is not None else first
        if first is None or last is None or first > last:
            return None
        return first - WINDOW, last + WINDOW
    except (ValueError, OverflowError, OSError):
        return None


def _within(row: Row, window: tuple[datetime, datetime]) -> bool:
    return row.taken <= window[1] and (row.ended or row.taken) >= window[0]
