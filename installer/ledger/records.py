"""Records: what is kept of each installation, in the ledger; no passphrase and no token is ever handed to this module.

A record is written step by step, outside the event loop and in the order of the calls. What must be on disk before
the installation goes on is awaited: a step that is done, and that credentials are about to be sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.ledger import lazy_import, timestamps
from installer.ledger.database import Store, Target
from installer.ledger.process_alive import ProcessAlive
from installer.ledger.query_types import Filter, Installed, Page
from installer.ledger.site_and_operator import Context
from installer.storage import database

if TYPE_CHECKING:
    from sqlalchemy import Connection

# A station that was silent for so long is taken for dead: its devices are free, its installations can be resumed.
LEASE_SECONDS = 60.0
NOBODY = Context()


class Records:
    """All records of one ledger. Methods that are not async may be called in any thread; they wait for the database.

    Raises DATABASE_FAILED, DATABASE_OUTDATED, FILE_UNWRITABLE, SECRET_UNAVAILABLE.
    """

    def __init__(self, target: Target | Path, presence: Path | None = None, *, seconds: float = LEASE_SECONDS) -> None:
        """`target`: the database, or the path of an SQLite file. `presence`: a folder of this computer only."""
        if isinstance(target, Path):
            presence = presence or target.with_name(target.name + ".stations")
            target = Target(database.sqlite_url(target))
        self.store = Store(target)
        self.presence = ProcessAlive(presence) if presence is not None else None
        self.seconds = seconds
        self._open: set[str] = set()

    # Writing.

    def begin(
        self, installation: str, version: str, context: Context = NOBODY, answers: dict[str, Any] | None = None
    ) -> Record:
        """A new record; nothing is written before `open` or the first change. `answers`: without secrets."""
        began = {"started": timestamps.stamp(), "answers": answers or {}, "seconds": self.seconds}

        def first(connection: Connection) -> None:
            lazy_import.writing().begin(connection, installation, version, context, began | {"holder": self.holder()})

        return Record(self, installation, context.station or "", first)

    def resume(self, installation: str, version: str, context: Context = NOBODY) -> Record:
        """The record of an installation that is gone on with. `open` raises DEVICE_TAKEN where it is running."""

        def first(connection: Connection) -> None:
            self._settle(connection)
            lazy_import.writing().claim(connection, installation, version, self.holder(), self.seconds)

        return Record(self, installation, context.station or "", first)

    def holder(self) -> str:
        """What tells this process from others in the ledger."""
        if self.presence is None:
            return f"records{id(self):x}"
        return self.presence.announce()

    def lease(self, address: str, station: str, seconds: float, installation: str = "") -> Lease:
        """Keep other stations off this device for `seconds`. Raises DEVICE_TAKEN."""
        lease = Lease(self, address, installation or f"{station} {self.holder()}", station, seconds)
        lease.take()
        return lease

    def forget(self, installation: str) -> None:
        """Do not offer it for resuming any more; the record stays, and is resumed if it is named."""
        self.store.write("write a record", lambda c: lazy_import.writing().forget(c, installation))

    # Reading.

    def all(self) -> list[dict[str, Any]]:
        """All records, whole, oldest first. For a large ledger use `find` or `every`."""
        return list(self.every(Filter()))[::-1]

    def every(self, wanted: Filter) -> Iterator[dict[str, Any]]:
        """Whole records, the newest first, read a few at a time."""
        self.settle()
        engine = self.store.engine()
        with database.told("read the records"), engine.connect() as connection:
            yield from lazy_import.reading().every(connection.execution_options(reads_only=True), wanted)

    def find(self, wanted: Filter, limit: int = 50, after: tuple[str, str] | None = None) -> Page:
        """One page of records without their steps, the newest first."""
        self.settle()
        found: Page = self.store.read("read the records", lambda c: lazy_import.reading().find(c, wanted, limit, after))
        return found

    def get(self, installation: str) -> dict[str, Any] | None:
        """One whole record; None if there is none."""
        self.settle()
        found: dict[str, Any] | None = self.store.read(
            "read a record", lambda c: lazy_import.reading().get(c, installation)
        )
        return found

    def unfinished(self, limit: int = 20) -> list[dict[str, Any]]:
        """What can be resumed, whole, the newest first: interrupted, failed half-way, stopped after sending."""
        self.settle()
        return self.store.read("read the records", lambda c: lazy_import.reading().unfinished(c, limit))

    def of_batch(self, batch: str, row: str | None = None) -> list[dict[str, Any]]:
        """What is known of the rows of a batch, or of one, the newest first: no whole records."""
        self.settle()
        return self.store.read("read the records", lambda c: lazy_import.reading().of_batch(c, batch, row))

    def installed(self, method: str) -> list[Installed]:
        """The devices whose last completed installation was with this sync method (`wifi` or `bluetooth`)."""
        return self.store.read("read the records", lambda c: lazy_import.reading().installed(c, method))

    def handed_over(self, address: str) -> str | None:
        """The cloud's id of the device, if a guided hand-off of this program saw it come to an account; or None."""
        found: str | None = self.store.read("read the records", lambda c: lazy_import.reading().handed_over(c, address))
        return found

    def since(self, address: str) -> float | None:
        """When the installation began that last sent credentials to the device, seconds since 1970; or None."""
        sent = self._sent(address)
        return timestamps.seconds_of(sent[1]) if sent is not None else None

    def provisioned(self, address: str) -> str | None:
        """The SSID whose credentials this program last sent to the device, or None."""
        sent = self._sent(address)
        return sent[0] if sent is not None else None

    def settle(self) -> None:
        """Mark as interrupted what runs no more."""
        if self.store.read("read the records", lambda c: lazy_import.reading().any_running(c)):
            self.store.write("write the records", self._settle)

    def close(self) -> None:
        """Write what is still to be written, and close the database."""
        self.store.close()
        if self.presence is not None and not self._open:
            self.presence.leave()

    def is_dead(self, holder: str) -> bool:
        """Whether that process is certainly gone."""
        return self.presence is not None and self.presence.is_dead(holder)

    def _settle(self, connection: Connection) -> None:
        lazy_import.reading().settle(connection, self.is_dead)

    def _sent(self, address: str) -> tuple[str, str] | None:
        found: tuple[str, str] | None = self.store.read(
            "read the records", lambda c: lazy_import.reading().sent(c, address)
        )
        return found


