"""The answers: every choice of an installation, as data, and the answers file.

The wizard asks for them, and a script supplies them, in this one model. An answers file is its TOML form. The file
contains no secret, only references to secrets (`installer/storage/secret_references.py`).
"""

from __future__ import annotations

import enum
import operator
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode, InstallerError, problems
from installer.storage.atomic_write import write_text_atomically
from installer.storage.reference_origin import Named, Origin
from installer.storage.secret_references import SecretRef
from installer.text import looks_like_code, printable
from installer.text.written_by_people import UnreadableText, read_toml
from installer.wifi.card_readings import CardReading, CardReadings
from installer.wifi.networks import Security, check_no_control, check_ssid

if TYPE_CHECKING:
    from installer.wifi.saved_networks import SavedNetwork


UNDECIDED_SSID = "?"  # while `NetworkAnswer.readings` says which networks it may be


class StepKey(enum.StrEnum):
    """The steps of the flow, in order. The same name is a key of the answers and a screen."""

    FIND = "find"
    SYNC = "sync"
    NETWORK = "network"
    PROVISION = "provision"
    LINK = "link"
    VERIFY = "verify"


class LinkMode(enum.StrEnum):
    """How the device comes to the account."""

    AUTO = "auto"  # the API's link; where the cloud refuses it, watch getdevice
    CONTRACT = "contract"  # the API's link or nothing
    WATCH = "watch"  # only watch getdevice


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FindAnswer(_Answer, Named):
    """Which device: by address (a MAC; on macOS a UUID), or by model, optionally with its name.

    `proof`: where the device's proof of possession (or password) is, for protocols that want one; `username` with it.
    `secret`: the proof that a person typed; it lives in this run only and is never dumped.
    `security`: the number of the security scheme (0, 1, 2) that the device's label states; less is refused.
    `require_proof`: the device must prove itself, also where no proof is named here. A given proof says the same.
    """

    device: str | None = None
    model: str | None = None
    name: str | None = None
    proof: SecretRef | None = None
    username: str | None = None
    security: Literal[0, 1, 2] | None = None
    require_proof: bool = Field(default=False, exclude_if=operator.not_)
    secret: SkipJsonSchema[SecretStr | None] = Field(default=None, exclude=True)

    @property
    def least_scheme(self) -> int:
        """The lowest security scheme that will do. A user name belongs to security 2, the only one that has them."""
        return max(self.security or 0, 2 if self.username else 0)

    @property
    def must_prove(self) -> bool:
        """Whether the device must prove itself: a proof was given, or there was one."""
        return self.require_proof or self.proof is not None or bool(self.secret and self.secret.get_secret_value())

    def without_proof(self) -> FindAnswer:
        """A copy that names no proof; the device must prove itself all the same, if there was one."""
        return self.model_copy(update={"proof": None, "secret": None, "require_proof": self.must_prove})

    @field_validator("device")
    @classmethod
    def _valid_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        address = value.strip().upper().replace("-", ":") if len(value.strip()) == 17 else value.strip().upper()
        mac = re.fullmatch(r"([0-9A-F]{2}:){5}[0-9A-F]{2}", address)
        uuid = re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", address)
        if not mac and not uuid:
            raise ValueError(
                "a device address looks like 00:24:E4:12:34:56 (on macOS it is a UUID); "
                "`device-installer scan` lists them"
            )
        return address

    @model_validator(mode="after")
    def _names_a_device(self) -> FindAnswer:
        if not (self.device or self.model or self.name):
            raise ValueError("name a device (address), a model, or a name")
        return self


class SyncAnswer(_Answer):
    """How the device will sync."""

    method: SyncMethod


