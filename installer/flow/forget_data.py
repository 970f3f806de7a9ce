"""Erases a person's health data from all places of this computer where this program keeps it.

    forgetting = await DataForgetting.open(config, Wanted(account="anna"))
    counts = await forgetting.count()
    counts = await forgetting.erase()

The places: the store of measurements, the gateway's outbox with its history of visits, wake requests, the inbox of
notifications. `docs/data.md` has the table of what is kept where. An erasure that was interrupted is finished by
the next one: rows go first, and the files are written anew each time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer import settings
from installer.cloud import account_file
from installer.errors import InstallerError, combined
from installer.flow.device_names import KnownDevice, names_of_device
from installer.gateway import outbox_forgetting
from installer.gateway.files_and_lock import GatewayFiles, hold_gateway_lock, is_running
from installer.gateway.outbox import Outbox
from installer.gateway.outbox_forgetting import OutboxCounts, OutboxSelection
from installer.gateway.system_service import SERVICE_NAME
from installer.ledger import location
from installer.ledger.query_types import Filter
from installer.ledger.records import Records
from installer.measurements import forgetting
from installer.measurements.forgetting import Selection, StoredCounts
from installer.measurements.open_store import open_store
from installer.notifications.inbox import Entry, Inbox, inbox_lock, inbox_path
from installer.storage.erasing import erasure_incomplete
from installer.storage.file_lock import file_lock
from installer.storage.private_files import is_absent
from installer.storage.stale_files import sweep_folders

if TYPE_CHECKING:
    from installer.measurements.store import Store
    from installer.settings import Settings

LOCK_SECONDS = 0.5


@dataclass(frozen=True)
class Wanted:
    """What is to be erased; all fields must fit. Without any: everything. `before`: measured before."""

    account: str | None = None
    device: str | None = None
    before: datetime | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing stays."""
        return self == Wanted()


@dataclass(frozen=True)
class Counts:
    """How much of it there is, by place. `wake_requests`, `notifications`: waiting ones."""

    stored: StoredCounts
    outbox: OutboxCounts
    wake_requests: int = 0
    notifications: int = 0

    @property
    def total(self) -> int:
        """How many entries these are."""
        places = (self.stored.measurements, self.outbox.collected, self.outbox.visits, self.outbox.identities)
        return sum(places) + self.notifications + self.wake_requests + self.stored.marks

    def as_json(self) -> dict[str, Any]:
        """The numbers by place, for JSON."""
        stored, outbox = asdict(self.stored), asdict(self.outbox)
        times = {name: stored[name].isoformat() if stored[name] else None for name in ("first", "last")}
        return {
            "measurements": stored["measurements"],
            "marks": stored["marks"],
            **times,
            **outbox,
            "wake_requests": self.wake_requests,
            "notifications": self.notifications,
        }


