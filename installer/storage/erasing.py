"""Writes a database anew after rows were removed, so that nothing of them stays in its free parts.

Not reached from here: copies that somebody made (backups, snapshots, replicas, PostgreSQL's archived log), and blocks
of the disk that the file system has freed and not used again.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from installer.errors import ErrorCode, InstallerError
from installer.storage.database import reason_of
from installer.storage.sqlite_files import is_busy
from installer.text import printable

if TYPE_CHECKING:
    from sqlalchemy import Engine

WAIT_SECONDS = 10


def erasure_incomplete(what: str, todo: str, **data: Any) -> InstallerError:
    """ERASURE_INCOMPLETE. `what`: what is not erased, and why."""
    return InstallerError(ErrorCode.ERASURE_INCOMPLETE, what, todo, **data)


def rewrite(engine: Engine, what: str, tables: Sequence[str]) -> None:
    """Write the database anew. `what`: it in words (“the ledger”); `tables`: those that rows were removed from.

    Raises ERASURE_INCOMPLETE if another program holds it, or its user may not do that.
    """
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            rewrite_sqlite(connection.connection.driver_connection, what)
    else:
        _rewrite_postgresql(engine, what, tables)


def rewrite_sqlite(connection: Any, what: str) -> None:
    """Write an SQLite file anew. `connection`: sqlite3's, without a transaction. Raises ERASURE_INCOMPLETE."""
    try:
        connection.execute(f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}")
        # Another mode means that an older version of this program keeps the newest data in a second file.
        mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        if mode not in ("delete", "memory"):
            raise _not_rewritten(what, "an older version of this program uses its file")
        connection.execute("VACUUM")
    except sqlite3.Error as error:
        why = "another program uses its file" if is_busy(error) else str(error)
        raise _not_rewritten(what, why) from None
    except MemoryError:
        raise _not_rewritten(what, "it is longer than the free memory of this computer") from None


def _rewrite_postgresql(engine: Engine, what: str, tables: Sequence[str]) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    refused: list[str] = []
    kept: list[int] = []
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # The server only warns if this user may not do it.
            raw: Any = connection.connection.driver_connection

            def note(notice: Any) -> None:
                if notice.severity_nonlocalized != "INFO":
                    refused.append(printable(str(notice.message_primary), 300))
                elif found := re.match(r"\D*(\d+)", str(notice.message_detail or "")):
                    kept.append(int(found[1]))

            raw.add_notice_handler(note)
            try:
                connection.execute(text(f"SET lock_timeout = '{WAIT_SECONDS}s'"))
                for table in tables:
                    connection.execute(text(f"VACUUM (FULL, VERBOSE) {table}"))
            finally:
                raw.remove_notice_handler(note)
                # The pool keeps the connection. One that is lost cannot be asked, and keeps nothing.
                with suppress(SQLAlchemyError):
                    connection.execute(text("RESET lock_timeout"))
    except SQLAlchemyError as error:
        raise _not_rewritten(what, reason_of(error)) from None
    if refused:
        raise _not_rewritten(what, refused[0])
    if any(kept):
        # VACUUM reports success: what an older transaction could still read is copied into the new files.
        raise _not_rewritten(what, f"an open transaction may still read {max(kept)} removed rows")


def _not_rewritten(what: str, why: str) -> InstallerError:
    return erasure_incomplete(
        f"What was removed from {what} may still be in the free parts of its files: they could not be written anew "
        f"({why}).",
        "Stop the other programs that use it (gateway, receiver, wizard), then give the same command again. On "
        "PostgreSQL the owner of the tables has to do it.",
    )
