"""Queries of the ledger: one record, pages of records, and what is known of a device or a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from installer.ledger import timestamps
from installer.ledger.damaged_records import all_readable, readable
from installer.ledger.query_types import Filter, Page
from installer.ledger.sql_tables import FORGOTTEN_OPTION, TIMED_STEPS, details, failures, installations, leases, steps
from installer.text import printable

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping, Select

columns = installations.c
HIDDEN_COLUMNS = ("holder", "alive_until", "search", "sent_address", "sent_ssid", "sent_at", "handed_over")
SHOWN_COLUMNS = tuple(
    c for c in installations.columns if c.name not in HIDDEN_COLUMNS and not c.name.startswith("seconds_")
)
_WHOLE_COLUMNS = (*(c.name for c in SHOWN_COLUMNS), "handed_over")
INTERRUPTED = "interrupted"
STEPS_WITHOUT_RESUME = ("find", "sync")  # an installation that failed here is started again, not resumed
MOST_OF_ONE_DEVICE = 50
LONGEST_LEASE_SECONDS = 7 * 86_400.0
STEP_ORDER = {step: position for position, step in enumerate(TIMED_STEPS)}


def mark_interrupted(connection: Connection, is_dead: Callable[[str], bool]) -> None:
    """Mark installations as interrupted whose process is gone, or was silent for too long."""
    now = timestamps.database_time(connection)
    running = select(columns.id, columns.holder, columns.alive_until).where(columns.outcome == "running")
    for row in connection.execute(running).mappings().all():
        known, _ = readable({name: row[name] for name in ("holder", "alive_until")}, "installations")
        # An end that cannot be read, or is further than any lease, counts as over.
        ends = known["alive_until"] or 0.0
        if now < ends < now + LONGEST_LEASE_SECONDS and not is_dead(str(known["holder"])):
            continue
        unchanged = and_(
            columns.id == row["id"], columns.outcome == "running", columns.holder.is_not_distinct_from(row["holder"])
        )
        if connection.execute(update(installations).where(unchanged).values(outcome=INTERRUPTED)).rowcount:
            connection.execute(leases.delete().where(leases.c.installation == row["id"]))


def any_running(connection: Connection) -> bool:
    """Whether any record has the outcome `running`."""
    return connection.execute(select(columns.id).where(columns.outcome == "running").limit(1)).first() is not None


def get(connection: Connection, installation: str) -> dict[str, Any] | None:
    """One complete record, or None."""
    return next(iter(complete_records(connection, [installation])), None)


def ids_with_prefix(connection: Connection, prefix: str, limit: int) -> list[str]:
    """The ids that begin with `prefix`; only the id itself if it exists."""
    if connection.execute(select(columns.id).where(columns.id == prefix)).first() is not None:
        return [prefix]
    # Not LIKE: its rules for upper and lower case differ between databases.
    query = select(columns.id).where(func.substr(columns.id, 1, len(prefix)) == prefix).order_by(columns.started.desc())
    return [one for one in connection.execute(query.limit(limit)).scalars() if isinstance(one, str)]


def complete_records(connection: Connection, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Complete records in the order of `ids`, without those that do not exist."""
    wanted = list(ids)
    found: dict[str, dict[str, Any]] = {}
    query = (
        select(installations, details)
        .outerjoin(details, details.c.installation == columns.id)
        .where(columns.id.in_(wanted))
    )
    for row in connection.execute(query).mappings():
        found[row["id"]] = _record(row)
    query = select(steps).where(steps.c.installation.in_(wanted)).order_by(steps.c.position)
    for row in connection.execute(query).mappings():
        if row["installation"] in found:
            step, damaged = readable({k: row[k] for k in ("step", "done", "took", "result")}, "steps")
            step["step"] = "" if "step" in damaged else step["step"]
            found[row["installation"]]["steps"].append(step)
            found[row["installation"]]["damaged"] += [f"{step['step'] or 'step'}: {name}" for name in damaged]
    for record in found.values():
        # A resumed installation runs `find` again, and `find` is still its first step.
        record["steps"].sort(key=lambda s: STEP_ORDER.get(s["step"], len(STEP_ORDER)))
    query = select(failures).where(failures.c.installation.in_(wanted)).order_by(failures.c.position)
    for row in connection.execute(query).mappings():
        if row["installation"] in found:
            failure, damaged = readable({k: row[k] for k in ("step", "code", "what", "time")}, "failures")
            found[row["installation"]]["failures"].append(failure)
            found[row["installation"]]["damaged"] += [f"failure: {name}" for name in damaged]
    return [found[i] for i in wanted if i in found]


