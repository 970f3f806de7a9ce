"""JSON schema of a record: what `records show --json` and `records export --format json` print."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Stamp = Annotated[str, Field(description="UTC in ISO 8601 with milliseconds")]
Seconds = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(_Part):
    """A step that was done. `result`: what it came to, different from step to step."""

    step: str
    done: Stamp
    took: Seconds
    result: dict[str, Any] | None


class Failed(_Part):
    """A failure, also one that was mended. `code`: as in `device-installer exits`."""

    step: str | None
    code: str
    what: str
    time: Stamp


class Sent(_Part):
    """Credentials left for this device; for which network, never which passphrase."""

    address: str
    ssid: str | None
    time: Stamp | None


class Row(_Part):
    """One installation, as `records list --json` prints it: without its steps. `took`: seconds of work, all attempts.

    `step`, `error`: where it stands and why, until it is installed. `reasons` of the whole record: how the model was
    detected. `station`, `batch`, `row`: who worked on it, and for which row of which plan. `damaged`: what the ledger
    has and cannot read; a null, an empty text or the year 1970 stands for it.
    """

    id: str
    version: str
    started: Stamp
    ended: Stamp | None
    took: Seconds | None
    outcome: Literal["running", "installed", "to_be_linked", "failed", "cancelled", "interrupted"]
    step: str | None
    error: str | None
    attempts: Annotated[int, Field(ge=1)]
    address: str | None
    serial: str | None
    name: str | None
    firmware: str | None
    model: str | None
    certainty: str | None
    protocol: str | None
    method: str | None
    ssid: str | None
    account: str | None
    device_id: str | None
    site: str | None
    operator: str | None
    label: str | None
    batch: str | None
    row: str | None
    station: str | None
    damaged: list[str]


class RecordData(Row):
    """One record, whole. `answers`: the choices, to be made again; `known`: what was in the account before."""

    handed_over: str | None
    sent: Sent | None
    answers: dict[str, Any] | None
    options: dict[str, Any] | None
    reasons: list[str] | None
    known: dict[str, list[str]] | None
    steps: list[Step]
    failures: list[Failed]
