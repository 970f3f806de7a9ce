"""A database that stays the one at its path: an SQLite file may be moved, deleted or restored while it is open.

    database = FollowedDatabase(open_engine, "the store of measurements", prepare, carry_over)
    result = database.write(work)                   # a transaction; it is in the file at the path when this returns
    with database.reading() as connection: …

Before each use, and after each commit, the file at the path is compared with the open one. If it is another one, that
is opened and prepared like a new one, and the owner carries over what must not be lost. A database on a server is left
to the server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from installer import output
from installer.errors import InstallerError
from installer.storage import database
from installer.storage.open_file_identity import (
    MOST_REOPENINGS,
    Change,
    FileReplaced,
    OpenFileIdentity,
    open_identified,
)
from installer.storage.sqlite_files import was_moved

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

T = TypeVar("T")
OpenEngine = Callable[[], "Engine"]
# Makes the tables, or checks them; raises InstallerError.
Prepare = Callable[["Engine"], None]
# Writes into the new database what must not be lost of the old one. A sentence about it, or an empty text.
CarryOver = Callable[["Connection", "Engine"], str]


class FollowedDatabase:
    """One database, opened at its first use. Several threads may use it.

    `opened` counts how often it was opened: what was read before it grew may be of another file. `on_replaced` is
    called when the file at the path is another one. All calls raise FileReplaced if they cannot follow it, what
    `prepare` raises, and the errors of SQLAlchemy.
    """

    def __init__(
        self,
        open_engine: OpenEngine,
        what: str,
        prepare: Prepare,
        carry_over: CarryOver,
        *,
        carries_commits: bool = False,
    ) -> None:
        """`what`: it in words. `carries_commits`: `carry_over` also takes what was committed last.

        Else that is written once more.
        """
        self.opened = 0
        self.on_replaced: Callable[[InstallerError], None] = lambda error: output.print_message(str(error))
        self._open_engine = open_engine
        self._what = what
        self._prepare = prepare
        self._carry_over = carry_over
        self._carries_commits = carries_commits
        # Nobody opens another file while a thread writes.
        self._lock = threading.RLock()
        self._open_one: _OpenOne | None = None

    def engine(self) -> Engine:
        """The engine of the database that is at the path now."""
        known = self._open_one
        if known is not None and known.change() is None:
            return known.engine
        with self._lock:
            if self._open_one is None:
                self._open_one = self._open()
                self.opened += 1
            self.follow()
            return self._open_one.engine

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction. When this returns, it is on disk, in the file at the path.

        `work` runs again if the file was replaced.
        """
        self.engine()
        assert self._open_one is not None
        with self._lock if self._open_one.path is not None else nullcontext():
            for _ in range(MOST_REOPENINGS):
                try:
                    with self.engine().begin() as connection:
                        result = work(connection)
                except Exception as error:
                    if not was_moved(getattr(error, "orig", None)):
                        raise
                    continue  # nothing was written
                if not self.follow() or self._carries_commits:
                    return result
            raise self._open_one.failure(self._open_one.change() or Change.GONE)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads. Keep it for a short time: it holds up those that write."""
        with self.engine().connect() as connection:
            yield connection.execution_options(reads_only=True)

    def follow(self) -> bool:
        """Open the file at the path, if it is another one; whether that was so."""
        with self._lock:
            known, followed, change = self._open_one, False, None
            for _ in range(MOST_REOPENINGS):
                change = known.change() if known is not None else None
                if known is None or change is None:
                    return followed
                if change is Change.UNREACHABLE:
                    break
                known, followed = self._reopen(known, change), True
            assert known is not None
            raise known.failure(change or Change.GONE)

    def report_overwritten(self, sentence: str) -> None:
        """The owner has found that another program wrote over the file. `sentence`: what it did about that."""
        known = self._open_one
        if known is not None and known.path is not None:
            self._report(known.failure(Change.OVERWRITTEN), sentence)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            known, self._open_one = self._open_one, None
        if known is not None:
            known.close()

    def _reopen(self, old: _OpenOne, change: Change) -> _OpenOne:
        failure, new = old.failure(change), self._open()
        try:
            carried = "" if old.kept is None else self._carry_over(old.kept, new.engine)
        except BaseException:
            new.close()
            raise
        self._open_one = new
        self.opened += 1
        old.close()
        self._report(failure, carried, "Older data is only in the file that was open before.")
        return new

    def _report(self, failure: InstallerError, *sentences: str) -> None:
        first = "The program goes on in the file that is there now."
        last = "Stop the program before you restore, move or delete this file."
        self.on_replaced(failure.with_advice(" ".join(filter(None, (first, *sentences, last)))))

    def _open(self) -> _OpenOne:
        opened = _OpenOne(self._open_engine(), self._what)
        try:
            self._prepare(opened.engine)
            opened.keep()
        except BaseException:
            opened.close()
            raise
        return opened


class _OpenOne:
    """An engine, and the one file that all its connections have open. `path`: None without a file.

    `kept`: a connection that reads, so that a file that has no name any more can still be read.
    """

    def __init__(self, engine: Engine, what: str) -> None:
        from sqlalchemy import event

        self.engine = engine
        self.path = database.sqlite_path(engine.url)
        self.kept: Connection | None = None
        self._what = what
        self._identity: OpenFileIdentity | None = None
        if self.path is not None:
            event.listen(engine, "do_connect", self._connect)

    def keep(self) -> None:
        """Open `kept`."""
        if self.path is not None:
            self.kept = self.engine.connect().execution_options(reads_only=True)

    def close(self) -> None:
        """Close all connections."""
        if self.kept is not None:
            self.kept.close()
        self.engine.dispose()

    def change(self) -> Change | None:
        """What happened to the file since it was opened."""
        return None if self._identity is None else self._identity.change()

    def failure(self, change: Change) -> FileReplaced:
        """The error for this change."""
        return (self._identity or OpenFileIdentity(self.path or Path(), 0, 0, self._what)).failure(change)

    def _connect(self, dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        assert self.path is not None
        try:
            connection, identity = open_identified(
                self.path, lambda: dialect.connect(*arguments, **parameters), self._what
            )
        except OSError:
            if self._identity is None:
                return None  # SQLite itself tries, and says why it cannot
            raise self.failure(Change.GONE) from None
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            # A pool that holds two files would read from either.
            connection.close()
            raise self.failure(Change.REPLACED)
        return connection
