"""What the outbox knows of earlier visits to a device: its newest stored record, and how its clock was set."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from installer.catalogue.model import Profile
from installer.gateway.outbox import Outbox
from installer.health_profiles.device_clock import ClockChange
from installer.measurement import Measurement
from installer.storage.damaged_rows import load_json

if TYPE_CHECKING:
    import sqlite3

_NAME = "clock:"
# So many messages are looked through for the newest record.
_NEWEST = 50


def last_record(outbox: Outbox, address: str) -> int | None:
    """The sequence number of the newest stored blood pressure that came from this device."""
    query = "SELECT measurement FROM items WHERE device = ? AND profile = ? ORDER BY number DESC LIMIT ?"
    for row in outbox.rows(query, address, Profile.BLOOD_PRESSURE.value, _NEWEST):
        value = load_json(row["measurement"])
        number = value.get("sequence") if isinstance(value, dict) else None
        if isinstance(number, int) and 0 <= number <= 0xFFFF:
            return number
    return None


def has_live(outbox: Outbox, address: str, profile: Profile, record: Measurement) -> bool:
    """Whether the measurement of this stored record has come before, live and without its number.

    A device tells a measurement to who is connected, and has it among its records, too. Its time and its values are the
    same both times.
    """
    if record.sequence is None or record.device_time is None:
        return False
    query = "SELECT measurement FROM items WHERE device = ? AND profile = ? AND instr(measurement, ?) > 0"
    for row in outbox.rows(query, address, profile.value, record.device_time.isoformat()):
        value = load_json(row["measurement"])
        if not isinstance(value, dict) or value.get("sequence") is not None:
            continue
        live = record.model_dump(mode="json", include={"readings", "device_time", "user"}, exclude_defaults=True)
        if all(value.get(name) == content for name, content in live.items()):
            return True
    return False


def clock_change(outbox: Outbox, address: str) -> ClockChange | None:
    """How the clock of this device was set last, if it was wrong then."""
    for row in outbox.rows("SELECT value FROM state WHERE name = ?", f"{_NAME}{address}"):
        value = load_json(row["value"])
        try:
            shown, now = (datetime.fromisoformat(value[name]) for name in ("shown", "now"))
        except (TypeError, KeyError, ValueError):
            return None
        return ClockChange(shown, now) if shown.tzinfo is None and now.tzinfo is not None else None
    return None


def remember_clock_change(outbox: Outbox, address: str, change: ClockChange) -> None:
    """Keep it for the measurements that come at a later visit. Raises DATABASE_FAILED, OUTBOX_INVALID."""
    upsert = "INSERT INTO state (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    value = json.dumps({"shown": change.shown.isoformat(), "now": change.now.isoformat()})
    outbox.write("record a device", lambda connection: connection.execute(upsert, (f"{_NAME}{address}", value)))


def forget(connection: sqlite3.Connection, address: str) -> None:
    """Forget how the clock of this device was set. Within the caller's transaction."""
    connection.execute("DELETE FROM state WHERE name = ?", (f"{_NAME}{address}",))
