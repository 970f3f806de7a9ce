"""Finds what cannot be read in a record of the ledger, and puts a harmless value in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Float, Integer

from installer.ledger import timestamps
from installer.ledger.query_types import OUTCOMES
from installer.ledger.sql_tables import details, failures, installations, steps
from installer.storage.damaged_rows import Unreadable

UNKNOWN_TIME = "1970-01-01T00:00:00.000+00:00"
TIMES = ("started", "ended", "sent_at", "done", "time")
# What stands for a value that must be there.
_STAND_INS: dict[str, Any] = {"started": UNKNOWN_TIME, "done": UNKNOWN_TIME, "time": UNKNOWN_TIME, "outcome": "failed"}
_TABLES = {"installations": installations, "details": details, "steps": steps, "failures": failures}


def readable(row: Mapping[str, Any], table: str) -> tuple[dict[str, Any], list[str]]:
    """The values of a row of this table, with stand-ins for those that cannot be read; and the names of these."""
    found, damaged = dict(row), []
    columns = _TABLES[table].columns
    for name, value in found.items():
        column = columns.get(name)
        if column is not None and not _fits(column, value):
            damaged.append(name)
            found[name] = None if column.nullable else _STAND_INS.get(name, _empty(column))
    return found, damaged


def _fits(column: Column[Any], value: Any) -> bool:
    if isinstance(value, Unreadable):
        return False
    if value is None:
        return bool(column.nullable)
    if (column.table.name == "details" and column.name != "installation") or column.name == "result":
        expected: type | tuple[type, ...] = list if column.name == "reasons" else dict
        return isinstance(value, expected)
    if isinstance(column.type, Integer):
        return isinstance(value, int)
    if isinstance(column.type, Float):
        return isinstance(value, int | float)
    if not isinstance(value, str):
        return False
    if column.name == "outcome":
        return value in OUTCOMES
    return column.name not in TIMES or timestamps.unix_seconds(value) is not None


def _empty(column: Column[Any]) -> Any:
    if isinstance(column.type, Integer):
        return 1
    return 0.0 if isinstance(column.type, Float) else ""
