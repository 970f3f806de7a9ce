"""The ledger as a person looks into it: pages, one record, the numbers of a report, removal of what is old."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from installer.errors import ErrorCode, InstallerError
from installer.ledger import timestamps
from installer.ledger.query_types import Filter, Numbers, Page, Pruned

if TYPE_CHECKING:
    from installer.ledger.records import Records

BLOCK = 500  # records that are removed in one transaction, so that no station waits for long
PATIENCE = 2000  # milliseconds that giving back the room of removed records waits for others
CANDIDATES = 5  # records that are named where a short id fits several


class Archive:
    """Reads and tidies one ledger. Raises what `Records` raises."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def page(self, wanted: Filter, limit: int, after: tuple[str, str] | None = None) -> Page:
        """Some records without their steps, the newest first; `after` is the `next` of the page before."""
        return self.records.find(wanted, limit, after)

    def every(self, wanted: Filter) -> Iterator[dict[str, Any]]:
        """Whole records, the newest first, read a few at a time."""
        return self.records.every(wanted)

    def one(self, start: str) -> dict[str, Any]:
        """The whole record whose id begins so. Raises RECORD_UNKNOWN, RECORD_AMBIGUOUS."""
        from installer.ledger import queries, statements

        found: list[str] = self.records.store.read(
            "read a record", lambda c: queries.beginning(c, start.strip(), CANDIDATES + 1)
        )
        if not found:
            raise statements.unknown(start)
        if len(found) > 1:
            more = " and others" if len(found) > CANDIDATES else ""
            raise InstallerError(
                ErrorCode.RECORD_AMBIGUOUS,
                f"Several records begin with “{start}”: {', '.join(found[:CANDIDATES])}{more}.",
                "Give more of its id.",
                records=found[:CANDIDATES],
            )
        record = self.records.get(found[0])
        if record is None:  # removed a moment ago
            raise statements.unknown(start)
        return record

    def numbers(self, wanted: Filter, detailed: int | None = None) -> Numbers:
        """The numbers of a report. Up to `detailed` records: each step's time by model and by site, too."""
        from installer.ledger import statistics

        limit = statistics.DETAILED if detailed is None else detailed
        self.records.settle()
        found: Numbers = self.records.store.read("read the records", lambda c: statistics.numbers(c, wanted, limit))
        return found

    def failures(self, wanted: Filter, limit: int) -> list[dict[str, Any]]:
        """The newest failed ones of those that fit, whole."""
        import dataclasses

        if wanted.outcome and "failed" not in wanted.outcome:
            return []
        only = dataclasses.replace(wanted, outcome=("failed",))
        ids = [record["id"] for record in self.records.find(only, limit).records]
        from installer.ledger import queries

        found: list[dict[str, Any]] = self.records.store.read("read the records", lambda c: queries.whole(c, ids))
        return found

    def prune(self, before: datetime, *, force: bool = False, dry_run: bool = False) -> Pruned:
        """Remove the records of what ended before; what is still needed stays, unless `force`: then what runs."""
        from installer.ledger import pruning

        store, stamp = self.records.store, timestamps.stamp(before)
        self.records.settle()
        planned: Pruned = store.read("read the records", lambda c: pruning.count(c, stamp, force=force))
        if dry_run:
            return planned
        ids: list[str] = store.read("read the records", lambda c: pruning.chosen(c, stamp, force=force))
        removed = 0
        for start in range(0, len(ids), BLOCK):
            block = ids[start : start + BLOCK]
            work = functools.partial(pruning.remove, ids=block, before=stamp, force=force)
            removed += store.write("remove records", work)
        if removed:
            self._compact()
        return Pruned(removed, planned.kept)

    def _compact(self) -> None:
        """In an SQLite file what was removed stays readable until its room is used anew, or given back."""
        if not self.records.store.target.is_file:
            return
        import contextlib
        import sqlite3

        # It needs the file for itself; where another process keeps it busy, that is made up for the next time.
        with self.records.store.engine().connect() as connection, contextlib.suppress(sqlite3.Error):
            raw = connection.connection
            raw.execute(f"PRAGMA busy_timeout={PATIENCE}")
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
