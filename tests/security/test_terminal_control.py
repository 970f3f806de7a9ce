"""No text of a row, a device or a server acts on the terminal: not by a listing, a table, a prompt, or the wizard."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Text as TextColumn
from textual.app import App, ComposeResult
from textual.content import Content

from installer import output
from installer.batch.progress_table import PlainView, TableView, summary
from installer.cli.main import _main
from installer.events.batch import BatchStarted, PlannedRow
from installer.ledger import sql_tables
from installer.ledger.query_types import Filter
from installer.ledger.records import Records
from installer.measurements.store import Device, Store
from installer.measurements.stored_value import row
from installer.storage import database
from screens.cards import CardChoice, Cards
from screens.records import _detail, _row
from screens.widgets import Callout, Facts, Text
from tests.flow.support import lines
from tests.security.odd_values import HOSTILE_TEXT
from tests.security.test_damaged_rows import VALUES, WHEN

ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
FORGED = "forged"
ID = "hostile"
# Without these the row is damaged, and left out.
KEPT = {"id", "version", "started", "ended", "outcome", "method", "sent_at", "search"}


def assert_harmless(said: str, *, may_break: bool = False) -> None:
    assert FORGED in said, "the hostile text must be seen, or this test shows nothing"
    plain = said.replace("\r\n", "\n")
    assert ACTING.search(plain) is None, repr(plain)
    if not may_break:
        assert not any(line.lstrip().startswith(FORGED) for line in plain.splitlines()), plain


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path))
    for name in ("LEDGER", "SITE", "STATION"):
        monkeypatch.delenv(f"DEVICE_INSTALLER_{name}", raising=False)
    return tmp_path


@pytest.fixture
def ledger(home: Path) -> Path:
    """One record that can be resumed, with a hostile text in every column that may have one."""
    path = home / "data" / "ledger.sqlite"
    hostile = {c.name: HOSTILE_TEXT for c in sql_tables.installations.columns if isinstance(c.type, TextColumn)}
    values = VALUES | {k: v for k, v in hostile.items() if k not in KEPT} | {"id": ID, "outcome": "failed"}
    with closing(Records(path)) as records, records.store.engine().begin() as connection:
        connection.execute(sql_tables.installations.insert().values(values))
        details = {
            "answers": {"find": {"device": HOSTILE_TEXT, "model": HOSTILE_TEXT, "name": HOSTILE_TEXT}},
            "options": {"cloud": HOSTILE_TEXT, "adapter": HOSTILE_TEXT},
            "reasons": [HOSTILE_TEXT],
            "known": {HOSTILE_TEXT: [HOSTILE_TEXT]},
        }
        connection.execute(sql_tables.details.insert().values(installation=ID, **details))
        step = {"step": HOSTILE_TEXT, "position": 1, "done": WHEN, "took": 1.0, "result": {"name": HOSTILE_TEXT}}
        connection.execute(sql_tables.steps.insert().values(installation=ID, **step))
        failure = {"position": 1, "step": HOSTILE_TEXT, "code": HOSTILE_TEXT, "what": HOSTILE_TEXT, "time": WHEN}
        connection.execute(sql_tables.failures.insert().values(installation=ID, **failure))
    return path


@pytest.mark.parametrize(
    "command",
    [
        ["resume", "--list"],
        ["records", "list"],
        ["records", "show", ID],
        ["records", "export", "--format", "html"],
    ],
)
def test_a_listing_of_records(ledger: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(command) == 0
    said = capsys.readouterr()
    assert_harmless(said.out + said.err)


def test_a_table_of_records_keeps_its_lines(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["records", "export", "--format", "csv"]) == 0
    # A line break within a cell is quoted; that is CSV's own way.
    assert_harmless(capsys.readouterr().out, may_break=True)


@pytest.mark.parametrize(
    "command", [["resume", "--list", "--json"], ["records", "list", "--json"], ["records", "show", ID, "--json"]]
)
def test_json_escapes_it_and_keeps_the_value(
    ledger: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(command) == 0
    said = capsys.readouterr().out
    assert_harmless(said)
    (one,) = lines(said)
    assert one["address"] == HOSTILE_TEXT


def test_exported_json_keeps_the_value(ledger: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["records", "export", "--format", "json"]) == 0
    said = capsys.readouterr().out
    assert_harmless(said)
    assert json.loads(said)[0]["name"] == HOSTILE_TEXT
    assert _main(["records", "export", "--out", str(home / "a.json")]) == 0
    assert_harmless((home / "a.json").read_text("utf-8"))


@pytest.mark.parametrize("command", [["resume"], ["resume", ID], ["link", ID], ["records", "show", HOSTILE_TEXT]])
def test_an_error_about_a_record(ledger: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(command) != 0
    said = capsys.readouterr()
    assert ACTING.search(said.out + said.err) is None


def test_a_damaged_record_is_named_without_acting(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("UPDATE installations SET id = ?, outcome = ?", (HOSTILE_TEXT, HOSTILE_TEXT))
        connection.execute("UPDATE leases SET station = ?", (HOSTILE_TEXT,))
    for command in (["records", "list"], ["ledger", "status"]):
        _main(command)
        said = capsys.readouterr()
        assert_harmless(said.out + said.err)


@pytest.fixture
def measurements(home: Path) -> None:
    hostile: dict[str, Any] = dict.fromkeys(
        ("device", "kind", "unit", "user", "account", "model", "group", "period", "zone", "day"), HOSTILE_TEXT
    )
    hostile["period"] = f"day {HOSTILE_TEXT}"
    with Store.open(database.sqlite_url(home / "data" / "measurements.sqlite")) as store:
        store.put([row(source="cloud", measured=Decimal(70), taken=datetime(2026, 11, 1, tzinfo=UTC), **hostile)])
        store.name_devices([Device(*[HOSTILE_TEXT] * 5)])


@pytest.mark.parametrize("command", [["show"], ["show", "--json"], ["export"], ["export", "--format", "json"]])
def test_a_listing_of_measurements(measurements: None, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["data", *command]) == 0
    said = capsys.readouterr()
    assert_harmless(said.out, may_break=command == ["export"])
    assert ACTING.search(said.err) is None


def batch_events() -> BatchStarted:
    planned = PlannedRow(row="1", device=HOSTILE_TEXT, model=HOSTILE_TEXT, site=HOSTILE_TEXT, label=HOSTILE_TEXT)
    started = {"batch": HOSTILE_TEXT, "plan": HOSTILE_TEXT, "version": "1", "rows": (planned,), "left": 1}
    return BatchStarted.model_validate(started | {"adapters": ("hci0",), "parallel": 1})


def test_the_table_of_a_batch(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    drawn = io.StringIO()
    view = TableView(Console(file=drawn, width=120, height=30, color_system=None))
    view.show(batch_events())
    Console(file=drawn, width=120, color_system=None).print(view.draw(120, 30))
    assert ACTING.search(drawn.getvalue()) is None
    assert "[red]x[/]" in drawn.getvalue(), "it is no markup"
    plain = PlainView()
    plain.show(batch_events())
    for line in summary(plain.progress):
        output.print_result(line)
    said = capsys.readouterr()
    assert_harmless(said.out + said.err, may_break=True)


def test_the_one_place_that_prints(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever forgets to make a text safe is safe all the same."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("answer\n"))
    output.print_result(f"name: {HOSTILE_TEXT}")
    output.print_message(f"name: {HOSTILE_TEXT}")
    output.ask_line(f"name {HOSTILE_TEXT}? ")
    output.print_result(json.dumps({"name": HOSTILE_TEXT}, ensure_ascii=False))
    said = capsys.readouterr()
    assert_harmless(said.out + said.err, may_break=True)
    assert json.loads(said.out.splitlines()[-1]) == {"name": HOSTILE_TEXT}


class Shown(App[None]):
    """The widgets of the wizard that show texts, each with a hostile one."""

    def compose(self) -> ComposeResult:
        yield Text(HOSTILE_TEXT)
        yield Text("", id="later")
        yield Callout(HOSTILE_TEXT, "error")
        yield Facts([("Name", output.harmless(HOSTILE_TEXT))])
        yield Cards([CardChoice("a", HOSTILE_TEXT, HOSTILE_TEXT), CardChoice("b", "b", reason=HOSTILE_TEXT)])


def drawn_text(app: App[None]) -> Iterable[str]:
    for widget in app.screen.walk_children():
        for y in range(widget.size.height):
            yield widget.render_line(y).text


async def test_the_wizard() -> None:
    app = Shown()
    async with app.run_test(size=(120, 60)) as pilot:
        app.query_one("#later", Text).update(Content.assemble((HOSTILE_TEXT, "bold")))
        await pilot.pause()
        drawn = "\n".join(drawn_text(app))
    assert drawn.count(FORGED) >= 6
    assert ACTING.search(drawn) is None
    assert drawn.count("[red]x[/]") >= 5, "it is no markup"
    assert "[@click=app.quit]" in drawn


async def test_the_wizards_list_of_records(ledger: Path) -> None:
    with closing(Records(ledger)) as records:
        (record,) = (await asyncio.to_thread(records.find, Filter())).records
    texts = [*_row(record).cells, _detail(record)]
    assert any(FORGED in text for text in texts)
    assert ACTING.search("".join(texts)) is None
