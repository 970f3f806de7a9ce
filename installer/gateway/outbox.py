"""The outbox: collected measurements that are not delivered to every sink yet, in SQLite.

One transaction writes a measurement and the sinks that it waits for. A second one removes a sink when it has the
measurement. A measurement is on disk before its device may forget it. So after a kill, a full disk or a power cut it is
on the device or here. A sink recognises a repeated measurement by its key. The order is by number, not by time.

The file may be moved, deleted or restored from a backup while it is open: `outbox_file` follows it. What another
program wrote over is written again from memory.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from installer.errors import InstallerError
from installer.gateway.outbox_file import OutboxFile

T = TypeVar("T")
# Delivered measurements that stay for each device, to recognise one that comes again.
KEPT_PER_DEVICE = 1000
# Undelivered measurements that this process keeps in memory, too, in case that the file is overwritten.
REMEMBERED = 5000


@dataclass(frozen=True, kw_only=True)
class Item:
    """One measurement.

    `raw`: the bytes from the device; `measurement`: as JSON, None if it could not be read (`problem` says why);
    `received`: when it came, unix seconds of this computer; `visit`: the number of the connection that it came by.
    """

    key: str
    device: str
    profile: str
    raw: bytes
    received: float
    model: str = ""
    account: str = ""
    measurement: str | None = None
    problem: str | None = None
    visit: int = 0
    number: int = 0


@dataclass(frozen=True)
class SinkCounts:
    """How many measurements wait for a sink, and how many it has refused."""

    waiting: int = 0
    refused: int = 0


def key_of(device: str, profile: str, raw: bytes, *distinct: object) -> str:
    """The key of a measurement. The same bytes of the same device always give the same key.

    `distinct`: tells two measurements apart whose bytes hold neither a time nor a number (their visit and position).
    """
    text = "\0".join((device, profile, raw.hex(), *map(str, distinct)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Outbox:
    """An open outbox. Only for the thread that opened it; each call waits for the disk."""

    def __init__(self, file: OutboxFile) -> None:
        self.path = file.path
        self._file = file
        # By key: what this process wrote, and the sinks that do not have it yet.
        self._remembered: dict[str, tuple[Item, set[str]]] = {}
        file.write_again = self._write_again

    @classmethod
    def open(cls, path: Path) -> Outbox:
        """The outbox in this file; creates it if needed. Raises OUTBOX_INVALID, FILE_UNWRITABLE, DATABASE_FAILED."""
        return cls(OutboxFile.open(path))

    @classmethod
    def open_existing(cls, path: Path) -> Outbox | None:
        """The outbox if the file exists, else None; a gateway may be using it. Raises as `open`."""
        file = OutboxFile.open_existing(path)
        return None if file is None else cls(file)

    def on_replaced(self, report: Callable[[InstallerError], None]) -> None:
        """Call this when the file at the path is another one, and the outbox goes on in that. Else it is printed."""
        self._file.on_replaced = report

    def follow_file(self) -> None:
        """See that all is in the file at the path, before something is confirmed without a write. Raises as `write`."""
        self._file.follow()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, item: Item, sinks: Sequence[str]) -> bool:
        """Write a measurement for these sinks; it is on disk when this returns. False: it was here before.

        Raises DATABASE_FAILED; then nothing was written.
        """

        known = item.key in self._remembered

        def insert(connection: sqlite3.Connection) -> bool:
            new = _insert(connection, item, sinks)
            if new:
                self._remembered[item.key] = (item, set(sinks))
            return new

        try:
            new = self.write("write a measurement", insert)
            if new:
                self._file.must_have = item.key
                self._file.follow()
        except BaseException:
            if not known:
                self._remembered.pop(item.key, None)
            raise
        while len(self._remembered) > REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        return new

    def devices_waiting(self, sink: str) -> list[str]:
        """The devices whose measurements wait for this sink; the one that waits longest comes first."""
        query = "SELECT device FROM waiting WHERE sink = ? AND refused IS NULL GROUP BY device ORDER BY min(number)"
        return [row[0] for row in self.rows(query, sink)]

    def next_items(self, sink: str, device: str, limit: int = 1) -> list[Item]:
        """The measurements of this device that this sink gets next, the oldest first."""
        query = (
            "SELECT items.* FROM waiting JOIN items USING (number) "
            "WHERE waiting.sink = ? AND waiting.device = ? AND waiting.refused IS NULL ORDER BY number LIMIT ?"
        )
        return [Item(**dict(row)) for row in self.rows(query, sink, device, limit)]

    def mark_delivered(self, sink: str, keys: Sequence[str], now: float) -> None:
        """This sink has the measurements with these keys."""

        def mark(connection: sqlite3.Connection) -> None:
            before = connection.total_changes
            connection.executemany(
                "DELETE FROM waiting WHERE sink = ? AND number = (SELECT number FROM items WHERE key = ?)",
                [(sink, key) for key in keys],
            )
            count = connection.total_changes - before
            connection.execute(
                "INSERT INTO sinks (name, delivered, last) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "delivered = delivered + excluded.delivered, last = excluded.last, "
                "failing_since = NULL, code = NULL, failure = NULL",
                (sink, count, now),
            )

        self.write("record a delivery", mark)
        for key in keys:
            if key in self._remembered:
                self._remembered[key][1].discard(sink)
                if not self._remembered[key][1]:
                    del self._remembered[key]

    def mark_refused(self, sink: str, key: str, why: str) -> None:
        """The sink refuses this measurement. It stays here and does not stop those after it."""
        update = "UPDATE waiting SET refused = ? WHERE sink = ? AND number = (SELECT number FROM items WHERE key = ?)"
        self.write("record a refusal", lambda connection: connection.execute(update, (why, sink, key)))

    def retry_refused(self, sink: str) -> int:
        """Let all that the sink refused wait for it again; how many these are."""
        update = "UPDATE waiting SET refused = NULL WHERE sink = ? AND refused IS NOT NULL"
        return self.write("retry what was refused", lambda connection: connection.execute(update, (sink,)).rowcount)

    def mark_failing(self, sink: str, code: str, why: str, now: float) -> None:
        """The sink fails. The time of the first failure stays until it accepts something."""
        upsert = (
            "INSERT INTO sinks (name, failing_since, code, failure) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO "
            "UPDATE SET failing_since = coalesce(failing_since, excluded.failing_since), code = excluded.code, "
            "failure = excluded.failure"
        )
        self.write("record a failure", lambda connection: connection.execute(upsert, (sink, now, code, why)))

    def prune_delivered(self, device: str, keep: int = KEPT_PER_DEVICE) -> int:
        """Delete what all sinks have, except the newest `keep` of this device; how many were deleted."""
        delete = (
            "DELETE FROM items WHERE device = ?1 AND measurement IS NOT NULL AND number <= ("
            "SELECT number FROM items WHERE device = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2"
            ") AND number NOT IN (SELECT number FROM waiting)"
        )
        return self.write(
            "delete what was delivered", lambda connection: connection.execute(delete, (device, keep)).rowcount
        )

    def counts(self) -> dict[str, SinkCounts]:
        """By sink: how many wait for it, and how many it refused."""
        counted = "sum(refused IS NULL) AS waiting, sum(refused IS NOT NULL) AS refused"
        query = f"SELECT sink, {counted} FROM waiting GROUP BY sink"
        return {row["sink"]: SinkCounts(row["waiting"], row["refused"]) for row in self.rows(query)}

    def last_raw(self, device: str, visit: int) -> dict[str, bytes]:
        """The last bytes that came in this visit, by profile."""
        query = "SELECT profile, raw, max(number) FROM items WHERE device = ? AND visit = ? GROUP BY profile"
        return {row["profile"]: row["raw"] for row in self.rows(query, device, visit)}

    def count(self) -> int:
        """How many measurements are here, with the delivered ones that stay."""
        return int(self.rows("SELECT count(*) FROM items")[0][0])

    def count_not_understood(self) -> int:
        """How many messages could not be read; their bytes are kept."""
        return int(self.rows("SELECT count(*) FROM items WHERE measurement IS NULL")[0][0])

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query. Raises DATABASE_FAILED, OUTBOX_INVALID."""
        return self._file.rows(query, *values)

    def write(self, action: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction; see `OutboxFile.write`."""
        return self._file.write(action, work)

    def rewrite(self) -> None:
        """Write the file anew, so that nothing of removed measurements is in it. Raises ERASURE_INCOMPLETE."""
        self._file.rewrite()

    def _write_again(self, connection: sqlite3.Connection) -> int:
        self._file.must_have = next(reversed(self._remembered), None)
        return sum(_insert(connection, item, sorted(sinks)) for item, sinks in self._remembered.values())


def _insert(connection: sqlite3.Connection, item: Item, sinks: Sequence[str]) -> bool:
    """Write a measurement and the sinks that it waits for; False if it was here before."""
    done = connection.execute(
        "INSERT INTO items (key, device, model, account, profile, raw, measurement, problem, received, visit) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        (
            item.key, item.device, item.model, item.account, item.profile, item.raw, item.measurement,
            item.problem, item.received, item.visit,
        ),
    )  # fmt: skip
    if not done.rowcount:
        return False
    number = done.lastrowid
    if item.measurement is not None:
        connection.executemany(
            "INSERT INTO waiting (sink, device, number) VALUES (?, ?, ?)",
            [(sink, item.device, number) for sink in sinks],
        )
    connection.execute("UPDATE devices SET collected = collected + 1 WHERE address = ?", (item.device,))
    return True
