"""From the lab's cloud into PostgreSQL and out of it, by the commands."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from installer.cli.main import _main
from tests.flow.support import LabWorld, lines
from tests.postgres import PostgresServer


def test_fetch_show_and_export_on_postgresql(
    world: LabWorld, postgres: PostgresServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wifi = ["--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"]
    assert _main(["install", "--lab", "--non-interactive", "--model", "body-plus", *wifi]) == 0
    store = ["--lab", "--database", postgres.database()]
    assert _main(["data", "fetch", *store]) == 0
    assert "default: 4 new" in capsys.readouterr().err
    world.act("body-plus", "measure")
    assert _main(["data", "fetch", *store, "--json"]) == 0
    events = lines(capsys.readouterr().out)
    assert [e["event"] for e in events] == ["value", "value", "account_fetched"]
    assert _main(["data", "show", *store]) == 0
    shown = capsys.readouterr().out
    weight = f"{world.device('body-plus')['last_measurement']['weight']:g}"
    assert f"{weight} kg" in shown
    assert _main(["data", "export", *store, "--kind", "weight", "--device", "body-plus"]) == 0
    exported = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line["kind"] for line in exported] == ["weight", "weight"]
    assert weight in {line["value"] for line in exported}
    file = tmp_path / "all.json"
    assert _main(["data", "export", *store, "--format", "json", "--out", str(file)]) == 0
    assert len(json.loads(file.read_text("utf-8"))) == 6


def test_the_settings_name_the_database(
    world: LabWorld, home: Path, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.toml").write_text(f'[data]\nurl = "{postgres.database()}"\n', "utf-8")
    assert _main(["data", "show"]) == 0
    assert "No measurement is stored yet." in capsys.readouterr().err
    # What is practised stays apart.
    assert _main(["data", "fetch", "--lab"]) == 0
    capsys.readouterr()
    assert _main(["data", "show", "--json"]) == 0
    assert capsys.readouterr().out == ""
