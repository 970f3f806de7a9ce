"""Format of a plan: its rows, its TOML file, and templates for CSV and TOML.

A plan names networks and accounts that are saved on this computer. It never contains a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from installer.answers import FindAnswer, LinkAnswer
from installer.catalogue.model import SyncMethod
from installer.errors import InstallerError
from installer.storage.secret_references import SecretRef
from installer.text import looks_like_code
from installer.wifi.networks import check_no_control, check_typed_ssid

LATER = "later"
MAX_COUNT = 1000
_SYNC_METHOD_NAMES = {
    "wifi": SyncMethod.WIFI,
    "wlan": SyncMethod.WIFI,
    "bluetooth": SyncMethod.BLUETOOTH,
    "bluetoothonly": SyncMethod.BLUETOOTH,
    "ble": SyncMethod.BLUETOOTH,
}
_SECRET_REFERENCE = re.compile(r"(env|file|keyring):(.+)")

Words = Annotated[str, Field(max_length=200)]


def _checked(answer: type[Any], **value: Any) -> Any:
    """Check it like the answer of a single installation, with the same error text."""
    try:
        return answer(**value)
    except ValidationError as error:
        raise ValueError(error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")) from None


def _ssid_checked(check: Callable[[str], None], ssid: str) -> None:
    """Check it, with the error as ValueError."""
    try:
        check(ssid)
    except InstallerError as error:
        raise ValueError(f"{error.what} {error.todo}") from None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, hide_input_in_errors=True)

    sync: Annotated[SyncMethod | None, Field(description="wifi or bluetooth")] = None
    network: Annotated[Words | None, Field(description="the name of a saved network (device-installer networks)")] = (
        None
    )
    ssid: Annotated[str | None, Field(description="the SSID of a saved network, in place of its name")] = None
    exact: Annotated[
        bool | None, Field(description="true: the ssid is meant as it is, also if a device hears nearly the same one")
    ] = None
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
        method = _SYNC_METHOD_NAMES.get(re.sub(r"[\s_-]", "", value).lower())
        if method is None:
            raise ValueError("the sync method must be “wifi” or “bluetooth”")
        return method

    @field_validator("exact", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        words = {"yes": True, "true": True, "1": True, "x": True, "no": False, "false": False, "0": False}
        if value.strip().lower() not in words:
            raise ValueError("write yes or no")
        return words[value.strip().lower()]

    @field_validator("ssid", mode="before")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        # Before blanks are taken off: a line break at the end is as wrong as one in the middle.
        if isinstance(value, str) and not looks_like_code(value):
            _ssid_checked(check_no_control, value)
        return value

    @field_validator("ssid")
    @classmethod
    def _ssid(cls, value: str | None) -> str | None:
        if value is not None:
            _ssid_checked(check_typed_ssid, value)
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
            raise ValueError("the network is given twice: give `network` (a saved name) or `ssid`, not both")
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
    security: Annotated[
        Literal[0, 1, 2] | None,
        Field(description="the security scheme that the device's label states: 0, 1 or 2; less is refused"),
    ] = None
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
            # Spreadsheets may write the number 3 as 3,0 or 3.00.
            whole = re.fullmatch(r"\s*(\d{1,6})([.,]0*)?\s*", value)
            value = int(whole[1]) if whole else 0
        if isinstance(value, int) and not isinstance(value, bool) and not 1 <= value <= MAX_COUNT:
            raise ValueError(f"give a whole number from 1 to {MAX_COUNT}")
        return value

    @field_validator("security", mode="before")
    @classmethod
    def _security(cls, value: Any) -> Any:
        # Spreadsheets may write the number 2 as 2,0 or 2.00.
        whole = re.fullmatch(r"\s*([012])([.,]0*)?\s*", str(value))
        if value is not None and (whole is None or isinstance(value, bool)):
            raise ValueError("the security of a device is 0, 1 or 2, as its label states it")
        return None if whole is None else int(whole[1])

    @field_validator("proof", mode="before")
    @classmethod
    def _proof(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        named = _SECRET_REFERENCE.fullmatch(value.strip())
        if named is None:
            raise ValueError(
                "a plan never contains a secret: say where the proof is kept as env:NAME, file:PATH or keyring:NAME"
            )
        return {named[1]: named[2].strip()}

    @model_validator(mode="after")
    def _device_or_model(self) -> Row:
        if not (self.device or self.model):
            raise ValueError("give a device (its address) or a model")
        if self.device and self.count not in (None, 1):
            raise ValueError("a row with an address is one device: remove count")
        return self


class PlanFile(BaseModel):
    """The TOML form of a plan. `name`: what runs of this plan are kept under; without it, the name of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    version: Literal[1] = 1
    name: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    defaults: Defaults = Defaults()
    row: Annotated[tuple[Row, ...], Field(min_length=1, max_length=10_000)]


CSV_TEMPLATE = """\
device,model,count,sync,network,account,site,label,proof,notes
00:24:E4:12:34:56,Body+,,wifi,clinic,ward-3,Berlin,Room 301,,one device by its address
,BPM Connect,,wifi,clinic,later,Berlin,Room 302,env:PROOF_302,the user links it later
,Pulse HR,4,bluetooth,,ward-3,Berlin,Ward 3,,four watches that are not set up yet (the nearest first)
"""


TOML_TEMPLATE = """\
# A plan for `device-installer batch PLAN`. `device-installer schema plan` prints the format.
version = 1
name = "berlin-2026"            # the name of the batch in the ledger; default: the name of this file

[defaults]                      # defaults for rows that do not say otherwise
sync = "wifi"                   # for the models that can
network = "clinic"              # saved on this computer: device-installer networks add clinic
account = "ward-3"              # signed in on this computer: device-installer account login ward-3
site = "Berlin"

[[row]]                         # one device by its address
device = "00:24:E4:12:34:56"
label = "Room 301"

[[row]]                         # a reference to its proof of possession, never the proof itself: env, file or keyring
model = "bpm-connect"
proof = { env = "PROOF_302" }
account = "later"               # the user links it, with the code on the label
label = "Room 302"

[[row]]                         # several of a model that are not set up yet, the nearest first
model = "pulse-hr"
count = 4
sync = "bluetooth"
label = "Ward 3"
"""


def template(kind: Literal["csv", "toml"]) -> str:
    """An example plan that can be read back, without a line break at its end."""
    return (CSV_TEMPLATE if kind == "csv" else TOML_TEMPLATE).rstrip("\n")
