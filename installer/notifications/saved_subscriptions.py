"""Which notifications this computer has subscribed: kept, so that what the cloud removes can be subscribed anew.

One file of mode 0600, because a callback address is a secret. It is the wish, not the state: what is really subscribed
only the cloud knows.
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
from installer.storage.private_files import make_private, read_private, write_private

MAX_FILE = 1024 * 1024
LOCK_SECONDS = 15.0


class SavedSubscription(BaseModel):
    """For one account at one cloud: to be told at `url` of the kinds `applis`."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    cloud: str
    client_id: str
    account: str
    url: Annotated[str, Field(repr=False)]
    applis: tuple[int, ...]


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    version: Literal[1] = 1
    wishes: list[SavedSubscription] = []


@dataclass(frozen=True)
class SavedSubscriptions:
    """The wishes for the accounts of one application at one cloud. Raises FILE_UNWRITABLE, SECRET_UNAVAILABLE."""

    path: Path
    cloud: str
    client_id: str = field(default="")

    @classmethod
    def of(cls, path: Path, cloud: CloudSettings) -> SavedSubscriptions:
        """Those of this application at this cloud; a lab is the same one at whatever port."""
        local = is_loopback(urlsplit(cloud.api).hostname or "")
        return cls(path, "loopback" if local else cloud.api, cloud.client_id)

    def all(self, account: str | None = None) -> list[SavedSubscription]:
        """The wishes, or those for one account."""
        return [w for w in self._read().wishes if self._mine(w, account)]

    async def add(self, account: str, url: str, applis: Iterable[int]) -> None:
        """Want these kinds too."""
        async with self._changing() as content:
            old = next((w for w in content.wishes if self._mine(w, account) and w.url == url), None)
            known = set(old.applis) if old is not None else set()
            new = SavedSubscription(
                cloud=self.cloud,
                client_id=self.client_id,
                account=account,
                url=url,
                applis=tuple(sorted(known | set(applis))),
            )
            content.wishes = [w for w in content.wishes if w is not old] + [new]

    async def forget(self, account: str) -> bool:
        """Want nothing for this account any more; False if nothing was wanted."""
        if not self.all(account):
            return False
        async with self._changing() as content:
            content.wishes = [w for w in content.wishes if not self._mine(w, account)]
        return True

    async def drop(self, account: str, url: str, applis: Iterable[int] | None = None) -> None:
        """Want these kinds no more at this address; without `applis` none of them."""
        gone = None if applis is None else set(applis)
        async with self._changing() as content:
            kept = []
            for wish in content.wishes:
                if not self._mine(wish, account) or wish.url != url:
                    kept.append(wish)
                elif gone is not None and (left := tuple(a for a in wish.applis if a not in gone)):
                    kept.append(wish.model_copy(update={"applis": left}))
            content.wishes = kept

    def _mine(self, wish: SavedSubscription, account: str | None) -> bool:
        own = wish.cloud == self.cloud and wish.client_id == self.client_id
        return own and account in (None, wish.account)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[_File]:
        try:
            make_private(self.path.parent)
            async with file_lock(self.path.with_suffix(".lock"), LOCK_SECONDS):
                content = self._read()
                yield content
                write_private(self.path, content.model_dump_json(indent=1).encode())
        except TimeoutError:
            raise self._unwritable("another run of this program holds it", "End that one, then try again.") from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise self._unwritable(why, "Check the permissions and the free space there.") from None

    def _read(self) -> _File:
        try:
            content, private = read_private(self.path, MAX_FILE)
            found = _File.model_validate_json(content)
        except FileNotFoundError:
            return _File()
        except (OSError, ValidationError):
            raise self._unusable("it cannot be read, or is damaged") from None
        if not private:
            raise self._unusable("others can read it, and the addresses in it are secrets")
        return found

    def _unwritable(self, why: str, todo: str) -> InstallerError:
        words = f"{self.path}, which keeps what is subscribed, cannot be written ({why})."
        return InstallerError(ErrorCode.FILE_UNWRITABLE, words, todo, file=str(self.path))

    def _unusable(self, why: str) -> InstallerError:
        return InstallerError(
            ErrorCode.SECRET_UNAVAILABLE,
            f"The file {self.path}, which keeps what is subscribed, cannot be used: {why}.",
            "Remove it, and subscribe again.",
            file=str(self.path),
        )