class NetworkAnswer(_Answer):
    """Which network, and where its passphrase is.

    `secret` is the passphrase that a person typed; it lives in this run only and is never dumped.
    `exact`: the name is meant as it is, also if the device hears only one that is nearly the same.
    `readings`: a card that can be read in several ways; then the network is not decided yet, and `ssid` is a stand-in.
    """

    ssid: str
    security: Security | None = None
    hidden: bool = False
    exact: bool = Field(default=False, exclude_if=operator.not_)
    passphrase: SecretRef | None = None
    secret: SkipJsonSchema[SecretStr | None] = Field(default=None, exclude=True)
    readings: SkipJsonSchema[CardReadings | None] = Field(default=None, exclude=True)

    @field_validator("ssid")
    @classmethod
    def _valid_ssid(cls, value: str) -> str:
        try:
            check_ssid(value)
        except InstallerError as error:
            raise ValueError(f"{error.what} {error.todo}") from None
        return value

    @classmethod
    def from_card(cls, readings: CardReadings, *, hidden: bool = False) -> NetworkAnswer:
        """The answer that a card gives; undecided if it can be read in several ways. `hidden`: it hides its name."""
        if readings.certain is None:
            return cls(ssid=UNDECIDED_SSID, hidden=hidden, readings=readings)
        return cls.from_reading(readings.certain, hidden=hidden)

    @classmethod
    def from_reading(cls, reading: CardReading, *, hidden: bool = False) -> NetworkAnswer:
        """The answer that one reading of a card gives, with its passphrase; an open network has an empty one."""
        security = None if reading.security is Security.UNKNOWN else reading.security
        return cls(ssid=reading.ssid, security=security, hidden=hidden or reading.hidden, secret=reading.passphrase)

    @classmethod
    def from_saved(cls, saved: SavedNetwork) -> NetworkAnswer:
        """The answer that chooses this saved network."""
        security = None if saved.security is Security.UNKNOWN else saved.security
        return cls(ssid=saved.ssid, security=security, hidden=saved.hidden, passphrase=saved.passphrase)


class ProvisionAnswer(_Answer, Named):
    """Consent to send credentials. `require_encryption` refuses a protocol whose messages a listener can read.

    What a file of somebody else says is no consent where a person can be asked.
    """

    require_encryption: bool = False
    send: bool = True


class LinkAnswer(_Answer, Named):
    """Which stored account, and how to link. `later`: not now; the end user links it (`device-installer link`).

    `notify`: whether the cloud shall tell of new data, and where: true (the address of the settings), false, an
    address with `{path}` in the place of its secret, or the place of one with its secret. Another address is taken
    too, for this run only: it may be a secret, so that `true` is kept in its stead. Without it a person is asked, and
    a script does what the settings say.
    """

    later: bool = False
    account: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")] = "default"
    mode: LinkMode = LinkMode.AUTO
    notify: bool | SecretRef | Annotated[str, Field(min_length=1, max_length=255)] | None = None
    notify_url: SkipJsonSchema[SecretStr | None] = Field(default=None, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _complete_address_is_secret(cls, data: Any) -> Any:
        given = data.get("notify") if isinstance(data, dict) else None
        if not isinstance(given, str) or "{path}" in given:
            return data
        return {**data, "notify": True, "notify_url": SecretStr(given)}


class VerifyAnswer(_Answer):
    """Whether to wait for the first measurement, and for how many seconds at most."""

    wait: Annotated[float, Field(gt=0, le=86400)] = 120.0
    skip: bool = False


class Answers(_Answer):
    """All choices. A step without an answer is asked (wizard, `--ask`) or takes its default or fails (script)."""

    version: Literal[1] = 1
    find: FindAnswer | None = None
    sync: SyncAnswer | None = None
    network: NetworkAnswer | None = None
    provision: ProvisionAnswer | None = None
    link: LinkAnswer | None = None
    verify: VerifyAnswer | None = None

    def get(self, key: StepKey) -> Any:
        """The answer of this step, or None."""
        return getattr(self, key.value)

    def with_answer(self, key: StepKey, answer: Any) -> Answers:
        """A copy with this answer for this step."""
        return self.model_copy(update={key.value: answer})

    def to_keep(self) -> Answers:
        """A copy for a file or a record: without a network that is not decided yet, and without a secret's place whose
        name may be the secret itself, because a person mistook the option. It says whether a proof was given.
        """
        kept = self
        if self.network is not None and self.network.readings is not None:
            kept = kept.without([StepKey.NETWORK])
        elif self.network is not None and self.network.passphrase and not self.network.passphrase.names_a_place:
            kept = kept.with_answer(StepKey.NETWORK, self.network.model_copy(update={"passphrase": None}))
        if self.find is not None and self.find.must_prove:
            named = self.find.proof is not None and self.find.proof.names_a_place
            find = self.find.model_copy(update={"require_proof": True}) if named else self.find.without_proof()
            kept = kept.with_answer(StepKey.FIND, find)
        return kept

    def without(self, keys: Iterable[StepKey]) -> Answers:
        """A copy without answers for these steps, so that they are asked."""
        return self.model_copy(update={k.value: None for k in keys})


def load(path: Path) -> Answers:
    """Read an answers file (TOML). Raises ANSWERS_INVALID with the file, the key and what is allowed.

    Somebody else may have written it, so what it names of this computer needs leave before it is used.
    """
    try:
        data = read_toml(path)
    except UnreadableText as error:
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID, f"The answers file {path} {error.why}.", error.todo, file=str(path)
        ) from None
    network = data.get("network")
    check_written_ssid(network.get("ssid") if isinstance(network, dict) else None, str(path))
    return validate(data, str(path), file_origin(path, "answers file"))


