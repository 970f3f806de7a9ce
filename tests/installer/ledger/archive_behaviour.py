"""Shared tests of reading and pruning a ledger, for SQLite (here) and for PostgreSQL (tests/system)."""

from __future__ import annotations

import csv
import io
import json
import statistics
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from installer.errors import ErrorCode, InstallerError
from installer.ledger import export, timestamps
from installer.ledger.archive import Archive
from installer.ledger.query_types import Filter
from installer.ledger.records import Records
from installer.ledger.shared import failure_for_ledger
from installer.ledger.sql_tables import installations
from tests.bench.ledger import fill
from tests.installer.ledger.record_behaviour import Make, code, found, installed

NOW = datetime.now(UTC)


def age(records: Records, *ids: str, days: float = 100) -> None:
    """Change these records: they started and ended long ago."""
    then = timestamps.timestamp(NOW - timedelta(days=days))
    chosen = update(installations).where(installations.c.id.in_(ids))
    records.store.write("age", lambda c: c.execute(chosen.values(started=then, ended=then)))


async def one_is_found_by_the_beginning_of_its_id(make: Make) -> None:
    records = make()
    archive = Archive(records)
    for installation in ("abc1", "abc2", "ABC3", "b%_"):
        await installed(records, installation, f"A-{installation}", "wifi")
    assert archive.one("abc1")["steps"][0]["step"] == "find"
    assert archive.one("AB")["id"] == "ABC3"
    assert archive.one("b%")["id"] == "b%_"
    with pytest.raises(InstallerError) as raised:
        archive.one("abc")
    assert code(raised) is ErrorCode.RECORD_AMBIGUOUS
    assert sorted(raised.value.data["records"]) == ["abc1", "abc2"]
    for nothing in ("_", "zz", "%"):
        with pytest.raises(InstallerError) as raised:
            archive.one(nothing)
        assert code(raised) is ErrorCode.RECORD_UNKNOWN
    await installed(records, "abc", "A", "wifi")
    assert archive.one("abc")["id"] == "abc"


async def an_empty_ledger_has_statistics(make: Make) -> None:
    found_statistics = Archive(make()).statistics(Filter())
    assert (found_statistics.all.total, found_statistics.first, found_statistics.steps, found_statistics.sites) == (
        0,
        None,
        [],
        [],
    )
    assert Archive(make()).statistics(Filter(site=("x",))).all.total == 0


