"""The environment of the gateway's service: the folders and variables that this terminal uses.

A service starts without the variables of a shell. So its file names them: folders as absolute paths, proxies,
certificates, the time zone. What may be a secret is kept apart. `setting_problems` tells what a service could not read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from installer import ENVIRONMENT_PREFIX
from installer.cloud import trusted_certificates
from installer.gateway.service_text import check_variables
from installer.ledger import location
from installer.settings import Settings
from installer.storage.secret_references import SecretRef

# Folders and files of this program. A relative one begins at the folder of the terminal.
OWN_PATHS = tuple(
    f"{ENVIRONMENT_PREFIX}{name}" for name in ("HOME", "CONFIG_DIR", "DATA_DIR", "STATE_DIR", "RUNTIME_DIR", "LEDGER")
)
# Folders of the system, as platformdirs reads them: relative ones do not count. Not XDG_RUNTIME_DIR: systemd sets it.
SYSTEM_FOLDERS = (
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "WIN_PD_OVERRIDE_APPDATA",
    "WIN_PD_OVERRIDE_LOCAL_APPDATA",
)
# Lists of files and folders that Python, OpenSSL and PostgreSQL read.
PATH_LISTS = (
    *trusted_certificates.VARIABLES,
    "PYTHONTZPATH",
    "PYTHONPATH",
    "PGPASSFILE",
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
)
PATH_OR_WORD = ("PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGHOST")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
WORDS = (
    *(f"{ENVIRONMENT_PREFIX}{name}" for name in ("KEYRING", "CLIENT_ID", "SITE", "OPERATOR", "STATION")),
    *("TZ", "PYTHON_KEYRING_BACKEND", "DBUS_SYSTEM_BUS_ADDRESS"),
    *("PGHOSTADDR", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE", "PGSSLMODE"),
)
# These hold a secret. No file of a service gets them.
SECRETS = (f"{ENVIRONMENT_PREFIX}CLIENT_SECRET", location.PASSWORD_VARIABLE, "PGPASSWORD")


@dataclass(frozen=True)
class ServiceEnvironment:
    """`plain`: may stand in a file that others read; `secret`: proxies with a name or password in them."""

    plain: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)


def service_environment(platform: str = sys.platform) -> ServiceEnvironment:
    """What of this process's environment the service needs. Raises USAGE for a value that no service file can hold."""
    plain: dict[str, str] = {}
    home = _moved_home()
    if home:
        plain["HOME"] = home
    for name in OWN_PATHS:
        value = os.environ.get(name, "")
        if value:
            plain[name] = value if "://" in value else str(Path(value).expanduser().absolute())
    plain |= {name: os.environ[name] for name in SYSTEM_FOLDERS if Path(os.environ.get(name, "")).is_absolute()}
    for name in PATH_LISTS:
        parts = [str(Path(part).absolute()) for part in os.environ.get(name, "").split(os.pathsep) if part]
        if parts:
            plain[name] = os.pathsep.join(parts)
    for name in PATH_OR_WORD:
        value = os.environ.get(name, "")
        if value:
            plain[name] = str(Path(value).absolute()) if os.sep in value else value
    plain |= {name: os.environ[name] for name in WORDS if os.environ.get(name)}
    if platform == "win32":
        plain.pop("PYTHONPATH", None)  # there, Python has started before the variables are set
    proxies = _proxies(platform)
    secret = {name: value for name, value in proxies.items() if "@" in value and name.lower() != "no_proxy"}
    plain |= {name: value for name, value in proxies.items() if name not in secret}
    check_variables({**plain, **secret})
    return ServiceEnvironment(dict(sorted(plain.items())), secret)


def setting_problems(settings: Settings) -> list[tuple[str, str]]:
    """The settings that a service would not understand as this terminal does: (what is wrong, what to do).

    These are secrets in variables, and paths that depend on the folder of the terminal. Raises DATABASE_FAILED for a
    URL of the ledger that contains a password.
    """
    ledger = location.target(None, settings.ledger)
    servers = {
        section
        for section, url in (("data", settings.data.url), ("ledger", ledger.url))
        if url and not url.startswith("sqlite")
    }
    references: dict[str, SecretRef | None] = {
        "[gateway] webhook": settings.gateway.webhook if isinstance(settings.gateway.webhook, SecretRef) else None,
        "[gateway] webhook_key": settings.gateway.webhook_key if settings.gateway.webhook else None,
        "[data] password": settings.data.password if "data" in servers else None,
        "[ledger] password": settings.ledger.password if "ledger" in servers else None,
        **{f'[gateway.consent."{address}"] code': c.code for address, c in settings.gateway.consent.items()},
    }
    found = [
        (f"{setting} is {why}.", _OTHER_PLACE.format(setting=setting))
        for setting, reference in references.items()
        if reference is not None and (why := _unreadable(reference))
    ]
    if "ledger" in servers and settings.ledger.password is None and os.environ.get(location.PASSWORD_VARIABLE):
        why = (
            f"The password of the ledger is in the variable {location.PASSWORD_VARIABLE}, which a service does not get."
        )
        found.append((why, _OTHER_PLACE.format(setting="[ledger] password")))
    elif os.environ.get("PGPASSWORD") and any(references[f"[{section}] password"] is None for section in servers):
        why = "The password of the database is in the variable PGPASSWORD, which a service does not get."
        found.append((why, "Write it into the file ~/.pgpass."))
    urls = {"[data] url": settings.data.url, "[ledger] url": settings.ledger.url or ""}
    if os.environ.get(location.URL_VARIABLE):
        del urls["[ledger] url"]
    found += [
        (f"{setting} is a path that depends on the folder of the terminal.", "Write the full path in config.toml.")
        for setting, url in urls.items()
        if _is_relative_file(url)
    ]
    return found


_OTHER_PLACE = (
    'Name a file that only you can read, or an entry of the keyring: {setting} = {{ file = "/FULL/PATH" }} or '
    '{{ keyring = "NAME" }} in config.toml.'
)


def _is_relative_file(url: str) -> bool:
    path = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else url
    return bool(path) and "://" not in path and not Path(path).expanduser().is_absolute()


def _unreadable(reference: SecretRef) -> str:
    if reference.env is not None:
        return f"in the variable {reference.env}, which a service does not get"
    if reference.file == "-":
        return "read from standard input, which a service does not have"
    if reference.file is not None and not Path(reference.file).expanduser().is_absolute():
        return f"in the file {reference.file}, a path that depends on the folder of the terminal"
    return ""


def _moved_home() -> str:
    """HOME, if it is not the home folder that a service gets; else empty."""
    if sys.platform == "win32":
        return ""
    import pwd

    home = os.environ.get("HOME", "")
    try:
        own = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        own = ""
    return home if Path(home).is_absolute() and home != own else ""


def _proxies(platform: str) -> dict[str, str]:
    # Windows knows one spelling. An empty variable counts: it switches a proxy off.
    names = [*PROXIES, *(name.upper() for name in PROXIES)] if platform != "win32" else [n.upper() for n in PROXIES]
    return {name: os.environ[name] for name in names if name in os.environ}
