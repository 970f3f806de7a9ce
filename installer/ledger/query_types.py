"""Filters and results of the ledger's queries, as plain data. Importing it does not load SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from installer.errors import ErrorCode, InstallerError
from installer.text import printable

OUTCOMES = ("running", "installed", "to_be_linked", "failed", "cancelled", "interrupted")


@dataclass(frozen=True)
class Filter:
    """Which records. The values of one field are alternatives (OR); the fields are combined with AND.

    `text`: words that must all occur in the record.
    """

    outcome: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    site: tuple[str, ...] = ()
    operator: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()
    address: tuple[str, ...] = ()
    station: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


@dataclass(frozen=True)
class Page:
    """Records without their steps, the newest first. `total`: how many match; `next`: the cursor of the next page."""

    records: list[dict[str, Any]]
    total: int
    next: tuple[str, str] | None


@dataclass(frozen=True)
class InstalledDevice:
    """A device that was installed. `account`: the name of the stored account; `id`: of the record.

    `serial`: the serial number that it told when it was found; empty if it told none. Not that of the cloud.
    """

    address: str
    model: str
    name: str
    account: str | None
    id: str
    serial: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> InstalledDevice:
        """Of a row that is not damaged."""
        return cls(
            row["address"], row["model"] or "", row["name"] or "", row["account"], row["id"], _serial_of(row["result"])
        )


def _serial_of(find_result: Any) -> str:
    serial = find_result.get("serial") if isinstance(find_result, dict) else None
    return serial if isinstance(serial, str) else ""


@dataclass(frozen=True)
class Durations:
    """Statistics of durations in seconds: how many, the median, and the 90th percentile. None if there are none."""

    count: int = 0
    median: float | None = None
    p90: float | None = None


@dataclass(frozen=True)
class Group:
    """The installations of one model, site, operator or period. `durations`: of the installed ones.

    `steps`: the durations of each step in the order of the flow; only for models and sites of a small enough ledger.
    """

    name: str
    outcomes: dict[str, int]
    durations: Durations = Durations()
    steps: dict[str, Durations] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.outcomes.values())

    @property
    def installed(self) -> int:
        """How many were installed, including those that their users link later."""
        return self.outcomes.get("installed", 0) + self.outcomes.get("to_be_linked", 0)

    @property
    def failed(self) -> int:
        """How many failed."""
        return self.outcomes.get("failed", 0)


@dataclass(frozen=True)
class Statistics:
    """The statistics of a report. `first`, `last`: start of the first and of the last installation.

    `failures`: (error code, count). `periods`: days, weeks, months or years (`unit`) of this computer's calendar, each
    named by its first day.
    """

    all: Group
    first: str | None
    last: str | None
    failures: list[tuple[str, int]]
    steps: list[tuple[str, Durations]]
    models: list[Group]
    sites: list[Group]
    operators: list[Group]
    unit: str
    periods: list[Group]


@dataclass(frozen=True)
class PruneResult:
    """How many records were removed, or would be; and why the others of that age are kept: {reason: count}."""

    removed: int
    kept: dict[str, int]


def damaged_record(installation: str, names: Sequence[str]) -> InstallerError:
    """DATABASE_FAILED: a record that must be read whole is damaged. `names`: what cannot be read in it."""
    return InstallerError(
        ErrorCode.DATABASE_FAILED,
        f"The record {printable(installation)} in the ledger is damaged: {', '.join(names)} cannot be read.",
        "It was not changed. Put back a copy of the ledger from before the damage, or start a new installation.",
        installation=installation,
    )
