"""Models of the API's answers: devices, measurements, subscriptions, tokens (`withings-cloud.md` §2.1, §4).

They accept what was seen to differ from the vendor's description: numbers as text, ids as numbers, nulls, `modelid`
for `model_id`. An entry that still does not fit is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from installer.cloud.account_file import Secret
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

MAX_ENTRIES = 10_000
MAX_TEXT_LENGTH = 500


def _text(value: Any) -> str:
    """A text or a number as text, cut to a maximum length; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)[:MAX_TEXT_LENGTH]


def _number(value: Any) -> Any:
    """A whole number, or None for any other value, so that one wrong value does not reject the entry."""
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < 10**15 else None


def _mapping(value: Any) -> Any:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Any:
    return value[:MAX_ENTRIES] if isinstance(value, list) else []


Text = Annotated[str, BeforeValidator(_text)]
Number = Annotated[int | None, BeforeValidator(_number)]
Truthy = Annotated[bool, BeforeValidator(bool)]
_MODEL_ID = AliasChoices("model_id", "modelid")


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class CloudDevice(_Lenient):
    """A device on the account. Session dates are unix seconds of the device's first and last contact with the cloud."""

    device_id: str = Field(min_length=1, max_length=200)
    model: Text = ""
    model_id: Number = None
    type: Text = ""
    mac: Text = Field(default="", validation_alias=AliasChoices("mac", "mac_address"))
    serial: Text = Field(default="", validation_alias=AliasChoices("serial", "serial_number"))
    battery: Text = ""
    first_session: Number = Field(default=None, validation_alias=AliasChoices("first_session", "first_session_date"))
    last_session: Number = Field(default=None, validation_alias=AliasChoices("last_session", "last_session_date"))

    def __str__(self) -> str:
        return printable(self.model or self.type or "device") + f" {printable(self.device_id[:8])}"


class Measure(_Lenient):
    """One value of a group: `value × 10^unit`. `position`: the segment or side of the body, if any."""

    type: int
    value: Annotated[int, Field(ge=-(10**15), le=10**15)]
    unit: Annotated[int, Field(ge=-30, le=30)]
    position: Number = None

    @property
    def real(self) -> Decimal:
        """The exact value with its scale."""
        return Decimal(self.value).scaleb(self.unit)


class Group(_Lenient):
    """The values measured at one time (`getmeas`)."""

    group_id: Text = Field(default="", validation_alias=AliasChoices("group_id", "grpid"))
    attrib: Number = None
    category: Number = None
    date: Number = None
    created: Number = None
    modified: Number = None
    device_id: Text = ""
    model_id: Number = Field(default=None, validation_alias=_MODEL_ID)
    model: Text = ""
    measures: tuple[Measure, ...] = ()


class Night(_Lenient):
    """One night or a part of it (`getsummary`). `model`: 32 is a sleep mat, 16 is a tracker. `date`: of waking up."""

    id: Text = ""
    date: Text = ""
    timezone: Text = ""
    model: Number = None
    model_id: Number = Field(default=None, validation_alias=_MODEL_ID)
    device_id: Text = ""
    startdate: Number = None
    enddate: Number = None
    created: Number = None
    modified: Number = None
    data: Annotated[dict[str, Any], BeforeValidator(_mapping)] = {}

    @property
    def asleep(self) -> int | None:
        """Seconds asleep; the whole night if the cloud does not give them."""
        seconds = _number(self.data.get("total_sleep_time"))
        if isinstance(seconds, int):
            return seconds
        return self.enddate - self.startdate if self.startdate is not None and self.enddate is not None else None


class Day(_Lenient):
    """One day of activity (`getactivity`). `is_tracker` is false for a phone that counts steps.

    `timezone`: of the day. `values`: the entry as received.
    """

    date: Text = ""
    timezone: Text = ""
    device_id: Text = ""
    model_id: Number = Field(default=None, validation_alias=_MODEL_ID)
    model: Text = ""
    is_tracker: Truthy = False
    modified: Number = None
    steps: Number = None
    values: dict[str, Any] = {}


class Subscription(_Lenient):
    """A subscription to notifications. `url` is a secret and is not shown. `expires`: unix seconds, if given."""

    appli: Annotated[int, BeforeValidator(_number)]
    url: Annotated[str, BeforeValidator(_text)] = Field(validation_alias="callbackurl", repr=False, min_length=1)
    comment: Text = ""
    expires: Number = None


class Granted(_Lenient):
    """A complete answer of the token endpoint. An incomplete answer does not validate."""

    userid: Text = ""
    access_token: Secret
    refresh_token: Secret
    expires_in: Annotated[int, Field(gt=0, le=10 * 365 * 86_400)]
    scope: Text = ""


Entry = TypeVar("Entry", bound=_Lenient)


def parse_list(kind: type[Entry], body: Mapping[str, Any], key: str) -> list[Entry]:
    """The entries of the list `key` in the body that fit `kind`, each with its device id."""
    found = []
    for raw in _list(body.get(key)):
        if not isinstance(raw, dict):
            continue
        entry = dict(raw)
        # `hash_deviceid` joins devices with their data; `deviceid` has the same value, or is a number.
        entry["device_id"] = _text(raw.get("hash_deviceid")) or _text(raw.get("deviceid"))
        if kind is Day:
            entry["values"] = raw
        if kind is Group:
            entry["measures"] = [m for m in map(_measure, _list(raw.get("measures"))) if m is not None]
        try:
            found.append(kind.model_validate(entry))
        except ValidationError:
            continue
    return found


def _measure(raw: Any) -> Measure | None:
    try:
        return Measure.model_validate(raw)
    except ValidationError:
        return None


def parse_granted(body: Mapping[str, Any]) -> Granted:
    """The tokens in this body. Raises CLOUD_FAILED if a field is missing, so that nothing incomplete is stored."""
    try:
        return Granted.model_validate(body)
    except ValidationError as error:
        fields = ", ".join(str(e["loc"][0]) for e in error.errors(include_input=False, include_url=False) if e["loc"])
        raise InstallerError(
            ErrorCode.CLOUD_FAILED,
            f"The cloud's answer to the sign-in is incomplete (check: {fields or 'body'}).",
            "The stored tokens are unchanged. Try again later.",
        ) from None


def to_datetime(seconds: int | None) -> datetime | None:
    """The cloud's unix seconds as a time; None for a number outside the calendar."""
    if seconds is None or not 0 < seconds < 253_402_300_800:
        return None
    return datetime.fromtimestamp(seconds, UTC)
