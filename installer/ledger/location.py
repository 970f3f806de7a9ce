"""Location of the ledger, and site, operator and station: from the command line, the environment and the settings."""

from __future__ import annotations

import dataclasses
import os
import platform
import shlex
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from installer import ENVIRONMENT_PREFIX, settings
from installer.ledger.database import Target
from installer.ledger.records import Context
from installer.settings import LedgerSettings
from installer.storage.database import refuse_password, sqlite_url
from installer.storage.reference_origin import SETTINGS
from installer.storage.secret_references import SecretRef

URL_VARIABLE = f"{ENVIRONMENT_PREFIX}LEDGER"
PASSWORD_VARIABLE = f"{ENVIRONMENT_PREFIX}LEDGER_PASSWORD"


def target(given: str | None, configured: LedgerSettings, *, lab: bool = False) -> Target:
    """The database of the ledger. `given`: the URL or path of `--ledger`. The lab has its own, unless one is given.

    Raises DATABASE_FAILED for a URL that holds a password.
    """
    old_json_folder = settings.data_dir() / ("lab-installations" if lab else "installations")
    candidates = [(given, "--ledger")]
    if not lab:
        candidates += [
            (os.environ.get(URL_VARIABLE), f"the variable {URL_VARIABLE}"),
            (configured.url, "[ledger] url of the settings"),
        ]
    url, setting = next(((u, s) for u, s in candidates if u), (None, ""))
    if url is None:
        default = settings.data_dir() / ("lab-ledger.sqlite" if lab else "ledger.sqlite")
        return Target(
            sqlite_url(default),
            old_json_folder=old_json_folder,
            command_flags="--lab" if lab else "",
            is_lab=lab,
        )
    flags = f"--ledger {shlex.quote(url)}" if given else ""
    if "://" not in url:
        return Target(
            sqlite_url(Path(url).expanduser().absolute()), setting, old_json_folder=old_json_folder, command_flags=flags
        )
    if url.startswith("sqlite"):
        return Target(url, setting, old_json_folder=old_json_folder, command_flags=flags)
    refuse_password(
        url,
        setting,
        f'[ledger] password = {{ keyring = "NAME" }} in the settings, or the variable {PASSWORD_VARIABLE}.',
    )
    return Target(url, setting, _password(configured), old_json_folder, flags)


def context(given: Context, configured: LedgerSettings) -> Context:
    """`given`, completed from the environment, then from the settings."""
    return dataclasses.replace(
        given,
        site=given.site or os.environ.get(f"{ENVIRONMENT_PREFIX}SITE") or configured.site,
        operator=given.operator or os.environ.get(f"{ENVIRONMENT_PREFIX}OPERATOR") or configured.operator,
        station=given.station
        or os.environ.get(f"{ENVIRONMENT_PREFIX}STATION")
        or configured.station
        or platform.node()
        or "station",
    )


def _password(configured: LedgerSettings) -> Callable[[], SecretStr | None]:
    ref = configured.password
    if ref is None and PASSWORD_VARIABLE in os.environ:
        ref = SecretRef(env=PASSWORD_VARIABLE).named_by(SETTINGS)
    # Without a reference PostgreSQL uses its own ways: a socket, ~/.pgpass, PGPASSWORD.
    return lambda: ref.fetch("password of the ledger") if ref is not None else None
