"""A plan as data: one row for one device, or for several of a model; and the TOML file's format.

A plan names networks and accounts that this computer keeps, it never holds a secret.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from installer.answers import FindAnswer, LinkAnswer
from installer.catalogue.catalogue import SyncMethod
from installer.errors import InstallerError
from installer.storage.secret_references import SecretRef
from installer.wifi.networks import check_ssid

LATER = "later"
MAX_COUNT = 1000
_SYNC = {
    "wifi": SyncMethod.WIFI,
    "wlan": SyncMethod.WIFI,
    "bluetooth": SyncMethod.BLUETOOTH,
    "bluetoothonly": SyncMethod.BLUETOOTH,
    "ble": SyncMethod.BLUETOOTH,
}
_REFERENCE = re.compile(r"(env|file|keyring):(.+)")

Words = Annotated[str, Field(max_length=200)]


def _checked(answer: type[Any], **value: Any) -> Any:
    """The same check as for the answer of a single installation, its words as they are."""
    try:
        return answer(**value)
    except ValidationError as error:
        raise ValueError(error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")) from None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, hide_input_in_errors=True)

    sync: Annotated[SyncMethod | None, Field(description="wifi or bluetooth")] = None
    network: Annotated[Words | None, Field(description="the name of a saved network (device-installer networks)")] = (
        None
    )
    ssid: Annotated[str | None, Field(description="the SSID of a saved network, in place of its name")] = None
    account: Annotated[Words | None, Field(description="a signed-in account, or “later”: linked by the end user")] = (
        None
    )
    site: Words | None = None
    label: Words | None = None

    @field_validator("sync", mode="before")
    @classmethod
    def _sync(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        method = _SYNC.get(re.sub(r"[\s_-]", "", value).lower())
        if method is None:
            raise ValueError("a sync method is “wifi” or “bluetooth”")
        return method

    @field_validator("ssid")
    @classmethod
    def _ssid(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                check_ssid(value)
            except InstallerError as error:
                raise ValueError(f"{error.what} {error.todo}") from None
        return value

    @field_validator("account")
    @classmethod
    def _account(cls, value: str | None) -> str | None:
        if value is not None:
            _checked(LinkAnswer, account=value)
        return value

    @model_validator(mode="after")
    def _one_network(self) -> Any:
        if self.network and self.ssid:
            raise ValueError("the network is named twice: give `network` (a saved name) or `ssid`, not both")
        return self


class Defaults(_Part):
    """What holds for every row that does not say otherwise; `sync` and `network` for the models that can."""


class Row(_Part):
    """One device by its address, or `count` devices of a model that are not set up yet, the nearest first."""

    device: Annotated[str | None, Field(description="the address of one device, for example 00:24:E4:12:34:56")] = None
    model: Annotated[Words | None, Field(description="a model of the catalogue (device-installer models)")] = None
    count: Annotated[int | None, Field(ge=1, le=MAX_COUNT, description="how many of the model")] = None
    proof: Annotated[
        SecretRef | None,
        Field(description="where the proof of possession is: env:NAME, file:PATH or keyring:NAME"),
    ] = None
    username: Words | None = None
    notes: Annotated[str | None, Field(max_length=2000)] = None

    @field_validator("device", mode="before")
    @classmethod
    def _device(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip()
        if re.fullmatch(r"[0-9A-Fa-f]{12}", text):
            text = ":".join(text[i : i + 2] for i in range(0, 12, 2))
        return _checked(FindAnswer, device=text).device

    @field_validator("count", mode="before")
    @classmethod
    def _count(cls, value: Any) -> Any:
        if isinstance(value, str):
            # A spreadsheet may write the number 3 as 3,0 or 3.00.
            whole = re.fullmatch(r"\s*(\d{1,6})([.,]0*)?\s*", value)
            value = int(whole[1]) if whole else 0
        if isinstance(value, int) and not isinstance(value, bool) and not 1 <= value <= MAX_COUNT:
            raise ValueError(f"a whole number from 1 to {MAX_COUNT} is needed")
        return value

    @field_validator("proof", mode="before")
    @classmethod
    def _proof(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        named = _REFERENCE.fullmatch(value.strip())
        if named is None:
            raise ValueError(
                "a plan never holds a secret: name the place of the proof as env:NAME, file:PATH or keyring:NAME"
            )
        return {named[1]: named[2].strip()}

    @model_validator(mode="after")
    def _which(self) -> Row:
        if not (self.device or self.model):
            raise ValueError("name a device (its address) or a model")
        if self.device and self.count not in (None, 1):
            raise ValueError("a row with an address is one device: leave out count")
        return self


class PlanFile(BaseModel):
    """The TOML form of a plan. `name`: what runs of this plan are kept under; without it, the name of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    version: Literal[1] = 1
    name: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    defaults: Defaults = Defaults()
    row: Annotated[tuple[Row, ...], Field(min_length=1, max_length=10_000)]
