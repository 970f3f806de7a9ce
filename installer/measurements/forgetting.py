"""Erases measurements from the store: of an account, of devices, older than a time, or all. SQL in one transaction.

What the cloud still has must not come back with the next fetch. So the cursor of a user who is signed in stays, and a
second row beside it says from which change on a fetch may begin (`first_change`). A fetch that runs meanwhile must not
write back what it has read: each erasure is counted, and a page that was read before it is not stored.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from installer.measurements.stored_value import CLOUD

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

TABLES = ("measurements", "devices", "cursors")
# Rows of the table of cursors that are none: the count of erasures; by service the first change to fetch; and the
# account's name of a user of whom only the cursors are left.
_ERASURES = ("", "erasures")
_FIRST_CHANGE = " from change"
_NAME = "name "


@dataclass(frozen=True)
class Selection:
    """What is to be erased; all fields must fit. None: any.

    `account`: its name here. `users`: the cloud's ids of its user, under whatever name the values are stored.
    `devices`: ids and addresses. `before`: measured before.
    """

    account: str | None = None
    users: frozenset[str] = frozenset()
    devices: frozenset[str] | None = None
    before: datetime | None = None

    @property
    def whole_users(self) -> bool:
        """Whether nothing of the selected users stays."""
        return self.devices is None and self.before is None


@dataclass(frozen=True)
class StoredCounts:
    """How much the store has of a selection.

    `marks`: users of whom is noted how far their data was fetched, and need not be. `first`, `last`: when it was
    measured.
    """

    measurements: int = 0
    devices: int = 0
    marks: int = 0
    first: datetime | None = None
    last: datetime | None = None


def users_of(connection: Connection, account: str) -> frozenset[str]:
    """The cloud's users whose values are stored under this name, or were."""
    from sqlalchemy import select

    from installer.measurements.store_tables import measurements as t

    query = select(t.c.user_id).distinct().where(t.c.account == account, t.c.source == CLOUD, t.c.user_id != "")
    table = _cursors()
    named = connection.execute(select(table.c.account).where(table.c.service == _NAME + account)).scalars()
    return frozenset(str(user) for user in connection.execute(query).scalars()) | {_user(str(name)) for name in named}


def known_devices(connection: Connection) -> list[tuple[str, str, str]]:
    """(id or address, address, name) of each device of the store."""
    from sqlalchemy import select

    from installer.measurements.store_tables import devices, measurements

    named = connection.execute(select(devices.c.device, devices.c.address, devices.c.name)).all()
    measured = connection.execute(select(measurements.c.device).distinct()).scalars()
    return [(str(d), str(a), str(n)) for d, a, n in named] + [(str(d), "", "") for d in measured if d]


def known_accounts(connection: Connection) -> list[str]:
    """The names of the accounts in the store."""
    from sqlalchemy import select

    from installer.measurements.store_tables import measurements as t

    return sorted({str(name) for name in connection.execute(select(t.c.account).distinct()).scalars() if name})


def count(connection: Connection, wanted: Selection, signed_in: Collection[str]) -> StoredCounts:
    """How much there is of it. `signed_in`: as for `erase`."""
    from sqlalchemy import func, select

    from installer.measurements.store_tables import measurements as t

    query = select(func.count(), func.count(t.c.device.distinct()), func.min(t.c.taken), func.max(t.c.taken))
    number, devices, first, last = connection.execute(query.where(*_rows(wanted))).one()
    names = connection.execute(select(_cursors().c.account).distinct()).scalars()
    marks = sum(1 for name in names if _is_to_go(wanted, str(name), signed_in))
    times = [time if isinstance(time, datetime) else None for time in (first, last)]
    return StoredCounts(int(number), int(devices), marks, *times)