class DataForgetting:
    """One erasure. Use `open`, and close it after use.

    `selection`: what is meant, by ids. `on_server`: the store is a database on a server, whose own copies are not
    reached from here. `spares_store`: such a store that nobody named stays.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        wanted: Wanted,
        selection: Selection,
        outbox: OutboxSelection,
        signed_in: list[tuple[str, str]],
        *,
        lab: bool,
    ) -> None:
        self._store = store
        self._wanted = wanted
        self.selection = selection
        self._outbox = outbox
        self._gateway = GatewayFiles(folder, lab)
        self._inbox = inbox_path(folder, lab=lab)
        self._signed_in = signed_in
        self.on_server = False
        self.spares_store = False

    @classmethod
    async def open(
        cls, user_settings: Settings, wanted: Wanted, *, lab: bool = False, database: str | None = None
    ) -> DataForgetting:
        """Open the store, and find out by what ids and names the account or device is known.

        Without any filter, a store on a server is erased only if `database` names it: others use it too.
        Raises DEVICE_AMBIGUOUS, and what opening the store, the outbox and the ledger raises.
        """
        folder = settings.data_dir()
        signed_in = await asyncio.to_thread(_signed_in, folder / ("lab-accounts" if lab else "accounts"))
        store = await asyncio.to_thread(open_store, user_settings, lab=lab, given=database)
        try:
            selection, outbox = await asyncio.to_thread(_selections, user_settings, store, wanted, signed_in, lab)
            on_server = await asyncio.to_thread(store.look, "read the store", lambda c: c.dialect.name != "sqlite")
        except BaseException:
            store.close()
            raise
        opened = cls(folder, store, wanted, selection, outbox, signed_in, lab=lab)
        opened.on_server = on_server
        opened.spares_store = wanted.everything and database is None and on_server
        return opened

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    @property
    def still_signed_in(self) -> list[str]:
        """The names of signed-in accounts that this is about: the cloud's data can be fetched for them."""
        users = self.selection.users
        return sorted(
            {
                name
                for name, user in self._signed_in
                if self._wanted.account is None or name == self._wanted.account or user in users
            }
        )

    def known_accounts(self) -> list[str]:
        """The names of the accounts in the store."""
        return self._store.look("read the measurements", forgetting.known_accounts)

    async def count(self) -> Counts:
        """How much there is of it now. Others may be writing."""
        return await asyncio.to_thread(self._count)

    async def erase(self) -> Counts:
        """Erase it; how much it was.

        Raises ERASURE_INCOMPLETE if a gateway or receiver runs (then nothing was erased), or if a file could not be
        written anew.
        """
        async with self._only_user():
            found = await asyncio.to_thread(self._count)
            await asyncio.to_thread(self._erase)
            await asyncio.to_thread(sweep_own_folders)
            return found

    def _count(self) -> Counts:
        users = self._users_signed_in()
        stored = StoredCounts()
        if not self.spares_store:
            stored = self._store.look("read the measurements", lambda c: forgetting.count(c, self.selection, users))
        collected = OutboxCounts()
        outbox = Outbox.open_existing(self._gateway.outbox)
        if outbox is not None:
            with outbox:
                collected = outbox_forgetting.count(outbox, self._outbox)
        return Counts(stored, collected, len(self._wake_requests()), len(self._notifications(None)))

    def _erase(self) -> None:
        # What could be delivered or fetched again goes first. A place that fails stops no other one.
        failures: list[InstallerError] = []
        for erase in (self._erase_outbox, self._erase_inbox, self._erase_store):
            try:
                erase()
            except InstallerError as error:
                failures.append(error)
        if failures:
            raise combined(failures)

    def _erase_outbox(self) -> None:
        outbox = Outbox.open_existing(self._gateway.outbox)
        if outbox is not None:
            with outbox:
                outbox_forgetting.erase(outbox, self._outbox)
        for request in self._wake_requests():
            with contextlib.suppress(FileNotFoundError):
                request.unlink()

    def _erase_inbox(self) -> None:
        if is_absent(self._inbox):
            return
        inbox = Inbox(self._inbox)
        try:
            everything = self._wanted.everything
            inbox.erase(None if everything else [entry.key for entry in self._notifications(inbox)])
        finally:
            inbox.close()

    def _erase_store(self) -> None:
        if self.spares_store:
            return
        users = self._users_signed_in()
        self._store.change("erase measurements", lambda c: forgetting.erase(c, self.selection, users))
        self._store.rewrite()

    def _users_signed_in(self) -> frozenset[str]:
        return frozenset(user or name for name, user in self._signed_in)

    def _wake_requests(self) -> list[Path]:
        wanted = self._outbox
        if wanted.before is not None:
            return []  # a request has no age: the gateway takes it at once
        devices = wanted.devices_of_account if wanted.account is not None else None
        if wanted.devices is not None:
            devices = wanted.devices if devices is None else devices & wanted.devices
        return outbox_forgetting.wake_requests(self._gateway.wake, devices)

    def _notifications(self, inbox: Inbox | None) -> list[Entry]:
        """The waiting notifications. They name a user, not a device."""
        if self._wanted.device is not None or is_absent(self._inbox):
            return []
        opened = inbox or Inbox(self._inbox)
        try:
            entries = opened.due(float("inf"))
        finally:
            if inbox is None:
                opened.close()
        before = self._wanted.before.timestamp() if self._wanted.before is not None else None
        return [
            entry
            for entry in entries
            if (self._wanted.account is None or entry.userid in self.selection.users)
            and (before is None or entry.received < before)
        ]

    @asynccontextmanager
    async def _only_user(self) -> AsyncIterator[None]:
        """Keep the gateway and the receiver from running meanwhile: they have in memory what is to be erased."""
        async with contextlib.AsyncExitStack() as stack:
            if not is_absent(self._gateway.outbox):
                if await is_running(self._gateway):
                    raise _in_use("The gateway", f"the service: systemctl --user stop {SERVICE_NAME}")
                await stack.enter_async_context(hold_gateway_lock(self._gateway))
            if not is_absent(self._inbox):
                try:
                    await stack.enter_async_context(file_lock(inbox_lock(self._inbox), LOCK_SECONDS))
                except TimeoutError:
                    raise _in_use("The receiver", "its service: with the system's command") from None
            yield


