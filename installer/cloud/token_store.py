"""Token store: the tokens of the accounts, in the system's keyring or in a private file.

Every account has a small file `NAME.HASH.json`. It names the cloud and the application of the tokens and where the
tokens are stored, and holds them itself if that is not the keyring. The accounts of one cloud are never shown, used or
overwritten by another cloud. Only complete tokens are saved, and atomically.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from installer.cloud.account_file import (
    AccountFile,
    Application,
    Backend,
    Left,
    Tokens,
    account_name,
    damaged,
    examine,
    file_name,
    left_in_keyring,
)
from installer.errors import ErrorCode, InstallerError
from installer.storage import keyring as keyrings
from installer.storage.file_lock import HeldLock, file_lock, is_abandoned
from installer.storage.keyring import KeyringFailed, KeyringSilent, SystemKeyring
from installer.storage.private_files import make_private_folder, write_private
from installer.storage.secret_references import KEYRING_SERVICE
from installer.storage.stale_files import sweep_file
from installer.storage.unusable_paths import reason
from installer.text.path_reasons import why_unusable
from installer.timing.deadlines import call_with_deadline

LOCK_SECONDS = 60.0
DISK_SECONDS = 30.0
NO_KEYRING = "it is switched off or not there"


@dataclass(frozen=True)
class ListedAccount:
    """An account, and where its tokens are stored, in words. `damage`: why they cannot be used, if so.

    `userid`: empty if it is not known.
    """

    name: str
    stored_in: str
    userid: str = ""
    damage: InstallerError | None = None


@dataclass(frozen=True)
class StoredTokens:
    """Tokens, and where they are stored, in words."""

    tokens: Tokens
    stored_in: str


@dataclass(frozen=True)
class Deletion:
    """What `delete` did. `found`: there were tokens. `may_remain`: the entry of the keyring that nobody looked for."""

    found: bool
    may_remain: str = ""


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

    async def list(self, application: Application, *, look_into_keyring: bool = False) -> list[ListedAccount]:
        """The accounts of this application, by name; those that are damaged with the reason.

        `look_into_keyring`: also find out whether the keyring has the tokens, which may ask its user. Raises
        SECRET_UNAVAILABLE if the folder cannot be read.
        """
        found = [self._listed(path, application) for path in self._files()]
        listed = sorted((one for one in found if one is not None), key=lambda account: account.name)
        return [await self._looked_up(one, application) for one in listed] if look_into_keyring else listed

    def _files(self) -> tuple[Path, ...]:
        try:
            return tuple(sorted(path for path in self.folder.iterdir() if path.suffix == ".json"))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise InstallerError(
                ErrorCode.SECRET_UNAVAILABLE,
                f"The folder of the accounts {self.folder} cannot be read ({why_unusable(error, self.folder)}).",
                "Check its permissions and its owner.",
                file=str(self.folder),
            ) from None

    def _listed(self, path: Path, application: Application) -> ListedAccount | None:
        """The account of this file; None if it is no account of this application."""
        name = account_name(path, application)
        try:
            record, damage = examine(path, name or path.stem)
        except FileNotFoundError:
            return None
        if record is None:
            return None if name is None else ListedAccount(name, f"the file {path}", damage=damage)
        if not record.belongs_to(application):
            return None
        expected = path.with_name(file_name(application, record.name))
        if path != expected:
            if expected.exists() or expected.is_symlink():
                return None  # a copy of a file that is there
            damage = damaged(path, record.name, "has a wrong name", f"Rename it to {expected.name}.")
        return ListedAccount(record.name, self._storage_in_words(record, path), record.userid, damage)

    async def _looked_up(self, listed: ListedAccount, application: Application) -> ListedAccount:
        if listed.damage is not None:
            return listed
        try:
            await self.load(application, listed.name)
        except InstallerError as error:
            return ListedAccount(listed.name, listed.stored_in, listed.userid, error)
        return listed

    async def load(self, application: Application, name: str) -> StoredTokens | None:
        """The tokens, or None if there is no such account. Raises SECRET_UNAVAILABLE if they cannot be used."""
        path = self._path(application, name)
        try:
            record, damage = await call_with_deadline(lambda: examine(path, name), DISK_SECONDS)
        except FileNotFoundError:
            return None
        except TimeoutError:
            raise damaged(path, name, f"was not read within {DISK_SECONDS:g} s") from None
        if damage is not None:
            raise damage
        if record is None or not record.belongs_to(application):
            return None
        if record.name != name:
            raise damaged(path, name, "holds the tokens of another account")
        tokens = record.tokens if record.tokens is not None else await self._from_keyring(path, name)
        return StoredTokens(tokens, self._storage_in_words(record, path))

    async def save(self, application: Application, name: str, tokens: Tokens) -> StoredTokens:
        """Store the tokens. Raises FILE_UNWRITABLE; SECRET_UNAVAILABLE if the keyring is required and fails."""
        path = self._path(application, name)
        secret = json.dumps(tokens.with_secrets())
        kept: Backend = "file"
        left, may_clean = await _read_left(path, name), True
        keyring = await self._usable_keyring()
        if keyring is not None:
            try:
                await keyring.set(_keyring_entry(path), secret)
                kept, left = "keyring", "no"
            except KeyringFailed as error:
                if self._backend == "keyring":
                    raise _keyring_error(name, str(error)) from None
                left, may_clean = "maybe" if left == "no" else left, not isinstance(error, KeyringSilent)
        elif self._backend == "keyring":
            raise _keyring_error(name, "there is none that protects its entries")
        record = AccountFile(
            name=name,
            cloud=application.cloud,
            client_id=application.client_id,
            userid=tokens.userid,
            kept=kept,
            tokens=tokens if kept == "file" else None,
            left_in_keyring=left,
        )
        await _write(path, record)
        if left != "no" and may_clean and not (await self._delete_entry(path))[1]:
            # The new tokens are safe by now, and those of an earlier sign-in are gone.
            await _write(path, record.model_copy(update={"left_in_keyring": "no"}))
        return StoredTokens(tokens, self._storage_in_words(record, path))

    async def delete(self, application: Application, name: str) -> Deletion:
        """Delete the tokens of an account from the keyring and from the file, also those of an earlier sign-in.

        If the keyring does not give up what is known to be in it, only those in the file go, and the file says so.
        Raises FILE_UNWRITABLE, SECRET_UNAVAILABLE.
        """
        path = self._path(application, name)
        record: AccountFile | None = None
        there = True
        try:
            record, _ = examine(path, name)
        except FileNotFoundError:
            there = False
        if record is not None and not record.belongs_to(application):
            return Deletion(False)
        was_there, failure = await self._delete_entry(path)
        known = record is not None and (record.kept == "keyring" or record.left_in_keyring == "yes")
        if record is not None and known and failure:
            await _write(path, record.model_copy(update={"kept": "keyring", "tokens": None}))
            raise _still_in_keyring(path, name, failure)
        try:
            path.unlink(missing_ok=True)
            sweep_file(path, any_age=True)
            _remove_old_lock(path)
        except OSError as error:
            raise _unwritable(path, error) from None
        unsure = there and bool(failure) and (record is None or record.left_in_keyring != "no")
        return Deletion(there or was_there, _keyring_entry(path) if unsure else "")

    @asynccontextmanager
    async def lock(self, application: Application, name: str) -> AsyncIterator[HeldLock]:
        """Lock this account against the other processes of this user. Raises SECRET_UNAVAILABLE, FILE_UNWRITABLE."""
        path = _lock_of(self._path(application, name))
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
        return None if self._backend == "file" else await self._any_keyring()

    async def _delete_entry(self, path: Path) -> tuple[bool, str]:
        """Delete the account's entry of the keyring: whether it was there; why it may still be there, or ""."""
        keyring = await self._any_keyring()
        if keyring is None:
            return False, NO_KEYRING
        try:
            return await keyring.delete(_keyring_entry(path)), ""
        except KeyringFailed as error:
            return False, str(error)

    async def _any_keyring(self) -> SystemKeyring | None:
        if not self._keyring_searched:
            self._keyring = await keyrings.find_keyring(self._keyring_seconds)
            self._keyring_searched = True
        return self._keyring

    async def _from_keyring(self, path: Path, name: str) -> Tokens:
        keyring = await self._usable_keyring()
        if keyring is None:
            raise _keyring_error(name, NO_KEYRING)
        entry = _keyring_entry(path)
        try:
            text = await keyring.get(entry)
        except KeyringFailed as error:
            raise _keyring_error(name, str(error)) from None
        place = f"the entry “{entry}” of the keyring"
        if text is None:
            raise damaged(path, name, "is missing", place=place)
        try:
            return Tokens.model_validate_json(text)
        except ValidationError:
            raise damaged(path, name, "is damaged", place=place) from None

    def _path(self, application: Application, name: str) -> Path:
        return self.folder / file_name(application, name)

    def _storage_in_words(self, record: AccountFile, path: Path) -> str:
        if record.kept == "file":
            return f"the file {path}, which only you can read"
        name = self._keyring.name if self._keyring is not None else ""
        return f"the keyring of this system ({name})" if name else "the keyring of this system"


