"""The settings file `config.toml`, and the folders of this program: config, data, state, runtime.

Environment variables move the folders: `DEVICE_INSTALLER_HOME` moves all of them, and `DEVICE_INSTALLER_CONFIG_DIR`,
`_DATA_DIR`, `_STATE_DIR` and `_RUNTIME_DIR` move one each. This module creates no folder. A folder that belongs to
somebody else, or that others can write to, is refused.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, field_validator

from installer import ENVIRONMENT_PREFIX
from installer.errors import ErrorCode, InstallerError, problems
from installer.storage.database_url import has_password
from installer.storage.folder_owner import check_own_folder, close_folder
from installer.storage.named_in_files import declare_files
from installer.storage.reference_origin import SETTINGS
from installer.storage.secret_references import SecretRef
from installer.text.written_by_people import UnreadableText, read_toml, without_mark

APP_NAME = "device-installer"
SETTINGS_FILE = "config.toml"
SAVED_NETWORKS_FILE = "networks.toml"
MAX_SETTINGS_BYTES = 256 * 1024

# (authorize URL, API URL) of each cloud of the vendor, `withings-cloud.md` §0.
CLOUD_HOSTS = (
    ("https://account.withings.com", "https://wbsapi.withings.net"),
    ("https://account.us.withingsmed.com", "https://wbsapi.us.withingsmed.net"),
)
DEFAULT_SCOPES = ("user.info", "user.metrics", "user.activity")
LAB_REDIRECT = "http://localhost:0/callback"


def config_dir() -> Path:
    """The folder of `config.toml` and of the user's own catalogue files."""
    return _folder("config", platformdirs.user_config_path(APP_NAME, appauthor=False))


def data_dir() -> Path:
    """The folder of data that must not be lost: accounts, records, measurements."""
    return _folder("data", platformdirs.user_data_path(APP_NAME, appauthor=False))


def state_dir() -> Path:
    """The folder of data that may be lost: crash reports, logs."""
    return _folder("state", platformdirs.user_state_path(APP_NAME, appauthor=False))


def runtime_dir() -> Path:
    """The folder of files that last as long as the login session: the lab's state file, sockets."""
    # Not by platformdirs on Linux: without a usable folder of the session it takes the temporary folder of all users.
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    if sys.platform in ("darwin", "win32"):
        path = platformdirs.user_runtime_path(APP_NAME, appauthor=False)
    else:
        path = Path(named) / APP_NAME if named.startswith("/") else None
    return _folder("runtime", path)


