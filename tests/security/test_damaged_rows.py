"""Whatever one row of a database contains: no command ends with a defect, the row is named, the others are served."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from installer.batch.row_claims import RowClaims
from installer.cli.main import _main
from installer.errors import ErrorCode, InstallerError
from installer.flow import resume
from installer.flow.resume import EarlierAttempt
from installer.ledger import export, report, schema_migration, sql_tables, text_table
from installer.ledger.archive import Archive, answers_of
from installer.ledger.query_types import Filter
from installer.ledger.record_schema import RecordData
from installer.ledger.records import Records
from installer.measurements import charts, json_lines, selection, store_tables
from installer.measurements import export as measurement_export
from installer.measurements.store import Store
from installer.measurements.stored_value import row
from installer.storage import database
from tests.flow.support import lines
from tests.security.odd_values import HOSTILE_TEXT, odd_json, odd_value

DATABASE = ErrorCode.DATABASE_FAILED.exit_status
JSON_COLUMNS = {"answers", "options", "reasons", "known", "result"}
WHEN = "2026-11-01T08:00:00.000+00:00"
IDS = ("one", "two", "three")


VALUES = {
    **{"version": "1", "started": WHEN, "ended": WHEN, "took": 3.0, "step": "provision", "error": "join_failed"},
    **{"attempts": 1, "name": "Scale", "model": "body", "certainty": "certain", "protocol": "improv", "ssid": "Home"},
    **{"account": "a", "device_id": "d", "site": "Ward", "operator": "Ann", "label": "L", "batch": "b", "search": "x"},
    **{"station": "desk", "method": "bluetooth", "sent_at": WHEN, "sent_ssid": "Home", "handed_over": "d"},
    **{"seconds_find": 1.0},
}


def fill_ledger(path: Path) -> None:
    """An SQLite file with `insert_records`."""
    with closing(Records(path)) as records, records.store.engine().begin() as connection:
        insert_records(connection)


def insert_records(connection: Connection) -> None:
    """Three records of one batch: one failed after credentials were sent, one interrupted, one installed."""
    for number, (name, outcome) in enumerate(zip(IDS, ("failed", "interrupted", "installed"), strict=True)):
        address = f"00:24:E4:00:00:0{number}"
        own = {"id": name, "outcome": outcome, "address": address, "sent_address": address, "row": str(number)}
        values = VALUES | own
        connection.execute(sql_tables.installations.insert().values(values))
        details = {"answers": {"find": {"device": address}}, "options": {}, "reasons": ["x"], "known": {"a": ["d"]}}
        connection.execute(sql_tables.details.insert().values(installation=name, **details))
        result = {"address": address, "model": "body", "rssi": -40}
        step = {"step": "find", "position": 1, "done": WHEN, "took": 1.0, "result": result}
        connection.execute(sql_tables.steps.insert().values(installation=name, **step))
        failure = {"position": 1, "step": "provision", "code": "join_failed", "what": "no", "time": WHEN}
        connection.execute(sql_tables.failures.insert().values(installation=name, **failure))
    lease = {"address": "A", "installation": "one", "station": "desk", "holder": "h", "expires": 9e9}
    connection.execute(sql_tables.leases.insert().values(lease))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    fill_ledger(path)
    return path


def change(path: Path, table: str, column: str, value: Any, key: str, of: Any) -> bool:
    """Write a value past all checks; False if SQLite itself refuses it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        try:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (value, of))
        except (sqlite3.IntegrityError, OverflowError):
            return False
    return True


def read_everything(records: Records) -> set[str]:
    """All that the commands read of a ledger, and what they make of it; the ids that came out whole."""
    archive, now = Archive(records), datetime.now(UTC)
    page = records.find(Filter(), 50)
    text_table.table_lines(page.records, 80)
    all_of_them = records.all()
    for record in all_of_them:
        text_table.details(record)
        RecordData.model_validate(record)
        for use in (EarlierAttempt.of, answers_of):
            with contextlib.suppress(InstallerError):
                use(record)
    "".join(export.as_csv(all_of_them))
    "".join(export.as_json(all_of_them)).encode()
    for one in resume.list_resumable(records):
        f"{one.device} {one.ago(now)}".encode()
    for known in IDS:
        records.get(known)
    for detailed in (20_000, 0):
        report.render(archive.statistics(Filter(), detailed), archive.failures(Filter(), 10))
    records.installed("bluetooth")
    for number in range(3):
        address = f"00:24:E4:00:00:0{number}"
        records.handed_over(address), records.last_provisioned_ssid(address), records.last_provisioning_started(address)
    RowClaims(records, "b", "desk")._load()
    archive.prune(now, dry_run=True)
    with contextlib.suppress(InstallerError):
        records.lease("A", "other", 5.0)
    schema_migration.status(records.store.target)
    return {record["id"] for record in all_of_them if not record["damaged"]}


