"""What people and programs do to a file that is in use, and at which moment of a write."""

from __future__ import annotations

import enum
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from installer.storage.open_file_identity import Change, OpenFileIdentity

# Somebody moves the file away; deletes it; renames a backup over it; copies a backup into it.
MOVED, DELETED, RESTORED, OVERWRITTEN = "moved", "deleted", "restored", "overwritten"
CHANGES = (MOVED, DELETED, RESTORED, OVERWRITTEN)


def back_up(path: Path) -> Path:
    """A copy of the file as it is now, as `cp` makes it."""
    return Path(shutil.copyfile(path, path.with_name("backup")))


def change_file(kind: str, path: Path, backup: Path) -> None:
    """Do it. The backup stays."""
    if kind == MOVED:
        path.rename(path.with_name("moved-away"))
    elif kind == DELETED:
        path.unlink()
    elif kind == RESTORED:
        shutil.copyfile(backup, path.with_name("restored")).replace(path)
    else:
        shutil.copyfile(backup, path)


class Moment(enum.Enum):
    """A moment of one write: between two of these moments nothing happens to the file."""

    BEFORE_INSERT = 1  # the transaction has begun
    BEFORE_COMMIT = 2  # all is written into the journal
    AFTER_COMMIT = 3  # the program has not looked at its file yet
    AFTER_LOOK = 4  # it has looked, and goes on to confirm


# A copy into a file in the midst of a transaction damages it: nothing can protect SQLite from that.
CASES = [
    (kind, moment)
    for kind in CHANGES
    for moment in Moment
    if kind != OVERWRITTEN or moment in (Moment.AFTER_COMMIT, Moment.AFTER_LOOK)
]


class Saboteur:
    """Does something to a file at a moment of a write into one table. `hits`: how often it did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, table: str) -> None:
        self.hits = 0
        self._insert = (f"INSERT INTO {table} ", f"INSERT OR REPLACE INTO {table} ")
        self._moment: Moment | None = None
        self._act: Callable[[], object] = lambda: None
        self._written = self._committed = False
        self._writer = 0
        change, connect = OpenFileIdentity.change, sqlite3.connect

        def watched_change(identity: OpenFileIdentity) -> Change | None:
            return self._look(lambda: change(identity))

        def watched_connect(*arguments: Any, **parameters: Any) -> sqlite3.Connection:
            connection = connect(*arguments, **parameters)
            connection.set_trace_callback(self._statement)
            return connection

        monkeypatch.setattr(OpenFileIdentity, "change", watched_change)
        monkeypatch.setattr(sqlite3, "connect", watched_connect)
        monkeypatch.setattr(sqlite3.dbapi2, "connect", watched_connect)

    def arm(self, moment: Moment, act: Callable[[], object]) -> None:
        """Do this at that moment of the next write, once."""
        self._moment, self._act, self._written, self._committed = moment, act, False, False

    def _statement(self, sql: str) -> None:
        if sql.startswith(self._insert):
            self._written, self._writer = True, threading.get_ident()
            self._fire(Moment.BEFORE_INSERT)
            if "OR REPLACE" in sql:  # without a transaction of its own
                self._fire(Moment.BEFORE_COMMIT)
                self._committed = True
        elif sql == "COMMIT" and self._written:
            self._fire(Moment.BEFORE_COMMIT)
            self._committed = True

    def _look(self, change: Callable[[], Change | None]) -> Change | None:
        # Another thread looks at another file, and could act while this write is still in its commit.
        if not self._committed or threading.get_ident() != self._writer:
            return change()
        self._fire(Moment.AFTER_COMMIT)
        found = change()
        self._fire(Moment.AFTER_LOOK)
        return found

    def _fire(self, moment: Moment) -> None:
        if self._moment is moment:
            self._moment = None
            self.hits += 1
            self._act()
