"""What a row of the ledger may contain: one model for each table. What does not fit is damaged.

Any station can write a shared ledger, and SQLite keeps any value in any column. So every row is validated here before
anything else reads it (`damaged_records.readable`). Unknown keys inside an object are kept: another version wrote them.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from installer.ledger import timestamps
from installer.ledger.query_types import OUTCOMES

_STRICT = ConfigDict(strict=True)
LONGEST_NAME = 4096
LONGEST_SENTENCE = 65_536
MOST_ENTRIES = 4096
LONGEST_SECONDS = 1e9
LATEST_MOMENT = 4_102_444_800.0  # the year 2100


def _moment(text: str) -> str:
    seconds = timestamps.unix_seconds(text)
    if seconds is None or not 0 <= seconds < LATEST_MOMENT:
        raise ValueError("no time between 1970 and 2100")
    return text


# An id stands in commands that a person copies into a shell, and in the code of a label.
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}$")]
Name = Annotated[str, Field(max_length=LONGEST_NAME)]
Sentence = Annotated[str, Field(max_length=LONGEST_SENTENCE)]
# A fixed length: text order is the order of time.
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$"), AfterValidator(_moment)]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
UnixSeconds = Annotated[float, Field(ge=0, lt=LATEST_MOMENT, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=2**31)]


class _Object(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class FindAnswerData(_Object):
    """The keys of the answer `find` that lists show."""

    device: Name | None = None
    name: Name | None = None
    model: Name | None = None


class AnswersData(_Object):
    """The answers of a record. `installer.answers` reads them whole when they are used."""

    find: FindAnswerData | None = None
    sync: dict[str, Any] | None = None
    network: dict[str, Any] | None = None
    provision: dict[str, Any] | None = None
    link: dict[str, Any] | None = None
    verify: dict[str, Any] | None = None


class OptionsData(_Object):
    """How the run behaved."""

    adapter: Name | None = None
    cloud: Name | None = None
    catalogues: list[Name] | None = None
    keep_wifi: bool | None = None
    guided: bool | None = None
    require_encryption: bool | None = None
    forgotten: bool | None = None


class ResultData(_Object):
    """The keys of a step's result that a resumed installation reads."""

    address: Name | None = None
    name: Name | None = None
    model: Name | None = None
    certainty: Name | None = None
    protocol: Name | None = None
    firmware: Name | None = None
    serial: Name | None = None
    rssi: Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)] | None = None
    reasons: list[Sentence] | None = None
    keep_wifi: bool | None = None
    associated: bool | None = None
    method: Name | None = None
    ssid: Name | None = None
    security: Annotated[int, Field(ge=0, le=99)] | Name | None = None  # of the network; or of the device, a number
    encrypted: bool | None = None
    wants_proof: bool | None = None
    proved: bool | None = None
    hidden: bool | None = None
    seen: bool | None = None
    url: Name | None = None
    joined: bool | Name | None = None
    account: Name | None = None
    device_id: Name | None = None
    later: bool | None = None


class InstallationRow(TypedDict, total=False):
    """Columns of `installations`; a query may read a part of them."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    id: Id
    version: Name
    started: Moment
    ended: Moment | None
    took: Seconds | None
    outcome: Literal[OUTCOMES]  # type: ignore[valid-type]
    step: Name | None
    error: Name | None
    attempts: Count
    address: Name | None
    serial: Name | None
    name: Name | None
    firmware: Name | None
    model: Name | None
    certainty: Name | None
    protocol: Name | None
    method: Literal["wifi", "bluetooth"] | None
    ssid: Name | None
    account: Name | None
    device_id: Name | None
    site: Name | None
    operator: Name | None
    label: Name | None
    batch: Name | None
    row: Name | None
    station: Name | None
    sent_address: Name | None
    sent_ssid: Name | None
    sent_at: Moment | None
    handed_over: Name | None
    holder: Name | None
    alive_until: UnixSeconds | None
    seconds_find: Seconds | None
    seconds_sync: Seconds | None
    seconds_network: Seconds | None
    seconds_provision: Seconds | None
    seconds_link: Seconds | None
    seconds_verify: Seconds | None


class DetailsRow(TypedDict, total=False):
    """Columns of `details`."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    answers: AnswersData | None
    options: OptionsData | None
    reasons: Annotated[list[Sentence], Field(max_length=MOST_ENTRIES)] | None
    known: dict[Name, Annotated[list[Name], Field(max_length=MOST_ENTRIES)]] | None


class StepRow(TypedDict, total=False):
    """Columns of `steps`."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    step: Name
    done: Moment
    took: Seconds
    result: ResultData | None


class FailureRow(TypedDict, total=False):
    """Columns of `failures`."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    step: Name | None
    code: Name
    what: Sentence
    time: Moment


class LeaseRow(TypedDict, total=False):
    """Columns of `leases`."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    address: Name
    installation: Name
    station: Name
    holder: Name
    expires: UnixSeconds


MODELS: dict[str, Any] = {
    "installations": InstallationRow,
    "details": DetailsRow,
    "steps": StepRow,
    "failures": FailureRow,
    "leases": LeaseRow,
}


@cache
def validator(table: str) -> TypeAdapter[Any]:
    """The validator of the rows of this table."""
    return TypeAdapter(MODELS[table])
