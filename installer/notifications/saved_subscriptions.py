"""Saved subscriptions: the notifications that this computer wants, so that removed subscriptions can be renewed.

They are in a private file, because a callback URL is a secret. It says what the user wants, not what is: only the
cloud knows the real subscriptions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from installer.errors import ErrorCode, InstallerError
from installer.settings import CloudSettings, is_loopback
from installer.storage.file_lock import file_lock
from installer.storage.private_files import make_private_folder, read_private, write_private
from installer.storage.unusable_paths import advice, reason
from installer.text.path_reasons import why_unusable

MAX_FILE_BYTES = 1024 * 1024
LOCK_SECONDS = 15.0


class SavedSubscription(BaseModel):
    """The categories `applis` that one account at one cloud sends to `url`."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    cloud: str
    client_id: str
    account: str
    url: Annotated[str, Field(repr=False)]
    applis: tuple[int, ...]


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    version: Literal[1] = 1
    # The name in the file is older.
    subscriptions: list[SavedSubscription] = Field(default=[], alias="wishes")


@dataclass(frozen=True)
class SavedSubscriptions:
    """The saved subscriptions of one application at one cloud. Raises FILE_UNWRITABLE, SECRET_UNAVAILABLE."""

    path: Path
    cloud: str
    client_id: str = field(default="")

    @classmethod
    def of(cls, path: Path, cloud: CloudSettings) -> SavedSubscriptions:
        """The subscriptions of this application at this cloud. All labs are one cloud, at any port."""
        local = is_loopback(urlsplit(cloud.api).hostname or "")
        return cls(path, "loopback" if local else cloud.api, cloud.client_id)

    def all(self, account: str | None = None) -> list[SavedSubscription]:
        """All saved subscriptions, or those of one account."""
        return [s for s in self._read().subscriptions if self._belongs_to(s, account)]

    async def add(self, account: str, url: str, applis: Iterable[int]) -> None:
        """Save a subscription to these categories, too."""
        async with self._changing() as file:
            old = next((s for s in file.subscriptions if self._belongs_to(s, account) and s.url == url), None)
            known = set(old.applis) if old is not None else set()
            new = SavedSubscription(
                cloud=self.cloud,
                client_id=self.client_id,
                account=account,
                url=url,
                applis=tuple(sorted(known | set(applis))),
            )
            file.subscriptions = [s for s in file.subscriptions if s is not old] + [new]

    async def remove_account(self, account: str) -> bool:
        """Remove all subscriptions of this account; False if there are none."""
        if not self.all(account):
            return False
        async with self._changing() as file:
            file.subscriptions = [s for s in file.subscriptions if not self._belongs_to(s, account)]
        return True

    async def remove(self, account: str, url: str, applis: Iterable[int] | None = None) -> None:
        """Remove these categories at this URL; without `applis`, all of them."""
        removed = None if applis is None else set(applis)
        async with self._changing() as file:
            kept = []
            for saved in file.subscriptions:
                if not self._belongs_to(saved, account) or saved.url != url:
                    kept.append(saved)
                elif removed is not None and (left := tuple(a for a in saved.applis if a not in removed)):
                    kept.append(saved.model_copy(update={"applis": left}))
            file.subscriptions = kept

    def _belongs_to(self, saved: SavedSubscription, account: str | None) -> bool:
        same_application = saved.cloud == self.cloud and saved.client_id == self.client_id
        return same_application and account in (None, saved.account)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[_File]:
        try:
            make_private_folder(self.path.parent)
            async with file_lock(self.path.with_suffix(".lock"), LOCK_SECONDS) as lock:
                file = self._read()
                yield file
                if not lock.is_kept():
                    raise self._unwritable("somebody deleted its lock, and another run writes it now", "Try again.")
                write_private(self.path, file.model_dump_json(indent=1, by_alias=True).encode())
        except TimeoutError:
            raise self._unwritable("another run of this program holds its lock", "End it, then try again.") from None
        except OSError as error:
            raise self._unwritable(reason(error, self.path), advice(error)) from None

    def _read(self) -> _File:
        try:
            content, exposed = read_private(self.path, MAX_FILE_BYTES)
            file = _File.model_validate_json(content)
        except FileNotFoundError:
            return _File()
        except OSError as error:
            raise self._unusable(f"it cannot be read ({why_unusable(error, self.path)})") from None
        except ValidationError:
            raise self._unusable("it is damaged" if content.strip() else "it is empty") from None
        if exposed:
            raise self._unusable(f"it {exposed}, and the addresses in it are secrets")
        return file

    def _unwritable(self, why: str, todo: str) -> InstallerError:
        what = f"The file of subscriptions {self.path} cannot be written ({why})."
        return InstallerError(ErrorCode.FILE_UNWRITABLE, what, todo, file=str(self.path))

    def _unusable(self, why: str) -> InstallerError:
        return InstallerError(
            ErrorCode.SECRET_UNAVAILABLE,
            f"The file of subscriptions {self.path} cannot be used: {why}.",
            "Put the right file back, or delete it and subscribe again.",
            file=str(self.path),
        )
