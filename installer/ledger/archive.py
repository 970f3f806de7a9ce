"""Reading and pruning of the ledger for a person: pages, one record, statistics, and the answers of a record."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from installer.errors import ErrorCode, InstallerError
from installer.ledger import timestamps
from installer.ledger.query_types import Filter, Page, PruneResult, Statistics, damaged_record

if TYPE_CHECKING:
    from installer.answers import Answers
    from installer.ledger.records import Records

PRUNE_BLOCK = 500  # records that one transaction removes: other stations do not wait for long
VACUUM_BUSY_TIMEOUT_MS = 2000
MAX_CANDIDATES = 5  # ids that an error names if a short id fits several records


class Archive:
    """Reads and prunes one ledger. Raises what `Records` raises."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def page(self, wanted: Filter, limit: int, after: tuple[str, str] | None = None) -> Page:
        """Records without their steps, the newest first. `after`: the `next` of the previous page."""
        return self.records.find(wanted, limit, after)

    def every(self, wanted: Filter) -> Iterator[dict[str, Any]]:
        """Complete records, the newest first, read a block at a time."""
        return self.records.every(wanted)

    def one(self, prefix: str) -> dict[str, Any]:
        """The complete record whose id begins with `prefix`. Raises RECORD_UNKNOWN, RECORD_AMBIGUOUS."""
        from installer.ledger import queries, record_updates

        found: list[str] = self.records.store.read(
            "read a record", lambda c: queries.ids_with_prefix(c, prefix.strip(), MAX_CANDIDATES + 1)
        )
        if not found:
            raise record_updates.record_unknown(prefix)
        if len(found) > 1:
            more = " and others" if len(found) > MAX_CANDIDATES else ""
            raise InstallerError(
                ErrorCode.RECORD_AMBIGUOUS,
                f"Several records begin with “{prefix}”: {', '.join(found[:MAX_CANDIDATES])}{more}.",
                "Give more of its id.",
                records=found[:MAX_CANDIDATES],
            )
        record = self.records.get(found[0])
        if record is None:  # removed a moment ago
            raise record_updates.record_unknown(prefix)
        return record

    def statistics(self, wanted: Filter, max_detailed: int | None = None) -> Statistics:
        """The statistics of a report. Up to `max_detailed` records: also each step by model and by site."""
        from installer.ledger import statistics

        limit = statistics.MAX_DETAILED_RECORDS if max_detailed is None else max_detailed
        self.records.mark_interrupted()
        found: Statistics = self.records.store.read(
            "read the records", lambda c: statistics.report_statistics(c, wanted, limit)
        )
        return found

    def failures(self, wanted: Filter, limit: int) -> list[dict[str, Any]]:
        """Complete records of the newest failed installations that match."""
        if wanted.outcome and "failed" not in wanted.outcome:
            return []
        only = dataclasses.replace(wanted, outcome=("failed",))
        return self.records.complete(record["id"] for record in self.records.find(only, limit).records)

    def prune(self, before: datetime, *, force: bool = False, dry_run: bool = False) -> PruneResult:
        """Remove records that ended before. Records still needed are kept; `force` keeps only running ones."""
        from installer.ledger import pruning

        store, limit = self.records.store, timestamps.timestamp(before)
        self.records.mark_interrupted()
        planned: PruneResult = store.read("read the records", lambda c: pruning.count(c, limit, force=force))
        if dry_run:
            return planned
        ids: list[str] = store.read("read the records", lambda c: pruning.removable_ids(c, limit, force=force))
        removed = 0
        for start in range(0, len(ids), PRUNE_BLOCK):
            block = ids[start : start + PRUNE_BLOCK]
            remove = functools.partial(pruning.remove, ids=block, before=limit, force=force)
            removed += store.write("remove records", remove)
        if removed:
            self._compact()
        return PruneResult(removed, planned.kept)

    def _compact(self) -> None:
        """Shrink an SQLite file. Without this, removed records stay readable in its free pages."""
        if not self.records.store.target.is_file:
            return
        import contextlib
        import sqlite3

        # VACUUM needs exclusive access. If another process uses the file, the next prune does it.
        with self.records.store.engine().connect() as connection, contextlib.suppress(sqlite3.Error, MemoryError):
            raw = connection.connection
            raw.execute(f"PRAGMA busy_timeout={VACUUM_BUSY_TIMEOUT_MS}")
            raw.execute("VACUUM")


class WizardLedger:
    """The ledger for the wizard: its methods do not block the event loop. Raises what `Records` raises."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def page(self, wanted: Filter, limit: int, after: tuple[str, str] | None = None) -> Page:
        """Records without their steps, the newest first."""
        return await self._records.store.call(self._records.find, wanted, limit, after)

    async def one(self, installation: str) -> dict[str, Any]:
        """The complete record, and as `shared` whether others can write it. Raises RECORD_UNKNOWN if it was removed."""
        found = await self._records.store.call(Archive(self._records).one, installation)
        return {**found, "shared": not self._records.private}

    async def outdated(self) -> bool:
        """Whether the tables must be migrated before a record can be written. Creates nothing."""
        from installer.ledger import schema_migration

        target = self._records.store.target
        if target.is_lab:
            return False
        found = await self._records.store.call(schema_migration.status, target)
        return bool(found["there"]) and found["state"] in ("older", "empty")

    async def migrate(self) -> None:
        """Migrate the tables to this version. All records are kept."""
        from installer.ledger import schema_migration

        await self._records.store.call(schema_migration.migrate, self._records.store.target)


def answers_of(record: dict[str, Any]) -> Answers:
    """The answers of a record, to install the same device again.

    Left out: the consent to send credentials, and secrets with their references. They are asked for again, and for a
    `shared` record the account and the address for notifications, too: others may have written them. Raises
    ANSWERS_INVALID for a record of another version that cannot be read as answers, DATABASE_FAILED for a damaged one.
    """
    from installer.answers import validate

    if "answers" in record.get("damaged", ()):
        raise damaged_record(record["id"], ["answers"])
    data = {key: dict(value) for key, value in (record.get("answers") or {}).items() if isinstance(value, dict)}
    data.pop("provision", None)
    find = data.setdefault("find", {})
    if record.get("address"):
        find.pop("name", None)
        find["device"] = record["address"]
    if find.pop("proof", None) is not None:
        find["require_proof"] = True  # the proof is asked for again, and no device may do without it
    if not (find.get("device") or find.get("name") or find.get("model")):
        del data["find"]
    data.get("network", {}).pop("passphrase", None)
    if data.get("link", {}).get("later") or record.get("shared"):
        data.pop("link", None)
    elif not isinstance(data.get("link", {}).get("notify"), bool | None):
        del data["link"]["notify"]
    return validate(data, f"record {record['id']}")
