"""The store of measurements: a SQLite file by default, PostgreSQL by URL. No value is stored twice.

    with Store.open(url) as store:
        new = store.put(rows)                    # how many are new
        for row in store.rows(kind="weight"): …

The calls wait for the disk or the network; in an event loop use `asyncio.to_thread(store.put, rows)`. Several threads
can use one store, and several processes can open the same one. Every call can raise DATABASE_FAILED.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from installer.errors import InstallerError
from installer.measurements import store_schema, stored_zones
from installer.measurements.own_day import DAY_PERIOD
from installer.measurements.stored_value import Row
from installer.storage import database
from installer.timing.zones import known_zone

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, RowMapping

# How many rows one statement writes or reads.
INSERT_BATCH = 1000
READ_PAGE = 1000


@dataclass(frozen=True)
class Added:
    """The result of adding rows: the new ones and those that changed. The others were stored already.

    `placed`: how many only got their time zone and day.
    """

    new: tuple[Row, ...] = ()
    changed: tuple[Row, ...] = ()
    placed: int = 0


@dataclass(frozen=True)
class Device:
    """The names of a device. `device`: as in the rows; `address`: its Bluetooth address, if known."""

    device: str
    name: str = ""
    model: str = ""
    address: str = ""
    account: str = ""


class Store:
    """An open store. Close it after use."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Reads do not wait for a fetch that writes.
        self._reading = engine.execution_options(reads_only=True)

    @classmethod
    def open(cls, url: str, setting: str = "the database URL") -> Store:
        """The store at `url` (see `installer.storage.database.parse_url`), created if needed.

        An older store is brought up to date. Raises DATABASE_FAILED, FILE_UNWRITABLE, STORE_VERSION.
        """
        engine = database.open_engine(url, setting)
        store = cls(engine)
        try:
            with database.database_errors("open the store of measurements"):
                with store._reading.connect() as connection:
                    ready = store_schema.is_ready(connection)
                if not ready:
                    with engine.begin() as connection:
                        store_schema.prepare(connection)
        except InstallerError:
            engine.dispose()
            raise
        return store

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put(self, rows: Iterable[Row]) -> int:
        """Store the rows, all or none; how many are new."""
        return len(self.add(rows).new)

    def add(self, rows: Iterable[Row], cursors: Sequence[tuple[str, str, int]] = ()) -> Added:
        """Store rows and cursors (account, service, lastupdate) in one transaction."""
        new: list[Row] = []
        changed: list[Row] = []
        # PostgreSQL refuses two rows with the same key in one statement; the newest one is kept.
        distinct: dict[str, Row] = {}
        placed = 0
        for row in rows:
            known = distinct.get(row.key)
            if known is None or row.modified >= known.modified:
                distinct[row.key] = row
        now = datetime.now(UTC)
        with database.database_errors("store measurements"), self._engine.begin() as connection:
            remaining = iter(distinct.values())
            while batch := list(islice(remaining, INSERT_BATCH)):
                for key, revision, stored in _upsert(connection, batch, now):
                    if stored != now:
                        placed += 1
                    else:
                        (new if revision == 1 else changed).append(distinct[key])
            for account, service, lastupdate in cursors:
                _set_cursor(connection, account, service, lastupdate)
        return Added(tuple(new), tuple(changed), placed)

    def place_known_zones(self) -> int:
        """Move rows to the person's own days whose time zone was not known, and is now; how many rows."""
        with database.database_errors("read the measurements"), self._reading.connect() as connection:
            known = [zone for zone in stored_zones.unknown_zones(connection) if known_zone(zone) is not None]
        if not known:
            return 0
        with database.database_errors("store measurements"), self._engine.begin() as connection:
            return sum(stored_zones.move_rows(connection, zone) for zone in known)

    def unknown_zones(self) -> list[str]:
        """The names of the time zones of rows that could not be put on the person's day; empty: the cloud gave none."""
        with database.database_errors("read the measurements"), self._reading.connect() as connection:
            return stored_zones.unknown_zones(connection)

    def name_devices(self, devices: Iterable[Device]) -> None:
        """Store the names of devices; an empty field keeps the stored value."""
        from installer.measurements.store_tables import devices as table

        with database.database_errors("store the names of devices"), self._engine.begin() as connection:
            insert = _insert(connection)
            for device in devices:
                values = {**device.__dict__}
                statement = insert(table).values(values)
                fresh = {name: getattr(statement.excluded, name) for name, value in values.items() if value}
                connection.execute(statement.on_conflict_do_update(index_elements=["device"], set_=fresh))

    def rows(
        self,
        *,
        device: str | None = None,
        kind: str | None = None,
        account: str | None = None,
        source: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        first_day: date | None = None,
        last_day: date | None = None,
    ) -> Iterator[Row]:
        """The matching rows in order of time; read page by page, so that any number fits into memory.

        `first_day`, `last_day`: of the person's own days. `since` and `until` then count for rows without a day only.
        """
        from sqlalchemy import and_, or_, select

        from installer.measurements.store_tables import measurements as t

        wanted = {"device": device, "kind": kind, "account": account, "source": source}
        where = [t.c[name] == value for name, value in wanted.items() if value is not None]
        where += stored_zones.time_range(since, until, first_day, last_day)
        order = (t.c.taken, t.c.number)
        last: tuple[datetime, int] | None = None
        while True:
            after = [] if last is None else [or_(t.c.taken > last[0], and_(t.c.taken == last[0], t.c.number > last[1]))]
            with database.database_errors("read the measurements"), self._reading.connect() as connection:
                statement = select(t).where(*where, *after).order_by(*order).limit(READ_PAGE)
                page = connection.execute(statement).mappings().all()
            for found in page:
                yield _row(found)
            if len(page) < READ_PAGE:
                return
            last = (page[-1]["taken"], page[-1]["number"])

    def latest(self, each: int = 1, account: str | None = None) -> list[Row]:
        """The last `each` rows of every device, kind and user, newest first."""
        from sqlalchemy import func, select

        from installer.measurements.store_tables import measurements as t

        rank = func.row_number().over(
            partition_by=(t.c.source, t.c.device, t.c.kind, t.c.user_id), order_by=(t.c.taken.desc(), t.c.number.desc())
        )
        where = [t.c.account == account] if account is not None else []
        ranked = select(t, rank.label("rank")).where(*where).subquery()
        statement = select(ranked).where(ranked.c.rank <= each).order_by(ranked.c.taken.desc(), ranked.c.number.desc())
        with database.database_errors("read the measurements"), self._reading.connect() as connection:
            return [_row(found) for found in connection.execute(statement).mappings()]

    def count(self) -> int:
        """The number of rows."""
        from sqlalchemy import func, select

        from installer.measurements.store_tables import measurements as t

        with database.database_errors("count the measurements"), self._reading.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(t)).scalar_one())

    def devices(self) -> dict[str, Device]:
        """The known devices by id."""
        from sqlalchemy import select

        from installer.measurements.store_tables import devices as table

        with database.database_errors("read the names of devices"), self._reading.connect() as connection:
            found = connection.execute(select(table)).mappings()
            return {d["device"]: Device(**d) for d in found}

    def cursor(self, account: str, service: str) -> int | None:
        """The cursor of this service of this account; None: never fetched."""
        from sqlalchemy import select

        from installer.measurements.store_tables import cursors as table

        where = (table.c.account == account, table.c.service == service)
        with database.database_errors("read the store"), self._reading.connect() as connection:
            value = connection.execute(select(table.c.lastupdate).where(*where)).scalar_one_or_none()
            return None if value is None else int(value)

    def again_from(self, account: str, service: str) -> datetime | None:
        """From when on this service of this account has to be fetched once more, for the zones; None: not at all."""
        from sqlalchemy import select

        from installer.measurements.store_tables import cursors as table

        where = (table.c.account == account, table.c.service == service)
        with database.database_errors("read the store"), self._reading.connect() as connection:
            return connection.execute(select(table.c.again_from).where(*where)).scalar_one_or_none()

    def fetched_again(self, account: str, service: str) -> None:
        """All of it was fetched once more."""
        from sqlalchemy import update

        from installer.measurements.store_tables import cursors as table

        where = (table.c.account == account, table.c.service == service)
        with database.database_errors("store measurements"), self._engine.begin() as connection:
            connection.execute(update(table).where(*where).values(again_from=None))


