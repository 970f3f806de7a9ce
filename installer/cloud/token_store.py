"""The tokens of the accounts: in the system's keyring, or in a file that only its owner can read.

Every account has a small file `NAME.HASH.json`; it says which application at which cloud the tokens are for and
where they are kept, and holds them itself when that is not the keyring. An account of one cloud is never seen, used
or overwritten by another cloud. Saving replaces the file in one step, and happens only with complete tokens.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from installer.cloud.api_models import Granted, Secret
from installer.errors import ErrorCode, InstallerError
from installer.settings import CloudSettings, is_loopback
from installer.storage import keyring as keyrings
from installer.storage.file_lock import file_lock
from installer.storage.keyring import KeyringFailed, SystemKeyring
from installer.storage.private_files import make_private, read_private, write_private
from installer.timing.deadlines import in_thread

Backend = Literal["keyring", "file"]
LOCK_SECONDS = 60.0
DISK_SECONDS = 30.0
MAX_FILE = 64 * 1024
MARGIN = 300.0


class Tokens(BaseModel):
    """What the cloud granted. `issued` and `expires`: unix seconds of this computer's clock."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    access_token: Secret
    refresh_token: Secret
    issued: float
    expires: float
    scope: str = ""
    userid: str = ""

    @classmethod
    def of(cls, granted: Granted, now: float, userid: str = "") -> Tokens:
        """Tokens that were granted just now; `userid` for an answer that does not repeat it."""
        return cls(
            access_token=granted.access_token,
            refresh_token=granted.refresh_token,
            issued=now,
            expires=now + granted.expires_in,
            scope=granted.scope,
            userid=granted.userid or userid,
        )

    def fresh(self, now: float) -> bool:
        """Whether the access token is good for some minutes more (five; less for a short-lived one)."""
        margin = min(MARGIN, (self.expires - self.issued) / 10)
        return self.issued - MARGIN <= now < self.expires - margin

    def plain(self) -> dict[str, str | float]:
        """Everything, to be kept in a safe place."""
        return {
            **self.model_dump(exclude={"access_token", "refresh_token"}),
            "access_token": self.access_token.get_secret_value(),
            "refresh_token": self.refresh_token.get_secret_value(),
        }


@dataclass(frozen=True)
class Application:
    """Whose tokens they are: an application (its client id) at a cloud (its API's base URL)."""

    cloud: str
    client_id: str

    @classmethod
    def of(cls, cloud: CloudSettings) -> Application:
        """The one of these settings."""
        return cls(cloud.api, cloud.client_id)


