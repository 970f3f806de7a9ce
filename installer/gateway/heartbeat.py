"""The gateway's own state in the outbox's file: when it started, its last heartbeat, and why Bluetooth fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from installer.errors import InstallerError
from installer.gateway.outbox import Outbox
from installer.storage.damaged_rows import load_json


@dataclass(frozen=True)
class LastHeartbeat:
    """Times are unix seconds of this computer. `alive`: the last heartbeat; `sinks`: the sinks that it delivers to.

    `deaf_since`: since when it runs without a scan; None while it listens. `room_since`: since when it makes room for
    an installation. `radio...`: why Bluetooth fails now, and since when; `away...`: the last time that it failed and
    came back. `damaged`: what is in the file and is unreadable.
    """

    started: float | None = None
    alive: float | None = None
    sinks: list[str] = field(default_factory=list)
    radio_since: float | None = None
    radio_code: str | None = None
    radio: str | None = None
    room_since: float | None = None
    deaf_since: float | None = None
    away_since: float | None = None
    away_until: float | None = None
    away: str | None = None
    damaged: list[str] = field(default_factory=list)


_KINDS: dict[str, type | tuple[type, ...]] = {
    "started": (int, float),
    "alive": (int, float),
    "sinks": list,
    "radio_since": (int, float),
    "radio_code": str,
    "radio": str,
    "room_since": (int, float),
    "deaf_since": (int, float),
    "away_since": (int, float),
    "away_until": (int, float),
    "away": str,
}


class Heartbeat:
    """The state of the gateway of one outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def read(self) -> LastHeartbeat:
        """What was recorded last."""
        found: dict[str, Any] = {}
        damaged: list[str] = []
        for row in self._outbox.rows("SELECT name, value FROM state"):
            name, value = row["name"], load_json(row["value"])
            if name in _KINDS and isinstance(value, _KINDS[name]):
                found[name] = value
            elif name in _KINDS and value is not None:
                damaged.append(name)
        return LastHeartbeat(**found, damaged=damaged)

    def record_start(self, now: float, sinks: Sequence[str]) -> None:
        """A gateway starts."""
        self._record(started=now, alive=now, sinks=list(sinks), deaf_since=now, room_since=None)

    def record_alive(self, now: float, *, listens: bool = True) -> None:
        """The gateway still runs. `listens`: whether it hears devices now."""
        since = None if listens else self.read().deaf_since
        self._record(alive=now, deaf_since=None if listens else now if since is None else since)

    def record_radio(self, error: InstallerError | None, now: float) -> None:
        """Bluetooth does not work, or (None) works again."""
        before = self.read()
        if error is None:
            works = {"radio_since": None, "radio_code": None, "radio": None, "deaf_since": None}
            if before.radio_since is not None:
                self._record(**works, away_since=before.radio_since, away_until=now, away=before.radio)
            else:
                self._record(**works)
            return
        since = before.radio_since
        self._record(radio_since=now if since is None else since, radio_code=error.code.value, radio=error.what)

    def record_room(self, since: float | None) -> None:
        """It makes room for an installation since then, or (None) uses Bluetooth again."""
        # Until it listens again, it is deaf from now on, not since it began to make room.
        self._record(room_since=since, deaf_since=None)

    def _record(self, **values: object) -> None:
        upsert = "INSERT INTO state (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        rows = [(name, json.dumps(value)) for name, value in values.items()]
        self._outbox.write("record its state", lambda connection: connection.executemany(upsert, rows))
