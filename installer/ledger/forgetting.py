"""Erases records for good: with their steps, failures, answers and leases, and the files of an older version.

A record that a station works on stays. The database is written anew at the end, also if there was nothing to remove: an
erasure that was interrupted is finished by the next one.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, delete, func, or_, select

from installer.ledger import import_old_files, pruning, queries, timestamps
from installer.ledger.query_types import Filter
from installer.ledger.sql_tables import details, failures, installations, leases, steps
from installer.storage.erasing import rewrite
from installer.text.bounded_read import read_bounded

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from installer.ledger.database import Target
    from installer.ledger.records import Records

BLOCK = 500  # records that one transaction removes: other stations do not wait for long
TABLES = tuple(table.name for table in (installations, details, steps, failures, leases))
columns = installations.c


@dataclass(frozen=True)
class RecordCounts:
    """How many records: those to remove, those that a station works on, and for what the others were still needed.

    `erased`: the ids of those that were removed.
    """

    records: int = 0
    running: int = 0
    needed: dict[str, int] = field(default_factory=dict)
    erased: tuple[str, ...] = ()


def forget(records: Records, wanted: Filter, ids: Sequence[str], *, dry_run: bool = False) -> RecordCounts:
    """Erase the records that fit, or only count them. `ids`: only these (whole ids); empty: any.

    Raises what `Records` raises, and ERASURE_INCOMPLETE.
    """
    records.mark_interrupted()
    where = _conditions(wanted, ids)
    counts = records.store.read("read the records", lambda c: _count(c, where))
    if dry_run:
        return counts
    erased: list[str] = []
    while block := records.store.write("remove records", lambda c: _erase_block(c, where)):
        erased += block
    known = records.store.read("read the records", lambda c: frozenset(c.execute(select(columns.id)).scalars()))
    _erase_old_files(records.store.target, known)
    rewrite(records.store.engine(), "the ledger", TABLES)
    return RecordCounts(len(erased), counts.running, counts.needed, tuple(erased))


def _conditions(wanted: Filter, ids: Sequence[str]) -> list[ColumnElement[bool]]:
    return queries.filter_conditions(wanted) + ([columns.id.in_(ids)] if ids else [])


def _count(connection: Connection, where: Sequence[ColumnElement[bool]]) -> RecordCounts:
    why = pruning.why_kept(connection, where, force=False)
    found = connection.execute(select(why, func.count()).where(*where).group_by(why))
    needed = {str(reason): int(number) for reason, number in found}
    running = needed.pop(pruning.RUNNING, 0)
    total = sum(needed.values())
    needed.pop(pruning.REMOVABLE, None)
    return RecordCounts(total, running, needed)


def _erase_block(connection: Connection, where: Sequence[ColumnElement[bool]]) -> list[str]:
    chosen = select(columns.id, columns.address).where(*where, columns.outcome != pruning.RUNNING).limit(BLOCK)
    rows = connection.execute(chosen).all()
    ids = [row[0] for row in rows]
    addresses = {row[1] for row in rows if row[1]}
    # A lease that a station still renews is of a newer installation of the device.
    ended = leases.c.address.in_(addresses) & (leases.c.expires <= timestamps.database_time(connection))
    connection.execute(delete(leases).where(or_(leases.c.installation.in_(ids), ended)))
    for table in (failures, steps, details):
        connection.execute(delete(table).where(table.c.installation.in_(ids)))
    connection.execute(delete(installations).where(columns.id.in_(ids)))
    return ids


def _erase_old_files(target: Target, known: Collection[str]) -> None:
    """Remove the files of an older version whose records are not in the ledger (any more); see `import_old_files`."""
    if target.old_json_folder is None:
        return
    for folder in (target.old_json_folder, import_old_files.renamed(target.old_json_folder)):
        for file in folder.glob("*.json") if folder.is_dir() else ():
            if _id_of(file) not in known:
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()


def _id_of(file: Path) -> str:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        data = json.loads(read_bounded(file, import_old_files.MAX_FILE_BYTES).decode())
        if isinstance(data, dict):
            return str(data.get("id") or file.stem)
    return file.stem