def every(
    read: Callable[[Callable[[Connection], Any]], Any], wanted: Filter, block: int = 500
) -> Iterator[dict[str, Any]]:
    """Complete records, the newest first, read in blocks to save memory.

    `read` runs a function with a connection. Each block has its own: a reader that is slow (a pipe) holds up nobody who
    writes.
    """
    after: tuple[str, str] | None = None
    while True:

        def one_block(connection: Connection, after: tuple[str, str] | None = after) -> tuple[Any, Any]:
            rows, _, following = _page(connection, wanted, block, after, count=False)
            return complete_records(connection, [row["id"] for row in rows]), following

        records, after = read(one_block)
        yield from records
        if after is None:
            return


def find(
    connection: Connection, wanted: Filter, limit: int, after: tuple[str, str] | None = None, *, count: bool = True
) -> Page:
    """Records without steps and failures, the newest first; `after` is the `next` of the page before."""
    rows, total, following = _page(connection, wanted, limit, after, count=count)
    return Page([_readable(row) for row in rows], total, following)


def _page(
    connection: Connection, wanted: Filter, limit: int, after: tuple[str, str] | None, *, count: bool
) -> tuple[Sequence[RowMapping], int, tuple[str, str] | None]:
    """The rows as they are stored, how many match in all, and the `next` of the page."""
    conditions = filter_conditions(wanted)
    query = select(*SHOWN_COLUMNS).where(*conditions)
    total = -1
    if count:
        total = connection.execute(select(func.count()).select_from(installations).where(*conditions)).scalar_one()
    if after is not None:
        query = query.where(
            or_(columns.started < after[0], and_(columns.started == after[0], columns.id < after[1])),
            columns.started <= after[0],
        )
    query = query.order_by(columns.started.desc(), columns.id.desc()).limit(limit + 1)
    rows = connection.execute(query).mappings().all()
    more = len(rows) > limit
    rows = rows[:limit]
    return rows, total, (rows[-1]["started"], rows[-1]["id"]) if more else None


def filter_conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """The WHERE conditions of a filter."""
    found: list[ColumnElement[bool]] = []
    for name in ("outcome", "model", "site", "operator", "batch", "address", "station"):
        values = getattr(wanted, name)
        if values:
            column = installations.c[name]
            found.append(column == values[0] if len(values) == 1 else column.in_(values))
    if wanted.since is not None:
        found.append(columns.started >= timestamps.timestamp(wanted.since))
    if wanted.until is not None:
        found.append(columns.started < timestamps.timestamp(wanted.until))
    for word in (wanted.text or "").lower().split():
        found.append(columns.search.contains(word, autoescape=True))
    return found


def installed(connection: Connection, method: str) -> list[dict[str, Any]]:
    """Few columns of the devices whose last completed installation used this sync method, the oldest first."""
    later = installations.alias()
    newer = select(later.c.id).where(
        later.c.address == columns.address, later.c.outcome == "installed", later.c.started > columns.started
    )
    query = (
        select(columns.address, columns.model, columns.name, columns.account, columns.id, steps.c.result)
        .outerjoin(steps, and_(steps.c.installation == columns.id, steps.c.step == "find"))
        .where(columns.outcome == "installed", columns.method == method, columns.address.is_not(None), ~newer.exists())
        .order_by(columns.started, columns.id)
    )
    return [_readable(row) for row in connection.execute(query).mappings()]


def addresses(connection: Connection) -> set[str]:
    """The addresses of all devices of the records."""
    query = select(columns.address).distinct().where(columns.address.is_not(None))
    return {str(address) for address in connection.execute(query).scalars()}


