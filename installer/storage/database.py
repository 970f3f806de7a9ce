"""Opens the databases of this program with SQLAlchemy: SQLite in a file by default, PostgreSQL by URL.

The ledger and the store of measurements use it, by `FollowedDatabase`. SQLite syncs every commit, so committed data
survives a kill and a power cut. Every wait for a lock has a limit. How a server must prove itself: `postgresql.py`. An
error of the database becomes an `InstallerError` without a password.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.storage.damaged_rows import load_json
from installer.storage.database_url import has_password
from installer.storage.folder_owner import check_own_database
from installer.storage.peer_user import strange_listener, strange_server, strange_socket
from installer.storage.sqlite_files import create_sqlite_file, set_up_connection
from installer.storage.unusable_paths import unwritable
from installer.text import capitalized, printable

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

BUSY_SECONDS = 15.0
_UNICODE = functools.partial(str, encoding="utf-8", errors="surrogateescape")
POSTGRESQL_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")


def parse_url(url: str, setting: str = "the database URL") -> URL:
    """`sqlite:///PATH` or `postgresql://USER@HOST/NAME` as SQLAlchemy's URL. Raises DATABASE_FAILED.

    `setting` says where the text came from. The error does not repeat the text: it may hold a password.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _unusable(setting, "is not a database URL") from None
    if parsed.drivername == "sqlite":
        return parsed
    if parsed.drivername in POSTGRESQL_SCHEMES:
        return parsed.set(drivername="postgresql+psycopg")
    raise _unusable(setting, f"names a kind of database that is not supported ({parsed.get_backend_name()})")


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file."""
    return f"sqlite:///{path}"


def open_engine(
    url: str,
    setting: str = "the database URL",
    password: Callable[[], SecretStr | None] | None = None,
    *,
    private: bool = False,
) -> Engine:
    """An engine for `url` (see `parse_url`); it does not connect yet. The folder of an SQLite file is made.

    `password`: fetches the password for a server; it is fetched now and given to the driver at each connection. Raises
    DATABASE_FAILED, also for a URL with a password, FILE_UNWRITABLE, SECRET_UNAVAILABLE. A file of another user is
    refused with FOLDER_UNSAFE when it is connected to; with `private` also one of ours that others can open.
    """
    from sqlalchemy import create_engine, event

    parsed = parse_url(url, setting)
    if parsed.drivername != "sqlite":
        return _open_server(url, parsed, setting, password() if password is not None else None)
    path = sqlite_path(parsed)
    if path is not None:
        make_folder(path.parent)
    engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS}, json_deserializer=load_json)
    event.listen(engine, "do_connect", functools.partial(_create_private_file, private))
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_transaction)
    return engine


def refuse_password(url: str, setting: str, where: str) -> None:
    """Raise DATABASE_FAILED for a URL with a password. `where`: what to use instead."""
    if has_password(url):
        raise InstallerError(
            ErrorCode.DATABASE_FAILED,
            f"{capitalized(setting)} contains a password in plain text.",
            f"Remove it, and say where it is kept: {where}",
        )


def _open_server(url: str, parsed: URL, setting: str, password: SecretStr | None) -> Engine:
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import ArgumentError

    from installer.storage import postgresql

    refuse_password(url, setting, 'password = { keyring = "NAME" } beside the URL in the settings.')
    try:
        arguments = postgresql.connect_arguments(parsed, setting)
    except (ArgumentError, ValueError):
        raise _unusable(setting, "names hosts and ports that cannot be used") from None
    engine = create_engine(parsed, pool_pre_ping=True, connect_args=arguments, json_deserializer=load_json)
    event.listen(engine, "do_connect", _check_listener)
    event.listen(engine, "connect", postgresql.read_odd_times)
    if password is not None:
        secret = password

        def give_password(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
            parameters["password"] = secret.get_secret_value()

        event.listen(engine, "do_connect", give_password)
    event.listen(engine, "do_connect", _connect)
    return engine


def _check_listener(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
    """Raise DATABASE_FAILED if another person's program listens where the server on this computer should be."""
    named = [str(parameters.get(key) or os.environ.get(f"PG{key.upper()}", "")) for key in ("hostaddr", "host")]
    hosts = (named[0] or named[1]).split(",")
    ports = str(parameters.get("port") or os.environ.get("PGPORT", "")).split(",")
    for host, port in zip(hosts, ports if len(ports) == len(hosts) else ports[:1] * len(hosts), strict=True):
        number = int(port) if port.strip().isdecimal() else 5432
        name = host.strip()
        # libpq's manual, `host`: a path is the folder of the socket.
        socket = name.startswith("/")
        other = strange_socket(Path(name, f".s.PGSQL.{number}")) if socket else strange_listener(name, number)
        if other is not None:
            place = f"at the socket in {name}" if socket else f"at port {number} of this computer"
            raise InstallerError(
                ErrorCode.DATABASE_FAILED,
                f"The database server was not asked: {place} listens a program of {other}.",
                "Check that your server runs, and its place in the URL.",
            )