COLUMNS = [
    (table.name, column.name)
    for table in sql_tables.metadata.sorted_tables
    for column in table.columns
    if column.name not in ("installation", "position", "search")
]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_value_in_any_column_of_the_ledger(ledger: Path, data: st.DataObject) -> None:
    table, column = data.draw(st.sampled_from(COLUMNS))
    value = data.draw(odd_json if column in JSON_COLUMNS else odd_value)
    changed = ledger.with_name("changed.sqlite")
    shutil.copyfile(ledger, changed)
    key = {"installations": "id", "leases": "installation"}.get(table, "installation")
    if not change(changed, table, column, value, key, "one"):
        return
    with closing(Records(changed)) as records:
        whole = read_everything(records)
        assert {"two", "three"} <= whole
        error = records.damaged.error()
        if "one" not in whole and not (table == "installations" and column == "id"):
            assert error is not None
            assert "record one" in error.what


def test_every_kind_of_damage_is_found(ledger: Path) -> None:
    """The test above could not fail if everything were taken for whole."""
    for table, column, value in (
        ("details", "options", "[1]"),
        ("details", "answers", '"x"'),
        ("details", "answers", '{"find": "x"}'),
        ("details", "options", '{"catalogues": 7}'),
        ("details", "known", '["d"]'),
        ("steps", "result", "[]"),
        ("steps", "result", '{"rssi": NaN}'),
        ("steps", "took", -1),
        ("failures", "what", b"\xff"),
        ("installations", "id", "a/../b"),
        ("installations", "id", "x; rm -r ~"),
        ("installations", "method", "smoke"),
        ("installations", "outcome", "perhaps"),
        ("installations", "started", "2026-11-01"),
        ("installations", "took", float("inf")),
        ("installations", "attempts", -5),
        ("installations", "name", "x" * 100_000),
        ("installations", "model", b"\xff\xfe"),
    ):
        changed = ledger.with_name("changed.sqlite")
        shutil.copyfile(ledger, changed)
        assert change(changed, table, column, value, "id" if table == "installations" else "installation", "one")
        with closing(Records(changed)) as records:
            assert {record["id"] for record in records.all() if not record["damaged"]} == {"two", "three"}
            assert records.damaged.error() is not None, (table, column)
            assert {one.id for one in resume.list_resumable(records)} == {"two"}, (table, column)


