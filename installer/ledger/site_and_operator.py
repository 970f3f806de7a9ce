"""Who installs, where, and for what plan: what a record keeps beside the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Context:
    """`site`, `operator`, `label`: words of whoever installs. `batch`, `row`: the plan's id and the key of its row.

    `station`: the name of this computer among others. `options`: how the run behaves, for a resumed one (JSON types,
    no secret).
    """

    site: str | None = None
    operator: str | None = None
    label: str | None = None
    batch: str | None = None
    row: str | None = None
    station: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
