"""The commands on the ledger: what they print, what they leave, and how they fail."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.ledger.record_schema import RecordData, Row
from installer.ledger.records import Records
from tests.bench.ledger import fill

COUNT = 120


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a ledger with 120 records."""
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    path = tmp_path / "ledger.sqlite"
    records = Records(path)
    fill(records, COUNT)
    records.close()
    return str(path)


def run(*words: str) -> int:
    return _main(list(words))


def test_a_list_fits_80_columns(
    ledger: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run("records", "list", "--ledger", ledger, "--limit", "100") == 0
    shown = capsys.readouterr()
    rows = shown.out.splitlines()
    assert len(rows) == 101
    assert max(len(r) for r in rows) <= 80
    assert re.match(r"ID +STARTED +RESULT +MODEL +SITE", rows[0])
    assert "100 of 120" in shown.err


def test_a_list_in_a_pipe_is_not_cut(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("records", "list", "--ledger", ledger) == 0
    rows = capsys.readouterr().out.splitlines()
    assert "ADDRESS" in rows[0]
    assert "…" not in "".join(rows).replace("… running", "")


def test_filters_narrow_the_list(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    def found(*words: str) -> list[dict[str, str]]:
        assert run("records", "list", "--json", "--limit", "1000", "--ledger", ledger, *words) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    every = found()
    assert len(every) == COUNT
    assert [r["started"] for r in every] == sorted((r["started"] for r in every), reverse=True)
    failed = found("--outcome", "failed")
    assert failed == [r for r in every if r["outcome"] == "failed"]
    assert found("--model", "body", "--model", "sleep") == [r for r in every if r["model"] in ("body", "sleep")]
    assert found("--site", "Site 07", "--operator", "Ann") == [
        r for r in every if (r["site"], r["operator"]) == ("Site 07", "Ann")
    ]
    assert found("l00004", "IMPROV") == [r for r in every if r["label"].startswith("L00004")]
    assert found("--since", "2026-06-02", "--until", "2026-06-30") == [
        r for r in every if "2026-06-02" <= r["started"][:10] <= "2026-06-30"
    ]


def test_nothing_found_is_said_and_is_no_failure(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("records", "list", "--ledger", ledger, "nowhere") == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "No record fits.\n")


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--outcome", "fine"),
        ("list", "--since", "yesterday"),
        ("list", "--since", "2026-13-01"),
        ("prune", "--older-than", "90"),
        ("prune",),
        ("export", "--format", "xml"),
    ],
)
def test_a_wrong_option_is_told(ledger: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert run("records", *words, "--ledger", ledger) == ErrorCode.USAGE.exit_status
    assert "Error: " in capsys.readouterr().err


def test_one_record_is_shown(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("records", "list", "--json", "--outcome", "failed", "--limit", "1", "--ledger", ledger)
    listed = json.loads(capsys.readouterr().out)
    assert run("records", "show", listed["id"][:8], "--ledger", ledger) == 0
    text = capsys.readouterr().out
    for value in (listed["id"], listed["error"], listed["address"], listed["serial"], listed["operator"], "Failures"):
        assert value in text
    assert run("records", "show", listed["id"][:8], "--json", "--ledger", ledger) == 0
    assert json.loads(capsys.readouterr().out)["failures"][0]["code"] == listed["error"]
    assert run("records", "show", "nothing", "--ledger", ledger) == ErrorCode.RECORD_UNKNOWN.exit_status
    assert run("records", "show", "", "--ledger", ledger) == ErrorCode.RECORD_AMBIGUOUS.exit_status


def test_every_record_is_as_its_schema_says(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("records", "list", "--json", "--ledger", ledger) == 0
    for line in capsys.readouterr().out.splitlines():
        Row.model_validate_json(line)
    assert run("records", "export", "--format", "json", "--ledger", ledger) == 0
    for record in json.loads(capsys.readouterr().out):
        RecordData.model_validate(record)
    assert run("schema", "record") == 0
    assert set(json.loads(capsys.readouterr().out)["properties"]) == set(record)


def test_an_export_is_whole_or_not_at_all(ledger: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "records.csv"
    assert run("records", "export", "--out", str(file), "--ledger", ledger) == 0
    assert file.read_bytes().startswith(b"\xef\xbb\xbfid,")
    assert len(list(csv.DictReader(file.read_text("utf-8-sig").splitlines()))) == COUNT
    assert run("records", "export", "--format", "json", "--ledger", ledger) == 0
    assert len(json.loads(capsys.readouterr().out)) == COUNT
    nowhere = tmp_path / "none" / "records.json"
    assert run("records", "export", "--out", str(nowhere), "--ledger", ledger) == ErrorCode.FILE_UNWRITABLE.exit_status
    assert str(nowhere) in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.glob("records*")) == ["records.csv"]
    assert not list(tmp_path.glob(".records*"))


def test_pruning_says_how_many(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("records", "prune", "--older-than", "1h", "--ledger", ledger)
    assert run(*words, "--dry-run") == 0
    before = capsys.readouterr()
    assert re.fullmatch(r"\d+ records would be removed\.\n", before.out)
    assert "needed by the gateway" in before.err
    assert run(*words) == 0
    assert capsys.readouterr().out.split()[0] == before.out.split()[0]
    assert run(*words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["removed"] == 0


def test_the_ledger_is_told_and_brought_up_to_date(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ledger", "status", "--ledger", ledger) == 0
    text = capsys.readouterr().out
    assert ledger in text
    assert "up to date" in text
    assert "120: " in text
    assert run("ledger", "migrate", "--ledger", ledger) == 0
    assert "is up to date" in capsys.readouterr().out
    assert run("ledger", "status", "--json", "--ledger", ledger) == 0
    assert json.loads(capsys.readouterr().out)["records"] == COUNT


def test_a_password_in_a_url_is_refused_unseen(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://ann:hunter2@host/ledger"
    for words in (("records", "list"), ("ledger", "status"), ("ledger", "migrate")):
        assert run(*words, "--ledger", url) == ErrorCode.DATABASE_FAILED.exit_status
        assert "hunter2" not in "".join(capsys.readouterr())


def test_what_is_no_ledger_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "notes.sqlite"
    file.write_text("this is no database, and long enough to be none at all. " * 20)
    assert run("records", "list", "--ledger", str(file)) == ErrorCode.DATABASE_FAILED.exit_status
    assert "not a database" in capsys.readouterr().err
