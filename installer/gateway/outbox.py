"""The outbox: what was collected and is not delivered to everybody yet, in SQLite, synced before a device forgets it.

One transaction writes a measurement and who is to get it; one more takes it off a sink's list when that sink has it.
A kill, a full disk or a power cut at any point leaves it either with the device or here, and sinks know a measurement
that they get twice by its key. Order is that of the numbers, never that of a clock.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from installer.gateway import outbox_database

# So many delivered measurements of each device stay, so that one that comes again is known.
REMEMBERED = 1000


@dataclass(frozen=True, kw_only=True)
class Item:
    """One measurement.

    `raw`: the bytes as the device sent them; `measurement`: as JSON, None where nobody understands it (`problem` says
    why); `received`: when it came, unix seconds of this computer; `visit`: the connection that it came by.
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
class Count:
    """How much a sink has still to get, and how much it has refused."""

    waiting: int = 0
    refused: int = 0


def key_of(device: str, profile: str, raw: bytes, *distinct: object) -> str:
    """The key of a measurement, for ever the same for the same bytes of the same device.

    `distinct`: what tells two apart where the bytes hold neither a time nor a number (their visit and place in it).
    """
    text = "\0".join((device, profile, raw.hex(), *map(str, distinct)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Outbox:
    """An open outbox. Everything here is done in the thread that opened it, and waits for the disk."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Outbox:
        """The outbox in this file, made if it is not there. Raises OUTBOX_INVALID, FILE_UNWRITABLE, DATABASE_FAILED."""
        outbox_database.make(path)
        connection = outbox_database.connect(path)
        box = cls(path, connection)
        try:
            with box.told("open it"):
                outbox_database.prepare(path, connection)
        except BaseException:
            connection.close()
            raise
        return box

    @classmethod
    def look(cls, path: Path) -> Outbox | None:
        """The outbox to be read while a gateway may be working with it; None if there is none. Raises as `open`."""
        if not path.exists():
            return None
        connection = outbox_database.connect(path)
        box = cls(path, connection)
        try:
            with box.told("open it"):
                if not outbox_database.is_new(connection):
                    outbox_database.check(path, connection)
                    return box
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Putting in.

    def append(self, item: Item, sinks: Sequence[str]) -> bool:
        """Write a measurement for these sinks; on disk when this returns. False: it was here before.

        Raises DATABASE_FAILED, and then nothing of it was written.
        """
        with self.writing("keep a measurement") as connection:
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

    # Taking out.

    def devices_waiting(self, sink: str) -> list[str]:
        """The devices of which this sink has something to get; whose turn it is longest comes first."""
        query = "SELECT device FROM waiting WHERE sink = ? AND refused IS NULL GROUP BY device ORDER BY min(number)"
        return [row[0] for row in self.rows(query, sink)]

    def next(self, sink: str, device: str, limit: int = 1) -> list[Item]:
        """What this sink gets next of this device, the oldest first."""
        query = (
            "SELECT items.* FROM waiting JOIN items USING (number) "
            "WHERE waiting.sink = ? AND waiting.device = ? AND waiting.refused IS NULL ORDER BY number LIMIT ?"
        )
        return [Item(**dict(row)) for row in self.rows(query, sink, device, limit)]

    def done(self, sink: str, numbers: Sequence[int], now: float) -> None:
        """This sink has these measurements; they are its business from now on."""
        with self.writing("note a delivery") as connection:
            before = connection.total_changes
            connection.executemany(
                "DELETE FROM waiting WHERE sink = ? AND number = ?", [(sink, number) for number in numbers]
            )
            count = connection.total_changes - before
            connection.execute(
                "INSERT INTO sinks (name, delivered, last) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "delivered = delivered + excluded.delivered, last = excluded.last, "
                "failing_since = NULL, code = NULL, failure = NULL",
                (sink, count, now),
            )

    def refused(self, sink: str, number: int, why: str) -> None:
        """The sink will not have this one: it stays, apart, and those after it go on."""
        with self.writing("note a refusal") as connection:
            connection.execute("UPDATE waiting SET refused = ? WHERE sink = ? AND number = ?", (why, sink, number))

    def offer_again(self, sink: str) -> int:
        """Let the sink have what it refused once more; how many those are."""
        with self.writing("offer what was refused again") as connection:
            changed = connection.execute(
                "UPDATE waiting SET refused = NULL WHERE sink = ? AND refused IS NOT NULL", (sink,)
            )
            return changed.rowcount

    def failing(self, sink: str, code: str, why: str, now: float) -> None:
        """The sink could not be reached, or not used; since when is kept until it takes something."""
        with self.writing("note a failure") as connection:
            connection.execute(
                "INSERT INTO sinks (name, failing_since, code, failure) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO "
                "UPDATE SET failing_since = coalesce(failing_since, excluded.failing_since), code = excluded.code, "
                "failure = excluded.failure",
                (sink, now, code, why),
            )

    def forget(self, device: str, keep: int = REMEMBERED) -> int:
        """Let go of what everybody has, but for the newest `keep` of this device; how many went."""
        with self.writing("forget what was delivered") as connection:
            gone = connection.execute(
                "DELETE FROM items WHERE device = ?1 AND measurement IS NOT NULL AND number <= ("
                "SELECT number FROM items WHERE device = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2"
                ") AND number NOT IN (SELECT number FROM waiting)",
                (device, keep),
            )
            return gone.rowcount

    # Looking.

    def counts(self) -> dict[str, Count]:
        """By sink: what is waiting for it, and what it refused."""
        counted = "sum(refused IS NULL) AS waiting, sum(refused IS NOT NULL) AS refused"
        query = f"SELECT sink, {counted} FROM waiting GROUP BY sink"
        return {row["sink"]: Count(row["waiting"], row["refused"]) for row in self.rows(query)}

    def last_raw(self, device: str, visit: int) -> dict[str, bytes]:
        """The bytes that came last in this visit, by profile."""
        query = "SELECT profile, raw, max(number) FROM items WHERE device = ? AND visit = ? GROUP BY profile"
        return {row["profile"]: row["raw"] for row in self.rows(query, device, visit)}

    def count(self) -> int:
        """How many measurements are here, delivered ones that are remembered among them."""
        return int(self.rows("SELECT count(*) FROM items")[0][0])

    def not_understood(self) -> int:
        """How many messages nobody could read; their bytes are kept."""
        return int(self.rows("SELECT count(*) FROM items WHERE measurement IS NULL")[0][0])

    # For the other parts of the gateway, which keep their notes in the same file.

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a question. Raises DATABASE_FAILED, OUTBOX_INVALID."""
        with self.told("read it"):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def writing(self, what: str) -> Iterator[sqlite3.Connection]:
        """One transaction: all or nothing, on disk at its end. Raises DATABASE_FAILED, OUTBOX_INVALID."""
        with self.told(what):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Turn a failure of SQLite within into words."""
        try:
            yield
        except sqlite3.Error as error:
            raise outbox_database.failure(self.path, what, error) from None