def _insert(connection: Connection) -> Any:
    """The INSERT of this database that supports ON CONFLICT."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert
    from sqlalchemy.dialects import sqlite

    return sqlite.insert


def _upsert(connection: Connection, rows: Sequence[Row], now: datetime) -> list[tuple[str, int, datetime]]:
    """Insert, or replace older values; the key, revision (1: new) and time of storing of each written row.

    A row that only gets its time zone and day keeps its revision and its time of storing.
    """
    from sqlalchemy import case

    from installer.measurements.store_tables import measurements as t

    values = [{**_values(row), "revision": 1, "stored": now} for row in rows]
    statement = _insert(connection)(t)
    fresh = statement.excluded
    newer = (t.c.period != "") & (fresh.modified > t.c.modified)
    zone_learned = t.c.zone.is_(None) | (t.c.zone_known.is_(False) & fresh.zone_known.is_(True))
    # A newer database of time zones can have other rules.
    hours_differ = (t.c.taken != fresh.taken) | (t.c.ended != fresh.ended)
    rules_changed = t.c.period.startswith(DAY_PERIOD) & fresh.zone_known & (t.c.zone == fresh.zone) & hours_differ
    placed = (fresh.modified >= t.c.modified) & (zone_learned | rules_changed)
    statement = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={
            **{name: case((newer, fresh[name]), else_=t.c[name]) for name in _REPLACED_COLUMNS},
            **{name: fresh[name] for name in _PLACE_COLUMNS},
            "revision": case((newer, t.c.revision + 1), else_=t.c.revision),
        },
        where=newer | placed,
    ).returning(t.c.key, t.c.revision, t.c.stored)
    return [(key, revision, stored) for key, revision, stored in connection.execute(statement, values)]


def _set_cursor(connection: Connection, account: str, service: str, lastupdate: int) -> None:
    from installer.measurements.store_tables import cursors as table

    statement = _insert(connection)(table).values(account=account, service=service, lastupdate=lastupdate)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["account", "service"],
            set_={"lastupdate": statement.excluded.lastupdate},
            where=statement.excluded.lastupdate > table.c.lastupdate,
        )
    )


# Columns are named as the fields, except for two words that SQL reserves.
_FIELDS = {
    **{
        name: name
        for name in (
            "source", "account", "device", "model", "kind", "value", "unit", "measured", "measured_unit",
            "taken", "ended", "origin", "period", "modified", "day", "zone", "zone_known",
        )
    },
    "user_id": "user",
    "group_id": "group",
}  # fmt: skip
# The columns that newer values replace, and those that also a zone replaces that was not known before.
_REPLACED_COLUMNS = ("value", "measured", "modified", "group_id", "stored")
_PLACE_COLUMNS = ("taken", "ended", "day", "zone", "zone_known")


def _values(row: Row) -> dict[str, Any]:
    return {"key": row.key, **{column: _storable(getattr(row, name)) for column, name in _FIELDS.items()}}


def _storable(value: Any) -> Any:
    # PostgreSQL refuses NUL, and both databases refuse a lone surrogate.
    if not isinstance(value, str) or (value.isascii() and "\0" not in value):
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _row(found: RowMapping) -> Row:
    return Row(**{name: found[column] for column, name in _FIELDS.items()})
