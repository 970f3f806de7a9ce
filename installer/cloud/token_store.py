"""Token store: the tokens of the accounts, in the system's keyring or in a private file.

Every account has a small file `NAME.HASH.json`. It names the cloud and the application of the tokens and where the
tokens are stored, and holds them itself if that is not the keyring. The accounts of one cloud are never shown, used or
overwritten by another cloud. Only complete tokens are saved, and atomically.
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
from installer.storage.file_lock import HeldLock, file_lock
from installer.storage.keyring import KeyringFailed, SystemKeyring
from installer.storage.private_files import make_private_folder, read_private, write_private
from installer.timing.deadlines import call_with_deadline

Backend = Literal["keyring", "file"]
LOCK_SECONDS = 60.0
DISK_SECONDS = 30.0
MAX_FILE_BYTES = 64 * 1024


class Tokens(BaseModel):
    """The tokens of an account. `issued` and `expires`: unix seconds of this computer's clock."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    access_token: Secret
    refresh_token: Secret
    issued: float
    expires: float
    scope: str = ""
    userid: str = ""

    @classmethod
    def from_grant(cls, granted: Granted, now: float, userid: str = "") -> Tokens:
        """The tokens that were granted now. `userid`: used if the answer does not repeat it."""
        return cls(
            access_token=granted.access_token,
            refresh_token=granted.refresh_token,
            issued=now,
            expires=now + granted.expires_in,
            scope=granted.scope,
            userid=granted.userid or userid,
        )

    def with_secrets(self) -> dict[str, str | float]:
        """All fields, with the secrets in plain text: only for the keyring or a private file."""
        return {
            **self.model_dump(exclude={"access_token", "refresh_token"}),
            "access_token": self.access_token.get_secret_value(),
            "refresh_token": self.refresh_token.get_secret_value(),
        }


@dataclass(frozen=True)
class Application:
    """The owner of tokens: an application (its client id) at a cloud (its API's base URL)."""

    cloud: str
    client_id: str

    @classmethod
    def of(cls, cloud: CloudSettings) -> Application:
        """The application of these settings."""
        return cls(cloud.api, cloud.client_id)