def sweep_own_folders() -> None:
    """Remove the temporary files that killed runs have left in the folders of this program."""
    sweep_folders([settings.data_dir(), settings.state_dir(), settings.config_dir()])


def _in_use(who: str, service: str) -> InstallerError:
    return erasure_incomplete(
        f"{who} of this user runs, and has in memory what is to be erased. Nothing was erased.",
        f"End it with Ctrl-C where it was started ({service}), then give this command again.",
    )


def _selections(
    user_settings: Settings, store: Store, wanted: Wanted, signed_in: list[tuple[str, str]], lab: bool
) -> tuple[Selection, OutboxSelection]:
    users: frozenset[str] = frozenset()
    records = _records(user_settings, lab=lab) if wanted.account is not None or wanted.device is not None else []
    of_account: set[str] = set()
    if wanted.account is not None:
        account = wanted.account
        users = store.look("read the measurements", lambda c: forgetting.users_of(c, account))
        users |= {user for name, user in signed_in if name == account and user}
        of_account = {str(r["address"]).upper() for r in records if r["account"] == account and r["address"]}
    devices: frozenset[str] | None = None
    if wanted.device is not None:
        known: list[KnownDevice] = store.look("read the names of devices", forgetting.known_devices)
        known += [(str(r["device_id"] or ""), str(r["address"] or ""), str(r["name"] or "")) for r in records]
        outbox = Outbox.open_existing(GatewayFiles(settings.data_dir(), lab).outbox)
        if outbox is not None:
            with outbox:
                known += [("", address, name) for address, name in outbox_forgetting.known_devices(outbox)]
        devices = names_of_device(wanted.device, known)
    upper = None if devices is None else frozenset(one.upper() for one in devices)
    return (
        Selection(wanted.account, users, devices, wanted.before),
        OutboxSelection(wanted.account, upper, wanted.before, frozenset(of_account)),
    )


def _records(user_settings: Settings, *, lab: bool) -> list[dict[str, Any]]:
    """The records of the ledger: they tie a device's address to its id at the cloud, and to its account."""
    target = location.target(None, user_settings.ledger, lab=lab)
    if target.file is not None and is_absent(target.file):
        return []
    records = Records(target, settings.runtime_dir() / "stations")
    try:
        found: list[dict[str, Any]] = []
        after: tuple[str, str] | None = None
        while True:
            page = records.find(Filter(), 500, after)
            found += page.records
            after = page.next
            if after is None:
                return found
    finally:
        records.close()


def _signed_in(folder: Path) -> list[tuple[str, str]]:
    """The accounts of this computer with their users; an empty text if that is not known.

    An account of the same name may be at several clouds, with another user at each.
    """
    found: list[tuple[str, str]] = []
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            record, _ = account_file.examine(path, path.stem)
            if record is not None:
                found.append((record.name, record.userid))
    return found
