"""The file of one account: its name in the folder, its content, and why one cannot be used.

A file that is there and cannot be used is damaged, never absent: its account is listed with the reason.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from installer.errors import ErrorCode, InstallerError
from installer.settings import CloudSettings, is_loopback
from installer.storage.private_files import OTHER_OWNER, read_private
from installer.text import printable
from installer.text.path_reasons import why_unusable

if TYPE_CHECKING:
    from installer.cloud.api_models import Granted

Secret = Annotated[SecretStr, Field(min_length=1, max_length=8192)]
Backend = Literal["keyring", "file"]
# Whether older tokens of the account are in the keyring beside those in the file.
Left = Literal["no", "maybe", "yes"]
MAX_FILE_BYTES = 64 * 1024
MAX_NAME_PART = 60
_UNESCAPED = "abcdefghijklmnopqrstuvwxyz0123456789-_"
_FILE_NAME = re.compile(r"(.+)\.[0-9a-f]{12}")


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
    """The content of an account's file.

    `left_in_keyring`: about an earlier sign-in, if `kept` is "file"; an older version of this program did not say.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    version: Literal[1] = 1
    name: str
    cloud: str
    client_id: str
    userid: str = ""
    kept: Backend
    tokens: Tokens | None = None
    left_in_keyring: Left = "maybe"

    def belongs_to(self, application: Application) -> bool:
        """Whether it is an account of this application."""
        return (self.cloud, self.client_id) == (application.cloud, application.client_id)


def file_name(application: Application, name: str) -> str:
    """The name of the file of the account `name`: `NAME.HASH.json`."""
    # A lab has a new port at each start; its tokens replace those of the previous lab.
    local = is_loopback(urlsplit(application.cloud).hostname or "")
    owner = f"{'loopback' if local else application.cloud}\0{application.client_id}\0{name}"
    # Capitals are escaped too: some file systems do not distinguish “Alex” and “alex”.
    safe = "".join(c if c in _UNESCAPED else f"%{ord(c):02x}" if ord(c) < 128 else quote(c) for c in name)
    digest = hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{safe[:MAX_NAME_PART]}.{digest}.json"


def account_name(path: Path, application: Application) -> str | None:
    """The account that this file's name says; None if it is no account of this application.

    A long name is cut in the name of the file. Its owner is not known then, and the part that is left is the answer.
    """
    found = _FILE_NAME.fullmatch(path.stem)
    if found is None:
        return None
    name = unquote(found[1], errors="replace")
    return name if len(found[1]) >= MAX_NAME_PART or path.name == file_name(application, name) else None


def examine(path: Path, name: str) -> tuple[AccountFile | None, InstallerError | None]:
    """The content of the file of account `name` if it can be read, and why it cannot be used, if it cannot.

    Raises FileNotFoundError.
    """
    try:
        content, exposed = read_private(path, MAX_FILE_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        return None, damaged(path, name, f"cannot be read ({why_unusable(error, path)})")
    if not content.strip():
        return None, damaged(path, name, "is empty")
    try:
        record = AccountFile.model_validate_json(content)
    except ValidationError:
        return None, damaged(path, name, "is damaged, or of another version of this program")
    if record.kept == "file" and record.tokens is None:
        return record, damaged(path, name, "is damaged: its tokens are missing")
    if exposed and record.tokens is not None:
        record = record.model_copy(update={"tokens": None})
        how = f"sudo chown $USER '{path}'" if exposed == OTHER_OWNER else f"chmod 600 '{path}'"
        todo = f"If nobody else has read or changed it: {how}. Otherwise delete it and sign in again."
        return record, damaged(path, name, exposed, todo)
    return record, None


def left_in_keyring(path: Path, name: str) -> Left:
    """Whether the keyring has tokens of the sign-in that this file is of."""
    try:
        record, _ = examine(path, name)
    except FileNotFoundError:
        return "no"
    if record is None:
        return "maybe"
    return "yes" if record.kept == "keyring" else record.left_in_keyring


def damaged(path: Path, name: str, why: str, todo: str = "", *, place: str = "") -> InstallerError:
    """SECRET_UNAVAILABLE: the account is there, but its tokens cannot be read. `why` completes “the file …”.

    `place`: what `why` is about, if not the file.
    """
    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE,
        f"The tokens of account “{printable(name)}” cannot be used: {place or f'the file {path}'} {why}.",
        todo or f"Restore it from a copy, or sign in again, which replaces it: {login_command(name)}.",
        account=name,
        file=str(path),
        damaged=True,
    )


def is_damaged(error: InstallerError) -> bool:
    """Whether it says that the tokens of an account are there and cannot be used."""
    known: Any = error.data.get("damaged")
    return known is True


def login_command(name: str) -> str:
    """The command that signs in to the account with this name."""
    return f"device-installer account login {shlex.quote(name)}"