class AccountFile(BaseModel):
    """The content of an account's file."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    version: Literal[1] = 1
    name: str
    cloud: str
    client_id: str
    userid: str = ""
    kept: Backend
    tokens: Tokens | None = None

    def belongs_to(self, application: Application) -> bool:
        """Whether it is an account of this application."""
        return (self.cloud, self.client_id) == (application.cloud, application.client_id)


@dataclass(frozen=True)
class ListedAccount:
    """An account, and where its tokens are stored, in words."""

    record: AccountFile
    stored_in: str


@dataclass(frozen=True)
class StoredTokens:
    """Tokens, and where they are stored, in words."""

    tokens: Tokens
    stored_in: str


class TokenStore:
    """The accounts of this computer. `backend` None: the keyring if there is a usable one, else files."""

    def __init__(
        self, folder: Path, backend: Backend | None = None, keyring_seconds: float = keyrings.KEYRING_SECONDS
    ) -> None:
        self.folder = folder
        self._backend = backend
        self._keyring_seconds = keyring_seconds
        self._keyring: SystemKeyring | None = None
        self._keyring_searched = False

    async def list(self, application: Application) -> list[ListedAccount]:
        """The accounts of this application, by name. Damaged files are left out."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                record = _read_account_file(path)
                stored_in = self._storage_in_words(record, path)
            except _ReadableByOthers as error:
                record, stored_in = error.record, f"the file {path}, which is refused because others can read it"
            except (_Damaged, OSError):
                continue
            if record.belongs_to(application):
                found.append(ListedAccount(record, stored_in))
        return sorted(found, key=lambda account: account.record.name)

    async def load(self, application: Application, name: str) -> StoredTokens | None:
        """The tokens, or None if there is no such account. Raises SECRET_UNAVAILABLE, ACCOUNT_UNKNOWN (damaged)."""
        path = self._path(application, name)
        try:
            record = await call_with_deadline(lambda: _read_account_file(path), DISK_SECONDS)
        except FileNotFoundError:
            return None
        except _ReadableByOthers:
            raise InstallerError(
                ErrorCode.SECRET_UNAVAILABLE,
                f"The file {path} with the tokens of account “{name}” can be read by others, so it is not used.",
                f"If nobody has read it: chmod 600 '{path}'. Otherwise delete it and sign in again.",
                account=name,
            ) from None
        except (_Damaged, OSError, TimeoutError):
            raise InstallerError(
                ErrorCode.ACCOUNT_UNKNOWN,
                f"The file {path} of account “{name}” is damaged.",
                "Sign in again.",
                account=name,
            ) from None
        if not record.belongs_to(application) or record.name != name:
            return None
        tokens = record.tokens if record.kept == "file" else await self._from_keyring(path, name)
        return StoredTokens(tokens, self._storage_in_words(record, path)) if tokens is not None else None

    async def save(self, application: Application, name: str, tokens: Tokens) -> StoredTokens:
        """Store the tokens. Raises FILE_UNWRITABLE; SECRET_UNAVAILABLE if the keyring is required and fails."""
        path = self._path(application, name)
        secret = json.dumps(tokens.with_secrets())
        kept: Backend = "file"
        keyring = await self._usable_keyring()
        if keyring is not None:
            try:
                await keyring.set(_keyring_entry(path), secret)
                kept = "keyring"
            except KeyringFailed as error:
                if self._backend == "keyring":
                    raise _keyring_error(name, str(error)) from None
        elif self._backend == "keyring":
            raise _keyring_error(name, "there is none that protects its entries")
        record = AccountFile(
            name=name, cloud=application.cloud, client_id=application.client_id, userid=tokens.userid, kept=kept
        )
        document = record.model_dump(exclude={"tokens"})
        if kept == "file":
            document["tokens"] = tokens.with_secrets()
        try:
            await call_with_deadline(lambda: write_private(path, json.dumps(document, indent=1).encode()), DISK_SECONDS)
        except (OSError, TimeoutError) as error:
            raise _unwritable(path, error) from None
        return StoredTokens(tokens, self._storage_in_words(record, path))

    async def delete(self, application: Application, name: str) -> bool:
        """Delete an account; False if there is none. Raises FILE_UNWRITABLE, SECRET_UNAVAILABLE."""
        path = self._path(application, name)
        try:
            record: AccountFile | None = _read_account_file(path)
        except FileNotFoundError:
            return False
        except _ReadableByOthers as error:
            record = error.record
        except (_Damaged, OSError):
            record = None
        if record is not None and not record.belongs_to(application):
            return False
        if record is not None and record.kept == "keyring":
            keyring = await self._usable_keyring()
            try:
                if keyring is None:
                    raise KeyringFailed("it is switched off or not there")
                await keyring.delete(_keyring_entry(path))
            except KeyringFailed as error:
                raise _keyring_error(name, str(error)) from None
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from None
        return True

    @asynccontextmanager
    async def lock(self, application: Application, name: str) -> AsyncIterator[HeldLock]:
        """Lock this account against the other processes of this user. Raises SECRET_UNAVAILABLE, FILE_UNWRITABLE."""
        path = self._path(application, name).with_suffix(".lock")
        async with contextlib.AsyncExitStack() as stack:
            try:
                make_private_folder(self.folder)
                held = await stack.enter_async_context(file_lock(path, LOCK_SECONDS))
            except TimeoutError:
                raise InstallerError(
                    ErrorCode.SECRET_UNAVAILABLE,
                    f"Another run of this program holds the lock of account “{name}” and does not release it.",
                    "End it, then try again.",
                    account=name,
                ) from None
            except OSError as error:
                raise _unwritable(path, error) from None
            yield held

    async def _usable_keyring(self) -> SystemKeyring | None:
        if self._backend == "file":
            return None
        if not self._keyring_searched:
            self._keyring = await keyrings.find_keyring(self._keyring_seconds)
            self._keyring_searched = True
        return self._keyring

    async def _from_keyring(self, path: Path, name: str) -> Tokens | None:
        keyring = await self._usable_keyring()
        if keyring is None:
            raise _keyring_error(name, "it is switched off or not there")
        try:
            text = await keyring.get(_keyring_entry(path))
        except KeyringFailed as error:
            raise _keyring_error(name, str(error)) from None
        try:
            return Tokens.model_validate_json(text) if text is not None else None
        except ValidationError:
            return None

    def _path(self, application: Application, name: str) -> Path:
        # A lab has a new port at each start; its tokens replace those of the previous lab.
        local = is_loopback(urlsplit(application.cloud).hostname or "")
        owner = f"{'loopback' if local else application.cloud}\0{application.client_id}\0{name}"
        # Capitals are escaped too: some file systems do not distinguish “Alex” and “alex”.
        safe = "".join(c if c in _UNESCAPED else f"%{ord(c):02x}" if ord(c) < 128 else quote(c) for c in name)[:60]
        return self.folder / f"{safe}.{hashlib.sha256(owner.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}.json"

    def _storage_in_words(self, record: AccountFile, path: Path) -> str:
        if record.kept == "file":
            return f"the file {path}, which only you can read"
        name = self._keyring.name if self._keyring is not None else ""
        return f"the keyring of this system ({name})" if name else "the keyring of this system"


_UNESCAPED = "abcdefghijklmnopqrstuvwxyz0123456789-_"


class _Damaged(Exception):
    """Not a valid account file."""


class _ReadableByOthers(Exception):
    """Other users can read the file."""

    def __init__(self, record: AccountFile) -> None:
        super().__init__()
        self.record = record


def _keyring_entry(path: Path) -> str:
    return f"account:{path.stem}"


def _read_account_file(path: Path) -> AccountFile:
    """Raises FileNotFoundError, OSError, _Damaged, _ReadableByOthers."""
    content, private = read_private(path, MAX_FILE_BYTES)
    try:
        record = AccountFile.model_validate_json(content)
    except ValidationError:
        raise _Damaged from None
    if not private and record.tokens is not None:
        raise _ReadableByOthers(record.model_copy(update={"tokens": None}))
    return record


def _keyring_error(name: str, why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE,
        f"The keyring cannot read or store the tokens of account “{name}”: {why}.",
        "Unlock the keyring, or set DEVICE_INSTALLER_KEYRING=off and sign in again: then a file stores them.",
        account=name,
    )


def _unwritable(path: Path, error: OSError) -> InstallerError:
    return InstallerError(
        ErrorCode.FILE_UNWRITABLE,
        f"{path} cannot be written ({error.strerror or type(error).__name__}).",
        "Check the permissions and the free space there.",
        file=str(path),
    )
