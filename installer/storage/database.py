"""Opens the databases of this program: SQLite in a file by default, PostgreSQL by URL.

The ledger, the store of measurements and the gateway's outbox share these rules: SQLite writes ahead
(WAL) and syncs every commit, so that what was committed survives a kill and a power cut; every wait for
a lock has a limit; and a failure of the database is told in words, without the password of its URL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

BUSY_SECONDS = 15.0
CONNECT_SECONDS = 10
POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")


def parse(url: str, setting: str = "the database URL") -> URL:
    """`sqlite:///PATH` or `postgresql://USER@HOST/NAME` as SQLAlchemy's URL. Raises DATABASE_FAILED.

    `setting` says where the text came from. The text itself is never repeated: it may hold a password.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _unusable(setting, "is not a database URL") from None
    if parsed.drivername == "sqlite":
        return parsed
    if parsed.drivername in POSTGRESQL:
        return parsed.set(drivername="postgresql+psycopg")
    raise _unusable(setting, f"names a kind of database that is not supported ({parsed.get_backend_name()})")


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file."""
    return f"sqlite:///{path}"


def open_engine(url: str, setting: str = "the database URL") -> Engine:
    """An engine for `url` (see `parse`); no connection is made yet, but an SQLite file gets its folder.

    Raises DATABASE_FAILED, FILE_UNWRITABLE.
    """
    from sqlalchemy import create_engine, event

    parsed = parse(url, setting)
    if parsed.drivername != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_SECONDS})
    if parsed.database and parsed.database != ":memory:":
        folder = Path(parsed.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InstallerError(
                ErrorCode.FILE_UNWRITABLE,
                f"The folder {folder} for a database cannot be made: {error.strerror}.",
                "Free some space or give the folder another place with DEVICE_INSTALLER_HOME.",
            ) from None
    engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "do_connect", _make_private)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_at_once)
    return engine


def _make_private(_dialect: Any, _record: Any, arguments: Any, _more: Any) -> None:
    """A new file is for its owner only; what SQLite puts beside it gets the same mode. (One that is there stays.)"""
    path = arguments[0] if arguments else ""
    if path and path != ":memory:":
        # Where it cannot be made, SQLite says so itself.
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy, not the driver, shall say when a transaction begins.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_at_once(connection: Any) -> None:
    # A transaction that reads first and writes later could otherwise fail on the lock without waiting for it.
    # What only reads waits for nobody (execution option `reads_only`).
    reads = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn a database's failure within into DATABASE_FAILED; `what` could not be done, as in “read the records”."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise failure(what, error) from error


def failure(what: str, error: BaseException) -> InstallerError:
    """DATABASE_FAILED for a failure of SQLAlchemy or its driver; names neither the statement nor its values."""
    reason = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0]
    words = reason.lower()
    todo = "Check that the database runs and that its URL is right."
    if "locked" in words:
        todo = "Another program holds the database; end it, or try again."
    elif "full" in words or "disk" in words or "readonly" in words or "unable to open" in words:
        todo = "Free some space, check the permissions, or give the file another place with DEVICE_INSTALLER_HOME."
    elif "no such table" in words or "does not exist" in words:
        todo = "The database has not the tables of this version; `device-installer ledger migrate` makes them."
    return InstallerError(ErrorCode.DATABASE_FAILED, f"The database could not {what}: {reason}.", todo)


def _unusable(setting: str, why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.DATABASE_FAILED,
        f"{setting[:1].upper()}{setting[1:]} {why}.",
        "Use sqlite:///PATH or postgresql://USER@HOST/NAME.",
    )
