"""Where the ledger is and who this station is: from the command line, the environment and the settings."""

from __future__ import annotations

import dataclasses
import os
import platform
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from installer import settings
from installer.errors import ErrorCode, InstallerError
from installer.ledger.database import Target
from installer.ledger.site_and_operator import Context
from installer.settings import ENV, LedgerSettings
from installer.storage.database import sqlite_url
from installer.storage.secret_references import SecretRef

URL = f"{ENV}LEDGER"
PASSWORD = f"{ENV}LEDGER_PASSWORD"


def target(given: str | None, configured: LedgerSettings, *, lab: bool = False) -> Target:
    """The database of the ledger. `given`: of `--ledger`, a URL or a path. The lab's is apart unless it is given.

    Raises DATABASE_FAILED for a URL that holds a password.
    """
    json = settings.data_dir() / ("lab-installations" if lab else "installations")
    named = [(given, "--ledger")]
    if not lab:
        named += [(os.environ.get(URL), f"the variable {URL}"), (configured.url, "[ledger] url of the settings")]
    url, setting = next(((u, s) for u, s in named if u), (None, ""))
    if url is None:
        own = settings.data_dir() / ("lab-ledger.sqlite" if lab else "ledger.sqlite")
        return Target(sqlite_url(own), json=json, flags="--lab" if lab else "", practice=lab)
    flags = f"--ledger {shlex.quote(url)}" if given else ""
    if "://" not in url:
        return Target(sqlite_url(Path(url).expanduser().absolute()), setting, json=json, flags=flags)
    if url.startswith("sqlite"):
        return Target(url, setting, json=json, flags=flags)
    _no_password(url, setting)
    return Target(url, setting, _password(configured), json, flags)


def context(given: Context, configured: LedgerSettings) -> Context:
    """`given` with what it leaves open taken from the environment, then from the settings."""
    return dataclasses.replace(
        given,
        site=given.site or os.environ.get(f"{ENV}SITE") or configured.site,
        operator=given.operator or os.environ.get(f"{ENV}OPERATOR") or configured.operator,
        station=given.station or os.environ.get(f"{ENV}STATION") or configured.station or platform.node() or "station",
    )


def _password(configured: LedgerSettings) -> Callable[[], SecretStr | None]:
    ref = configured.password
    if ref is None and PASSWORD in os.environ:
        ref = SecretRef(env=PASSWORD)
    # Without any, PostgreSQL's own ways count: a socket, ~/.pgpass, PGPASSWORD.
    return lambda: ref.fetch("password of the ledger") if ref is not None else None


def _no_password(url: str, setting: str) -> None:
    try:
        parts = urlsplit(url)
        holds = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        return  # told by whoever opens it
    if holds:
        raise InstallerError(
            ErrorCode.DATABASE_FAILED,
            f"{setting[:1].upper()}{setting[1:]} holds a password in plain text.",
            f'Leave it out of the URL, and name its place: [ledger] password = {{ keyring = "NAME" }} in the settings, '
            f"or the variable {PASSWORD}.",
        )
