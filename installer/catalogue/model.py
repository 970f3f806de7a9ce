"""A model of the catalogue: type, sync methods and the sync rule, detection rules, protocols, cloud ids."""

from __future__ import annotations

import enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from installer.catalogue import name_pattern

# In place of a protocol: a person sets the device up with the vendor's own app (`DESIGN.md` §2, guided hand-off).
GUIDED = "guided"
# The name of a provisioning protocol; which ones there are is known to the registry of the protocols.
ProtocolName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class SyncMethod(enum.StrEnum):
    """How a device will deliver its data after the installation."""

    WIFI = "wifi"
    BLUETOOTH = "bluetooth"

    @property
    def label(self) -> str:
        """The name on screen."""
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


class Bonding(enum.StrEnum):
    """When the device is paired with this computer."""

    WHEN_ASKED = "when-asked"  # when it refuses a request to an unpaired computer
    REQUIRED = "required"  # right after the first connection: it wants that before anything else


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


class CatalogueEntry(BaseModel):
    """Base class of everything in a catalogue file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Rule(CatalogueEntry):
    """One hint that a sighting is of this model. Scores add up (`facts/detection.md`).

    `value`: for `name` a pattern (`name_pattern`; case-insensitive, searched from the start), for
    `service` and `service-data` a UUID, for `company` the number, for `address` a prefix.
    """

    evidence: Evidence
    value: str
    score: Annotated[int, Field(ge=1, le=100)]
    source: str = ""

    @model_validator(mode="after")
    def _valid_value(self) -> Rule:
        if self.evidence is Evidence.NAME:
            name_pattern.check(self.value)
        if self.evidence is Evidence.COMPANY:
            int(self.value, 0)
        return self


class CloudIds(CatalogueEntry):
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


class Model(CatalogueEntry):
    """One kind of device.

    `sync` lists the methods that the model has; `missing` gives, for each method that it lacks,
    the sentence that the wizard and the script show.
    `set_time`: whether the clock of a device that is read over Bluetooth is set first, as the health profiles want it;
    false for a device that deletes what it has when its clock is set. `consent`: whether the device gives measurements
    only with the consent of one of its users (User Data service).
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    name: str
    vendor: str = ""
    type: DeviceType
    sync: Annotated[tuple[SyncMethod, ...], Field(min_length=1)]
    missing: dict[SyncMethod, str] = {}
    picture: str = "device"
    protocols: tuple[ProtocolName, ...] = ("improv",)
    profile: Profile | None = None
    set_time: bool = True
    consent: bool = False
    bonding: Bonding = Bonding.WHEN_ASKED
    generic: bool = False
    bands: tuple[Literal["2.4 GHz", "5 GHz"], ...] = ()
    rules: tuple[Rule, ...] = ()
    cloud: CloudIds = CloudIds()
    button: str = "Press the button on the device."

    @field_validator("protocols")
    @classmethod
    def _known(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        is_protocol = (info.context or {}).get("is_protocol")
        for name in value:
            if is_protocol is not None and not is_protocol(name):
                raise ValueError(f"“{name}” is no protocol that this program speaks (see: device-installer models)")
        return value

    @field_validator("sync")
    @classmethod
    def _distinct(cls, value: tuple[SyncMethod, ...]) -> tuple[SyncMethod, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a sync method is listed twice")
        return value

    @model_validator(mode="after")
    def _missing_methods_have_reasons(self) -> Model:
        for method in SyncMethod:
            if method not in self.sync and not self.missing.get(method):
                raise ValueError(f"missing.{method} must say in a sentence why the model lacks this method")
        return self

    def allows(self, method: SyncMethod) -> bool:
        """Whether the model can sync this way."""
        return method in self.sync