class Lease:
    """A device that is kept for one station. The same from several threads is not safe."""

    def __init__(self, records: Records, address: str, installation: str, station: str, seconds: float) -> None:
        self.records = records
        self.address = address
        self.installation = installation
        self.station = station
        self.seconds = seconds

    def take(self) -> None:
        """Take it. Raises DEVICE_TAKEN."""
        self.records.store.write("keep a device for this station", self._take)

    def renew(self) -> None:
        """Keep it for as long again from now on. Raises DEVICE_TAKEN where it was lost."""
        self.records.store.write("keep a device for this station", self._renew)

    def release(self) -> None:
        """Give it back."""
        self.records.store.write("give a device back", self._release)

    def _take(self, connection: Connection) -> None:
        lazy_import.leases().take(
            connection,
            self.address,
            installation=self.installation,
            station=self.station,
            holder=self.records.holder(),
            seconds=self.seconds,
            dead=self.records.is_dead,
        )

    def _renew(self, connection: Connection) -> None:
        lazy_import.leases().renew(
            connection,
            self.address,
            installation=self.installation,
            holder=self.records.holder(),
            seconds=self.seconds,
        )

    def _release(self, connection: Connection) -> None:
        lazy_import.leases().release(connection, installation=self.installation, holder=self.records.holder())


