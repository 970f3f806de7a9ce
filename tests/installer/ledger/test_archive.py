"""Reading and pruning a ledger in an SQLite file, and which indexes its queries use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from installer.errors import ErrorCode, InstallerError
from installer.ledger import queries as reading
from installer.ledger import statistics
from installer.ledger.archive import Archive
from installer.ledger.query_types import Filter
from installer.ledger.records import Records
from tests.bench.ledger import fill
from tests.installer.ledger import archive_behaviour
from tests.installer.ledger.archive_behaviour import NOW, age
from tests.installer.ledger.record_behaviour import installed
from tests.installer.ledger.test_records import make

__all__ = ["make"]


@pytest.mark.parametrize("does", archive_behaviour.ALL, ids=lambda f: f.__name__)
async def test_what_an_archive_does(does: Any, make: Callable[[], Records]) -> None:
    await does(make)


async def test_what_was_removed_is_gone_from_the_file(make: Callable[[], Records], tmp_path: Path) -> None:
    records = make()
    await installed(records, "one", "A", "wifi", label="Mrs-Unforgettable")
    age(records, "one")
    assert any(b"Mrs-Unforgettable" in f.read_bytes() for f in tmp_path.glob("ledger.sqlite*") if f.is_file())
    assert Archive(records).prune(NOW).removed == 1
    assert not any(b"Mrs-Unforgettable" in f.read_bytes() for f in tmp_path.glob("ledger.sqlite*") if f.is_file())


def plans(records: Records, work: Callable[[Any], Any]) -> dict[str, str]:
    """The query plan of each SELECT of `work`: {statement: plan}."""
    found: dict[str, str] = {}
    engine = records.store.engine()

    def note(connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            raw = cursor.connection.cursor()
            steps = raw.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
            found[" ".join(statement.split())] = "; ".join(s[3] for s in steps)

    event.listen(engine, "before_cursor_execute", note)
    try:
        records.store.read("look", work)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return found


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(outcome=("failed",)),
        Filter(model=("body",)),
        Filter(site=("Site 01",)),
        Filter(operator=("Ann",)),
        Filter(text="ward"),
    ],
)
def test_a_page_is_read_in_the_order_of_an_index(make: Callable[[], Records], wanted: Filter) -> None:
    records = make()
    fill(records, 50)
    for statement, plan in plans(records, lambda c: reading.find(c, wanted, 20, ("2026-06", "x"))).items():
        assert "USING INDEX" in plan or "USING COVERING INDEX" in plan, (statement, plan)
        assert "TEMP B-TREE" not in plan, (statement, plan)


def test_the_numbers_of_the_whole_ledger_are_read_in_indexes_alone(make: Callable[[], Records]) -> None:
    records = make()
    fill(records, 50)
    for statement, plan in plans(records, lambda c: statistics.report_statistics(c, Filter(), 0)).items():
        assert "COVERING INDEX" in plan, (statement, plan)
        assert "TEMP B-TREE" not in plan, (statement, plan)


async def test_another_process_that_reads_does_not_stop_the_removal(make: Callable[[], Records]) -> None:
    records, other = make(), make()
    await installed(records, "one", "A", "wifi")
    await installed(records, "two", "B", "wifi")
    age(records, "one", "two")
    reading = other.every(Filter())
    assert next(reading)["id"] in ("one", "two")
    assert Archive(records).prune(NOW).removed == 2
    reading.close()
    await installed(records, "three", "C", "wifi")
    assert [r["id"] for r in other.all()] == ["three"]


def test_a_database_that_breaks_while_it_is_read_is_told(make: Callable[[], Records]) -> None:
    records = make()
    fill(records, 1200)
    reading = records.every(Filter())
    next(reading)
    records.store.write("break it", lambda c: c.exec_driver_sql("DROP TABLE steps"))
    with pytest.raises(InstallerError) as raised:
        list(records.every(Filter()))
    assert raised.value.code is ErrorCode.DATABASE_FAILED
    reading.close()
