"""The inbox of the receiver: a durable queue of notifications whose data is not fetched yet.

There is one entry for each user and category, however many notifications come, because one fetch finds all new data.
So duplicates and floods cost one entry, and the file stays small. An entry is removed when a fetch that started after
its last notification has succeeded. After a kill, the entry is there at the next start.

SQLite in its own file (every commit synced), without SQLAlchemy: the answer to the cloud waits for the commit. The
file may be moved, deleted, replaced or overwritten while it is open. Before `put` returns, that is looked for; then all
entries, which are in memory too, are written into the file at the path.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from installer import output
from installer.errors import ErrorCode, InstallerError
from installer.notifications.notification import Notification, merge_windows
from installer.storage.damaged_rows import DamagedRows
from installer.storage.erasing import rewrite_sqlite
from installer.storage.open_file_identity import MOST_REOPENINGS, Change, OpenFileIdentity, open_identified
from installer.storage.private_files import make_private_folder
from installer.storage.sqlite_files import create_sqlite_file, set_up_connection, was_moved
from installer.storage.unusable_paths import unwritable
from installer.text import printable

BUSY_SECONDS = 1.0
MAX_WAIT_SECONDS = 3600.0
SCHEMA_VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    userid TEXT NOT NULL, appli INTEGER NOT NULL, "start" INTEGER, "end" INTEGER, count INTEGER NOT NULL,
    number INTEGER NOT NULL, received REAL NOT NULL, due REAL NOT NULL, tries INTEGER NOT NULL,
    PRIMARY KEY (userid, appli)) WITHOUT ROWID
"""
_COLUMNS = 'userid, appli, "start", "end", count, number, received, due, tries'
_INSERT = f"INSERT OR REPLACE INTO entries ({_COLUMNS}) VALUES ({', '.join('?' * 9)})"
_KINDS: tuple[Any, ...] = (str, int, int | None, int | None, int, int, int | float, int | float, int)
INBOX_FILE, LAB_INBOX_FILE = "notifications-inbox.sqlite", "lab-notifications-inbox.sqlite"
Key = tuple[str, int]
WHAT = "the inbox of notifications"


def inbox_path(folder: Path, *, lab: bool) -> Path:
    """The file of the inbox in the data folder. The lab's receiver has its own."""
    return folder / (LAB_INBOX_FILE if lab else INBOX_FILE)


def inbox_lock(inbox: Path) -> Path:
    """The file that the receiver of this inbox locks."""
    return inbox.with_suffix(".lock")


@dataclass(frozen=True)
class Entry:
    """One fetch to do, not before `due` (unix seconds), for `count` notifications, the first of them at `received`.

    `number` grows with every notification. `tries`: the number of failed fetches.
    """

    userid: str
    appli: int
    start: int | None
    end: int | None
    count: int
    number: int
    received: float
    due: float
    tries: int = 0

    @property
    def key(self) -> Key:
        """The user and the category."""
        return self.userid, self.appli


