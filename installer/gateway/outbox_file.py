"""The open file of the outbox: transactions in it, and what happens if it is moved, deleted, replaced or overwritten.

Each call looks whether the file is still at its path, and a write does so again after its commit. If not, this goes on
in the file at the path, and carries over all that the old one has: a file without a name can still be read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from installer import output
from installer.errors import InstallerError
from installer.gateway import outbox_database
from installer.gateway.outbox_carry_over import OutboxContent, read_content, write_content
from installer.storage.erasing import rewrite_sqlite
from installer.storage.open_file_identity import MOST_REOPENINGS, Change, OpenFileIdentity, open_identified
from installer.storage.private_files import is_absent
from installer.storage.sqlite_files import has_no_tables, set_up_connection, was_moved

T = TypeVar("T")
WHAT = "the gateway's outbox"


class OutboxFile:
    """An open file with the tables of an outbox. Only for the thread that opened it.

    `on_replaced` is called when the file at the path is another one now. `must_have`: the key of a measurement that is
    missing only if another program has written over the file. `write_again`: writes what may be missing then, and sets
    `must_have`; how much it wrote.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, identity: OpenFileIdentity) -> None:
        self.path = path
        self.on_replaced: Callable[[InstallerError], None] = lambda error: output.print_message(str(error))
        self.must_have: str | None = None
        self.write_again: Callable[[sqlite3.Connection], int] = lambda _: 0
        self._connection = connection
        self._identity = identity

    @classmethod
    def open(cls, path: Path) -> OutboxFile:
        """Open or create it. Raises OUTBOX_INVALID, FILE_UNWRITABLE, DATABASE_FAILED."""
        return cls(path, *_open_prepared(path))

    @classmethod
    def open_existing(cls, path: Path) -> OutboxFile | None:
        """Open it if it is there and has tables, else None. Raises as `open`."""
        if is_absent(path):
            return None
        connection, identity = _open(path)
        try:
            with _sqlite_errors(path, "open it"):
                if not outbox_database.is_new(connection):
                    outbox_database.check_version(path, connection)
                    set_up_connection(connection)
                    return cls(path, connection, identity)
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def close(self) -> None:
        """Close it. What was written is in the file at the path, if that can be done."""
        with suppress(InstallerError):
            self.follow()
        self._connection.close()

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query. Raises DATABASE_FAILED, OUTBOX_INVALID."""
        self.follow()
        with _sqlite_errors(self.path, "read it"):
            return self._connection.execute(query, values).fetchall()

    def write(self, action: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction. When this returns, it is on disk in the file at the path.

        `action` completes “could not …”. Raises DATABASE_FAILED (FileReplaced if the file cannot be followed),
        OUTBOX_INVALID, FILE_UNWRITABLE; then nothing may be confirmed.
        """
        for _ in range(MOST_REOPENINGS):
            self.follow()
            try:
                with _sqlite_errors(self.path, action):
                    result = self._run(work)
            except _MovedMeanwhile:
                continue
            self.follow()  # carries over what was committed just now
            return result
        raise self._identity.failure(self._identity.change() or Change.GONE)

    def rewrite(self) -> None:
        """Write the file anew, so that nothing of removed rows is in it. Raises ERASURE_INCOMPLETE."""
        self.follow()
        rewrite_sqlite(self._connection, WHAT)

    def follow(self) -> None:
        """Go on in the file at the path, if it is another one. Raises as `write`; the outbox stays open then."""
        change = None
        for _ in range(MOST_REOPENINGS):
            change = self._identity.change() or self._overwritten()
            if change is None:
                return
            if change is Change.UNREACHABLE:
                break
            self._reopen(change)
        raise self._identity.failure(change or Change.GONE)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return _transaction(self._connection, work)
        except sqlite3.Error as error:
            if was_moved(error):
                raise _MovedMeanwhile from None
            raise

    def _overwritten(self) -> Change | None:
        """Whether what was written last is missing: another program has written its own content into the file."""
        if self.must_have is None:
            return None
        with _sqlite_errors(self.path, "read it"):
            try:
                found = self._connection.execute("SELECT 1 FROM items WHERE key = ?", (self.must_have,)).fetchone()
            except sqlite3.OperationalError as error:
                if not has_no_tables(error):
                    raise
                found = None
        return None if found else Change.OVERWRITTEN

    def _reopen(self, change: Change) -> None:
        failure = self._identity.failure(change)
        if change is Change.OVERWRITTEN:
            with _sqlite_errors(self.path, "open it"):
                outbox_database.prepare(self.path, self._connection)
                added = _transaction(self._connection, self.write_again)
        else:
            connection, identity = _open_prepared(self.path)
            try:
                with _sqlite_errors(self.path, "write what it had"):
                    added = _transaction(connection, self._carry_over)
            except BaseException:
                connection.close()
                raise
            old, self._connection, self._identity = self._connection, connection, identity
            old.close()
        self.on_replaced(
            failure.with_advice(
                f"The gateway goes on in the file that is there now. Measurements written into it again: {added}. "
                "Stop the gateway before you restore, move or delete this file."
            )
        )

    def _carry_over(self, connection: sqlite3.Connection) -> int:
        try:
            content = read_content(self._connection)
        except sqlite3.Error:
            content = OutboxContent()  # the disk of the old file is gone; what is in memory is left
        return write_content(content, connection) + self.write_again(connection)


class _MovedMeanwhile(Exception):
    """SQLite wrote nothing, because the file was moved after the last look at it."""


def _open(path: Path) -> tuple[sqlite3.Connection, OpenFileIdentity]:
    try:
        return open_identified(path, lambda: outbox_database.connect(path), WHAT)
    except OSError as error:
        change = Change.GONE if isinstance(error, FileNotFoundError) else Change.UNREACHABLE
        raise OpenFileIdentity(path, 0, 0, WHAT).failure(change) from None


def _open_prepared(path: Path) -> tuple[sqlite3.Connection, OpenFileIdentity]:
    outbox_database.create_file(path)
    connection, identity = _open(path)
    try:
        with _sqlite_errors(path, "open it"):
            outbox_database.prepare(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection, identity


def _transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run `work`; it is on disk at the end. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
        return result
    except BaseException:
        # A full disk may have ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _sqlite_errors(path: Path, action: str) -> Iterator[None]:
    """Turn SQLite's errors in the block into DATABASE_FAILED and OUTBOX_INVALID."""
    try:
        yield
    except sqlite3.Error as error:
        raise outbox_database.sqlite_failure(path, action, error) from None
