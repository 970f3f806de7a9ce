"""Carries an outbox over into the file that took its place, so that nothing that a device was told to forget is lost.

The old file may have no name any more, but as long as it is open, it can be read.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

_ITEM_COLUMNS = "key, device, model, account, profile, raw, measurement, problem, received, visit"
_DEVICE_COLUMNS = "address, model, name, seen, visit, visit_open, visited, collected, failed, failures, code, failure"
_SINK_COLUMNS = "name, delivered, last, failing_since, code, failure"
# The number of a visit is part of some keys, and counts are shown to people: they never become smaller.
_ONLY_GROW = ("visit", "collected", "delivered")

_Rows = list[tuple[Any, ...]]


@dataclass
class OutboxContent:
    """All rows of an outbox. `waiting`: by number of the item, the sinks that it waits for, and why they refused it."""

    items: _Rows = field(default_factory=list)
    waiting: dict[int, dict[str, str | None]] = field(default_factory=lambda: defaultdict(dict))
    devices: _Rows = field(default_factory=list)
    sinks: _Rows = field(default_factory=list)
    state: _Rows = field(default_factory=list)


def read_content(connection: sqlite3.Connection) -> OutboxContent:
    """All rows of an open outbox. Raises sqlite3.Error."""

    def rows(query: str) -> _Rows:
        return [tuple(row) for row in connection.execute(query)]

    content = OutboxContent(
        items=rows(f"SELECT number, {_ITEM_COLUMNS} FROM items ORDER BY number"),
        devices=rows(f"SELECT {_DEVICE_COLUMNS} FROM devices"),
        sinks=rows(f"SELECT {_SINK_COLUMNS} FROM sinks"),
        state=rows("SELECT name, value FROM state"),
    )
    for number, sink, refused in rows("SELECT number, sink, refused FROM waiting"):
        content.waiting[number][sink] = refused
    return content


def write_content(content: OutboxContent, connection: sqlite3.Connection) -> int:
    """Write what this outbox lacks, in its transaction; how many measurements that are.

    The outbox may be a backup of the same one. What a sink has by now does not wait for it again. Raises sqlite3.Error.
    """
    sinks = {row[0] for row in content.sinks}
    added = 0
    for number, *values in content.items:
        key, device = values[0], values[1]
        found = connection.execute("SELECT number FROM items WHERE key = ?", (key,)).fetchone()
        if found is None:
            _insert_item(connection, values, content.waiting[number])
            added += 1
            continue
        connection.executemany(
            "DELETE FROM waiting WHERE sink = ? AND device = ? AND number = ?",
            [(sink, device, found[0]) for sink in sinks - content.waiting[number].keys()],
        )
    _upsert(connection, "devices", _DEVICE_COLUMNS, content.devices)
    _upsert(connection, "sinks", _SINK_COLUMNS, content.sinks)
    _upsert(connection, "state", "name, value", content.state)
    return added


def _insert_item(connection: sqlite3.Connection, values: list[Any], sinks: dict[str, str | None]) -> None:
    number = connection.execute(
        f"INSERT INTO items ({_ITEM_COLUMNS}) VALUES ({_placeholders(values)})", values
    ).lastrowid
    connection.executemany(
        "INSERT INTO waiting (sink, device, number, refused) VALUES (?, ?, ?, ?)",
        [(sink, values[1], number, refused) for sink, refused in sinks.items()],
    )


def _upsert(connection: sqlite3.Connection, table: str, columns: str, rows: _Rows) -> None:
    """Write rows over those with the same first column."""
    key, *others = columns.split(", ")
    changes = ", ".join(
        f"{name} = max({name}, excluded.{name})" if name in _ONLY_GROW else f"{name} = excluded.{name}"
        for name in others
    )
    connection.executemany(
        f"INSERT INTO {table} ({columns}) VALUES ({_placeholders([key, *others])}) "
        f"ON CONFLICT ({key}) DO UPDATE SET {changes}",
        rows,
    )


def _placeholders(values: list[Any]) -> str:
    return ", ".join("?" * len(values))
