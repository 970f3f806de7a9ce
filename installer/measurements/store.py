"""The store of measurements: a SQLite file by default, PostgreSQL by URL. No value is stored twice.

    with Store.open(url) as store:
        new = store.put(rows)                    # how many are new
        for row in store.rows(kind="weight"): …

The calls wait for the disk or the network; in an event loop use `asyncio.to_thread(store.put, rows)`. Several threads
can use one store, and several processes can open the same one. Every call can raise DATABASE_FAILED.

An SQLite file may be moved, deleted or restored from a backup while the store is open. Rows are in the file at the path
when `add` returns, and are looked for once more at the next call: between the two, whoever gave them was told that they
are stored. A cursor moves only in the file that the fetch began with, so that a restored one gets all that it lacks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING

from installer.errors import InstallerError
from installer.measurements import stored_zones
from installer.measurements.store_statements import (
    clear_again_from,
    insert_for,
    prepare_engine,
    read_again_from,
    read_cursor,
    row_of,
    set_cursor,
    unreadable_columns,
    upsert,
)
from installer.measurements.stored_value import Row
from installer.storage import database
from installer.storage.damaged_rows import DamagedRows
from installer.storage.followed_database import FollowedDatabase
from installer.text import printable
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


@dataclass(frozen=True)
class CursorStart:
    """Where a fetch begins: the cursor (None: never fetched), and the opening of the store that had it."""

    value: int | None
    opened: int


class Store:
    """An open store. Close it after use. `damaged`: the rows that were met and cannot be read; they are left out."""

    def __init__(self, url: str, setting: str = "the database URL") -> None:
        self.damaged = DamagedRows("the store of measurements")
        self._database = FollowedDatabase(
            lambda: database.open_engine(url, setting), "the store of measurements", prepare_engine, self._carry_over
        )
        # What was added last, until a later call has seen that it is still in the file.
        self._added_last: dict[str, Row] = {}
        self._guard = threading.Lock()

    @classmethod
    def open(cls, url: str, setting: str = "the database URL") -> Store:
        """The store at `url` (see `installer.storage.database.parse_url`), created if needed.

        An older store is brought up to date. Raises DATABASE_FAILED, FILE_UNWRITABLE, STORE_VERSION.
        """
        store = cls(url, setting)
        with database.database_errors("open the store of measurements"):
            store._database.engine()
        return store

    def close(self) -> None:
        """Close the connections. What was added is in the file at the path, if that can be done."""
        with suppress(InstallerError):
            self.follow_file()
        self._database.close()

    @property
    def opened(self) -> int:
        """How often a database was opened at this URL: more than once if the file was replaced."""
        return self._database.opened

    def follow_file(self) -> None:
        """Go on in the file at the path, if it is another one, and see that it has what was added last."""
        with database.database_errors("open the store of measurements"):
            self._database.engine()
        self._write_again_if_missing()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put(self, rows: Iterable[Row]) -> int:
        """Store the rows, all or none; how many are new."""
        return len(self.add(rows).new)

    def add(
        self,
        rows: Iterable[Row],
        cursors: Sequence[tuple[str, str, int]] = (),
        start: CursorStart | None = None,
    ) -> Added:
        """Store rows and cursors (account, service, lastupdate) in one transaction.

        `start`: where the fetch began. A cursor moves only if all that lies before it is in this file.
        """
        # PostgreSQL refuses two rows with the same key in one statement; the newest one is kept.
        distinct: dict[str, Row] = {}
        for row in rows:
            known = distinct.get(row.key)
            if known is None or row.modified >= known.modified:
                distinct[row.key] = row
        self.follow_file()
        with database.database_errors("store measurements"):
            added = self._database.write(lambda connection: self._add(connection, distinct, cursors, start))
        with self._guard:
            self._added_last = distinct
        return added

    def _add(
        self,
        connection: Connection,
        distinct: dict[str, Row],
        cursors: Sequence[tuple[str, str, int]],
        start: CursorStart | None,
    ) -> Added:
        new: list[Row] = []
        changed: list[Row] = []
        placed = 0
        now = datetime.now(UTC)
        remaining = iter(distinct.values())
        while batch := list(islice(remaining, INSERT_BATCH)):
            for key, revision, stored in upsert(connection, batch, now):
                if stored != now:
                    placed += 1
                else:
                    (new if revision == 1 else changed).append(distinct[key])
        for account, service, lastupdate in cursors:
            if start is None or self._is_from(connection, start, account, service):
                set_cursor(connection, account, service, lastupdate)
        return Added(tuple(new), tuple(changed), placed)

    def place_known_zones(self) -> int:
        """Move rows to the person's own days whose time zone was not known, and is now; how many rows."""
        known = [zone for zone in self.unknown_zones() if known_zone(zone) is not None]
        if not known:
            return 0

        def move(connection: Connection) -> int:
            return sum(stored_zones.move_rows(connection, zone) for zone in known)

        with database.database_errors("store measurements"):
            return self._database.write(move)

    def unknown_zones(self) -> list[str]:
        """The names of the time zones of rows that could not be put on the person's day; empty: the cloud gave none."""
        with database.database_errors("read the measurements"), self._database.reading() as connection:
            return stored_zones.unknown_zones(connection)

    def _is_from(self, connection: Connection, start: CursorStart, account: str, service: str) -> bool:
        """Whether a fetch that began at `start` leaves no gap in this file."""
        found = read_cursor(connection, account, service)
        return start.opened == self.opened and (start.value is None or (found is not None and found >= start.value))

    def _write_again_if_missing(self) -> None:
        """Write what was added last once more, if somebody has overwritten the file with another content."""
        from sqlalchemy import select

        from installer.measurements.store_tables import measurements as t

        with self._guard:
            last, self._added_last = self._added_last, {}
        if not last:
            return
        try:
            with database.database_errors("read the measurements"), self._database.reading() as connection:
                key = next(reversed(last))
                if connection.execute(select(t.c.key).where(t.c.key == key)).first() is not None:
                    return
            with database.database_errors("store measurements"):
                self._database.write(lambda connection: self._add(connection, last, (), None))
            self._database.report_overwritten(f"Values written into it again: {len(last)}.")
        except InstallerError:
            with self._guard:
                self._added_last = last | self._added_last
            raise

    def _carry_over(self, _old: Connection, new: Engine) -> str:
        with self._guard:
            last = dict(self._added_last)
        with new.begin() as connection:
            self._add(connection, last, (), None)
        return ""

    def name_devices(self, devices: Iterable[Device]) -> None:
        """Store the names of devices; an empty field keeps the stored value."""
        from installer.measurements.store_tables import devices as table

        named = list(devices)

        def write(connection: Connection) -> None:
            insert = insert_for(connection)
            for device in named:
                values = {**device.__dict__}
                statement = insert(table).values(values)
                fresh = {name: getattr(statement.excluded, name) for name, value in values.items() if value}
                connection.execute(statement.on_conflict_do_update(index_elements=["device"], set_=fresh))

        with database.database_errors("store the names of devices"):
            self._database.write(write)

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
            with database.database_errors("read the measurements"), self._database.reading() as connection:
                statement = select(t).where(*where, *after).order_by(*order).limit(READ_PAGE)
                page = connection.execute(statement).mappings().all()
            yield from self._readable(page)
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
        with database.database_errors("read the measurements"), self._database.reading() as connection:
            return list(self._readable(connection.execute(statement).mappings()))

    def count(self) -> int:
        """The number of rows."""
        from sqlalchemy import func, select

        from installer.measurements.store_tables import measurements as t

        with database.database_errors("count the measurements"), self._database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(t)).scalar_one())

    def devices(self) -> dict[str, Device]:
        """The known devices by id."""
        from sqlalchemy import select

        from installer.measurements.store_tables import devices as table

        with database.database_errors("read the names of devices"), self._database.reading() as connection:
            found = [dict(row) for row in connection.execute(select(table)).mappings()]
        for row in found:
            if not all(isinstance(value, str) for value in row.values()):
                self.damaged.add(f"device {printable(str(row['device']), 64)}", "its names")
        return {d["device"]: Device(**d) for d in found if all(isinstance(value, str) for value in d.values())}

    def cursor(self, account: str, service: str) -> int | None:
        """The cursor of this service of this account; None: never fetched."""
        return self.cursor_start(account, service).value

    def cursor_start(self, account: str, service: str) -> CursorStart:
        """The cursor, from which a fetch begins, and of which opening of the store it is."""
        self.follow_file()
        with database.database_errors("read the store"), self._database.reading() as connection:
            return CursorStart(read_cursor(connection, account, service), self.opened)

    def again_from(self, account: str, service: str) -> datetime | None:
        """From when on this service of this account has to be fetched once more, for the zones; None: not at all."""
        with database.database_errors("read the store"), self._database.reading() as connection:
            return read_again_from(connection, account, service)

    def fetched_again(self, account: str, service: str) -> None:
        """All of it was fetched once more."""
        with database.database_errors("store measurements"):
            self._database.write(lambda connection: clear_again_from(connection, account, service))

    def _readable(self, found: Iterable[RowMapping]) -> Iterator[Row]:
        """The rows that can be read; the others are noted in `damaged`."""
        for row in found:
            wrong = unreadable_columns(row)
            if wrong:
                self.damaged.add(f"measurement {row['number']}", ", ".join(wrong))
            else:
                yield row_of(row)
