"""The database of the ledger: opened when first used, written by one thread, in the order of the calls.

Loading SQLAlchemy takes a fifth of a second and a commit waits for the disk, so neither happens in the event loop.
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
    """Where the ledger is. `json`: the folder of records of an older version, to be taken over once.

    `flags`: what a person adds to a command so that it means this one. `practice`: the lab's own, which is brought up
    to date unasked; nobody else uses it.
    """

    url: str
    setting: str = "the ledger's URL"
    password: Callable[[], SecretStr | None] | None = None
    json: Path | None = None
    flags: str = ""
    practice: bool = False

    @property
    def migrate(self) -> str:
        """The command that brings it up to date."""
        return f"device-installer ledger migrate {self.flags}".rstrip()

    @property
    def is_file(self) -> bool:
        """Whether it is a file of this computer."""
        return self.url.startswith("sqlite")

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database."""
        return Path(self.url.partition(":///")[2]) if self.is_file else None


class Store:
    """Does work on the ledger. Raises DATABASE_FAILED, DATABASE_OUTDATED, FILE_UNWRITABLE, SECRET_UNAVAILABLE."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._pool: ThreadPoolExecutor | None = None

    def engine(self) -> Engine:
        """The engine, with tables of this version in its database; may take a moment the first time."""
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
        """Do it now, in one transaction, in the thread of the caller; `what` could not be done, as in “read it”."""
        engine = self.engine()
        with database.told(what), engine.begin() as connection:
            return work(connection)

    def read(self, what: str, work: Work[T]) -> T:
        """The same for what only reads: it waits for no writer."""
        engine = self.engine()
        with database.told(what), engine.connect() as connection:
            return work(connection.execution_options(reads_only=True))

    def post(self, what: str, work: Work[Any], then: Callable[[], None] | None = None) -> None:
        """Let it be written soon, after what was posted before; `then` is called when it is on disk.

        A failure stays unsaid: only what is made up for by the next write is posted.
        """

        def noted() -> None:
            self.write(what, work)
            if then is not None:
                then()

        self._submit(noted)

    async def run(self, what: str, work: Work[T], then: Callable[[], None] | None = None, *, reads: bool = False) -> T:
        """Do it outside the event loop, after what was posted before; when this returns it is on disk.

        Somebody who stops waiting does not undo it.
        """

        def done() -> T:
            result = self.read(what, work) if reads else self.write(what, work)
            if then is not None:
                then()
            return result

        return await asyncio.shield(asyncio.wrap_future(self._submit(done)))

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Any function in the same thread, after what was posted before."""
        return await asyncio.shield(asyncio.wrap_future(self._submit(lambda: function(*arguments))))

    def warm(self) -> None:
        """Begin to load what the database needs; what goes wrong is told by whoever needs it."""

        def loaded() -> None:
            import contextlib

            with contextlib.suppress(InstallerError):
                self.engine()

        self._submit(loaded)

    def close(self) -> None:
        """Write what is still to be written, and close the database."""
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
        # Whoever asked may have gone; a failure that nobody collects is not said twice.
        future.add_done_callback(lambda f: None if f.cancelled() else f.exception())
        return future


def open_target(target: Target) -> Engine:
    """An engine for the target; the password comes from where it is named, and only into the connection."""
    secret = target.password() if target.password is not None and not target.is_file else None
    engine = database.open_engine(target.url, target.setting)
    if secret is None:
        return engine

    from sqlalchemy import event

    def give_password(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        parameters["password"] = secret.get_secret_value()

    event.listen(engine, "do_connect", give_password)
    return engine