def file_origin(path: Path, kind: str) -> Origin:
    """The origin of what a file says that somebody else may have written. `kind`: what file, in words.

    A pipe has no folder in which other files could be beside it.
    """
    try:
        folder = path.resolve().parent if path.is_file() else None
    except (OSError, RuntimeError):
        folder = None
    return Origin(f"the {kind} {printable(str(path), 200)}", folder=folder)


def validate(data: Any, source: str, origin: Origin | None = None) -> Answers:
    """Answers from plain data. Raises ANSWERS_INVALID, also for a secret in plain text.

    `origin`: who says all this. Without one, no secret that the data names is ever read.
    """
    for step, key in (("network", "passphrase"), ("find", "proof")):
        answer = data.get(step) if isinstance(data, dict) else None
        secret = isinstance(answer, dict) and ("secret" in answer or "readings" in answer)
        if not isinstance(answer, dict) or not (secret or isinstance(answer.get(key), str)):
            continue
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            f"{source}: {step}.{key} contains a secret in plain text.",
            'Write a reference instead: passphrase = { keyring = "home" }, { env = "NAME" } or { file = "PATH" }.',
            file=source,
        )
    network = data.get("network") if isinstance(data, dict) else None
    ssid = network.get("ssid") if isinstance(network, dict) else None
    if isinstance(ssid, str) and looks_like_code(ssid):
        # Not in the model: a device may receive a network that is called so.
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            f"{source}: network.ssid is the text of a code, not the name of a network.",
            "Give the code with --wifi-qr or --wifi-qr-image.",
            file=source,
        )
    try:
        return Answers.model_validate(data, context=origin.context if origin is not None else None)
    except ValidationError as error:
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            f"{source}: " + "; ".join(problems(error, data)) + ".",
            "`device-installer schema answers` prints the format.",
            file=source,
        ) from None


def check_written_ssid(ssid: Any, source: str) -> None:
    """Raise ANSWERS_INVALID for a name with a line break or another control character, which a person wrote.

    Not a part of `validate`: a record may have such a name, of a network that a device heard.
    """
    if not isinstance(ssid, str) or looks_like_code(ssid):
        return
    try:
        check_no_control(ssid)
    except InstallerError as error:
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID, f"{source}: network.ssid: {error.what}", error.todo, file=source
        ) from None


def to_toml(answers: Answers) -> str:
    """The TOML text of `answers`, for `--answers`; without secrets."""
    import tomli_w

    return tomli_w.dumps(answers.to_keep().model_dump(mode="json", exclude_none=True))


def save(answers: Answers, path: Path) -> None:
    """Write them as TOML for `--answers`, without secrets; only this user can read the file. Raises FILE_UNWRITABLE."""
    write_text_atomically(path, [to_toml(answers)])
