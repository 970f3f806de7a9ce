"""Wi-Fi networks that are saved on this computer under a name: SSID, security, hidden; without the passphrase.

The file is `networks.toml` in the settings folder:

    [networks.clinic]
    ssid = "Clinic"
    security = "wpa2"
    passphrase = { keyring = "clinic" }

`passphrase` is a reference to the secret (`SecretRef`). `device-installer networks add` puts the passphrase into the
operating system's keyring, entry `network:NAME`; a line written by hand may name a variable or a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from installer import settings
from installer.errors import ErrorCode, InstallerError, problems
from installer.storage.atomic_write import replace_file
from installer.storage.reference_origin import SAVED_NETWORKS
from installer.storage.secret_references import SecretRef
from installer.storage.unusable_paths import unwritable
from installer.text import looks_like_code, printable, printable_name
from installer.text.written_by_people import UnreadableText, read_toml
from installer.wifi.networks import Network, Security, check_network, check_typed_ssid

FILE_NAME = settings.SAVED_NETWORKS_FILE
MAX_FILE_BYTES = 256 * 1024
MAX_NAME_LENGTH = 64

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]


class SavedNetwork(BaseModel):
    """One saved network. `passphrase`: a reference to the secret; None for an open network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ssid: str
    security: Security = Security.UNKNOWN
    hidden: bool = False
    passphrase: SecretRef | None = None

    @field_validator("ssid")
    @classmethod
    def _ssid(cls, value: str) -> str:
        try:
            check_typed_ssid(value)
        except InstallerError as error:
            raise ValueError(f"{error.what} {error.todo}") from None
        return value

    @property
    def network(self) -> Network:
        """The network alone."""
        return Network(ssid=self.ssid, security=self.security, hidden=self.hidden)


class _NetworksFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    networks: dict[Name, SavedNetwork] = {}


def path() -> Path:
    """The file of saved networks."""
    return settings.config_dir() / FILE_NAME


def load() -> dict[str, SavedNetwork]:
    """All saved networks by name, in the order of the file; none if there is no file. Raises SETTINGS_INVALID."""
    file = path()
    try:
        data = read_toml(file, MAX_FILE_BYTES, own=True)
    except UnreadableText as error:
        if error.missing:
            return {}
        raise _invalid(file, error.why, error.todo) from None
    _no_plain_passphrase(file, data)
    try:
        return dict(_NetworksFile.model_validate(data, context=SAVED_NETWORKS.context).networks)
    except ValidationError as error:
        raise _invalid(file, f"is wrong: {'; '.join(problems(error, data))}", "Correct or remove that key.") from None


def find(name: str) -> SavedNetwork:
    """The network saved under this name. Raises ANSWERS_INVALID with the known names, NETWORK_UNSUPPORTED."""
    known = load()
    if name not in known:
        raise not_saved(name, known)
    check_network(known[name].network)
    return known[name]


def not_saved(name: str, known: Mapping[str, SavedNetwork]) -> InstallerError:
    """ANSWERS_INVALID with the names of the saved networks."""
    return InstallerError(
        ErrorCode.ANSWERS_INVALID,
        f"No network is saved under the name “{printable_name(name)}”.",
        f"These are saved: {', '.join(map(printable, known))}."
        if known
        else "Save one with `device-installer networks add NAME`.",
        network=printable_name(name),
    )


def save(networks: Mapping[str, SavedNetwork]) -> None:
    """Replace the file atomically. Raises FILE_UNWRITABLE."""
    import tomli_w

    content = _NetworksFile(networks=dict(networks)).model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(file, [tomli_w.dumps({"version": 1, **content}).encode("utf-8")])
    except OSError as error:
        raise unwritable(f"The file of saved networks {file} cannot be written", file, error) from None


def check_name(name: str) -> None:
    """Raise ANSWERS_INVALID unless `name` can be the name of a saved network."""
    if (
        not name.strip()
        or name != name.strip()
        or len(name) > MAX_NAME_LENGTH
        or not name.isprintable()
        or looks_like_code(name)
    ):
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            "This cannot be the name of a saved network.",
            f"Use 1 to {MAX_NAME_LENGTH} printable characters, without a space at either end, for example: clinic",
        )


def _no_plain_passphrase(file: Path, data: Mapping[str, object]) -> None:
    """Refuse a passphrase in plain text; the error names only its key."""
    networks = data.get("networks")
    for name, entry in networks.items() if isinstance(networks, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("passphrase"), str):
            raise _invalid(
                file,
                f"contains a passphrase in plain text (networks.{name}.passphrase)",
                'Write a reference instead: { keyring = "NAME" }, { env = "VARIABLE" } or { file = "PATH" }; '
                "`device-installer networks add` puts it into the keyring.",
            )


def _invalid(file: Path, why: str, todo: str) -> InstallerError:
    return InstallerError(ErrorCode.SETTINGS_INVALID, f"The file of saved networks {file} {why}.", todo, file=str(file))
