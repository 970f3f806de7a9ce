"""What is read from the ledger: one record, pages of records, and what an installation asks about its device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from installer.ledger import timestamps
from installer.ledger.query_types import Filter, Installed, Page
from installer.ledger.sql_tables import details, failures, installations, leases, steps

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

I = installations.c  # noqa: E741 - the columns, in every line below
HIDDEN = ("holder", "alive_until", "search", "sent_address", "sent_ssid", "sent_at", "handed_over")
SHOWN = tuple(c for c in installations.columns if c.name not in HIDDEN and not c.name.startswith("seconds_"))
INTERRUPTED = "interrupted"
FORGOTTEN = "forgotten"  # among the options of a record: it is not offered any more
BEGINNING = ("find", "sync")  # one that failed there is begun anew as well
ORDER = {name: at for at, name in enumerate(("find", "sync", "network", "provision", "link", "verify"))}


def settle(connection: Connection, dead: Callable[[str], bool]) -> None:
    """Mark as interrupted what runs no more: its process is gone, or was silent for too long."""
    now = timestamps.now(connection)
    running = select(I.id, I.holder, I.alive_until).where(I.outcome == "running")
    for row in connection.execute(running).mappings().all():
        if row["alive_until"] is not None and row["alive_until"] > now and not dead(str(row["holder"])):
            continue
        unchanged = and_(I.id == row["id"], I.outcome == "running", I.holder.is_not_distinct_from(row["holder"]))
        if connection.execute(update(installations).where(unchanged).values(outcome=INTERRUPTED)).rowcount:
            connection.execute(leases.delete().where(leases.c.installation == row["id"]))


def any_running(connection: Connection) -> bool:
    """Whether a record says that it is running."""
    return connection.execute(select(I.id).where(I.outcome == "running").limit(1)).first() is not None


def get(connection: Connection, installation: str) -> dict[str, Any] | None:
    """The whole record; None if there is none."""
    return next(iter(whole(connection, [installation])), None)


def beginning(connection: Connection, start: str, limit: int) -> list[str]:
    """Ids that begin so; the very id, if there is one, alone."""
    if connection.execute(select(I.id).where(I.id == start)).first() is not None:
        return [start]
    # Not by LIKE: what that takes for equal differs from database to database.
    query = select(I.id).where(func.substr(I.id, 1, len(start)) == start).order_by(I.started.desc())
    return list(connection.execute(query.limit(limit)).scalars())


def whole(connection: Connection, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Whole records in the order of `ids`; one that is not there is left out."""
    wanted = list(ids)
    found: dict[str, dict[str, Any]] = {}
    query = select(installations, details).outerjoin(details, details.c.installation == I.id).where(I.id.in_(wanted))
    for row in connection.execute(query).mappings():
        found[row["id"]] = _record(row)
    query = select(steps).where(steps.c.installation.in_(wanted)).order_by(steps.c.position)
    for row in connection.execute(query).mappings():
        if row["installation"] in found:
            step = {k: row[k] for k in ("step", "done", "took", "result")}
            found[row["installation"]]["steps"].append(step)
    for record in found.values():
        # A resumed installation looks for its device once more, and that is still its first step.
        record["steps"].sort(key=lambda s: ORDER.get(s["step"], len(ORDER)))
    query = select(failures).where(failures.c.installation.in_(wanted)).order_by(failures.c.position)
    for row in connection.execute(query).mappings():
        if row["installation"] in found:
            found[row["installation"]]["failures"].append({k: row[k] for k in ("step", "code", "what", "time")})
    return [found[i] for i in wanted if i in found]


def every(connection: Connection, wanted: Filter, block: int = 500) -> Iterator[dict[str, Any]]:
    """Whole records, the newest first, a block at a time: memory stays small."""
    page = find(connection, wanted, block, count=False)
    while page.records:
        yield from whole(connection, [r["id"] for r in page.records])
        if page.next is None:
            return
        page = find(connection, wanted, block, page.next, count=False)


def find(
    connection: Connection, wanted: Filter, limit: int, after: tuple[str, str] | None = None, *, count: bool = True
) -> Page:
    """Records without steps and failures, the newest first; `after` is the `next` of the page before."""
    conditions = where(wanted)
    query = select(*SHOWN).where(*conditions)
    total = -1
    if count:
        total = connection.execute(select(func.count()).select_from(installations).where(*conditions)).scalar_one()
    if after is not None:
        query = query.where(
            or_(I.started < after[0], and_(I.started == after[0], I.id < after[1])), I.started <= after[0]
        )
    query = query.order_by(I.started.desc(), I.id.desc()).limit(limit + 1)
    rows = [dict(r) for r in connection.execute(query).mappings()]
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, total, (rows[-1]["started"], rows[-1]["id"]) if more else None)