async def statistics_of_all_records_equal_those_of_selections(make: Make) -> None:
    """All records are counted with indexes, a selection row by row. Both results must be equal and correct."""
    records = make()
    fill(records, 600)
    first = await found(records, "odd", "FF", site=None)
    await first.end("to_be_linked")
    archive = Archive(records)
    whole = archive.statistics(Filter(), 0)
    every = archive.records.all()
    took = [r["took"] for r in every if r["outcome"] == "installed"]
    assert whole.all.outcomes == {o: sum(r["outcome"] == o for r in every) for o in {r["outcome"] for r in every}}
    assert whole.all.durations.median == pytest.approx(statistics.median_low(took))
    assert whole.all.durations.p90 == pytest.approx(sorted(took)[-(-len(took) * 9 // 10) - 1])
    finds = [s["took"] for r in every for s in r["steps"] if s["step"] == "find"]
    assert whole.steps[0][0] == "find"
    assert [step for step, _ in whole.steps] == ["find", "sync", "network", "provision", "link", "verify"]
    assert whole.steps[0][1].median == pytest.approx(statistics.median_low(finds))
    assert sum(count for _, count in whole.failures) == whole.all.failed
    assert {g.name for g in whole.sites} > {"", "Site 00"}
    assert sum(g.total for g in whole.periods) == sum(g.total for g in whole.operators) == whole.all.total == 601

    for dimension, groups in (("model", whole.models), ("site", whole.sites), ("operator", whole.operators)):
        for group in [g for g in groups if g.name][:5]:
            alone = archive.statistics(Filter(**{dimension: (group.name,)}))  # type: ignore[arg-type]
            assert alone.all.outcomes == group.outcomes
            assert alone.all.durations == group.durations
    # All but one.
    rest = archive.statistics(Filter(text="l0"), 0)
    assert rest.all.total == 600
    assert rest.steps == whole.steps
    assert rest.failures == whole.failures
    assert (rest.unit, len(rest.periods), rest.periods[:40]) == (whole.unit, 48, whole.periods[:40])
    assert [g for g in rest.models if g.name != "body"] == [g for g in whole.models if g.name != "body"]


async def a_small_ledger_has_each_step_by_model_and_site(make: Make) -> None:
    records = make()
    fill(records, 300)
    archive = Archive(records)
    numbers, every = archive.statistics(Filter()), records.all()
    assert (numbers.all, numbers.steps) == (archive.statistics(Filter(), 0).all, archive.statistics(Filter(), 0).steps)
    for column, groups in (("model", numbers.models), ("site", numbers.sites)):
        for group in groups[:4]:
            own = [s["took"] for r in every if r[column] == group.name for s in r["steps"] if s["step"] == "provision"]
            assert group.steps["provision"].count == len(own)
            assert group.steps["provision"].median == pytest.approx(statistics.median_low(own))
    (watch,) = [g for g in numbers.models if g.name == "move"]
    assert list(watch.steps) == ["find", "sync", "provision", "link", "verify"]
    assert all(g.steps == {} for g in archive.statistics(Filter(), 299).models)


async def the_durations_of_a_selection_are_those_of_its_steps(make: Make) -> None:
    records = make()
    for installation, site in (("one", "north"), ("two", "north"), ("three", "south")):
        await installed(records, installation, f"A-{installation}", "wifi", site=site)
    again = await found(records, "four", "A-four", site="north")
    await again.step_done("find", 60.0, {"address": "A-four"})
    # Another device: the steps of the first one do not count.
    await again.set_device("A-five", name="Scale", model="body", certainty="certain", reasons=[])
    archive = Archive(records)
    whole, part = archive.statistics(Filter(), 0), archive.statistics(Filter(site=("north",)))
    assert [(step, t.count, t.median) for step, t in part.steps] == [
        ("find", 2, 1.0),
        ("sync", 2, 0.1),
        ("link", 2, 2.0),
    ]
    assert [(step, t.count) for step, t in whole.steps] == [("find", 3), ("sync", 3), ("link", 3)]
    assert part.all.outcomes == {"installed": 2, "running": 1}
    await again.end("cancelled")


async def what_is_old_is_removed_with_all_that_belongs_to_it(make: Make) -> None:
    records = make()
    archive = Archive(records)
    await installed(records, "old", "A", "wifi")
    failed = await found(records, "bad", "C")
    failed.failed("link", "link_refused", "no")
    await failed.end("failed")
    age(records, "old", "bad")
    await installed(records, "new", "C", "wifi")
    limit = NOW - timedelta(days=90)
    assert archive.prune(limit, dry_run=True).removed == 2
    assert len(records.all()) == 3
    pruned = archive.prune(limit)
    assert (pruned.removed, pruned.kept) == (2, {})
    assert [r["id"] for r in records.all()] == ["new"]
    for table in ("details", "steps", "failures"):
        left = records.store.read(
            "count", lambda c, t=table: c.exec_driver_sql(f"SELECT DISTINCT installation FROM {t}").scalars().all()
        )
        assert set(left) <= {"new"}, table
    assert archive.prune(limit).removed == 0


async def what_is_still_needed_stays_without_force(make: Make) -> None:
    records = make()
    archive = Archive(records)
    running = await found(records, "running", "A")
    for installation, address, outcome in (
        *(("int", "B", "interrupted"), ("link", "C", "to_be_linked")),
        *(("bad", "F", "failed"), ("unwanted", "G", "cancelled")),
    ):
        record = await found(records, installation, address)
        if outcome == "failed":
            record.failed("link", "cloud_unreachable", "no")
        await record.end(outcome)
    await installed(records, "ble-before", "D", "bluetooth")
    await installed(records, "ble", "E", "bluetooth")
    age(records, "ble-before", days=200)
    await installed(records, "ble-now", "D", "bluetooth")
    records.hide_from_resume("unwanted")
    nothing = records.begin("nothing", "1.0")
    await nothing.end("failed")
    age(records, "int", "link", "bad", "unwanted", "nothing", "ble", "ble-now")
    assert {r["id"] for r in records.unfinished()} == {"int", "bad"}
    then = timestamps.timestamp(NOW - timedelta(days=100))
    old = update(installations).where(installations.c.id == "running").values(started=then)
    records.store.write("age", lambda c: c.execute(old))
    limit = NOW - timedelta(days=90)
    pruned = archive.prune(limit)
    assert pruned.removed == 3
    assert sum(pruned.kept.values()) == 6
    assert {r["id"] for r in records.unfinished()} == {"int", "bad"}
    # The gateway still has the same devices.
    assert sorted(d.id for d in records.installed("bluetooth")) == ["ble", "ble-now"]
    assert archive.prune(limit, force=True).removed == 5
    assert [r["id"] for r in records.all()] == ["running"]
    await running.end("installed")


async def what_was_interrupted_before_a_success_is_old(make: Make) -> None:
    records = make()
    record = await found(records, "int", "B")
    await record.end("interrupted")
    age(records, "int", days=101)
    await installed(records, "again", "B", "wifi")
    assert Archive(records).prune(NOW - timedelta(days=90)).removed == 1


async def records_go_into_a_spreadsheet_and_into_json(make: Make) -> None:
    records = make()
    await installed(records, "one", "A", "wifi", site='=HYPERLINK("http://x")', operator='Ann, "B"\nC', label="-1+1")
    bad = await found(records, "two", "B", label="+49 30", site=" =1", operator="\x1b[31mred")
    bad.failed("link", "link_refused", "no")
    await bad.end("failed")
    archive = Archive(records)
    text = "".join(export.as_csv(archive.every(Filter())))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [r["id"] for r in rows] == ["two", "one"]
    assert rows[1]["site"] == '\'=HYPERLINK("http://x")'
    assert (rows[1]["label"], rows[0]["label"], rows[0]["site"]) == ("'-1+1", "'+49 30", "' =1")
    assert rows[1]["operator"] == 'Ann, "B"\nC'
    assert rows[0]["operator"] == "\ufffd[31mred"
    assert (rows[1]["find_seconds"], rows[1]["verify_seconds"]) == ("1.0", "")
    assert (rows[0]["error"], rows[0]["failures"]) == ("link_refused", "link: link_refused")
    whole = json.loads("".join(export.as_json(archive.every(Filter()))))
    assert [r["id"] for r in whole] == ["two", "one"]
    assert whole[0]["failures"][0]["what"] == failure_for_ledger("link_refused", "no", private=False)
    assert json.loads("".join(export.as_json([]))) == []


ALL = [
    one_is_found_by_the_beginning_of_its_id,
    an_empty_ledger_has_statistics,
    statistics_of_all_records_equal_those_of_selections,
    the_durations_of_a_selection_are_those_of_its_steps,
    a_small_ledger_has_each_step_by_model_and_site,
    what_is_old_is_removed_with_all_that_belongs_to_it,
    what_is_still_needed_stays_without_force,
    what_was_interrupted_before_a_success_is_old,
    records_go_into_a_spreadsheet_and_into_json,
]
