"""Records: what the ledger keeps of each installation. No passphrase and no token ever reaches this module.

A record is written step by step, outside the event loop and in the order of the calls. The installation waits until
these are on disk: the result of a step, and the note that credentials are about to be sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.ledger import shared, timestamps
from installer.ledger.database import Store, Target
from installer.ledger.leases import LEASE_SECONDS, Lease
from installer.ledger.process_alive import ProcessAlive
from installer.storage import database
from installer.storage.damaged_rows import DamagedRows
from installer.text import printable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from installer.ledger.query_types import Filter, InstalledDevice, Page


@dataclass(frozen=True)
class Context:
    """Who installs, and where: what a record keeps beside the device.

    `site`, `operator`, `label`: free text. `batch`, `row`: the plan's name and the key of its row. `station`: the name
    of this computer. `options`: how the run behaves, for a resumed one (JSON types, no secret).
    """

    site: str | None = None
    operator: str | None = None
    label: str | None = None
    batch: str | None = None
    row: str | None = None
    station: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


NO_CONTEXT = Context()
PRIVATE_SECONDS = 1.0


def _queries() -> Any:
    """`installer.ledger.queries`, imported at the first call because it loads SQLAlchemy."""
    from installer.ledger import queries

    return queries


def _updates() -> Any:
    """`installer.ledger.record_updates`, imported at the first call because it loads SQLAlchemy."""
    from installer.ledger import record_updates

    return record_updates


class Records:
    """All records of one ledger. The methods that are not async wait for the database; any thread may call them.

    Raises DATABASE_FAILED, DATABASE_OUTDATED, FILE_UNWRITABLE, SECRET_UNAVAILABLE.
    """

    def __init__(
        self, target: Target | Path, process_folder: Path | None = None, *, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        """`target`: the database, or the path of an SQLite file. `process_folder`: see `ProcessAlive`."""
        if isinstance(target, Path):
            process_folder = process_folder or target.with_name(target.name + ".stations")
            target = Target(database.sqlite_url(target))
        self.store = Store(target, self._own)
        self.process = ProcessAlive(process_folder) if process_folder is not None else None
        self.lease_seconds = lease_seconds
        self.damaged = DamagedRows("the ledger")  # what was met while reading
        self._unended: set[str] = set()
        self._ended_last: str | None = None
        self._private = False
        self._private_until = 0.0

    @property
    def private(self) -> bool:
        """Whether only this user can write this ledger. What any other says is not obeyed.

        Looked at once a second at most: an installation asks ten times, and each look is some twenty system calls.
        """
        now = time.monotonic()
        if now >= self._private_until:
            self._private, self._private_until = shared.is_private(self.store.target), now + PRIVATE_SECONDS
        return self._private

    # Writing.

    def begin(
        self, installation: str, version: str, context: Context = NO_CONTEXT, answers: dict[str, Any] | None = None
    ) -> Record:
        """A new record. Nothing is written before `open` or the first change. `answers`: without secrets."""
        started = timestamps.timestamp()

        def first(connection: Connection) -> None:
            private = self.private
            written = replace(context, options=shared.options_for_ledger(context.options, private=private))
            kept = shared.answers_for_ledger(answers or {}, private=private)
            _updates().insert_installation(
                connection, installation, version, written, started, kept, self.holder(), self.lease_seconds
            )

        return Record(self, installation, context.station or "", first)

    def resume(self, installation: str, version: str, context: Context = NO_CONTEXT) -> Record:
        """The record of a resumed installation. Its first write raises DEVICE_TAKEN if another process runs it."""

        def first(connection: Connection) -> None:
            self._mark_interrupted(connection)
            _updates().claim_installation(connection, installation, version, self.holder(), self.lease_seconds)

        return Record(self, installation, context.station or "", first)

    def holder(self) -> str:
        """The id of this process in the ledger."""
        if self.process is None:
            return f"records{id(self):x}"
        return self.process.announce()

    def lease(self, address: str, station: str, seconds: float, installation: str = "") -> Lease:
        """Reserve this device for `station` for `seconds`. Raises DEVICE_TAKEN."""
        lease = Lease(self, address, installation or f"{station} {self.holder()}", station, seconds)
        lease.acquire()
        return lease

    def hide_from_resume(self, installation: str) -> None:
        """Hide it from the list of what can be resumed. The record stays, and can be resumed by its id."""
        self.store.write("write a record", lambda c: _updates().hide_from_resume(c, installation))

    # Reading.

    def all(self) -> list[dict[str, Any]]:
        """All complete records, the oldest first. For a large ledger use `find` or `every`."""
        from installer.ledger.query_types import Filter

        return list(self.every(Filter()))[::-1]

    def every(self, wanted: Filter) -> Iterator[dict[str, Any]]:
        """Complete records, the newest first, read a block at a time."""
        self.mark_interrupted()
        for record in _queries().every(lambda work: self.store.read("read the records", work), wanted):
            self._note_damage([record])
            yield record

    def find(self, wanted: Filter, limit: int = 50, after: tuple[str, str] | None = None) -> Page:
        """One page of records without their steps, the newest first."""
        self.mark_interrupted()
        found: Page = self.store.read("read the records", lambda c: _queries().find(c, wanted, limit, after))
        self._note_damage(found.records)
        return found

    def get(self, installation: str) -> dict[str, Any] | None:
        """One complete record, or None."""
        self.mark_interrupted()
        found: dict[str, Any] | None = self.store.read("read a record", lambda c: _queries().get(c, installation))
        self._note_damage([found] if found is not None else [])
        return found

    def complete(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """Complete records in the order of `ids`, without those that do not exist."""
        return self._noted(self.store.read("read the records", lambda c: _queries().complete_records(c, ids)))

    def unfinished(self, limit: int = 20) -> list[dict[str, Any]]:
        """Complete records that can be resumed, the newest first; see `queries.unfinished`."""
        self.mark_interrupted()
        return self._noted(self.store.read("read the records", lambda c: _queries().unfinished(c, limit)))

    def of_batch(self, batch: str, row: str | None = None) -> list[dict[str, Any]]:
        """The records of a batch, or of one of its rows, with few columns, the newest first."""
        self.mark_interrupted()
        return self._noted(self.store.read("read the records", lambda c: _queries().of_batch(c, batch, row)))

    def installed(self, method: str) -> list[InstalledDevice]:
        """The devices whose last completed installation was with this sync method (`wifi` or `bluetooth`)."""
        from installer.ledger.query_types import InstalledDevice

        found = self.store.read("read the records", lambda c: _queries().installed(c, method))
        self._note_damage(found)
        return [InstalledDevice.of(row) for row in found if not row["damaged"]]

    def handed_over(self, address: str) -> str | None:
        """The cloud's id of a device that the vendor's app set up during a guided hand-off; or None."""
        found: str | None = self.store.read("read the records", lambda c: _queries().handed_over(c, address))
        return found

    def last_provisioning_started(self, address: str) -> float | None:
        """When the installation that last sent credentials to the device started, in seconds since 1970; or None."""
        sent = self._sent(address)
        return timestamps.unix_seconds(sent[1]) if sent is not None else None

    def last_provisioned_ssid(self, address: str) -> str | None:
        """The SSID whose credentials this program last sent to the device, or None."""
        sent = self._sent(address)
        return sent[0] if sent is not None else None

    def mark_interrupted(self) -> None:
        """Mark installations whose process is gone as interrupted."""
        if self.store.read("read the records", lambda c: _queries().any_running(c)):
            self.store.write("write the records", self._mark_interrupted)

    def close(self) -> None:
        """Finish the pending writes and close the database."""
        self.store.close()
        if self.process is not None and not self._unended:
            self.process.leave()

    def is_dead(self, holder: str) -> bool:
        """Whether that process is certainly gone. `holder`: its id in the ledger."""
        return self.process is not None and self.process.is_dead(holder)

    def _own(self) -> tuple[str, frozenset[str]]:
        """The id of this process in the ledger, and the installations of which it has told that they are written."""
        holder = self.holder() if self.process is None else self.process.token
        return holder, frozenset(self._unended | ({self._ended_last} if self._ended_last else set()))

    def _noted(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self._note_damage(records)
        return records

    def _note_damage(self, records: Iterable[Mapping[str, Any]]) -> None:
        for record in records:
            if record["damaged"]:
                self.damaged.add(f"record {printable(str(record['id']))}", ", ".join(record["damaged"]))

    def _mark_interrupted(self, connection: Connection) -> None:
        _queries().mark_interrupted(connection, self.is_dead)

    def _sent(self, address: str) -> tuple[str, str] | None:
        found: tuple[str, str] | None = self.store.read("read the records", lambda c: _queries().sent(c, address))
        return found


class Record:
    """The record of an installation that runs in this process. `id`: that of the installation."""

    def __init__(
        self, records: Records, installation: str, station: str, first_write: Callable[[Connection], None]
    ) -> None:
        self.id = installation
        self._records = records
        self._station = station
        self._first_write = first_write
        self._opened = False
        self._first_written = False
        self._lease: Lease | None = None
        self._started = time.monotonic()

    @property
    def lease_seconds(self) -> float:
        """After this long without a heartbeat another process may take over the installation and its device."""
        return self._records.lease_seconds

    @property
    def opened(self) -> bool:
        """Whether it is in the ledger, or about to be written."""
        return self._opened

    def open(self) -> None:
        """Write the record soon, without waiting. Does nothing the second time."""
        if not self._opened:
            self._post(lambda _: None)

    async def claim(self, answers: dict[str, Any] | None = None) -> None:
        """Write the record and wait until it is on disk. Raises DEVICE_TAKEN if another process works on it.

        `answers`: the answers from now on, without secrets.
        """
        kept = None if answers is None else self._for_ledger(answers)
        await self._run(lambda c: None if kept is None else _updates().set_answers(c, self.id, kept))

    async def set_device(self, address: str, **values: Any) -> None:
        """Save which device it is, and take the lease of it. Raises DEVICE_TAKEN.

        `values`: name, model, certainty, reasons. Returns when this and all earlier writes are on disk.
        """
        lease = Lease(self._records, address, self.id, self._station, self._records.lease_seconds)
        previous, self._lease = self._lease, None

        def both(connection: Connection) -> None:
            if previous is not None and previous.address != address:
                previous.release_in(connection)
            lease.acquire_in(connection)
            _updates().set_device(connection, self.id, self._records.holder(), {"address": address, **values})

        await self._run(both)
        self._lease = lease

    async def change_address(self, address: str) -> None:
        """Save that the device has this address from now on, and take its lease. Raises DEVICE_TAKEN.

        A device with a changing address shows its lasting one when it is paired.
        """
        lease = Lease(self._records, address, self.id, self._station, self._records.lease_seconds)
        previous, self._lease = self._lease, None

        def both(connection: Connection) -> None:
            if previous is not None:
                previous.release_in(connection)
            lease.acquire_in(connection)
            _updates().change_address(connection, self.id, self._records.holder(), address)

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
        """Save the result of a step, in place of an older result of the same step. `reached`: the next step."""
        done = (step, took, result, reached, None if answers is None else self._for_ledger(answers))
        await self._run(lambda c: _updates().set_step_done(c, self.id, self._records.holder(), *done))

    async def set_known_devices(self, account: str, ids: list[str]) -> None:
        """Save which devices the account had before this one. Only the first call for an account counts."""
        await self._run(lambda c: _updates().set_known_devices(c, self.id, account, ids))

    async def sending(self, address: str, ssid: str) -> None:
        """Save that credentials are about to be sent: from now on this run may have put the device on Wi-Fi.

        Returns when it is on disk. Raises DEVICE_TAKEN if this station has lost the device.
        """

        def both(connection: Connection) -> None:
            if self._lease is not None:
                self._lease.renew_in(connection)
            _updates().set_sending(connection, self.id, self._records.holder(), address, ssid)

        await self._run(both)

    def failed(self, step: str | None, code: str, what: str) -> None:
        """Save a failure, also of a step that is retried. It is on disk when the next awaited write is.

        A ledger of several users gets the meaning of the code instead of `what`: that may name a file of this computer.
        """
        what = shared.failure_for_ledger(code, what, private=self._records.private)
        self._post(lambda c: _updates().add_failure(c, self.id, self._records.holder(), step, code, what))

    async def end(self, outcome: str) -> None:
        """Save the outcome, and release the lease of the device."""
        took = time.monotonic() - self._started

        def both(connection: Connection) -> None:
            _updates().set_ended(connection, self.id, self._records.holder(), outcome, took)
            if self._lease is not None:
                self._lease.release_in(connection)

        await self._run(both)
        self._records._unended.discard(self.id)
        self._records._ended_last = self.id

    async def heartbeat(self) -> None:
        """Record that this process still works on it. Raises DEVICE_TAKEN if another process has taken it over."""

        def both(connection: Connection) -> None:
            _updates().renew_heartbeat(connection, self.id, self._records.holder(), self._records.lease_seconds)
            if self._lease is not None:
                self._lease.renew_in(connection)

        await self._run(both)

    def _for_ledger(self, answers: dict[str, Any]) -> dict[str, Any]:
        return shared.answers_for_ledger(answers, private=self._records.private)

    def _post(self, work: Callable[[Connection], None]) -> None:
        self._records.store.post("write a record", self._with_first_write(work), self._set_first_written)

    async def _run(self, work: Callable[[Connection], None]) -> None:
        await self._records.store.run("write a record", self._with_first_write(work), self._set_first_written)

    def _with_first_write(self, work: Callable[[Connection], None]) -> Callable[[Connection], None]:
        self._opened = True
        self._records._unended.add(self.id)

        def both(connection: Connection) -> None:
            if self._first_written:
                _updates().check_recorded(connection, self.id)
            else:
                self._first_write(connection)
            work(connection)

        return both

    def _set_first_written(self) -> None:
        self._first_written = True
