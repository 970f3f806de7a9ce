"""Rows of a database that are there and cannot be read: they are left out, told once, and never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from installer.errors import ErrorCode, InstallerError

MOST_NAMED = 5
# What this program writes is nested five deep at most, and has no number near this one.
DEEPEST = 32
LARGEST_NUMBER = 2**63


class Unreadable:
    """What stands in place of a value that cannot be read. `raw`: the value itself, for comparisons in SQL."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw


def load_json(text: Any) -> Any:
    """A JSON text of the database, or `Unreadable`: also if it could not be written out again."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return Unreadable(text)
    return found if _is_storable(found) else Unreadable(text)


def _is_storable(found: Any) -> bool:
    """Whether it is not nested deeply, its numbers are finite and not huge, and its texts are Unicode."""
    level, depth = [found], 0
    while level and depth <= DEEPEST:
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += one.keys()
                below += one.values()
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str):
                if not one.isascii() and any("\ud800" <= c <= "\udfff" for c in one):
                    return False
            elif isinstance(one, int | float) and not -LARGEST_NUMBER <= one <= LARGEST_NUMBER:
                return False  # also NaN
        level, depth = below, depth + 1
    return not level


def fitting(row: Mapping[str, Any], kinds: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The values of a row that are of their kind (a type or a union of types), and the names of the others."""
    found = {name: row[name] for name, kind in kinds.items() if isinstance(row[name], kind)}
    return found, [name for name in kinds if name not in found]


@dataclass
class DamagedRows:
    """The damaged rows of one database that were met. `database`: its name in words, as in “the ledger”."""

    database: str
    rows: dict[str, str] = field(default_factory=dict)

    def add(self, row: str, why: str) -> None:
        """Note a row, as in “record 12ab”, and why it cannot be read, as in “its answers”. It counts once."""
        self.rows.setdefault(row, why)

    def error(self) -> InstallerError | None:
        """DATABASE_FAILED with the rows; None if there is none."""
        if not self.rows:
            return None
        named = "; ".join(f"{row} ({why})" for row, why in list(self.rows.items())[:MOST_NAMED])
        more = f"; and {len(self.rows) - MOST_NAMED} more" if len(self.rows) > MOST_NAMED else ""
        count = "1 row" if len(self.rows) == 1 else f"{len(self.rows)} rows"
        return InstallerError(
            ErrorCode.DATABASE_FAILED,
            f"{self.database[:1].upper()}{self.database[1:]} has {count} that cannot be read: {named}{more}.",
            "All else is there, and nothing was changed. Put back a copy of the database from before the damage, and "
            "check the disk.",
            damaged=len(self.rows),
        )