def _folder(kind: str, default: Path | None) -> Path:
    """The folder of this kind. Raises FOLDER_UNSAFE, before anything in it is read."""
    moved = os.environ.get(f"{ENVIRONMENT_PREFIX}{kind.upper()}_DIR")
    home = os.environ.get(f"{ENVIRONMENT_PREFIX}HOME")
    if moved:
        folder = Path(moved).expanduser()
    elif home:
        folder = Path(home).expanduser() / kind
    else:
        folder = default or state_dir() / "run"
    check_own_folder(folder, kind)
    if kind != "config" and not moved:
        close_folder(folder)
    return folder


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CloudSettings(_Section):
    """The cloud's addresses, and the application that is registered there.

    `client_id` and `client_secret`: as the vendor's developer site shows them for the registered application.
    `redirect_uri`: as registered there. With a loopback address the browser returns to this program (port 0: any free
    port). With another address the user pastes the address where the browser ended.
    `poll_seconds`: the shortest and the longest wait between two requests for the account's devices (§5: never below
    5 s). `sign_requests`: prove the secret by a signature instead of sending it (§1.6). `demo`: the vendor's demo user.
    """

    name: str = "the Withings cloud"
    api: str = CLOUD_HOSTS[0][1]
    authorize: str = CLOUD_HOSTS[0][0]
    client_id: str = ""
    client_secret: SecretRef = SecretRef(env=f"{ENVIRONMENT_PREFIX}CLIENT_SECRET").named_by(SETTINGS)
    redirect_uri: str = "http://localhost:8080/callback"
    scopes: Annotated[tuple[str, ...], Field(min_length=1)] = DEFAULT_SCOPES
    sign_requests: bool = False
    demo: bool = False
    poll_seconds: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (5.0, 15.0)
    requests_per_minute: Annotated[int, Field(ge=1)] = 100
    _secret: SecretStr | None = PrivateAttr(default=None)

    @field_validator("api", "authorize")
    @classmethod
    def _base(cls, value: str) -> str:
        return _base_url(value)

    @field_validator("redirect_uri")
    @classmethod
    def _redirect(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment or len(value) > 255:
            raise ValueError("not a web address (at most 255 characters, without #)")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("an address of another computer must begin with https://")
        _ = parts.port  # raises ValueError if it is not a port
        return value

    @field_validator("scopes")
    @classmethod
    def _scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not s or "," in s or s != s.strip() for s in value):
            raise ValueError("each scope is a separate word, without commas")
        return value

    def at(self, url: str) -> CloudSettings:
        """The same application at another cloud. `url`: a host of one of the vendor's clouds, or any base URL.

        Raises SETTINGS_INVALID.
        """
        try:
            base = _base_url(url)
        except ValueError as error:
            raise InstallerError(
                ErrorCode.SETTINGS_INVALID,
                f"The cloud's address “{url}” cannot be used: {error}.",
                f"Give a base URL such as {CLOUD_HOSTS[0][1]}.",
            ) from None
        for authorize, api in CLOUD_HOSTS:
            if base in (authorize, api):
                return self.model_copy(update={"authorize": authorize, "api": api})
        changes: dict[str, object] = {"authorize": base, "api": base, "name": f"the cloud at {base}"}
        if is_loopback(urlsplit(base).hostname or ""):
            changes["redirect_uri"] = LAB_REDIRECT
        return self.model_copy(update=changes)

    def at_lab(self, url: str, client_id: str, client_secret: SecretStr) -> CloudSettings:
        """The lab's cloud with the lab's application. It is polled more often than the real cloud allows."""
        cloud = CloudSettings(
            name="the lab's cloud",
            api=url,
            authorize=url,
            client_id=client_id,
            redirect_uri=LAB_REDIRECT,
            poll_seconds=(0.2, 1.0),
        )
        return cloud.with_secret(client_secret)

    def with_secret(self, secret: SecretStr) -> CloudSettings:
        """A copy with this client secret. The secret exists in this run only, and is never part of a dump."""
        copy = self.model_copy()
        copy._secret = secret
        return copy

    def fetch_secret(self) -> SecretStr:
        """The client secret. Reading it from a file or the keyring can take a while. Raises SECRET_UNAVAILABLE."""
        return (
            self._secret if self._secret is not None else self.client_secret.fetch("client secret of the application")
        )


class AccountsSettings(_Section):
    """Where tokens are stored: in the keyring if this system has a usable one (`auto`), or always in one of the two."""

    keep_in: Literal["auto", "keyring", "file"] = "auto"

    @property
    def backend(self) -> Literal["keyring", "file"] | None:
        """The backend for `TokenStore`; None: it chooses."""
        return None if self.keep_in == "auto" else self.keep_in


class DataSettings(_Section):
    """Where measurements are stored: `sqlite:///PATH` or `postgresql://USER@HOST/NAME`; empty: a file in `data_dir()`.

    The URL contains no password; `password` names its place.
    """

    url: str = ""
    password: SecretRef | None = None

    @field_validator("url")
    @classmethod
    def _no_password(cls, value: str) -> str:
        return check_database_url(value)


class LedgerSettings(_Section):
    """Where the records are stored, and what this computer writes into each of its records.

    `url`: `postgresql://USER@HOST/NAME` for a ledger that several stations share. Default: a file of this computer.
    `password`: the place of the password for that URL. `station`: this computer's name among the stations.
    """

    url: str | None = None
    password: SecretRef | None = None
    station: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    site: Annotated[str, Field(max_length=64)] | None = None
    operator: Annotated[str, Field(max_length=64)] | None = None

    @field_validator("url")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        return value if value is None else check_database_url(value)


class NotificationsSettings(_Section):
    """Where the cloud sends notifications of new data.

    `url`: the receiver's address on the Internet, `https://clinic.example/hooks/{path}`. `{path}` stands for the secret
    path that `device-installer notifications serve` keeps in `path_file` (default: a file in `data_dir()`). An address
    that contains its secret is given by its place: `{ file = … }`, `{ env = … }` or `{ keyring = … }`.
    """

    url: Annotated[str, Field(max_length=255)] | SecretRef = ""
    path_file: str = ""


