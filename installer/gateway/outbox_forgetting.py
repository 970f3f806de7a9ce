"""Erases collected measurements and the history of visits from the gateway's outbox, while no gateway runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from installer.gateway import device_identity, earlier_visits, wake
from installer.gateway.outbox import Outbox
from installer.measurement import Measurement
from installer.timing.durations import of_timestamp


@dataclass(frozen=True)
class OutboxSelection:
    """What is to be erased; all fields must fit, None: any.

    `account`: the name of the stored account. `devices`: addresses in capitals. `before`: measured before, or received
    if the device gave no time. `devices_of_account`: addresses of the devices that were installed for the account.
    """

    account: str | None = None
    devices: frozenset[str] | None = None
    before: datetime | None = None
    devices_of_account: frozenset[str] = frozenset()


@dataclass(frozen=True)
class OutboxCounts:
    """How much the outbox has of a selection: measurements, those that not every sink has, and histories of devices.

    `identities`: serial numbers of devices.
    """

    collected: int = 0
    undelivered: int = 0
    visits: int = 0
    identities: int = 0


def known_devices(outbox: Outbox) -> list[tuple[str, str]]:
    """(address, name) of each device."""
    named = {str(row["address"]): str(row["name"]) for row in outbox.rows("SELECT address, name FROM devices")}
    collected = {str(row["device"]): "" for row in outbox.rows("SELECT DISTINCT device FROM items")}
    met = dict.fromkeys(device_identity.known_addresses(outbox), "")
    return sorted({**met, **collected, **named}.items())


def count(outbox: Outbox, wanted: OutboxSelection) -> OutboxCounts:
    """How much there is of it."""
    items = _items(outbox, wanted)
    histories = _histories(outbox, wanted, items)
    identities = _identities(outbox, wanted, items, histories)
    return OutboxCounts(len(items), sum(items.values()), len(histories), len(identities))


def erase(outbox: Outbox, wanted: OutboxSelection) -> OutboxCounts:
    """Remove it, and write the file anew. Raises ERASURE_INCOMPLETE, DATABASE_FAILED."""
    items = _items(outbox, wanted)
    histories = _histories(outbox, wanted, items)
    identities = _identities(outbox, wanted, items, histories)

    def remove(connection: sqlite3.Connection) -> None:
        numbers = [(number,) for number in items]
        connection.executemany("DELETE FROM waiting WHERE number = ?", numbers)
        connection.executemany("DELETE FROM items WHERE number = ?", numbers)
        connection.executemany("DELETE FROM devices WHERE address = ?", [(address,) for address in histories])
        for address in identities:
            device_identity.forget(connection, address)
            earlier_visits.forget(connection, address)

    outbox.write("erase what was collected", remove)
    outbox.rewrite()
    return OutboxCounts(len(items), sum(items.values()), len(histories), len(identities))


def wake_requests(folder: Path, addresses: Collection[str] | None) -> list[Path]:
    """The wake requests for these devices, None: for all. Their names are addresses."""
    names = None if addresses is None else {wake.file_name(address) for address in addresses}
    found: list[Path] = []
    with suppress(OSError):
        found = [file for file in folder.iterdir() if names is None or file.name in names]
    return found


def _items(outbox: Outbox, wanted: OutboxSelection) -> dict[int, bool]:
    """The numbers of the measurements, and whether each is not delivered to all yet."""
    waits = "measurement IS NULL OR number IN (SELECT number FROM waiting)"
    query = f"SELECT number, device, account, measurement, received, {waits} AS waits FROM items"
    return {int(row["number"]): bool(row["waits"]) for row in outbox.rows(query) if _fits(row, wanted)}


def _fits(row: sqlite3.Row, wanted: OutboxSelection) -> bool:
    if wanted.account is not None and row["account"] != wanted.account:
        return False
    if wanted.devices is not None and str(row["device"]).upper() not in wanted.devices:
        return False
    return wanted.before is None or _taken(row) < wanted.before


def _taken(row: sqlite3.Row) -> datetime:
    with suppress(ValueError):
        taken = Measurement.model_validate_json(row["measurement"] or "").taken
        if taken is not None and taken.tzinfo is not None:
            return taken
    received = row["received"]
    return of_timestamp(float(received) if isinstance(received, int | float) else 0.0)


def _histories(outbox: Outbox, wanted: OutboxSelection, items: Collection[int]) -> list[str]:
    """The devices of which nothing stays."""
    left: set[str] = set()
    emptied: set[str] = set()
    for row in outbox.rows("SELECT number, device FROM items"):
        (emptied if row["number"] in items else left).add(str(row["device"]))
    found = []
    for row in outbox.rows("SELECT address, seen, visited FROM devices"):
        address = str(row["address"])
        mine = wanted.account is None or address in emptied or address.upper() in wanted.devices_of_account
        if address in left or not mine or (wanted.devices is not None and address.upper() not in wanted.devices):
            continue
        last = max((float(time) for time in (row["seen"], row["visited"]) if isinstance(time, int | float)), default=0)
        if wanted.before is None or of_timestamp(last) < wanted.before:
            found.append(address)
    return found


def _identities(
    outbox: Outbox, wanted: OutboxSelection, items: Collection[int], histories: Collection[str]
) -> list[str]:
    """The devices of which only the serial number would stay, or of which the history goes. It has no time."""
    rows = outbox.rows("SELECT number, device FROM items")
    emptied = {str(row["device"]).upper() for row in rows if row["number"] in items}
    left = {str(row["device"]).upper() for row in rows if row["number"] not in items}
    visited = {str(row["address"]).upper() for row in outbox.rows("SELECT address FROM devices")}
    going = {address.upper() for address in histories}
    found = []
    for address in device_identity.known_addresses(outbox):
        upper = address.upper()
        mine = wanted.account is None or upper in emptied | going | wanted.devices_of_account
        if not mine or (wanted.devices is not None and upper not in wanted.devices) or upper in left:
            continue
        if upper in going or (upper not in visited and wanted.before is None):
            found.append(address)
    return found
