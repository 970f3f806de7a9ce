"""The inbox of the receiver: a durable queue of notifications whose data is not fetched yet.

There is one entry for each user and category, however many notifications come, because one fetch finds all new data.
So duplicates and floods cost one entry, and the file stays small. An entry is removed when a fetch that started after
its last notification has succeeded. After a kill, the entry is there at the next start.

SQLite in its own file (WAL, every commit synced), without SQLAlchemy: the answer to the cloud waits for the commit.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from installer.errors import ErrorCode, InstallerError
from installer.notifications.notification import Notification, merge_windows
from installer.storage.private_files import create_private_file, make_private_folder

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
Key = tuple[str, int]


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
    """An open inbox. Its calls block on the disk and are thread-safe; all may raise DATABASE_FAILED."""

    def __init__(self, path: Path) -> None:
        """Open or make the file, mode 0600. Raises DATABASE_FAILED, FILE_UNWRITABLE."""
        self._lock = threading.Lock()
        self._path = path
        _create_file(path)
        with self._database_errors("open the inbox of notifications"):
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                self._connection.execute(f"PRAGMA {pragma}")
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, SCHEMA_VERSION):
                raise InstallerError(
                    ErrorCode.STORE_VERSION,
                    f"The inbox of notifications ({path}) has version {version}; this program has {SCHEMA_VERSION}.",
                    "Update device-installer, or move the file away: the next fetch finds the same data.",
                )
            self._connection.execute(_TABLE)
            self._connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM entries").fetchall()
        self._entries = {entry.key: entry for entry in (Entry(*row) for row in rows)}
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
            with self._database_errors("write to the inbox of notifications"):
                self._connection.execute("DELETE FROM entries WHERE userid = ? AND appli = ?", entry.key)
            del self._entries[entry.key]

    def failed(self, entry: Entry, not_before: float) -> None:
        """The fetch failed. It is due again at `not_before`; in this process also if that cannot be written."""
        with self._lock:
            self._claimed.pop(entry.key, None)
            current = self._entries.get(entry.key)
            if current is not None:
                self._entries[entry.key] = replace(current, due=not_before, tries=current.tries + 1)
                self._write(self._entries[entry.key])

    def __len__(self) -> int:
        return len(self._entries)

    def _after_cooldown(self, key: Key, now: float) -> float:
        end = self._cooldowns.get(key, now)
        return end if now < end <= now + MAX_WAIT_SECONDS else now

    def _write(self, entry: Entry) -> None:
        values = (
            entry.userid, entry.appli, entry.start, entry.end, entry.count, entry.number, entry.received, entry.due,
            entry.tries,
        )  # fmt: skip
        placeholders = ", ".join("?" * len(values))
        with self._database_errors("write to the inbox of notifications"):
            self._connection.execute(f"INSERT OR REPLACE INTO entries ({_COLUMNS}) VALUES ({placeholders})", values)
        self._entries[entry.key] = entry

    @contextmanager
    def _database_errors(self, task: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InstallerError(
                ErrorCode.DATABASE_FAILED,
                f"The program could not {task}: {error}.",
                f"Free some space and check the permissions of {self._path}. If it is damaged, move it away: the next "
                "fetch finds the same data.",
            ) from error


def _due_time(entry: Entry, now: float) -> float:
    """When this entry is due. A longer wait than the maximum means a wrong clock; then the entry is due now."""
    return entry.due if entry.due <= now + MAX_WAIT_SECONDS else now


def _create_file(path: Path) -> None:
    try:
        make_private_folder(path.parent)
        create_private_file(path)
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"The inbox of notifications ({path}) cannot be made: {error.strerror}.",
            "Check the permissions and the free space, or move it with DEVICE_INSTALLER_HOME.",
        ) from None
