"""The import of an older version's records: one JSON file for each, imported once."""

from __future__ import annotations

import json
from pathlib import Path

from installer.ledger.archive import Archive
from installer.ledger.database import Target
from installer.ledger.query_types import Filter
from installer.ledger.records import Records
from installer.storage.database import sqlite_url

OLD = {
    "id": "abc123",
    "version": "0.0.9",
    "started": "2026-11-01T08:00:00+00:00",
    "ended": "2026-11-01T08:01:00+00:00",
    "outcome": "installed",
    "steps": [
        {
            "step": "find",
            "done": "2026-11-01T08:00:20+00:00",
            "took": 20.0,
            "result": {"address": "00:24:E4:00:00:01", "name": "Body+", "model": "body-plus", "firmware": "1.2"},
        },
        {"step": "sync", "done": "2026-11-01T08:00:21+00:00", "took": 1.0, "result": {"method": "wifi"}},
        {
            "step": "verify",
            "done": "2026-11-01T08:01:00+00:00",
            "took": 30.0,
            "result": {"source": "cloud", "measurement": "72.5 kg"},
        },
    ],
    "failures": [{"step": "provision", "code": "join_failed", "what": "no", "time": "2026-11-01T08:00:30+00:00"}],
    "sent": {"address": "00:24:E4:00:00:01", "ssid": "Home"},
}


def opened(folder: Path) -> Records:
    return Records(Target(sqlite_url(folder / "ledger.sqlite"), old_json_folder=folder / "installations"))


def test_they_are_taken_over_once_and_stay_as_they_were(tmp_path: Path) -> None:
    folder = tmp_path / "installations"
    folder.mkdir()
    (folder / "abc123.json").write_text(json.dumps(OLD))
    (folder / "broken.json").write_text("{")
    (folder / "notes.json").write_text("[]")
    (folder / "half.json").write_text(json.dumps({"id": "half", "steps": [], "started": "never"}))
    records = opened(tmp_path)
    one = records.get("abc123")
    assert one is not None
    assert (one["outcome"], one["model"], one["firmware"], one["method"]) == ("installed", "body-plus", "1.2", "wifi")
    assert [s["step"] for s in one["steps"]] == ["find", "sync", "verify"]
    assert one["failures"][0]["code"] == "join_failed"
    assert "72.5" not in str(one)
    assert records.last_provisioned_ssid("00:24:E4:00:00:01") == "Home"
    half = records.get("half")
    assert half is not None
    assert half["outcome"] == "interrupted"
    # Its times count, of the whole and of a part.
    for detailed in (0, 100):
        assert [(s, t.median) for s, t in Archive(records).statistics(Filter(), detailed).steps] == [
            ("find", 20.0),
            ("sync", 1.0),
            ("verify", 30.0),
        ]
    records.close()
    assert not folder.exists()
    assert sorted(p.name for p in (tmp_path / "installations.taken-over").iterdir()) == [
        "abc123.json",
        "broken.json",
        "half.json",
        "notes.json",
    ]
    again = opened(tmp_path)
    assert len(again.all()) == 2
    again.close()