def handed_over(connection: Connection, address: str) -> str | None:
    """The cloud's id of the device, if the vendor's app set it up during a guided hand-off."""
    query = select(columns.handed_over).where(columns.address == address, columns.handed_over.is_not(None))
    row = _first_readable(connection, query.order_by(columns.started.desc()))
    return row["handed_over"] if row is not None else None


def sent(connection: Connection, address: str) -> tuple[str, str] | None:
    """(SSID, start of the installation) of the last credentials that were sent to the device."""
    query = select(columns.sent_ssid, columns.started).where(
        columns.sent_address == address, columns.sent_ssid.is_not(None)
    )
    row = _first_readable(connection, query.order_by(columns.sent_at.desc()))
    return (row["sent_ssid"], row["started"]) if row is not None else None


def _first_readable(connection: Connection, query: Select[Any]) -> RowMapping | None:
    """The first row of `installations` that is not damaged. Few rows are about one device."""
    for row in connection.execute(query.limit(MOST_OF_ONE_DEVICE)).mappings():
        if all_readable(dict(row), "installations"):
            return row
    return None


def of_batch(connection: Connection, batch: str, row: str | None = None) -> list[dict[str, Any]]:
    """The records of a batch, for a later run of it or for another station: few columns, the newest first.

    `row`: the key of one row; None: all rows. A damaged one says so: a batch must not guess what it was.
    """
    selected = (
        columns.id,
        columns.row,
        columns.outcome,
        columns.address,
        columns.model,
        columns.method,
        columns.ssid,
        columns.account,
        columns.started,
        columns.station,
    )
    query = select(*selected, columns.error, columns.step, columns.sent_address, columns.sent_ssid).where(
        columns.batch == batch
    )
    query = query.where(columns.row == row) if row is not None else query
    found = connection.execute(query.order_by(columns.started.desc(), columns.id.desc())).mappings()
    return [_readable(one) for one in found]


def can_be_resumed() -> ColumnElement[bool]:
    """Whether an installation stopped at a point where it can be resumed.

    It was interrupted, it failed after `sync`, or a person stopped it after credentials had been sent.
    """
    failed = and_(columns.outcome == "failed", columns.address.is_not(None), columns.step.not_in(STEPS_WITHOUT_RESUME))
    stopped = and_(columns.outcome == "cancelled", columns.sent_address.is_not(None))
    return or_(columns.outcome == INTERRUPTED, failed, stopped)


def unfinished(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Complete records that can be resumed, the newest first.

    Left out: a record whose device has a newer one, and a record that a person dismissed.
    """
    later = installations.alias()
    newer = select(later.c.id).where(later.c.address == columns.address, later.c.started > columns.started)
    query = (
        select(columns.id, details.c.options)
        .outerjoin(details, details.c.installation == columns.id)
        .where(can_be_resumed(), ~newer.exists())
        .order_by(columns.started.desc(), columns.id.desc())
    )
    ids: list[str] = []
    for row in connection.execute(query):
        options, _ = readable({"options": row[1]}, "details")
        if not (options["options"] or {}).get(FORGOTTEN_OPTION):
            ids.append(row[0])
            if len(ids) >= limit:
                break
    return complete_records(connection, ids)


def _record(row: RowMapping) -> dict[str, Any]:
    found, damaged = readable(
        {name: row[name] for name in (*_WHOLE_COLUMNS, "sent_address", "sent_ssid", "sent_at")}, "installations"
    )
    record: dict[str, Any] = {name: found[name] for name in _WHOLE_COLUMNS}
    record["sent"] = (
        {"address": found["sent_address"], "ssid": found["sent_ssid"], "time": found["sent_at"]}
        if found["sent_address"] is not None
        else None
    )
    record["id"] = _id(found["id"], damaged)
    more, also_damaged = readable({name: row[name] for name in ("answers", "options", "reasons", "known")}, "details")
    return record | more | {"steps": [], "failures": [], "damaged": damaged + also_damaged}


def _readable(row: RowMapping) -> dict[str, Any]:
    found, damaged = readable(dict(row), "installations")
    return {**found, "id": _id(row["id"], damaged), "damaged": damaged}


def _id(found: Any, damaged: list[str]) -> str:
    """The id, or one that is harmless to show: no record has that."""
    return printable(str(found), 64) if "id" in damaged else str(found)