class ConsentSettings(_Section):
    """The consent of a device's user. `user`: the device's number of the user; `code`: the place of the consent code.

    The code is a number from 0 to 9999.
    """

    user: Annotated[int, Field(ge=0, le=254)]
    code: SecretRef


class GatewaySettings(_Section):
    """The gateway.

    `webhook`: an https:// address that gets every measurement. An address with a secret path is given by its place.
    `webhook_key`: the place of the key that signs them. `every`: seconds between two visits of a device that stays
    within range. `consent`: by the device's address, for a device that gives measurements only with a user's consent.
    """

    webhook: str | SecretRef = ""
    webhook_key: SecretRef | None = None
    every: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    consent: dict[str, ConsentSettings] = {}

    @field_validator("consent")
    @classmethod
    def _by_address(cls, value: dict[str, ConsentSettings]) -> dict[str, ConsentSettings]:
        return {address.strip().upper(): consent for address, consent in value.items()}


class Settings(_Section):
    """The settings file. Everything except the application's `client_id` and secret has a default."""

    version: Literal[1] = 1
    cloud: CloudSettings = CloudSettings()
    accounts: AccountsSettings = AccountsSettings()
    data: DataSettings = DataSettings()
    ledger: LedgerSettings = LedgerSettings()
    gateway: GatewaySettings = GatewaySettings()
    notifications: NotificationsSettings = NotificationsSettings()


def load(path: Path | None = None) -> Settings:
    """The settings of `path`, or else of `config.toml` in `config_dir()`, if it exists. Raises SETTINGS_INVALID."""
    file = path or config_dir() / SETTINGS_FILE
    settings = _read(file, must_exist=path is not None)
    client_id = without_mark(os.environ.get(f"{ENVIRONMENT_PREFIX}CLIENT_ID", "")).strip()
    if client_id:
        settings = settings.model_copy(update={"cloud": settings.cloud.model_copy(update={"client_id": client_id})})
    return settings


def _read(file: Path, must_exist: bool) -> Settings:
    try:
        data = read_toml(file, MAX_SETTINGS_BYTES, own=True)
    except UnreadableText as error:
        if error.missing and not must_exist:
            return Settings()
        raise _invalid(file, error.why, error.todo) from None
    try:
        return Settings.model_validate(data, context=SETTINGS.context)
    except ValidationError as error:
        found = problems(error, data)
        raise _invalid(
            file, f"is wrong: {'; '.join(found)}", _hint(found), keys=[f.partition(":")[0] for f in found]
        ) from None


def _hint(found: Iterable[str]) -> str:
    if any("secret" in f.partition(":")[0] for f in found):
        return (
            "A settings file contains no secret, only its place: "
            'client_secret = { env = "VARIABLE" }, { file = "PATH" } or { keyring = "NAME" }.'
        )
    return "Correct or remove that key."


def _invalid(file: Path, why: str, todo: str, **data: object) -> InstallerError:
    return InstallerError(ErrorCode.SETTINGS_INVALID, f"The settings file {file} {why}.", todo, file=str(file), **data)


def check_database_url(value: str) -> str:
    """The URL of a database without a password. Raises ValueError, which does not repeat the password."""
    if has_password(value):
        raise ValueError('a URL must not contain a password: write password = { env = "VARIABLE" } beside it')
    return value.strip()


def _base_url(value: str) -> str:
    """`scheme://host[:port][/path]` without a slash at the end. Raises ValueError."""
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a web address (https://…)")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("a base address has no user name, no ? and no #")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("tokens are sent over https:// only (http:// is for this computer itself)")
    _ = parts.port  # raises ValueError if it is not a port
    return value.strip().rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether this host name or address is this computer itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _files_with_references() -> tuple[Path, ...]:
    """The settings, and the saved networks (`installer/wifi/saved_networks.py`)."""
    return config_dir() / SETTINGS_FILE, config_dir() / SAVED_NETWORKS_FILE


declare_files(_files_with_references)
