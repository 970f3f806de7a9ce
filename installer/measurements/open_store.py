"""Opens the store of measurements: of `--database`, of the settings, or the lab's."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import TYPE_CHECKING

from installer import settings
from installer.errors import ErrorCode, InstallerError
from installer.storage import database

if TYPE_CHECKING:
    from pydantic import SecretStr

    from installer.measurements.store import Store
    from installer.settings import DataSettings, Settings
    from installer.storage.postgresql import ConnectionSecurity

SETTING = "[data] url in config.toml"
STORE_FILE, LAB_STORE_FILE = "measurements.sqlite", "lab-measurements.sqlite"


def open_store(user_settings: Settings, *, lab: bool = False, given: str | None = None) -> Store:
    """The store: at `given` (`--database`), else the lab's, else the one of `[data] url`, else a file in `data_dir()`.

    The lab's data is kept apart from real data. Rows whose time zone has become known are put on their day.
    Raises USAGE, SECRET_UNAVAILABLE, DATABASE_FAILED, FILE_UNWRITABLE, STORE_VERSION.
    """
    from installer.measurements.store import Store

    password = functools.partial(_password, user_settings.data)
    if given is not None:
        try:
            url = settings.check_database_url(given)
        except ValueError:
            raise InstallerError(
                ErrorCode.USAGE,
                "--database contains a password, or is not a URL.",
                "Every user of this computer can read a command line. Set [data] password in config.toml, or use "
                "PostgreSQL's ~/.pgpass or PGPASSWORD.",
            ) from None
        store = Store.open(url, "--database", password)
    elif lab or not user_settings.data.url:
        store = Store.open(database.sqlite_url(settings.data_dir() / (LAB_STORE_FILE if lab else STORE_FILE)))
    else:
        store = Store.open(user_settings.data.url, SETTING, password)
    # Somebody who may only read, or reads while another program writes, leaves it to the next program. The rows stay
    # marked until then.
    with suppress(InstallerError):
        store.place_known_zones()
    return store


def server_security(user_settings: Settings) -> ConnectionSecurity | None:
    """How the way to the server of `[data] url` is secured; None for a file. No table is made.

    Raises SECRET_UNAVAILABLE, DATABASE_FAILED.
    """
    from installer.storage.postgresql import security_of

    url = user_settings.data.url
    if not url or url.startswith("sqlite"):
        return None
    engine = database.open_engine(url, SETTING, functools.partial(_password, user_settings.data))
    try:
        with database.database_errors("open the store of measurements"), engine.connect() as connection:
            return security_of(connection)
    finally:
        engine.dispose()


def _password(data: DataSettings) -> SecretStr | None:
    """The password for the server of `[data] url`. Without a place PostgreSQL uses its own ways, as ~/.pgpass."""
    return data.password.fetch("password of the database") if data.password is not None else None
