"""The database of the ledger: opened at the first use, and written by one thread in the order of the calls.

Loading SQLAlchemy takes 0.2 s and a commit waits for the disk, so both happen outside the event loop.

An SQLite file may be moved, deleted or restored from a backup while it is open. Then the file at the path gets the
records and leases of this process (`carry_over`), before anybody is told that they are written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from installer.errors import InstallerError
from installer.storage import database
from installer.storage.followed_database import FollowedDatabase

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

T = TypeVar("T")
Work = Callable[["Connection"], T]


@dataclass(frozen=True)
class Target:
    """Where the ledger is. `old_json_folder`: records of an older version as JSON files, to be imported once.

    `command_flags`: options that select this ledger in a command. `is_lab`: it is the lab's own ledger, which is
    migrated without asking because nobody else uses it.
    """

    url: str
    setting: str = "the ledger's URL"
    password: Callable[[], SecretStr | None] | None = None
    old_json_folder: Path | None = None
    command_flags: str = ""
    is_lab: bool = False

    @property
    def migrate_command(self) -> str:
        """The command that updates it."""
        return f"device-installer ledger migrate {self.command_flags}".rstrip()

    @property
    def is_file(self) -> bool:
        """Whether it is an SQLite file."""
        return self.url.startswith("sqlite")

    @property
    def file(self) -> Path | None:
        """The SQLite file, or None."""
        return Path(self.url.partition(":///")[2]) if self.is_file else None


class Store:
    """Runs functions on the ledger's database.

    Raises DATABASE_FAILED, DATABASE_OUTDATED, FILE_UNWRITABLE, SECRET_UNAVAILABLE.
    """

    def __init__(self, target: Target, own: Callable[[], tuple[str, frozenset[str]]] | None = None) -> None:
        """`own`: the id of this process in the ledger, and the installations that it works on."""
        self.target = target
        self._own = own
        self._taken: InstallerError | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._database = FollowedDatabase(
            lambda: open_target(target), "the ledger", self._prepare, self._carry_over, carries_commits=True
        )

    def engine(self) -> Engine:
        """The engine of a database with tables of this version. The first call opens and checks the database."""
        return self._database.engine()

    def write(self, what: str, work: Work[T]) -> T:
        """Run `work` in one transaction, in the caller's thread. `what`: the action for an error, as in “read it”.

        When this returns, it is in the file at the path. Raises DEVICE_TAKEN if the file was replaced by one in which
        another process has what this one had.
        """
        self._taken = None
        with database.database_errors(what):
            result = self._database.write(work)
        if self._taken is not None:
            raise self._taken
        return result

    def read(self, what: str, work: Work[T]) -> T:
        """Like `write`, for work that only reads: it does not wait for the writers of this process."""
        with database.database_errors(what), self._database.reading() as connection:
            return work(connection)

    def _prepare(self, engine: Engine) -> None:
        from installer.ledger import schema_migration

        schema_migration.prepare(engine, self.target)

    def _carry_over(self, old: Connection, new: Engine) -> str:
        from installer.ledger.carry_over import carry_over

        if self._own is None:
            return ""
        holder, known = self._own()
        with database.database_errors("write what this process had"):
            carried = carry_over(old, new, holder, known)
        self._taken = carried.taken
        return f"Records written into it again: {carried.records}." if carried.records else ""

    def post(self, what: str, work: Work[Any], then: Callable[[], None] | None = None) -> None:
        """Write it in the database thread, without waiting. `then` is called when it is on disk.

        A failure is not reported: post only what the next write repeats.
        """

        def write() -> None:
            self.write(what, work)
            if then is not None:
                then()

        self._submit(write)

    async def run(self, what: str, work: Work[T], then: Callable[[], None] | None = None, *, reads: bool = False) -> T:
        """Run `work` in the database thread, after all earlier calls. When this returns it is on disk.

        Cancelling the caller does not undo it.
        """

        def write() -> T:
            result = self.read(what, work) if reads else self.write(what, work)
            if then is not None:
                then()
            return result

        return await asyncio.shield(asyncio.wrap_future(self._submit(write)))

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run any function in the database thread, after all earlier calls."""
        return await asyncio.shield(asyncio.wrap_future(self._submit(lambda: function(*arguments))))

    def preload(self) -> None:
        """Start to open the database in its thread. A failure is reported by the first real use."""

        def load() -> None:
            import contextlib

            with contextlib.suppress(InstallerError):
                self.engine()

        self._submit(load)

    def close(self) -> None:
        """Finish the pending writes and close the database."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)
        self._database.close()

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        future = self._pool.submit(work)
        # The caller may be gone. Reading the exception keeps asyncio from logging it.
        future.add_done_callback(lambda f: None if f.cancelled() else f.exception())
        return future


def open_target(target: Target) -> Engine:
    """An engine for the target. Its password is fetched now, and given to the driver at each connection."""
    return database.open_engine(target.url, target.setting, target.password)