def _keyring_entry(path: Path) -> str:
    return f"account:{path.stem}"


def _lock_of(path: Path) -> Path:
    # By the hash alone: a lock has to stay, and must not keep a person's name.
    return path.with_name(f"{path.stem.rpartition('.')[2]}.lock")


def _remove_old_lock(path: Path) -> None:
    """Remove the lock file of an older version, which has the account's name, unless that version holds it."""
    old = path.with_suffix(".lock")
    if is_abandoned(old):
        old.unlink(missing_ok=True)


async def _read_left(path: Path, name: str) -> Left:
    try:
        return await call_with_deadline(lambda: left_in_keyring(path, name), DISK_SECONDS)
    except TimeoutError:
        return "maybe"


async def _write(path: Path, record: AccountFile) -> None:
    """Replace the file of the account, and remove what a killed run has left of it. Raises FILE_UNWRITABLE."""
    document = record.model_dump(exclude={"tokens"})
    if record.tokens is not None:
        document["tokens"] = record.tokens.with_secrets()
    content = json.dumps(document, indent=1).encode()
    try:
        await call_with_deadline(lambda: write_private(path, content, any_age=True), DISK_SECONDS)
    except (OSError, TimeoutError) as error:
        raise _unwritable(path, error) from None


def _keyring_error(name: str, why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE,
        f"The keyring cannot read or store the tokens of account “{name}”: {why}.",
        "Unlock the keyring, or set DEVICE_INSTALLER_KEYRING=off and sign in again: then a file stores them.",
        account=name,
    )


def _still_in_keyring(path: Path, name: str, why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE,
        f"Tokens of account “{name}” are still in the keyring of this system: {why}.",
        "Unlock the keyring (DEVICE_INSTALLER_KEYRING must not be off), then sign out again. Or remove its entry "
        f"“{_keyring_entry(path)}” of {KEYRING_SERVICE} with the keyring's own program, and the file {path}.",
        account=name,
        file=str(path),
    )


def _unwritable(path: Path, error: OSError) -> InstallerError:
    return InstallerError(
        ErrorCode.FILE_UNWRITABLE,
        f"{path} cannot be written ({reason(error, path)}).",
        "Check the permissions and the free space there.",
        file=str(path),
    )
