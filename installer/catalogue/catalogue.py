"""The catalogue: the models, what they can do, and the sync rule.

The built-in catalogue is `assets/models.toml`; a user's own files in the same format add
models or replace entries by id. A new vendor's device is an entry here, not new code.
"""

from __future__ import annotations

import enum
import re
import tomllib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from installer.errors import ErrorCode, InstallerError


class SyncMethod(enum.StrEnum):
    """How a device will deliver its data after the installation."""

    WIFI = "wifi"
    BLUETOOTH = "bluetooth"

    @property
    def label(self) -> str:
        """The words for a person."""
        return "Wi-Fi" if self is SyncMethod.WIFI else "Bluetooth only"


class DeviceType(enum.StrEnum):
    """What a device is, whatever its brand."""

    SCALE = "scale"
    BLOOD_PRESSURE_MONITOR = "blood-pressure monitor"
    SLEEP_MAT = "sleep mat"
    THERMOMETER = "thermometer"
    WATCH = "watch"
    OTHER = "other"


class Profile(enum.StrEnum):
    """The standard GATT health profile over which a device gives a measurement."""

    WEIGHT = "weight"
    BLOOD_PRESSURE = "blood-pressure"
    TEMPERATURE = "temperature"
    HEART_RATE = "heart-rate"
    STEPS = "steps"
    BODY_COMPOSITION = "body-composition"


class DataService(enum.StrEnum):
    """Which call of the cloud's Data API holds the device's first data (`withings-cloud.md` §4.4)."""

    MEASURES = "getmeas"
    SLEEP = "getsummary"
    ACTIVITY = "getactivity"


class Evidence(enum.StrEnum):
    """What a detection rule looks at."""

    NAME = "name"
    SERVICE = "service"
    SERVICE_DATA = "service-data"
    COMPANY = "company"
    ADDRESS = "address"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Rule(_Entry):
    """One hint that a sighting is of this model. Scores add up (`facts/detection.md`).

    `value`: for `name` a regular expression (case-insensitive, searched from the start), for
    `service` and `service-data` a UUID, for `company` the number, for `address` a prefix.
    """

    evidence: Evidence
    value: str
    score: Annotated[int, Field(ge=1, le=100)]
    source: str = ""

    @model_validator(mode="after")
    def _possible(self) -> Rule:
        if self.evidence is Evidence.NAME:
            try:
                re.compile(self.value)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from None
        if self.evidence is Evidence.COMPANY:
            int(self.value, 0)
        return self


class CloudIds(_Entry):
    """The numbers that the vendor's cloud uses for this model; the two lists differ (Body+: 5 and 6).

    `later`: for a model whose first data cannot come at once, the sentence that says when; then waiting in vain for
    them is no failure.
    """

    model_ids: tuple[int, ...] = ()
    setup_model: int | None = None
    type: str = ""
    data: DataService | None = None
    appli: int | None = None
    measure_types: tuple[int, ...] = ()
    later: str = ""


