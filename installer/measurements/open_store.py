"""Opens the store of measurements: of `--database`, of the settings, or the lab's."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from installer import settings
from installer.errors import ErrorCode, InstallerError
from installer.storage import database

if TYPE_CHECKING:
    from installer.measurements.store import Store
    from installer.settings import Settings

STORE_FILE, LAB_STORE_FILE = "measurements.sqlite", "lab-measurements.sqlite"


def open_store(user_settings: Settings, *, lab: bool = False, given: str | None = None) -> Store:
    """The store: at `given` (`--database`), else the lab's, else the one of `[data] url`, else a file in `data_dir()`.

    The lab's data is kept apart from real data. Rows whose time zone has become known are put on their day.
    Raises USAGE, SECRET_UNAVAILABLE, DATABASE_FAILED, FILE_UNWRITABLE, STORE_VERSION.
    """
    from installer.measurements.store import Store

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
        store = Store.open(_with_password(user_settings, url), "--database")
    elif lab or not user_settings.data.url:
        store = Store.open(database.sqlite_url(settings.data_dir() / (LAB_STORE_FILE if lab else STORE_FILE)))
    else:
        store = Store.open(_with_password(user_settings, user_settings.data.url), "[data] url in config.toml")
    # Somebody who may only read, or reads while another program writes, leaves it to the next program. The rows stay
    # marked until then.
    with suppress(InstallerError):
        store.place_known_zones()
    return store


def _with_password(user_settings: Settings, url: str) -> str:
    if user_settings.data.password is None:
        return url
    parsed = database.parse_url(url)
    if parsed.drivername == "sqlite":
        return url
    secret = user_settings.data.password.fetch("password of the database")
    return parsed.set(password=secret.get_secret_value()).render_as_string(hide_password=False)
