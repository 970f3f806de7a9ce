"""Which store of measurements is meant: the one of the settings, of `--database`, or the lab's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer import settings
from installer.errors import ErrorCode, InstallerError
from installer.storage import database

if TYPE_CHECKING:
    from installer.measurements.store import Store
    from installer.settings import Settings

FILE, LAB_FILE = "measurements.sqlite", "lab-measurements.sqlite"


def open_store(own: Settings, *, lab: bool = False, given: str | None = None) -> Store:
    """The store: at `given` (`--database`), else the lab's, else the one of `[data] url`, else a file in `data_dir()`.

    What was practised in the lab stays apart from real data. Raises USAGE, SECRET_UNAVAILABLE, DATABASE_FAILED,
    FILE_UNWRITABLE, STORE_VERSION.
    """
    from installer.measurements.store import Store

    if given is not None:
        try:
            url = settings.check_database_url(given)
        except ValueError:
            raise InstallerError(
                ErrorCode.USAGE,
                "--database holds a password, or is no URL.",
                "Everybody on this computer can read a command line. Name the password's place under [data] password "
                "in config.toml, or leave it to PostgreSQL's own ~/.pgpass or PGPASSWORD.",
            ) from None
        return Store.open(_with_password(own, url), "--database")
    if lab or not own.data.url:
        return Store.open(database.sqlite_url(settings.data_dir() / (LAB_FILE if lab else FILE)))
    return Store.open(_with_password(own, own.data.url), "[data] url in config.toml")


def _with_password(own: Settings, url: str) -> str:
    if own.data.password is None:
        return url
    parsed = database.parse(url)
    if parsed.drivername == "sqlite":
        return url
    secret = own.data.password.fetch("password of the database")
    return parsed.set(password=secret.get_secret_value()).render_as_string(hide_password=False)