class Model(_Entry):
    """One kind of device.

    `sync` lists the methods that the model has; `missing` gives, for each method that it lacks,
    the sentence that the wizard and the script show.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    name: str
    vendor: str = ""
    type: DeviceType
    sync: Annotated[tuple[SyncMethod, ...], Field(min_length=1)]
    missing: dict[SyncMethod, str] = {}
    picture: str = "device"
    protocols: tuple[Literal["improv", "espressif", "shelly", "nordic", "guided"], ...] = ("improv",)
    profile: Profile | None = None
    generic: bool = False
    bands: tuple[Literal["2.4 GHz", "5 GHz"], ...] = ()
    rules: tuple[Rule, ...] = ()
    cloud: CloudIds = CloudIds()
    button: str = "Press the button on the device."

    @field_validator("sync")
    @classmethod
    def _distinct(cls, value: tuple[SyncMethod, ...]) -> tuple[SyncMethod, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a sync method is listed twice")
        return value

    @model_validator(mode="after")
    def _reasons(self) -> Model:
        for method in SyncMethod:
            if method not in self.sync and not self.missing.get(method):
                raise ValueError(f"missing.{method} must say in a sentence why the model lacks this method")
        return self

    def allows(self, method: SyncMethod) -> bool:
        """Whether the model can sync this way."""
        return method in self.sync


def check_sync(model: Model, method: SyncMethod) -> None:
    """The sync rule. Raise SYNC_WIFI_ONLY or SYNC_BLUETOOTH_ONLY if `model` lacks `method`."""
    if model.allows(method):
        return
    other = next(m for m in SyncMethod if m is not method)
    code = ErrorCode.SYNC_WIFI_ONLY if method is SyncMethod.BLUETOOTH else ErrorCode.SYNC_BLUETOOTH_ONLY
    raise InstallerError(
        code,
        f"{model.name} cannot be set up with sync method “{method}”: {model.missing[method]}",
        f"Choose sync method “{other}”.",
        model=model.id,
        sync=method.value,
    )


class Catalogue(_Entry):
    """All models by id, in the order of the files."""

    models: tuple[Model, ...]

    def get(self, model_id: str) -> Model:
        """The model with this id or name (case-insensitive). Raises ANSWERS_INVALID with the known ids."""
        wanted = model_id.strip().lower()
        for model in self.models:
            if wanted in (model.id, model.name.lower()):
                return model
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            f"There is no model “{model_id}” in the catalogue.",
            "Known models: " + ", ".join(m.id for m in self.models) + ".",
            model=model_id,
        )

    def joined(self, more: Iterable[Model]) -> Catalogue:
        """This catalogue with `more`; an entry with a known id replaces the old one."""
        merged = {m.id: m for m in self.models}
        merged.update({m.id: m for m in more})
        return Catalogue(models=tuple(merged.values()))


class CatalogueFile(_Entry):
    """The format of a catalogue file (TOML): `[[model]]` tables."""

    version: Literal[1] = 1
    model: Annotated[tuple[Model, ...], Field(min_length=1)]


def load(extra: Sequence[Path] = ()) -> Catalogue:
    """The built-in catalogue joined by the files in `extra`, in order. Raises CATALOGUE_INVALID."""
    text = resources.files("assets").joinpath("models.toml").read_text("utf-8")
    catalogue = Catalogue(models=parse(text, "models.toml"))
    for path in extra:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InstallerError(
                ErrorCode.CATALOGUE_INVALID,
                f"The catalogue file {path} cannot be read: {error}.",
                "Check the path, the permissions, and that it is UTF-8 text.",
                file=str(path),
            ) from None
        catalogue = catalogue.joined(parse(text, str(path)))
    return catalogue


def parse(text: str, source: str) -> tuple[Model, ...]:
    """The models of one catalogue file. Raises CATALOGUE_INVALID naming file, line or key, and what is allowed."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InstallerError(
            ErrorCode.CATALOGUE_INVALID, f"{source} is not TOML: {error}.", "Mend that line.", file=source
        ) from None
    try:
        models = CatalogueFile.model_validate(data).model
    except ValidationError as error:
        raise InstallerError(
            ErrorCode.CATALOGUE_INVALID,
            f"{source}: " + "; ".join(problems(error, data)) + ".",
            "`device-installer schema catalogue` prints the format.",
            file=source,
        ) from None
    ids = [m.id for m in models]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise InstallerError(
            ErrorCode.CATALOGUE_INVALID,
            f"{source}: the id {', '.join(twice)} is there twice.",
            "Give each model its own id.",
            file=source,
        )
    return models


def problems(error: ValidationError, data: Any = None) -> list[str]:
    """Each mistake of a validation as `key: what is wrong`; the values themselves are left out."""
    found = []
    items = error.errors(include_url=False, include_input=False, include_context=False)
    if len(items) > 1:
        # Pydantic counts only the entries that are right, and calls a list with one wrong entry too short.
        items = [i for i in items if i["type"] != "too_short"] or items
    for item in items:
        where, here = [], data
        for part in item["loc"]:
            where.append(str(part) if not isinstance(part, int) else f"[{part + 1}]")
            try:
                here = here[part]
            except (KeyError, IndexError, TypeError):
                here = None
            if isinstance(part, int) and isinstance(here, dict) and isinstance(here.get("id"), str):
                where.append(f"({here['id']})")
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "there is no such key"
        elif item["type"] == "missing":
            message = "is missing"
        found.append(f"{'.'.join(where).replace('.[', ' [').replace('.(', ' (') or 'file'}: {message}")
    return found
