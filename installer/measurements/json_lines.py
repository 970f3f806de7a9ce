"""What `data fetch`, `watch` and `show` print with --json: one object a line, a contract with scripts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from installer.errors import InstallerError
from installer.measurements.fetch import Fetched
from installer.measurements.stored_value import Row


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Value(_Message):
    """One stored value. Numbers are texts, so that they stay exact; `taken` and `ended` are UTC.

    `day`: the person's own day; `taken_local`, `ended_local`: the same moments on the person's own clock, with the
    offset. `zone`: the person's time zone as the cloud named it. If `zone_known` is false, this computer does not know
    the zone: the local times are null, and a whole day has the hours of the UTC day.
    """

    event: Literal["value"] = "value"
    change: Literal["new", "changed", "known"]
    source: str
    account: str
    user: str
    device: str
    device_name: str
    model: str
    kind: str
    value: str
    unit: str
    measured: str
    measured_unit: str
    taken: datetime
    ended: datetime | None
    group: str
    origin: Literal["device", "person"]
    period: str
    modified: int
    day: str
    zone: str
    zone_known: bool
    taken_local: datetime | None
    ended_local: datetime | None


class Failure(_Message):
    """A failure as everywhere: its code and exit status, what happened, what to do."""

    code: str
    exit_status: int
    what: str
    todo: str


class AccountFetched(_Message):
    """One account was looked at. `not_granted`: services that were left out; `not_understood`: entries that were.

    `placed`: stored values that only got their time zone; `unknown_zones`: zones that this computer does not know.
    """

    event: Literal["account_fetched"] = "account_fetched"
    account: str
    user: str
    new: int
    changed: int
    not_understood: int
    placed: int
    unknown_zones: list[str]
    not_granted: list[str]
    error: Failure | None


class Trouble(_Message):
    """Of `watch`: something fails, and is tried again; or (`error` null) works again. Said once each."""

    event: Literal["trouble"] = "trouble"
    account: str | None
    error: Failure | None


Message = Annotated[Value | AccountFetched | Trouble, Field(discriminator="event")]
ADAPTER: TypeAdapter[Any] = TypeAdapter(Message)


def value_line(row: Row, change: Literal["new", "changed", "known"], name: str) -> Value:
    """The line for a row with the name of its device."""
    return Value(change=change, device_name=name, **row.as_json())


def failure_of(error: InstallerError | None) -> Failure | None:
    """The failure of an error; None for None."""
    if error is None:
        return None
    return Failure(code=error.code.value, exit_status=error.exit_status, what=error.what, todo=error.todo)


def account_line(ended: Fetched) -> AccountFetched:
    """The line for the result of one account."""
    return AccountFetched(
        account=ended.account,
        user=ended.userid,
        new=ended.new,
        changed=ended.changed,
        not_understood=ended.not_understood,
        placed=ended.placed,
        unknown_zones=sorted(ended.unknown_zones),
        not_granted=[service.value for service in ended.not_granted],
        error=failure_of(ended.error),
    )
