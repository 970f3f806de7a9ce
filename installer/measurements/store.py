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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from pydantic import SecretStr

from installer.errors import InstallerError
from installer.measurements import forgetting, stored_zones
from installer.measurements.store_results import Added, CursorStart, Device
from installer.measurements.store_statements import (
    clear_again_from,
    is_text,
    prepare_engine,
    read_again_from,
    read_cursor,
    row_of,
    set_cursor,
    unreadable_columns,
    upsert,
    upsert_devices,
)
from installer.measurements.stored_value import Row
from installer.storage import database
from installer.storage.damaged_rows import DamagedRows
from installer.storage.erasing import rewrite
from installer.storage.followed_database import FollowedDatabase
from installer.text import printable
from installer.timing.zones import known_zone

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, RowMapping

__all__ = ["Added", "CursorStart", "Device", "Store"]

T = TypeVar("T")
FetchPassword = Callable[[], SecretStr | None]
# How many rows one statement writes or reads.
INSERT_BATCH = 1000
READ_PAGE = 1000


class Store:
    """An open store. Close it after use. `damaged`: the rows that were met and cannot be read; they are left out."""

    def __init__(self, url: str, setting: str = "the database URL", password: FetchPassword | None = None) -> None:
        self.damaged = DamagedRows("the store of measurements")
        self._database = FollowedDatabase(
            lambda: database.open_engine(url, setting, password, private=True),
            "the store of measurements",
            prepare_engine,
            self._carry_over,
        )
        # What was added last, until a later call has seen that it is still in the file.
        self._added_last: dict[str, Row] = {}
        self._erasures = 0  # how often something had been erased then
        self._guard = threading.Lock()

    @classmethod
    def open(cls, url: str, setting: str = "the database URL", password: FetchPassword | None = None) -> Store:
        """The store at `url` (see `database.open_engine`), created if needed; an older one is brought up to date.

        Raises DATABASE_FAILED, FILE_UNWRITABLE, SECRET_UNAVAILABLE, STORE_VERSION.
        """
        store = cls(url, setting, password)
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
            self._added_last = {} if added is None else distinct
        return added or Added()

    def _add(
        self,
        connection: Connection,
        distinct: dict[str, Row],
        cursors: Sequence[tuple[str, str, int]],
        start: CursorStart | None,
    ) -> Added | None:
        """None: something was erased since `start`. The rows may be of it; the next fetch gets what was not."""
        new: list[Row] = []
        changed: list[Row] = []
        placed = 0
        now = datetime.now(UTC)
        self._erasures = forgetting.erasures(connection)
        if start is not None and start.opened == self.opened and start.erasures != self._erasures:
            return None
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

        return self.change("store measurements", move)

    def unknown_zones(self) -> list[str]:
        """The names of the time zones of rows that could not be put on the person's day; empty: the cloud gave none."""
        return self.look("read the measurements", stored_zones.unknown_zones)

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
                if forgetting.erasures(connection) > self._erasures:
                    return  # somebody erased it
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
        named = [device.__dict__ for device in devices]
        self.change("store the names of devices", lambda connection: upsert_devices(connection, named))

    def look(self, task: str, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads. `task` completes “could not …”."""
        with database.database_errors(task), self._database.reading() as connection:
            return work(connection)

    def change(self, task: str, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction."""
        with database.database_errors(task):
            return self._database.write(work)

    def rewrite(self) -> None:
        """Write the database anew, so that nothing of removed rows is in its files. Raises ERASURE_INCOMPLETE."""
        rewrite(self._database.engine(), "the store of measurements", forgetting.TABLES)

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

        query = select(func.count()).select_from(t)
        return self.look("count the measurements", lambda connection: int(connection.execute(query).scalar_one()))

    def devices(self) -> dict[str, Device]:
        """The known devices by id."""
        from sqlalchemy import select

        from installer.measurements.store_tables import devices as table

        with database.database_errors("read the names of devices"), self._database.reading() as connection:
            found = [dict(row) for row in connection.execute(select(table)).mappings()]
        for row in found:
            if not all(is_text(value) for value in row.values()):
                self.damaged.add(f"device {printable(str(row['device']), 64)}", "its names")
        return {d["device"]: Device(**d) for d in found if all(is_text(value) for value in d.values())}

    def cursor(self, account: str, service: str) -> int | None:
        """The cursor of this service of this account; None: never fetched."""
        return self.cursor_start(account, service).value

    def cursor_start(self, account: str, service: str) -> CursorStart:
        """The cursor, from which a fetch begins, and of which opening of the store it is."""
        self.follow_file()
        with database.database_errors("read the store"), self._database.reading() as connection:
            return CursorStart(
                read_cursor(connection, account, service),
                self.opened,
                forgetting.first_change(connection, account, service),
                forgetting.erasures(connection),
            )

    def again_from(self, account: str, service: str) -> datetime | None:
        """From when on this service of this account has to be fetched once more, for the zones; None: not at all."""
        return self.look("read the store", lambda connection: read_again_from(connection, account, service))

    def fetched_again(self, account: str, service: str) -> None:
        """All of it was fetched once more."""
        self.change("store measurements", lambda connection: clear_again_from(connection, account, service))

    def _readable(self, found: Iterable[RowMapping]) -> Iterator[Row]:
        """The rows that can be read; the others are noted in `damaged`."""
        for row in found:
            wrong = unreadable_columns(row)
            if wrong:
                self.damaged.add(f"measurement {row['number']}", ", ".join(wrong))
            else:
                yield row_of(row)
