"""Stored rows and time zones: zones that were not known, moving rows when they are, selecting rows by the own day."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from installer.measurements import own_day
from installer.storage.damaged_rows import Unreadable
from installer.timing.zones import known_zone

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

# How many rows one statement moves.
BATCH = 1000
# Zones are up to 26 hours apart, and a night begins before the day that it belongs to.
ZONES_APART = timedelta(hours=27)
LONGEST_NIGHT = ZONES_APART + timedelta(days=7)


def unknown_zones(connection: Connection) -> list[str]:
    """The names of zones that rows have and that were not known when they were stored; empty: the cloud gave none."""
    from sqlalchemy import select

    from installer.measurements.store_tables import measurements as t

    statement = select(t.c.zone).where(t.c.zone_known.is_(False), t.c.zone.is_not(None)).distinct().order_by(t.c.zone)
    return [name for name in connection.execute(statement).scalars() if isinstance(name, str)]


def move_rows(connection: Connection, zone: str) -> int:
    """Move all rows of a zone that is known now to the person's own days; how many there were."""
    from sqlalchemy import bindparam, select, update

    from installer.measurements.store_tables import measurements as t

    if known_zone(zone) is None:
        return 0
    columns = (t.c.number, t.c.period, t.c.taken, t.c.ended, t.c.day)
    page = select(*columns).where(t.c.zone_known.is_(False), t.c.zone == zone, t.c.number > bindparam("after"))
    page = page.order_by(t.c.number).limit(BATCH)
    written = {"taken": t.c.taken, "ended": t.c.ended, "day": t.c.day}
    move = update(t).where(t.c.number == bindparam("at"))
    move = move.values({name: bindparam(f"new_{name}", type_=column.type) for name, column in written.items()})
    count = after = 0
    while found := connection.execute(page, {"after": after}).mappings().all():
        changes = []
        after = found[-1]["number"]
        for row in found:
            if not isinstance(row["taken"], datetime) or isinstance(row["ended"], Unreadable):
                continue  # a damaged row; reading it names it
            place = own_day.moved(row["period"], row["taken"], row["ended"], row["day"], zone)
            values = {name: place.get(name, row[name]) for name in written}
            changes.append({"at": row["number"], **{f"new_{name}": value for name, value in values.items()}})
        if changes:
            connection.execute(move.values(zone_known=True), changes)
        count += len(changes)
    return count


def time_range(
    since: datetime | None, until: datetime | None, first_day: date | None, last_day: date | None
) -> list[ColumnElement[bool]]:
    """The conditions for rows in a range of the person's own days; by time for rows without a day."""
    from sqlalchemy import and_, or_

    from installer.measurements.store_tables import measurements as t

    from_then = [t.c.taken >= since] if since is not None else []
    until_then = [t.c.taken < until] if until is not None else []
    if first_day is not None:
        by_day = or_(and_(t.c.day != "", t.c.day >= first_day.isoformat()), and_(t.c.day == "", *from_then))
        # The index on the time helps to find the days.
        from_then = [by_day, *([t.c.taken >= since - LONGEST_NIGHT] if since is not None else [])]
    if last_day is not None:
        by_day = or_(and_(t.c.day != "", t.c.day <= last_day.isoformat()), and_(t.c.day == "", *until_then))
        until_then = [by_day, *([t.c.taken < until + ZONES_APART] if until is not None else [])]
    return from_then + until_then
