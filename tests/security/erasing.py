"""A computer with the health data of two persons, and what is in the raw bytes of its files."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from installer import settings
from installer.cloud.account_file import Application, file_name
from installer.gateway.files_and_lock import GatewayFiles
from installer.gateway.outbox import Item, Outbox, key_of
from installer.ledger.records import Context, Records
from installer.measurement import Measurement, Quantity, Reading
from installer.measurements.store import Device, Store
from installer.measurements.stored_value import Row, row
from installer.notifications.inbox import Inbox, inbox_path
from installer.notifications.notification import Notification
from installer.settings import CloudSettings
from installer.storage import database

NOW = datetime.now(UTC).replace(microsecond=0)
YEAR_AGO = NOW - timedelta(days=365)


class Person:
    """One person: the account's name, the cloud's user, a scale by Wi-Fi, and a monitor by Bluetooth."""

    def __init__(self, account: str, user: str, scale: str, monitor: str, weight: str) -> None:
        self.account, self.user, self.scale, self.monitor, self.weight = account, user, scale, monitor, weight

    @property
    def traces(self) -> list[bytes]:
        """Texts that nobody else's data has."""
        return [text.encode() for text in (self.account, self.user, self.scale, self.monitor, self.weight)]

    def rows(self) -> list[Row]:
        """A new and an old weight from the cloud, and a pulse over Bluetooth."""
        cloud: dict[str, Any] = {"source": "cloud", "user": self.user, "account": self.account, "device": self.scale}
        return [
            row(kind="weight", measured=Decimal(self.weight), unit="kg", taken=NOW, **cloud),
            row(kind="weight", measured=Decimal(self.weight), unit="kg", taken=YEAR_AGO, **cloud),
            row(
                source="bluetooth", device=self.monitor, account=self.account, kind="heart rate", taken=NOW,
                measured=Decimal("61"), unit="1/min", user="1",
            ),
        ]  # fmt: skip


ANNA = Person("anna-lee", "4455667788", "c0ffee11aa22bb33", "F0:12:34:56:78:9A", "71.357")
BEN = Person("ben-ode", "9900112233", "deadbeef44556677", "F0:AA:BB:CC:DD:EE", "88.642")


def fill_store(url: str) -> None:
    """The store of both persons, with cursors and names."""
    with Store.open(url) as store:
        for person in (ANNA, BEN):
            key = f"wbsapi.withings.net {person.user}"
            store.add(person.rows(), [(key, "measures", 1_700_000_000)])
            store.name_devices([Device(person.scale, "Body+", "body-plus", "", person.account)])


def collect(person: Person, *, waits: bool, count: int = 2) -> None:
    """What the gateway has collected from this person's monitor."""
    with Outbox.open(GatewayFiles.in_data_dir(lab=False).outbox) as box:
        box.write(
            "record a device",
            lambda c: c.execute(
                "INSERT OR IGNORE INTO devices (address, model, name, seen) VALUES (?, 'bpm', 'BPM', 1)",
                (person.monitor,),
            ),
        )
        for number in range(count):
            raw = person.weight.encode() + bytes([number])
            measured = Measurement(
                readings=(Reading(quantity=Quantity.WEIGHT, value=Decimal(person.weight), unit="kg"),), taken=NOW
            )
            item = Item(
                key=key_of(person.monitor, "weight", raw), device=person.monitor, profile="weight", raw=raw,
                account=person.account, received=NOW.timestamp(), measurement=measured.model_dump_json(),
            )  # fmt: skip
            box.append(item, ["store"])
            if not waits:
                box.mark_delivered("store", [item.key], NOW.timestamp())


def notify(person: Person) -> None:
    """A notification of this person's data waits."""
    inbox = Inbox(inbox_path(settings.data_dir(), lab=False))
    inbox.put(Notification(person.user, 1), NOW.timestamp())
    inbox.close()


def sign_in(person: Person) -> Path:
    """The account's file, as signing in leaves it."""
    folder = settings.data_dir() / "accounts"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    application = Application.of(CloudSettings())
    file = folder / file_name(application, person.account)
    tokens = {"access_token": "a", "refresh_token": "r", "issued": 0, "expires": 1, "userid": person.user}
    about = {"cloud": application.cloud, "client_id": application.client_id, "kept": "file", "tokens": tokens}
    file.write_text(json.dumps({"name": person.account, "userid": person.user, **about}), "utf-8")
    file.chmod(0o600)
    return file


def record(records: Records, installation: str, person: Person, **context: Any) -> None:
    """The record of the installation of this person's monitor."""

    async def write() -> None:
        begun = records.begin(installation, "1.0", Context(station="north", **context))
        await begun.set_device(person.monitor, name="BPM", model="bpm", certainty="certain", reasons=["its name"])
        await begun.step_done("find", 1.0, {"address": person.monitor, "name": "BPM", "model": "bpm"})
        await begun.step_done("sync", 0.1, {"method": "bluetooth"})
        await begun.step_done("link", 1.0, {"account": person.account, "device_id": person.scale})
        await begun.end("installed")

    asyncio.run(write())


def default_store() -> str:
    """The URL of the store in the data folder."""
    return database.sqlite_url(settings.data_dir() / "measurements.sqlite")


def fill_computer() -> None:
    """The store, the outbox and the inbox of both persons."""
    fill_store(default_store())
    for person in (ANNA, BEN):
        collect(person, waits=False)
        notify(person)


def as_a_killed_older_version_left_it() -> None:
    """Databases with their newest data in a log (WAL) that nobody has closed, and with deleted rows left readable."""
    for file in settings.data_dir().glob("*.sqlite"):
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("PRAGMA secure_delete = OFF")
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        connection.execute("CREATE TABLE copies (text)")
        for table in tables:
            for values in connection.execute(f"SELECT * FROM {table}").fetchall():
                connection.execute("INSERT INTO copies VALUES (?)", (" ".join(map(str, values)),))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("DELETE FROM copies")
        connection.execute("DROP TABLE copies")
        logged = {path: path.read_bytes() for path in (file, file.with_name(f"{file.name}-wal"))}
        connection.close()
        for path, content in logged.items():
            path.write_bytes(content)


def traces_of(person: Person, folder: Path) -> set[tuple[str, bytes]]:
    """(file, trace) for every trace of the person in names and raw bytes of the files in this folder."""
    found = set()
    for file in (f for f in folder.rglob("*") if f.is_file()):
        content = file.read_bytes() + file.name.replace("-", ":").encode()
        found |= {(file.name, trace) for trace in person.traces if trace in content}
    return found