class Record(BaseModel):
    """An account's file."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    version: Literal[1] = 1
    name: str
    cloud: str
    client_id: str
    userid: str = ""
    kept: Backend
    tokens: Tokens | None = None

    def of(self, application: Application) -> bool:
        """Whether it belongs to this application."""
        return (self.cloud, self.client_id) == (application.cloud, application.client_id)


@dataclass(frozen=True)
class Listed:
    """An account with where its tokens are, in words."""

    record: Record
    stored_in: str


@dataclass(frozen=True)
class Stored:
    """Tokens, and where they are kept, in words."""

    tokens: Tokens
    stored_in: str


class TokenStore:
    """All accounts of this computer. `backend`: None chooses the keyring where there is a usable one."""

    def __init__(self, folder: Path, backend: Backend | None = None, keyring_seconds: float = keyrings.SECONDS) -> None:
        self.folder = folder
        self._backend = backend
        self._keyring_seconds = keyring_seconds
        self._keyring: SystemKeyring | None = None
        self._looked = False

    async def list(self, application: Application) -> list[Listed]:
        """The accounts of this application, by name. A damaged file is no account."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                record = _read(path)
                place = self._place(record, path)
            except _Exposed as problem:
                record, place = problem.record, f"the file {path}, which is refused because others can read it"
            except (_Damaged, OSError):
                continue
            if record.of(application):
                found.append(Listed(record, place))
        return sorted(found, key=lambda listed: listed.record.name)

    async def load(self, application: Application, name: str) -> Stored | None:
        """The tokens, or None if there is no such account. Raises SECRET_UNAVAILABLE, ACCOUNT_UNKNOWN (damaged)."""
        path = self._path(application, name)
        try:
            record = await in_thread(lambda: _read(path), DISK_SECONDS)
        except FileNotFoundError:
            return None
        except _Exposed:
            raise InstallerError(
                ErrorCode.SECRET_UNAVAILABLE,
                f"The file {path} with the tokens of account “{name}” can be read by others, so it is not used.",
                f"If nobody has taken them: chmod 600 '{path}'. Otherwise sign in again after deleting it.",
                account=name,
            ) from None
        except (_Damaged, OSError, TimeoutError):
            raise InstallerError(
                ErrorCode.ACCOUNT_UNKNOWN,
                f"The file {path} of account “{name}” is damaged.",
                "Sign in again.",
                account=name,
            ) from None
        if not record.of(application) or record.name != name:
            return None
        tokens = record.tokens if record.kept == "file" else await self._from_keyring(path, name)
        return Stored(tokens, self._place(record, path)) if tokens is not None else None

    async def save(self, application: Application, name: str, tokens: Tokens) -> Stored:
        """Keep the tokens. Raises FILE_UNWRITABLE; SECRET_UNAVAILABLE if only the keyring will do and it fails."""
        path = self._path(application, name)
        plain = json.dumps(tokens.plain())
        kept: Backend = "file"
        keyring = await self._usable()
        if keyring is not None:
            try:
                await keyring.set(_entry(path), plain)
                kept = "keyring"
            except KeyringFailed as error:
                if self._backend == "keyring":
                    raise _no_keyring(name, str(error)) from None
        elif self._backend == "keyring":
            raise _no_keyring(name, "there is none that protects what it keeps")
        record = Record(
            name=name, cloud=application.cloud, client_id=application.client_id, userid=tokens.userid, kept=kept
        )
        document = record.model_dump(exclude={"tokens"})
        if kept == "file":
            document["tokens"] = tokens.plain()
        try:
            await in_thread(lambda: write_private(path, json.dumps(document, indent=1).encode()), DISK_SECONDS)
        except (OSError, TimeoutError) as error:
            raise _unwritable(path, error) from None
        return Stored(tokens, self._place(record, path))

    async def delete(self, application: Application, name: str) -> bool:
        """Forget an account; False if there is none. Raises FILE_UNWRITABLE, SECRET_UNAVAILABLE."""
        path = self._path(application, name)
        try:
            record: Record | None = _read(path)
        except FileNotFoundError:
            return False
        except _Exposed as problem:
            record = problem.record
        except (_Damaged, OSError):
            record = None
        if record is not None and not record.of(application):
            return False
        if record is not None and record.kept == "keyring":
            keyring = await self._usable()
            try:
                if keyring is None:
                    raise KeyringFailed("it is switched off or gone")
                await keyring.delete(_entry(path))
            except KeyringFailed as error:
                raise _no_keyring(name, str(error)) from None
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from None
        return True

    @asynccontextmanager
    async def lock(self, application: Application, name: str) -> AsyncIterator[None]:
        """Hold this account alone, among all processes of this user. Raises SECRET_UNAVAILABLE, FILE_UNWRITABLE."""
        path = self._path(application, name).with_suffix(".lock")
        async with contextlib.AsyncExitStack() as stack:
            try:
                make_private(self.folder)
                await stack.enter_async_context(file_lock(path, LOCK_SECONDS))
            except TimeoutError:
                raise InstallerError(
                    ErrorCode.SECRET_UNAVAILABLE,
                    f"Another run of this program holds the tokens of account “{name}” and does not let go.",
                    "End it, then try again.",
                    account=name,
                ) from None
            except OSError as error:
                raise _unwritable(path, error) from None
            yield

    async def _usable(self) -> SystemKeyring | None:
        if self._backend == "file":
            return None
        if not self._looked:
            self._keyring = await keyrings.find(self._keyring_seconds)
            self._looked = True
        return self._keyring

    async def _from_keyring(self, path: Path, name: str) -> Tokens | None:
        keyring = await self._usable()
        if keyring is None:
            raise _no_keyring(name, "it is switched off or gone")
        try:
            text = await keyring.get(_entry(path))
        except KeyringFailed as error:
            raise _no_keyring(name, str(error)) from None
        try:
            return Tokens.model_validate_json(text) if text is not None else None
        except ValidationError:
            return None

    def _path(self, application: Application, name: str) -> Path:
        # A lab has another port each time it starts; its tokens take the place of those of the last one.
        local = is_loopback(urlsplit(application.cloud).hostname or "")
        home = f"{'loopback' if local else application.cloud}\0{application.client_id}\0{name}"
        # Capitals are quoted as well: some file systems take “Alex” and “alex” for the same.
        safe = "".join(c if c in _PLAIN else f"%{ord(c):02x}" if ord(c) < 128 else quote(c) for c in name)[:60]
        return self.folder / f"{safe}.{hashlib.sha256(home.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}.json"

    def _place(self, record: Record, path: Path) -> str:
        if record.kept == "file":
            return f"the file {path}, which only you can read"
        name = self._keyring.name if self._keyring is not None else ""
        return f"the keyring of this system ({name})" if name else "the keyring of this system"


_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789-_"


class _Damaged(Exception):
    """Not the file of an account."""


class _Exposed(Exception):
    """Others can read the file."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record


def _entry(path: Path) -> str:
    return f"account:{path.stem}"


def _read(path: Path) -> Record:
    """Raises FileNotFoundError, OSError, _Damaged, _Exposed."""
    content, private = read_private(path, MAX_FILE)
    try:
        record = Record.model_validate_json(content)
    except ValidationError:
        raise _Damaged from None
    if not private and record.tokens is not None:
        raise _Exposed(record.model_copy(update={"tokens": None}))
    return record


def _no_keyring(name: str, why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE,
        f"The keyring does not give or take the tokens of account “{name}”: {why}.",
        "Unlock the keyring, or set DEVICE_INSTALLER_KEYRING=off and sign in again: a file keeps them then.",
        account=name,
    )


def _unwritable(path: Path, error: OSError) -> InstallerError:
    return InstallerError(
        ErrorCode.FILE_UNWRITABLE,
        f"{path} cannot be written ({error.strerror or type(error).__name__}).",
        "Check the permissions and the free space there.",
        file=str(path),
    )
