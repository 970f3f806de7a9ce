"""SQLite files of this program: how each of them is made and written.

They use SQLite's rollback journal, not its write-ahead log (WAL). With a log, the newest data is in a second file
(`-wal`) that belongs to one database only: a person who copies, moves or restores the database alone loses that data,
and a restored file beside the log of another one is damaged (“How to corrupt an SQLite database file”). With a journal,
the file is complete whenever nobody writes, and SQLite refuses to write into one that was moved away.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from installer.storage.atomic_write import PRIVATE_MODE

# EXTRA: the folder is synced, too, when the journal is deleted. Only then does a commit survive a power cut.
# secure_delete: what is deleted is written over with zeros. Else it stays readable in the free parts of the file.
# temp_store: big sorts and VACUUM write copies of the data into temporary files in a folder of the system (/var/tmp),
# where they are not wiped. So they are in memory; VACUUM then needs as much of it as the file is long.
_PRAGMAS = ("synchronous = EXTRA", "foreign_keys = ON", "secure_delete = ON", "temp_store = MEMORY")


def create_sqlite_file(path: Path) -> None:
    """Create an empty file, mode 0600, unless there is one. Raises OSError.

    A file that exists is not opened here: closing it would end SQLite's locks on it in this whole process (POSIX).
    """
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        os.close(os.open(path, flags, PRIVATE_MODE))
    except FileExistsError:
        return


def set_up_connection(connection: Any) -> None:
    """Set how this connection writes. Raises sqlite3.Error for a file that is not a database.

    `connection`: sqlite3's, without a transaction.
    """
    cursor = connection.cursor()
    try:
        try:
            cursor.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            # An older version of this program has the file open with a log. The next opening without it changes that.
            if not is_busy(error):
                raise
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def is_busy(error: BaseException | None) -> bool:
    """Whether another connection has the lock."""
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def was_moved(error: BaseException | None) -> bool:
    """Whether SQLite refused to write because the file is not at its path any more; nothing was written then."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_DBMOVED


def has_no_tables(error: BaseException | None) -> bool:
    """Whether the tables are missing: the file was emptied, or it is a new one."""
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith("no such table")


def _primary_code(error: BaseException | None) -> int | None:
    number = getattr(error, "sqlite_errorcode", None)
    return number & 0xFF if isinstance(number, int) else None