def _connect(dialect: Any, _record: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
    """A connection of psycopg. Raises DATABASE_FAILED if another person's program is behind its socket.

    For a folder that the library chose, and for a file that changed hands after it was looked at. SQLAlchemy asks a
    new connection something before its event “connect”.
    """
    connection = dialect.connect(*arguments, **parameters)
    other = strange_server(connection.pgconn.socket)
    if other is not None:
        connection.close()
        raise InstallerError(
            ErrorCode.DATABASE_FAILED,
            f"The database server was not used: at its socket listens a program of {other}.",
            "Check that your server runs, and name the folder of its socket in the URL, such as ?host=/run/postgresql.",
        )
    return connection


def sqlite_path(parsed: URL) -> Path | None:
    """The file of an SQLite URL; None for a database in memory, and for another kind of database."""
    if parsed.drivername != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database)


def make_folder(folder: Path) -> None:
    """Make the folder of a database. Raises FILE_UNWRITABLE."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise unwritable(f"The folder {folder} for a database cannot be made", folder, error) from None


def _create_private_file(private: bool, _dialect: Any, _record: Any, arguments: Any, _more: Any) -> None:
    """A new SQLite file has mode 0600; SQLite gives the files beside it the same mode. One that is there is checked."""
    path = arguments[0] if arguments else ""
    if path and path != ":memory:":
        # If the file cannot be created, SQLite reports it.
        with suppress(OSError):
            create_sqlite_file(Path(path))
            check_own_database(Path(path), private=private)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy begins transactions, not the driver.
    connection.isolation_level = None
    # SQLite keeps any bytes as text. Those that are no UTF-8 become lone surrogates, which no reader takes for text.
    connection.text_factory = _UNICODE
    set_up_connection(connection)


def _begin_transaction(connection: Any) -> None:
    # IMMEDIATE: a transaction that reads first and writes later could otherwise fail on the lock without waiting.
    # The execution option `reads_only` marks a transaction that needs no lock.
    reads = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def database_errors(task: str) -> Iterator[None]:
    """Turn errors of SQLAlchemy into DATABASE_FAILED. `task`: what the database could not do (“read the records”).

    Also that of a driver that cannot decode a text: the database has another encoding than UTF-8.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, UnicodeDecodeError) as error:
        raise database_error(task, error) from error


def database_error(task: str, error: BaseException) -> InstallerError:
    """DATABASE_FAILED for an error of SQLAlchemy or its driver, without the statement and its values."""
    from installer.storage import postgresql

    refused = postgresql.refusal(_words_of(error))
    if refused is not None:
        return InstallerError(ErrorCode.DATABASE_FAILED, *refused)
    reason = reason_of(error)
    lower = reason.lower()
    todo = "Check that the database runs and that its URL is right."
    if "locked" in lower:
        todo = "Another program uses the database; end it, or try again."
    elif "full" in lower or "disk" in lower or "readonly" in lower or "unable to open" in lower:
        todo = "Free some space, check the permissions, or choose another folder with DEVICE_INSTALLER_HOME."
    elif "no such table" in lower or "does not exist" in lower:
        todo = "The database does not have the tables of this version; `device-installer ledger migrate` makes them."
    return InstallerError(ErrorCode.DATABASE_FAILED, f"The database could not {task}: {reason}.", todo)


def reason_of(error: BaseException) -> str:
    """What the driver or the server says, in one line. A server's own words may hold anything, or be empty."""
    return printable((_words_of(error).splitlines() or [""])[0], 300) or type(error).__name__


def _words_of(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or type(error).__name__).strip()


def _unusable(setting: str, why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.DATABASE_FAILED,
        f"{capitalized(setting)} {why}.",
        "Use sqlite:///PATH or postgresql://USER@HOST/NAME.",
    )