def erase(connection: Connection, wanted: Selection, signed_in: Collection[str]) -> StoredCounts:
    """Remove it. `signed_in`: the users whose cursors stay, so that a fetch does not bring all of it back."""
    from sqlalchemy import delete, select

    from installer.measurements.store_tables import devices as names
    from installer.measurements.store_tables import measurements as t

    found = count(connection, wanted, signed_in)
    rows = _rows(wanted)
    affected = select(t.c.user_id).distinct().where(*rows, t.c.source == CLOUD)
    users = frozenset(str(user) for user in connection.execute(affected).scalars())
    gone = set(connection.execute(select(t.c.device).distinct().where(*rows)).scalars())
    connection.execute(delete(t).where(*rows))
    _keep_from_coming_back(connection, wanted, users, signed_in)
    for device, address, account in connection.execute(select(names.c.device, names.c.address, names.c.account)).all():
        if wanted.before is not None and device not in gone:
            continue
        if wanted.account is not None and account != wanted.account and device not in gone:
            continue
        if wanted.devices is not None and not {str(device).lower(), str(address).lower()} & _lower(wanted.devices):
            continue
        left = connection.execute(select(t.c.number).where(t.c.device == device).limit(1)).first()
        if left is None:
            connection.execute(delete(names).where(names.c.device == device))
    _count_erasure(connection)
    return found


def erasures(connection: Connection) -> int:
    """How often something was erased from this store."""
    return _read(connection, *_ERASURES) or 0


def first_change(connection: Connection, account: str, service: str) -> int:
    """Changes before this one (unix seconds of the cloud) are not fetched again: they were erased. 0: none was."""
    return _read(connection, account, service + _FIRST_CHANGE) or 0


def _keep_from_coming_back(
    connection: Connection, wanted: Selection, users: Collection[str], signed_in: Collection[str]
) -> None:
    from sqlalchemy import delete, select, update

    from installer.measurements.store_statements import set_cursor

    table = _cursors()
    for account, service, value, again in connection.execute(select(table)).all():
        mine = (table.c.account == account, table.c.service == service)
        if _is_to_go(wanted, account, signed_in):
            connection.execute(delete(table).where(table.c.account == account))
        elif service.endswith(_FIRST_CHANGE) or service.startswith(_NAME):
            continue
        elif _user(account) in users or (wanted.account is not None and _is_of(wanted, account)):
            set_cursor(connection, account, service + _FIRST_CHANGE, int(value) + 1)
            if wanted.account is not None:
                set_cursor(connection, account, _NAME + wanted.account, 0)
            if again is not None and wanted.devices is None:
                # What an earlier version stored without its time zone: only what stays is fetched once more.
                connection.execute(update(table).where(*mine).values(again_from=wanted.before))


def _count_erasure(connection: Connection) -> None:
    from installer.measurements.store_statements import set_cursor

    set_cursor(connection, *_ERASURES, erasures(connection) + 1)


def _rows(wanted: Selection) -> list[ColumnElement[bool]]:
    from sqlalchemy import and_, func, or_

    from installer.measurements.store_tables import measurements as t

    found: list[ColumnElement[bool]] = []
    if wanted.account is not None:
        # The same person can have been signed in under another name.
        same_user = and_(t.c.source == CLOUD, t.c.user_id.in_(sorted(wanted.users)))
        found.append(or_(t.c.account == wanted.account, same_user))
    if wanted.devices is not None:
        found.append(func.lower(t.c.device).in_(sorted(_lower(wanted.devices))))
    if wanted.before is not None:
        found.append(func.coalesce(t.c.ended, t.c.taken, type_=t.c.taken.type) < wanted.before)
    return found


def _is_to_go(wanted: Selection, cursor_account: str, signed_in: Collection[str]) -> bool:
    """Whether this user's cursors need not stay: nothing of the user stays, and nothing can be fetched."""
    return wanted.whole_users and _is_of(wanted, cursor_account) and _user(cursor_account) not in signed_in


def _is_of(wanted: Selection, cursor_account: str) -> bool:
    """Whether this cursor is of a selected user. Its name is the cloud's host and the user (`cursor_key`)."""
    if not cursor_account:
        return False
    return wanted.account is None or _user(cursor_account) in (*wanted.users, wanted.account)


def _user(cursor_account: str) -> str:
    return cursor_account.partition(" ")[2]


def _lower(values: Collection[str]) -> set[str]:
    return {value.lower() for value in values}


def _cursors() -> Any:
    from installer.measurements.store_tables import cursors

    return cursors


def _read(connection: Connection, account: str, service: str) -> int | None:
    from installer.measurements.store_statements import read_cursor

    return read_cursor(connection, account, service)