def where(wanted: Filter) -> list[ColumnElement[bool]]:
    """The conditions of a filter."""
    found: list[ColumnElement[bool]] = []
    for name in ("outcome", "model", "site", "operator", "batch", "address", "station"):
        values = getattr(wanted, name)
        if values:
            column = installations.c[name]
            found.append(column == values[0] if len(values) == 1 else column.in_(values))
    if wanted.since is not None:
        found.append(I.started >= timestamps.stamp(wanted.since))
    if wanted.until is not None:
        found.append(I.started < timestamps.stamp(wanted.until))
    for word in (wanted.text or "").lower().split():
        found.append(I.search.contains(word, autoescape=True))
    return found


def installed(connection: Connection, method: str) -> list[Installed]:
    """The devices whose last completed installation was with this sync method; the oldest first."""
    later = installations.alias()
    newer = select(later.c.id).where(
        later.c.address == I.address, later.c.outcome == "installed", later.c.started > I.started
    )
    query = (
        select(I.address, I.model, I.name, I.account, I.id)
        .where(I.outcome == "installed", I.method == method, I.address.is_not(None), ~newer.exists())
        .order_by(I.started, I.id)
    )
    return [
        Installed(r["address"], r["model"] or "", r["name"] or "", r["account"], r["id"])
        for r in connection.execute(query).mappings()
    ]


def handed_over(connection: Connection, address: str) -> str | None:
    """The cloud's id of the device, if a guided hand-off saw it come to an account."""
    query = select(I.handed_over).where(I.address == address, I.handed_over.is_not(None))
    return connection.execute(query.order_by(I.started.desc()).limit(1)).scalar()


def sent(connection: Connection, address: str) -> tuple[str, str] | None:
    """(SSID, start of the installation) of the credentials that were last sent to the device."""
    query = select(I.sent_ssid, I.started).where(I.sent_address == address).order_by(I.sent_at.desc()).limit(1)
    row = connection.execute(query).first()
    return (str(row[0]), str(row[1])) if row is not None else None


def of_batch(connection: Connection, batch: str, row: str | None = None) -> list[dict[str, Any]]:
    """What a later run of the batch, or another station, asks of its records: few columns, the newest first.

    `row`: the key of one row; without it, all.
    """
    columns = (I.id, I.row, I.outcome, I.address, I.model, I.method, I.ssid, I.account, I.started, I.station)
    query = select(*columns, I.error, I.step, I.sent_address, I.sent_ssid).where(I.batch == batch)
    query = query.where(I.row == row) if row is not None else query
    return [dict(r) for r in connection.execute(query.order_by(I.started.desc(), I.id.desc())).mappings()]


def half_way() -> ColumnElement[bool]:
    """Whether an installation ended before its end, in a way that can be gone on with."""
    failed = and_(I.outcome == "failed", I.address.is_not(None), I.step.not_in(BEGINNING))
    stopped = and_(I.outcome == "cancelled", I.sent_address.is_not(None))
    return or_(I.outcome == INTERRUPTED, failed, stopped)


def unfinished(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Whole records of what can be gone on with, the newest first: interrupted, failed half-way, or stopped by a
    person when credentials had left.

    Only the newest of a device, none of a device that was begun anew since, and none that somebody wants to forget.
    """
    later = installations.alias()
    since = select(later.c.id).where(later.c.address == I.address, later.c.started > I.started)
    query = (
        select(I.id, details.c.options)
        .outerjoin(details, details.c.installation == I.id)
        .where(half_way(), ~since.exists())
        .order_by(I.started.desc(), I.id.desc())
    )
    ids: list[str] = []
    for row in connection.execute(query):
        if not (row[1] or {}).get(FORGOTTEN):
            ids.append(row[0])
            if len(ids) >= limit:
                break
    return whole(connection, ids)


def _record(row: RowMapping) -> dict[str, Any]:
    record: dict[str, Any] = {c.name: row[c.name] for c in SHOWN}
    record["handed_over"] = row["handed_over"]
    record["sent"] = (
        {"address": row["sent_address"], "ssid": row["sent_ssid"], "time": row["sent_at"]}
        if row["sent_address"] is not None
        else None
    )
    for name in ("answers", "options", "reasons", "known"):
        record[name] = row[name]
    return record | {"steps": [], "failures": []}