class Inbox:
    """An open inbox. Its calls block on the disk and are thread-safe; all may raise DATABASE_FAILED.

    `on_replaced` is called when the file at the path is another one now, and the inbox goes on in that.
    `damaged`: the rows that cannot be read. They stay in the file until a new notification takes their place.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file, mode 0600. Raises DATABASE_FAILED, FILE_UNWRITABLE, STORE_VERSION."""
        self.on_replaced: Callable[[InstallerError], None] = lambda error: output.print_message(str(error))
        self._lock = threading.Lock()
        self._path = path
        self.damaged = DamagedRows("the inbox of notifications")
        self._connection, self._identity = self._open()
        try:
            self._entries = {entry.key: entry for entry in self._read(self._connection)}
            self._data_version = self._current_data_version()
        except BaseException:
            self._connection.close()
            raise
        self._claimed: dict[Key, int] = {}
        self._cooldowns: dict[Key, float] = {}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def put(self, notification: Notification, now: float) -> bool:
        """Store a notification on the disk. False if the waiting entry covers it already."""
        key = (notification.userid, notification.appli)
        window = (notification.start, notification.end)
        with self._lock:
            old = self._entries.get(key)
            if old is None:
                new = Entry(*key, *window, count=1, number=1, received=now, due=self._after_cooldown(key, now))
            else:
                merged = merge_windows((old.start, old.end), window)
                if merged == (old.start, old.end) and self._claimed.get(key) != old.number:
                    self._follow_file()
                    return False  # no fetch has started since: the next one finds this too
                new = replace(old, start=merged[0], end=merged[1], count=old.count + 1, number=old.number + 1)
            self._write(new)
            return True

    def due(self, now: float) -> list[Entry]:
        """The entries that are due now, the longest waiting first."""
        with self._lock:
            found = [e for e in self._entries.values() if _due_time(e, now) <= now]
        return sorted(found, key=lambda e: (e.due, e.received))

    def next_due(self, now: float, without_users: Collection[str] = ()) -> float | None:
        """When the next entry is due, without the entries of these users."""
        with self._lock:
            return min(
                (_due_time(e, now) for e in self._entries.values() if e.userid not in without_users), default=None
            )

    def claim(self, entry: Entry) -> Entry:
        """Start a fetch: later notifications need another fetch. Returns the current state of the entry."""
        with self._lock:
            current = self._entries.get(entry.key, entry)
            self._claimed[current.key] = current.number
            return current

    def done(self, entry: Entry, not_before: float) -> None:
        """The fetch of `entry` succeeded. Notifications since it started, or soon, are due at `not_before`.

        If this cannot be written, the entry stays; then call `failed`.
        """
        with self._lock:
            self._claimed.pop(entry.key, None)
            self._cooldowns[entry.key] = not_before
            current = self._entries.get(entry.key)
            if current is None:
                return
            if current.number != entry.number:
                self._write(replace(current, due=not_before, tries=0))
                return
            self._execute("DELETE FROM entries WHERE userid = ? AND appli = ?", entry.key)
            del self._entries[entry.key]
            self._follow_file()

    def failed(self, entry: Entry, not_before: float) -> None:
        """The fetch failed. It is due again at `not_before`; in this process also if that cannot be written."""
        with self._lock:
            self._claimed.pop(entry.key, None)
            current = self._entries.get(entry.key)
            if current is not None:
                self._entries[entry.key] = replace(current, due=not_before, tries=current.tries + 1)
                self._write(self._entries[entry.key])

    def erase(self, keys: Collection[Key] | None) -> None:
        """Remove these entries, None: all, and write the file anew. Raises ERASURE_INCOMPLETE."""
        with self._lock:
            if keys is None:
                self._execute("DELETE FROM entries", ())
                self._entries.clear()
            for key in keys or ():
                self._execute("DELETE FROM entries WHERE userid = ? AND appli = ?", key)
                self._entries.pop(key, None)
            self._follow_file()
            rewrite_sqlite(self._connection, WHAT)

    def __len__(self) -> int:
        return len(self._entries)

    def _after_cooldown(self, key: Key, now: float) -> float:
        end = self._cooldowns.get(key, now)
        return end if now < end <= now + MAX_WAIT_SECONDS else now

    def _write(self, entry: Entry) -> None:
        self._execute(_INSERT, _values(entry))
        # In memory first: if the file is replaced, all that is in memory is written into the one at the path.
        before, self._entries[entry.key] = self._entries.get(entry.key), entry
        try:
            self._follow_file()
        except InstallerError:
            # The notification is not confirmed, so the cloud sends it again.
            if before is None:
                del self._entries[entry.key]
            else:
                self._entries[entry.key] = before
            raise

    def _execute(self, statement: str, values: tuple[object, ...]) -> None:
        """Run one statement; it is on disk at the end. Raises DATABASE_FAILED."""
        for _ in range(MOST_REOPENINGS):
            self._follow_file()
            with self._database_errors("write to the inbox of notifications"):
                try:
                    self._connection.execute(statement, values)
                except sqlite3.OperationalError as error:
                    if not was_moved(error):
                        raise
                else:
                    return
        raise self._identity.failure(self._identity.change() or Change.GONE)

    def _follow_file(self) -> None:
        """Go on in the file at the path, if it is another one. Raises if that cannot be done."""
        change = None
        for _ in range(MOST_REOPENINGS):
            change = self._identity.change() or self._overwritten()
            if change is None:
                return
            if change is Change.UNREACHABLE:
                break
            self._reopen(change)
        raise self._identity.failure(change or Change.GONE)

    def _overwritten(self) -> Change | None:
        # Only one program uses an inbox. If somebody else has changed the file, it was restored or emptied.
        changed = self._current_data_version() != self._data_version
        return Change.OVERWRITTEN if changed else None

    def _current_data_version(self) -> int:
        with self._database_errors("read the inbox of notifications"):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _reopen(self, change: Change) -> None:
        failure = self._identity.failure(change)
        connection, identity = self._open()
        try:
            with self._database_errors("write to the inbox of notifications"):
                # Entries that only the new file has stay: their data may not be fetched yet.
                entries = {entry.key: entry for entry in self._read(connection)} | self._entries
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, [_values(entry) for entry in self._entries.values()])
                connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        old, self._connection, self._identity = self._connection, connection, identity
        old.close()
        self._entries = entries
        self._data_version = self._current_data_version()
        self.on_replaced(
            failure.with_advice(
                f"The receiver goes on in the file that is there now. Entries in it: {len(entries)}. "
                "Stop it before you restore, move or delete this file."
            )
        )

    def _open(self) -> tuple[sqlite3.Connection, OpenFileIdentity]:
        """A connection to the file at the path, with its table."""
        _create_file(self._path)
        with self._database_errors("open the inbox of notifications"):
            connection, identity = open_identified(self._path, self._connect, WHAT)
            try:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version not in (0, SCHEMA_VERSION):
                    raise InstallerError(
                        ErrorCode.STORE_VERSION,
                        f"The inbox of notifications ({self._path}) has version {version}; this program has "
                        f"{SCHEMA_VERSION}.",
                        "Update device-installer, or move the file away: the next fetch finds the same data.",
                    )
                if connection.execute("SELECT 1 FROM sqlite_master WHERE name <> 'entries'").fetchone():
                    raise InstallerError(
                        ErrorCode.DATABASE_FAILED,
                        f"The file {self._path} is a database, but not an inbox of this program.",
                        "Move it away. It was not changed.",
                    )
                set_up_connection(connection)
                if not version:
                    connection.execute(_TABLE)
                    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            except BaseException:
                connection.close()
                raise
        return connection, identity

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def _read(self, connection: sqlite3.Connection) -> list[Entry]:
        with self._database_errors("read the inbox of notifications"):
            rows = connection.execute(f"SELECT {_COLUMNS} FROM entries").fetchall()
        entries = []
        for row in rows:
            if all(isinstance(value, kinds) for value, kinds in zip(row, _KINDS, strict=True)):
                entries.append(Entry(*row))
            else:
                named = f"user {printable(str(row[0]), 32)}, category {printable(str(row[1]), 16)}"
                self.damaged.add(named, "its values")
        return entries

    @contextmanager
    def _database_errors(self, task: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise InstallerError(
                ErrorCode.DATABASE_FAILED,
                f"The program could not {task}: {error}.",
                f"Free some space and check the permissions of {self._path}. If it is damaged, move it away: the next "
                "fetch finds the same data.",
            ) from error


def _values(entry: Entry) -> tuple[object, ...]:
    return (
        entry.userid, entry.appli, entry.start, entry.end, entry.count, entry.number, entry.received, entry.due,
        entry.tries,
    )  # fmt: skip


def _due_time(entry: Entry, now: float) -> float:
    """When this entry is due. A longer wait than the maximum means a wrong clock; then the entry is due now."""
    return entry.due if entry.due <= now + MAX_WAIT_SECONDS else now


def _create_file(path: Path) -> None:
    try:
        make_private_folder(path.parent)
        create_sqlite_file(path)
    except OSError as error:
        raise unwritable(f"The inbox of notifications ({path}) cannot be made", path, error) from None
