"""The outbox's SQLite file: its tables, opening it, its errors. A file that is not an outbox is never changed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from installer.errors import ErrorCode, InstallerError
from installer.storage.sqlite_files import create_sqlite_file, set_up_connection
from installer.storage.unusable_paths import unwritable

# Marks a SQLite file as an outbox (PRAGMA application_id): “diGW”.
APPLICATION_ID = 0x64694757
VERSION = 1
BUSY_SECONDS = 15.0

_TABLES = """
CREATE TABLE items (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    device TEXT NOT NULL,
    model TEXT NOT NULL,
    account TEXT NOT NULL,
    profile TEXT NOT NULL,
    raw BLOB NOT NULL,
    measurement TEXT,
    problem TEXT,
    received REAL NOT NULL,
    visit INTEGER NOT NULL
);
CREATE INDEX items_device ON items (device, number);
CREATE TABLE waiting (
    sink TEXT NOT NULL,
    device TEXT NOT NULL,
    number INTEGER NOT NULL REFERENCES items (number),
    refused TEXT,
    PRIMARY KEY (sink, device, number)
) WITHOUT ROWID;
CREATE INDEX waiting_number ON waiting (number);
CREATE TABLE devices (
    address TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    name TEXT NOT NULL,
    seen REAL,
    visit INTEGER NOT NULL DEFAULT 0,
    visit_open INTEGER NOT NULL DEFAULT 0,
    visited REAL,
    collected INTEGER NOT NULL DEFAULT 0,
    failed REAL,
    failures INTEGER NOT NULL DEFAULT 0,
    code TEXT,
    failure TEXT
) WITHOUT ROWID;
CREATE TABLE sinks (
    name TEXT PRIMARY KEY,
    delivered INTEGER NOT NULL DEFAULT 0,
    last REAL,
    failing_since REAL,
    code TEXT,
    failure TEXT
) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


def create_file(path: Path) -> None:
    """Create the file if needed, for this user alone. Raises FILE_UNWRITABLE."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Health data: nobody else on this computer may read it.
        create_sqlite_file(path)
    except OSError as error:
        raise unwritable(f"The gateway's outbox {path} cannot be created", path, error) from None


def connect(path: Path) -> sqlite3.Connection:
    """A connection to an existing file, without automatic transactions. Raises as `sqlite_failure`."""
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
    except sqlite3.Error as error:
        raise sqlite_failure(path, "open it", error) from None
    connection.row_factory = sqlite3.Row
    return connection


def prepare(path: Path, connection: sqlite3.Connection) -> None:
    """Create the tables, or check an existing outbox for damage. Raises OUTBOX_INVALID, sqlite3.Error."""
    if is_new(connection):
        set_up_connection(connection)
        connection.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {VERSION};{_TABLES}COMMIT;"
        )
        return
    check_version(path, connection)
    set_up_connection(connection)
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _damaged(path)


def is_new(connection: sqlite3.Connection) -> bool:
    """Whether the file has no tables yet."""
    return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def check_version(path: Path, connection: sqlite3.Connection) -> None:
    """Raise OUTBOX_INVALID for a database of another program or version."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise InstallerError(
            ErrorCode.OUTBOX_INVALID,
            f"The file {path} is a database, but not an outbox of this program.",
            "Move it away. It was not changed.",
            path=str(path),
        )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        raise InstallerError(
            ErrorCode.OUTBOX_INVALID,
            f"The outbox {path} has version {version}; this program knows version {VERSION}.",
            "Update device-installer. The outbox was not changed.",
            path=str(path),
        )


def sqlite_failure(path: Path, action: str, error: sqlite3.Error) -> InstallerError:
    """OUTBOX_INVALID for a damaged file, else DATABASE_FAILED. `action` completes “could not …”."""
    number = getattr(error, "sqlite_errorcode", None)
    primary = number & 0xFF if isinstance(number, int) else None
    if primary in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return _damaged(path)
    todo = "Check the disk, then try again."
    if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        todo = (
            "Free some space on the disk. The device still has what it sent meanwhile, because that was not confirmed."
        )
    elif primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        todo = "Another program uses the file. End it, or try again."
    elif primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        todo = "Check the permissions of the file and its folder."
    return InstallerError(
        ErrorCode.DATABASE_FAILED,
        f"The gateway's outbox {path} could not {action}: {error}.",
        todo,
        full=primary == sqlite3.SQLITE_FULL,
    )


def _damaged(path: Path) -> InstallerError:
    return InstallerError(
        ErrorCode.OUTBOX_INVALID,
        f"The outbox {path} is damaged, or not a database.",
        "Move it away (the gateway then creates a new one), and keep it: `sqlite3 FILE .recover` may still read what "
        "was not delivered. Check the disk, too.",
        path=str(path),
    )
