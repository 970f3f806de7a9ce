"""The history of each device in the outbox's file: when it was heard, when it was visited, what failed.

`gateway status` can read it when no gateway runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from installer.errors import InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Outbox
from installer.storage.damaged_rows import fitting

# How often is recorded that a device is in range.
SEEN_INTERVAL_SECONDS = 30.0


@dataclass(frozen=True)
class DeviceHistory:
    """One device. Times are unix seconds of this computer, None: never. `failures`: in a row since the last success.

    `damaged`: what the outbox has of it and cannot read.
    """

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
    damaged: tuple[str, ...] = ()


_KINDS: dict[str, Any] = {
    **dict.fromkeys(("address", "model", "name"), str),
    **dict.fromkeys(("seen", "visited", "failed"), int | float | None),
    **dict.fromkeys(("collected", "failures"), int),
    **dict.fromkeys(("code", "failure"), str | None),
}


@dataclass(frozen=True)
class Visit:
    """One connection to a device.

    `unconfirmed`: by profile, the last bytes of the visit before, if that visit failed or the device hung up at once
    after them. They may come again, because the device may not have received the confirmation.
    """

    number: int
    unconfirmed: dict[str, bytes]


class VisitHistory:
    """The devices in one outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._last_seen: dict[str, float] = {}
        self._last_visit: dict[str, int] = {}

    def add_device(self, device: GatewayDevice) -> None:
        """Add the device, or update its name and model."""
        upsert = (
            "INSERT INTO devices (address, model, name) VALUES (?, ?, ?) ON CONFLICT (address) DO UPDATE SET "
            "model = excluded.model, name = excluded.name WHERE model <> excluded.model OR name <> excluded.name"
        )
        self._execute("record a device", upsert, device.address, device.model, device.name)

    def record_seen(self, address: str, now: float) -> None:
        """The device is in range. Written at most once every `SEEN_INTERVAL_SECONDS`."""
        before = self._last_seen.get(address)
        # A clock that was set back must not stop the writing.
        if before is not None and 0 <= now - before < SEEN_INTERVAL_SECONDS:
            return
        self._execute("record a device", "UPDATE devices SET seen = ? WHERE address = ?", now, address)
        self._last_seen[address] = now

    def begin_visit(self, address: str, now: float) -> Visit:
        """A visit to this device begins."""
        before = self._outbox.rows("SELECT visit, visit_open FROM devices WHERE address = ?", address)
        last, was_open = (int(before[0][0]), bool(before[0][1])) if before else (0, False)
        unconfirmed = self._outbox.last_raw(address, last) if was_open else {}
        # The number is part of some keys. Counted alone, an outbox that was restored from a backup would give the
        # numbers since then a second time, and a sink would take new measurements for known ones.
        number = max(last, self._last_visit.get(address, 0), int(now) - 1) + 1
        update = "UPDATE devices SET visit = ?, visit_open = 1, seen = ? WHERE address = ?"
        self._execute("record a visit", update, number, now, address)
        self._last_visit[address] = number
        self._last_seen[address] = now
        return Visit(number, unconfirmed)

    def record_success(self, address: str, now: float, *, in_doubt: bool = False) -> None:
        """The visit succeeded: all that came was confirmed to the device.

        `in_doubt`: the device may not have received the last confirmation. Then the last message may come again.
        """
        update = (
            "UPDATE devices SET visit_open = ?, visited = ?, seen = ?, failures = 0, failed = NULL, code = NULL, "
            "failure = NULL WHERE address = ?"
        )
        self._execute("record a visit", update, int(in_doubt), now, now, address)

    def record_failure(self, address: str, error: InstallerError, now: float) -> None:
        """The visit failed. `visit_open` stays set: the last message may come again."""
        update = "UPDATE devices SET failed = ?, failures = failures + 1, code = ?, failure = ? WHERE address = ?"
        self._execute("record a failed visit", update, now, error.code.value, error.what, address)

    def devices(self) -> list[DeviceHistory]:
        """All devices, by address."""
        query = (
            "SELECT address, model, name, seen, visited, collected, failed, failures, code, failure FROM devices "
            "ORDER BY address"
        )
        found = [fitting(dict(row), _KINDS) for row in self._outbox.rows(query)]
        # The address is the key of the table, and a name can be missing.
        return [
            DeviceHistory(**{"address": "", "model": "", "name": "", **values}, damaged=tuple(damaged))
            for values, damaged in found
        ]

    def _execute(self, action: str, statement: str, *values: object) -> None:
        self._outbox.write(action, lambda connection: connection.execute(statement, values))