class Record:
    """The record of an installation that is running in this process. `id`: the installation's."""

    def __init__(self, records: Records, installation: str, station: str, first: Callable[[Connection], None]) -> None:
        self.id = installation
        self._records = records
        self._station = station
        self._first = first
        self._wanted = False
        self._begun = False
        self._lease: Lease | None = None
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """After so long a silence another process may take the installation and its device over."""
        return self._records.seconds

    @property
    def opened(self) -> bool:
        """Whether anything of it is in the ledger, or about to be."""
        return self._wanted

    def open(self) -> None:
        """Let the record be written as it is now, soon. Does nothing the second time."""
        if not self._wanted:
            self._post(lambda _: None)

    async def claimed(self, answers: dict[str, Any] | None = None) -> None:
        """The same, and wait until it is on disk. Raises DEVICE_TAKEN where another process works on it.

        `answers`: those that hold from here on, without secrets.
        """
        await self._run(lambda c: None if answers is None else lazy_import.writing().choices(c, self.id, answers))

    async def device(self, address: str, **values: Any) -> None:
        """Keep which device it is, and keep other stations off it. Raises DEVICE_TAKEN.

        `values`: name, model, certainty, reasons. It is on disk, with what came before, when this returns.
        """
        lease = Lease(self._records, address, self.id, self._station, self._records.seconds)
        before, self._lease = self._lease, None

        def both(connection: Connection) -> None:
            if before is not None and before.address != address:
                before._release(connection)
            lease._take(connection)
            lazy_import.writing().device(connection, self.id, self._records.holder(), {"address": address, **values})

        await self._run(both)
        self._lease = lease

    async def step_done(
        self,
        step: str,
        took: float,
        result: dict[str, Any],
        *,
        reached: str | None = None,
        answers: dict[str, Any] | None = None,
    ) -> None:
        """Keep the result of a step; a repeated step replaces its older result. `reached`: the step that comes next."""
        done = (step, took, result, reached, answers)
        await self._run(lambda c: lazy_import.writing().step_done(c, self.id, self._records.holder(), *done))

    async def known(self, account: str, ids: list[str]) -> None:
        """Keep what was in the account before the device; the first time counts."""
        await self._run(lambda c: lazy_import.writing().known(c, self.id, account, ids))

    async def sending(self, address: str, ssid: str) -> None:
        """Keep that credentials are about to leave: from here on the device may be on Wi-Fi because of this run.

        On disk when this returns. Raises DEVICE_TAKEN where the device is no longer this station's.
        """

        def both(connection: Connection) -> None:
            if self._lease is not None:
                self._lease._renew(connection)
            lazy_import.writing().sending(connection, self.id, self._records.holder(), address, ssid)

        await self._run(both)

    def failed(self, step: str | None, code: str, what: str) -> None:
        """Keep a failure, also of a step that is tried again; it is on disk when what comes next is."""
        self._post(lambda c: lazy_import.writing().failed(c, self.id, self._records.holder(), step, code, what))

    async def end(self, outcome: str) -> None:
        """Keep how it ended, and give the device back."""
        took = time.monotonic() - self._began

        def both(connection: Connection) -> None:
            lazy_import.writing().end(connection, self.id, self._records.holder(), outcome, took)
            if self._lease is not None:
                self._lease._release(connection)

        await self._run(both)
        self._records._open.discard(self.id)

    async def alive(self) -> None:
        """Say that this process still works on it. Raises DEVICE_TAKEN where another one has taken it over."""

        def both(connection: Connection) -> None:
            lazy_import.writing().alive(connection, self.id, self._records.holder(), self._records.seconds)
            if self._lease is not None:
                self._lease._renew(connection)

        await self._run(both)

    def _post(self, work: Callable[[Connection], None]) -> None:
        self._records.store.post("write a record", self._after_first(work), self._has_begun)

    async def _run(self, work: Callable[[Connection], None]) -> None:
        await self._records.store.run("write a record", self._after_first(work), self._has_begun)

    def _after_first(self, work: Callable[[Connection], None]) -> Callable[[Connection], None]:
        self._wanted = True
        self._records._open.add(self.id)

        def both(connection: Connection) -> None:
            if not self._begun:
                self._first(connection)
            work(connection)

        return both

    def _has_begun(self) -> None:
        self._begun = True
