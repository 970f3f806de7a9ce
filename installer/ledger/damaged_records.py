"""Reads the rows of the ledger as foreign data: names what does not fit its model, and puts a harmless value there.

Every query of the ledger passes its rows through here; nothing else asks what type a value has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Column, Float, Integer

from installer.ledger.query_types import OUTCOMES
from installer.ledger.row_models import LONGEST_NAME, LONGEST_SECONDS, validator
from installer.ledger.sql_tables import metadata

UNKNOWN_TIME = "1970-01-01T00:00:00.000+00:00"
# What stands for a value that must be there.
_STAND_INS: dict[str, Any] = {"started": UNKNOWN_TIME, "done": UNKNOWN_TIME, "time": UNKNOWN_TIME, "outcome": "failed"}
_NUMBERS = (int, float)


def readable(row: Mapping[str, Any], table: str) -> tuple[dict[str, Any], list[str]]:
    """The values of a row of this table, with stand-ins for those that cannot be read; and the names of these.

    An id that cannot be read stays as it is: only a comparison in SQL may use it.
    """
    found = dict(row)
    try:
        validator(table).validate_python(found)
    except ValidationError as error:
        names = {str(one["loc"][0]) for one in error.errors(include_url=False, include_input=False)}
        damaged = [name for name in found if name in names]
        columns = metadata.tables[table].columns
        for name in damaged:
            column = columns[name]
            if not column.primary_key:
                found[name] = None if column.nullable else _STAND_INS.get(name, _empty(column))
        return found, damaged
    return found, []


def all_readable(row: Mapping[str, Any], table: str) -> bool:
    """Whether nothing in the row is damaged."""
    return not readable(row, table)[1]


def seconds(values: Iterable[Any]) -> list[float | None]:
    """Durations of a whole column, which the statistics count; None for those that are none."""
    return [value if type(value) in _NUMBERS and 0 <= value <= LONGEST_SECONDS else None for value in values]


def names(values: Iterable[Any]) -> list[str | None]:
    """Texts of a whole column; None for those that are none."""
    return [value if type(value) is str and len(value) <= LONGEST_NAME else None for value in values]


def outcomes(values: Iterable[Any]) -> list[str]:
    """Outcomes of a whole column; `failed` stands for those that are none."""
    return [value if value in OUTCOMES else _STAND_INS["outcome"] for value in values]


def is_moment(value: Any) -> bool:
    """Whether this is a time as the ledger writes it."""
    return all_readable({"started": value}, "installations")


def _empty(column: Column[Any]) -> Any:
    if isinstance(column.type, Integer):
        return 1
    return 0.0 if isinstance(column.type, Float) else ""
