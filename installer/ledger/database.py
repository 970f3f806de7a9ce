"""The database of the ledger: opened at the first use, and written by one thread in the order of the calls.

Loading SQLAlchemy takes 0.2 s and a commit waits for the disk, so both happen outside the event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from installer.errors import InstallerError
from installer.storage import database

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

    def __init__(self, target: Target) -> None:
        self.target = target
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._pool: ThreadPoolExecutor | None = None

    def engine(self) -> Engine:
        """The engine of a database with tables of this version. The first call opens and checks the database."""
        from installer.ledger import schema_migration

        with self._lock:
            if self._engine is None:
                engine = open_target(self.target)
                try:
                    schema_migration.prepare(engine, self.target)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    def write(self, what: str, work: Work[T]) -> T:
        """Run `work` in one transaction, in the caller's thread. `what`: the action for an error, as in “read it”."""
        engine = self.engine()
        with database.database_errors(what), engine.begin() as connection:
            return work(connection)

    def read(self, what: str, work: Work[T]) -> T:
        """Like `write`, for work that only reads: it does not wait for writers."""
        engine = self.engine()
        with database.database_errors(what), engine.connect() as connection:
            return work(connection.execution_options(reads_only=True))

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
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        future = self._pool.submit(work)
        # The caller may be gone. Reading the exception keeps asyncio from logging it.
        future.add_done_callback(lambda f: None if f.cancelled() else f.exception())
        return future


def open_target(target: Target) -> Engine:
    """An engine for the target. Its password is fetched now, and given to the driver at each connection."""
    secret = target.password() if target.password is not None and not target.is_file else None
    engine = database.open_engine(target.url, target.setting)
    if secret is None:
        return engine

    from sqlalchemy import event

    def give_password(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        parameters["password"] = secret.get_secret_value()

    event.listen(engine, "do_connect", give_password)
    return engine
