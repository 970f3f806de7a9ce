"""What is asked of the ledger and what it answers, as plain data; loads no database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

OUTCOMES = ("running", "installed", "to_be_linked", "failed", "cancelled", "interrupted")


@dataclass(frozen=True)
class Filter:
    """Which records. Values of one field are alternatives, fields all hold. `text`: every word is somewhere in it."""

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
    """Some records without their steps, the newest first. `total`: how many fit; `next`: where the next page begins."""

    records: list[dict[str, Any]]
    total: int
    next: tuple[str, str] | None


@dataclass(frozen=True)
class Installed:
    """A device that was installed. `account`: the name of the stored account; `id`: of the record."""

    address: str
    model: str
    name: str
    account: str | None
    id: str


@dataclass(frozen=True)
class Times:
    """Seconds: the middle one, and the one that 9 of 10 do not exceed. None where there is none."""

    count: int = 0
    median: float | None = None
    p90: float | None = None


@dataclass(frozen=True)
class Group:
    """The installations of one model, site, operator or span of time. `times`: of those that were installed.

    `steps`: of each step in the order of the flow; told of models and sites, and not of a very large ledger.
    """

    name: str
    outcomes: dict[str, int]
    times: Times = Times()
    steps: dict[str, Times] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.outcomes.values())

    @property
    def installed(self) -> int:
        """How many were installed, those among them that their users link later."""
        return self.outcomes.get("installed", 0) + self.outcomes.get("to_be_linked", 0)

    @property
    def failed(self) -> int:
        """How many failed."""
        return self.outcomes.get("failed", 0)


@dataclass(frozen=True)
class Numbers:
    """What a report says. `first`, `last`: when the first and the last one began; `failures`: (code, how many).

    `spans`: by this computer's calendar, each a `unit` (day, week, month or year) named by its first day.
    """

    all: Group
    first: str | None
    last: str | None
    failures: list[tuple[str, int]]
    steps: list[tuple[str, Times]]
    models: list[Group]
    sites: list[Group]
    operators: list[Group]
    unit: str
    spans: list[Group]


@dataclass(frozen=True)
class Pruned:
    """What was removed, or would be, and why the rest of that age stays: {reason: how many}."""

    removed: int
    kept: dict[str, int]
