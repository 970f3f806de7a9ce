"""The gateway's own state in the outbox's file: when it started, its last heartbeat, and why Bluetooth fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from installer.errors import InstallerError
from installer.gateway.outbox import Outbox


@dataclass(frozen=True)
class LastHeartbeat:
    """Times are unix seconds of this computer. `alive`: the last heartbeat; `sinks`: the sinks that it delivers to."""

    started: float | None = None
    alive: float | None = None
    sinks: list[str] = field(default_factory=list)
    radio_since: float | None = None
    radio_code: str | None = None
    radio: str | None = None


class Heartbeat:
    """The state of the gateway of one outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def read(self) -> LastHeartbeat:
        """What was recorded last."""
        found = {row["name"]: json.loads(row["value"]) for row in self._outbox.rows("SELECT name, value FROM state")}
        known = asdict(LastHeartbeat())
        return LastHeartbeat(**{name: value for name, value in found.items() if name in known})

    def record_start(self, now: float, sinks: Sequence[str]) -> None:
        """A gateway starts."""
        self._record(started=now, alive=now, sinks=list(sinks))

    def record_alive(self, now: float) -> None:
        """The gateway still runs."""
        self._record(alive=now)

    def record_radio(self, error: InstallerError | None, now: float) -> None:
        """Bluetooth does not work, or (None) works again."""
        if error is None:
            self._record(radio_since=None, radio_code=None, radio=None)
            return
        since = self.read().radio_since
        self._record(radio_since=now if since is None else since, radio_code=error.code.value, radio=error.what)

    def _record(self, **values: object) -> None:
        upsert = "INSERT INTO state (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        rows = [(name, json.dumps(value)) for name, value in values.items()]
        self._outbox.write("record its state", lambda connection: connection.executemany(upsert, rows))
