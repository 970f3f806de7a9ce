"""The inbox of the receiver: what the cloud has told and nobody has looked at yet, safe on the disk.

For every user and kind of data there is one entry, however often it is told: what is new is found by a single look.
So the same notification twice is one, a flood of them is one, and the file stays small. An entry goes only when the
look that began after its last notification has succeeded; a kill in between leaves it for the next start.

SQLite in a file of its own (WAL, every commit synced), without SQLAlchemy: the answer to the cloud waits for it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from installer.errors import ErrorCode, InstallerError
from installer.notifications.notification import Notification, widest
from installer.storage.private_files import make_private

BUSY_SECONDS = 1.0
FARTHEST = 3600.0
VERSION = 1
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
    """What is to be looked at. `count` notifications, the first at `received`; not before `due` (unix seconds).

    `number` grows with every notification; `tries`: how often a look has failed.
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
        """Whose news, and of which kind."""
        return self.userid, self.appli


class Inbox:
    """An open inbox. Its calls wait for the disk, and may come from several threads; all may raise DATABASE_FAILED."""

    def __init__(self, path: Path) -> None:
        """Open or make the file, mode 0600. Raises DATABASE_FAILED, FILE_UNWRITABLE."""
        self._lock = threading.Lock()
        self._path = path
        _make(path)
        with self._told("open the inbox of notifications"):
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                self._connection.execute(f"PRAGMA {pragma}")
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise InstallerError(
                    ErrorCode.STORE_VERSION,
                    f"The inbox of notifications ({path}) is of version {version}; this program knows {VERSION}.",
                    "Update device-installer, or move the file away: the next look into the account finds the same.",
                )
            self._connection.execute(_TABLE)
            self._connection.execute(f"PRAGMA user_version={VERSION}")
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM entries").fetchall()
        self._entries = {entry.key: entry for entry in (Entry(*row) for row in rows)}
        self._looking: dict[Key, int] = {}
        self._rests: dict[Key, float] = {}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def put(self, notice: Notification, now: float) -> bool:
        """Keep a notification; when this returns it is on the disk. False: what is there says the same already."""
        key = (notice.userid, notice.appli)
        window = (notice.start, notice.end)
        with self._lock:
            old = self._entries.get(key)
            if old is None:
                fresh = Entry(*key, *window, count=1, number=1, received=now, due=self._after_rest(key, now))
            else:
                wide = widest((old.start, old.end), window)
                if wide == (old.start, old.end) and self._looking.get(key) != old.number:
                    return False  # no look has begun since: it will find this too
                fresh = replace(old, start=wide[0], end=wide[1], count=old.count + 1, number=old.number + 1)
            self._write(fresh)
            return True

    def due(self, now: float) -> list[Entry]:
        """What is to be looked at now, the longest waiting first."""
        with self._lock:
            found = [e for e in self._entries.values() if _when(e, now) <= now]
        return sorted(found, key=lambda e: (e.due, e.received))

    def next_due(self, now: float, without: Collection[str] = ()) -> float | None:
        """When something is to be looked at next, these users left out."""
        with self._lock:
            return min((_when(e, now) for e in self._entries.values() if e.userid not in without), default=None)

    def look(self, entry: Entry) -> Entry:
        """A look at this begins: what comes from now on needs another one. The entry as it is by now."""
        with self._lock:
            current = self._entries.get(entry.key, entry)
            self._looking[current.key] = current.number
            return current

    def done(self, entry: Entry, again: float) -> None:
        """The look at `entry` succeeded; what came meanwhile, or comes soon, is due at `again`.

        If that cannot be written the entry stays; call `failed` then.
        """
        with self._lock:
            self._looking.pop(entry.key, None)
            self._rests[entry.key] = again
            current = self._entries.get(entry.key)
            if current is None:
                return
            if current.number != entry.number:
                self._write(replace(current, due=again, tries=0))
                return
            with self._told("write to the inbox of notifications"):
                self._connection.execute("DELETE FROM entries WHERE userid = ? AND appli = ?", entry.key)
            del self._entries[entry.key]

    def failed(self, entry: Entry, again: float) -> None:
        """The look failed; it is due once more at `again`, in this process also if that cannot be written."""
        with self._lock:
            self._looking.pop(entry.key, None)
            current = self._entries.get(entry.key)
            if current is not None:
                self._entries[entry.key] = replace(current, due=again, tries=current.tries + 1)
                self._write(self._entries[entry.key])

    def __len__(self) -> int:
        return len(self._entries)

    def _after_rest(self, key: Key, now: float) -> float:
        again = self._rests.get(key, now)
        return again if now < again <= now + FARTHEST else now

    def _write(self, entry: Entry) -> None:
        values = (
            entry.userid, entry.appli, entry.start, entry.end, entry.count, entry.number, entry.received, entry.due,
            entry.tries,
        )  # fmt: skip
        marks = ", ".join("?" * len(values))
        with self._told("write to the inbox of notifications"):
            self._connection.execute(f"INSERT OR REPLACE INTO entries ({_COLUMNS}) VALUES ({marks})", values)
        self._entries[entry.key] = entry

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InstallerError(
                ErrorCode.DATABASE_FAILED,
                f"The program could not {what}: {error}.",
                f"Free some space and check the permissions of {self._path}. If it is damaged, move it away: the next "
                "look into the account finds the same.",
            ) from error


def _when(entry: Entry, now: float) -> float:
    """When this is due. No wait is that long: the clock was set back, or the file is of a computer whose is ahead."""
    return entry.due if entry.due <= now + FARTHEST else now


def _make(path: Path) -> None:
    try:
        make_private(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"The inbox of notifications ({path}) cannot be made: {error.strerror}.",
            "Check the permissions and the free space, or move it with DEVICE_INSTALLER_HOME.",
        ) from None
