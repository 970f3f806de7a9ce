"""What is asked of the ledger and what it answers, as plain data; loads no database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


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