@pytest.fixture(scope="module")
def measurements(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "measurements.sqlite"
    with Store.open(database.sqlite_url(path)) as store:
        at = datetime(2026, 11, 1, tzinfo=UTC)
        common: dict[str, Any] = {"source": "cloud", "device": "d", "kind": "weight", "unit": "kg"}
        values = (row(measured=Decimal(70 + n), taken=at.replace(hour=n), **common) for n in range(4))
        store.add(values, [("a", "measures", 5)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO devices VALUES ('d', 'Scale', 'body', 'A', 'a')")
    return path


ODD_NUMBERS = st.sampled_from(["1e99999", "NaN", "day x", "1e-999"])
MEASUREMENT_COLUMNS = [
    (table.name, column.name)
    for table in store_tables.metadata.sorted_tables
    for column in table.columns
    if column.name not in ("number", "key")
]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    column=st.sampled_from(MEASUREMENT_COLUMNS),
    value=odd_value | ODD_NUMBERS,
)
def test_any_value_in_any_column_of_the_measurements(measurements: Path, column: tuple[str, str], value: Any) -> None:
    table, name = column
    changed = measurements.with_name("changed.sqlite")
    shutil.copyfile(measurements, changed)
    where = {"measurements": ("number", 2), "devices": ("device", "d"), "cursors": ("account", "a")}
    key, of = where.get(table, ("version", store_tables.VERSION))
    if not change(changed, table, name, value, key, of):
        return
    if table == "store_version":
        with contextlib.suppress(InstallerError):
            Store.open(database.sqlite_url(changed)).close()
        return
    with Store.open(database.sqlite_url(changed)) as store:
        store.place_known_zones()
        rows, devices = list(store.rows()), store.devices()
        assert len(rows) >= 3
        names = selection.with_names(rows, devices, {})
        found = charts.sections(store.latest(8), names)
        "\n".join(charts.table_lines(found, 80)).encode()
        for one in rows:
            charts.value_line(one, names)
            json_lines.value_line(one, "known", "Scale").model_dump_json()
        for form in ("csv", "json"):
            "\n".join(measurement_export.document_lines(rows, {}, form)).encode()  # type: ignore[arg-type]
        with contextlib.suppress(InstallerError):
            store.cursor("a", "measures")
        store.again_from("a", "measures")
        assert (len(rows) == 4) is (store.damaged.error() is None) or table != "measurements"


COMMANDS: list[tuple[list[str], int]] = [
    (["resume", "--list"], DATABASE),
    (["resume", "--list", "--json"], DATABASE),
    (["resume", "one"], DATABASE),
    (["records", "show", "one"], DATABASE),
    (["records", "show", "two"], 0),
    (["records", "list"], 0),
    (["records", "list", "--json"], 0),
    (["records", "export"], DATABASE),
    (["records", "export", "--format", "json"], DATABASE),
    (["records", "export", "--format", "html"], DATABASE),
    (["records", "prune", "--older-than", "1d", "--dry-run"], 0),
    (["ledger", "status"], 0),
    (["ledger", "migrate"], 0),
    (["link", "one"], DATABASE),
]


@pytest.fixture
def home(tmp_path: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path))
    for name in ("LEDGER", "SITE", "STATION"):
        monkeypatch.delenv(f"DEVICE_INSTALLER_{name}", raising=False)
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copyfile(ledger, tmp_path / "data" / "ledger.sqlite")
    return tmp_path


@pytest.mark.parametrize(("table", "column", "value"), [("details", "options", "[1]"), ("details", "answers", '"x"')])
def test_no_command_ends_with_a_defect_and_each_names_the_row(
    home: Path, capsys: pytest.CaptureFixture[str], table: str, column: str, value: str
) -> None:
    change(home / "data" / "ledger.sqlite", table, column, value, "installation", "one")
    for command, status in COMMANDS:
        assert _main(command) == status, command
        said = capsys.readouterr()
        assert "defect" not in said.err
        if status == DATABASE:
            assert "record one" in said.err.lower(), command
        if command == ["resume", "--list", "--json"]:
            assert [one["id"] for one in lines(said.out) if "id" in one] == ["two"]
    assert not (home / "state" / "crashes").exists()


async def test_the_wizard_offers_the_others(home: Path) -> None:
    change(home / "data" / "ledger.sqlite", "details", "options", "[1]", "installation", "one")
    with closing(Records(home / "data" / "ledger.sqlite")) as records:
        # The record of a batch is no offer; `two` is one without its batch.
        change(home / "data" / "ledger.sqlite", "installations", "batch", None, "id", "two")
        assert [one.id for one in await resume.list_for_wizard(records, None)] == ["two"]
        assert "record one (options)" in str(records.damaged.error())


def test_a_batch_does_not_guess_what_a_damaged_row_was(ledger: Path) -> None:
    changed = ledger.with_name("changed.sqlite")
    shutil.copyfile(ledger, changed)
    change(changed, "installations", "outcome", HOSTILE_TEXT, "id", "three")
    with closing(Records(changed)) as records:
        found = RowClaims(records, "b", "desk")._load()
    assert (found["2"].done, found["2"].open) == (False, False)
    assert found["2"].damage is not None
    assert found["2"].damage.code is ErrorCode.DATABASE_FAILED
    assert (found["0"].damage, found["0"].open) == (None, True)
