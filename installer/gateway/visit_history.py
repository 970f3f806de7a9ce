"""What the gateway knows of its devices: when each was last within range, last visited, and what failed.

Kept in the outbox's file, so that `gateway status` tells it also when no gateway runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from installer.errors import InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Outbox

# How often it is written down that a device is still within range.
SEEN_EVERY = 30.0


@dataclass(frozen=True)
class Known:
    """A device. Times are unix seconds of this computer, None: never. `failures`: in a row, since the last success."""

    address: str
    model: str
    name: str
    seen: float | None = None
    visited: float | None = None
    collected: int = 0
    failed: float | None = None
    failures: int = 0
    code: str | None = None
    failure: str | None = None


@dataclass(frozen=True)
class Visit:
    """A connection to a device. `unconfirmed`: by profile, the bytes that may come again, because the connection before
    ended before it was known that the device had the confirmation."""

    number: int
    unconfirmed: dict[str, bytes]


class VisitHistory:
    """The notes of one outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._written: dict[str, float] = {}

    def know(self, target: GatewayDevice) -> None:
        """Make the device known; what is noted of it stays."""
        with self._outbox.writing("note a device") as connection:
            connection.execute(
                "INSERT INTO devices (address, model, name) VALUES (?, ?, ?) ON CONFLICT (address) DO UPDATE SET "
                "model = excluded.model, name = excluded.name WHERE model <> excluded.model OR name <> excluded.name",
                (target.address, target.model, target.name),
            )

    def seen(self, address: str, now: float) -> None:
        """The device is within range. Written at most every `SEEN_EVERY` seconds; a failure to is let be."""
        before = self._written.get(address)
        # A clock that was set back must not stop the notes.
        if before is not None and 0 <= now - before < SEEN_EVERY:
            return
        with self._outbox.writing("note a device") as connection:
            connection.execute("UPDATE devices SET seen = ? WHERE address = ?", (now, address))
        self._written[address] = now

    def begin(self, address: str, now: float) -> Visit:
        """A connection to this device begins."""
        before = self._outbox.rows("SELECT visit, visit_open FROM devices WHERE address = ?", address)
        last, was_open = (int(before[0][0]), bool(before[0][1])) if before else (0, False)
        unconfirmed = self._outbox.last_raw(address, last) if was_open else {}
        with self._outbox.writing("note a visit") as connection:
            connection.execute(
                "UPDATE devices SET visit = visit + 1, visit_open = 1, seen = ? WHERE address = ?", (now, address)
            )
        self._written[address] = now
        return Visit(last + 1, unconfirmed)

    def end(self, address: str, now: float) -> None:
        """The visit went well: whatever came was confirmed to the device."""
        with self._outbox.writing("note a visit") as connection:
            connection.execute(
                "UPDATE devices SET visit_open = 0, visited = ?, seen = ?, failures = 0, failed = NULL, code = NULL, "
                "failure = NULL WHERE address = ?",
                (now, now, address),
            )

    def failed(self, address: str, error: InstallerError, now: float) -> None:
        """The visit failed. `visit_open` stays as it is: what came last may come again."""
        with self._outbox.writing("note a failed visit") as connection:
            connection.execute(
                "UPDATE devices SET failed = ?, failures = failures + 1, code = ?, failure = ? WHERE address = ?",
                (now, error.code.value, error.what, address),
            )

    def all(self) -> list[Known]:
        """All devices, by address."""
        query = (
            "SELECT address, model, name, seen, visited, collected, failed, failures, code, failure FROM devices "
            "ORDER BY address"
        )
        return [Known(**dict(row)) for row in self._outbox.rows(query)]
