"""Networks that are saved on this computer under a name: SSID, security, hidden; never the passphrase itself.

They stand in `networks.toml` in the folder of the settings:

    [networks.clinic]
    ssid = "Clinic"
    security = "wpa2"
    passphrase = { keyring = "clinic" }

`passphrase` names a place (`SecretRef`). `device-installer networks add` puts the passphrase into the keyring of the
operating system, entry `network:NAME`; a line written by hand may name a variable or a file.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from installer import settings
from installer.answers import NetworkAnswer
from installer.catalogue.catalogue import problems
from installer.errors import ErrorCode, InstallerError
from installer.storage.secret_references import SecretRef
from installer.text import printable
from installer.wifi.networks import Network, Security, check_network, check_ssid

FILE = "networks.toml"
MAX_BYTES = 256 * 1024
MAX_NAME = 64

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class SavedNetwork(BaseModel):
    """One saved network. `passphrase`: where it is; None for an open network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ssid: str
    security: Security = Security.UNKNOWN
    hidden: bool = False
    passphrase: SecretRef | None = None

    @field_validator("ssid")
    @classmethod
    def _ssid(cls, value: str) -> str:
        try:
            check_ssid(value)
        except InstallerError as error:
            raise ValueError(f"{error.what} {error.todo}") from None
        return value

    @property
    def network(self) -> Network:
        """The network alone."""
        return Network(ssid=self.ssid, security=self.security, hidden=self.hidden)

    @property
    def answer(self) -> NetworkAnswer:
        """The same as an answer of the network step."""
        security = None if self.security is Security.UNKNOWN else self.security
        return NetworkAnswer(ssid=self.ssid, security=security, hidden=self.hidden, passphrase=self.passphrase)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    networks: dict[Name, SavedNetwork] = {}


def path() -> Path:
    """The file of saved networks."""
    return settings.config_dir() / FILE


def load() -> dict[str, SavedNetwork]:
    """All saved networks by name, in the order of the file; none if there is no file. Raises SETTINGS_INVALID."""
    file = path()
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _invalid(file, f"it cannot be read ({error.strerror})", "Check the path and the permissions.") from None
    if len(raw) > MAX_BYTES:
        raise _invalid(file, "it is too long", "It should be a short TOML file.")
    try:
        data = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise _invalid(file, "it is not UTF-8 text", "Save it as UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _invalid(file, f"it is not TOML: {error}", "Mend that line.") from None
    _no_plain_passphrase(file, data)
    try:
        return dict(_File.model_validate(data).networks)
    except ValidationError as error:
        raise _invalid(file, "; ".join(problems(error, data)), "Mend or remove that key.") from None


def find(name: str) -> SavedNetwork:
    """The network saved under this name. Raises ANSWERS_INVALID with the known names, NETWORK_UNSUPPORTED."""
    known = load()
    if name not in known:
        raise not_saved(name, known)
    check_network(known[name].network)
    return known[name]


def not_saved(name: str, known: Mapping[str, SavedNetwork]) -> InstallerError:
    """The error that says which names there are."""
    return InstallerError(
        ErrorCode.ANSWERS_INVALID,
        f"No network is saved under the name “{printable(name)}”.",
        f"There are these: {', '.join(map(printable, known))}."
        if known
        else "Save one with `device-installer networks add NAME`.",
        network=name,
    )


def save(networks: Mapping[str, SavedNetwork]) -> None:
    """Replace the file in one step: a crash leaves the old or the new one whole. Raises FILE_UNWRITABLE."""
    import tomli_w

    content = _File(networks=dict(networks)).model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    file = path()
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(tomli_w.dumps({"version": 1, **content}).encode("utf-8"))
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(file)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"The file of saved networks {file} cannot be written: {error.strerror}.",
            "Check the permissions and the space of that folder.",
            file=str(file),
        ) from None


def check_name(name: str) -> None:
    """Raise ANSWERS_INVALID unless `name` can be the name of a saved network."""
    if not name.strip() or name != name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            "This cannot be the name of a saved network.",
            f"Take 1 to {MAX_NAME} printable characters, without a space at either end, for example: clinic",
        )


def _no_plain_passphrase(file: Path, data: Mapping[str, object]) -> None:
    """A passphrase in plain text is refused by name, before anything repeats it."""
    networks = data.get("networks")
    for name, entry in networks.items() if isinstance(networks, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("passphrase"), str):
            raise _invalid(
                file,
                f"networks.{name}.passphrase holds a passphrase in plain text",
                'Name its place instead: { keyring = "NAME" }, { env = "VARIABLE" } or { file = "PATH" }; '
                "`device-installer networks add` puts it into the keyring.",
            )


def _invalid(file: Path, why: str, todo: str) -> InstallerError:
    return InstallerError(ErrorCode.SETTINGS_INVALID, f"Saved networks {file}: {why}.", todo, file=str(file))
