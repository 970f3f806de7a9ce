"""What `data show` and `data export` say of time zones, on computers in any zone and without a database of zones."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from installer.cli.main import _main
from installer.cloud.api_models import Day, Group, parse_list
from installer.measurements import charts, from_cloud
from installer.measurements.store import Store
from installer.measurements.stored_value import Row
from installer.measurements.zone_notes import ZoneNotes
from installer.storage import database
from tests.installer.cloud.world import MODELS

OWNER = from_cloud.Owner("clinic", "40012345", MODELS)
FAR_APART = ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata"]


@pytest.fixture
def store_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    return database.sqlite_url(tmp_path / "store.sqlite")


def set_zone(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()


@pytest.fixture(autouse=True)
def _zone_of_this_computer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.undo()
    time.tzset()


def weighed(moment: str, zone: str, number: int = 1) -> list[Row]:
    seconds = int(datetime.fromisoformat(moment).timestamp())
    measures = [{"value": 70_000 + number, "type": 1, "unit": -3}]
    group = {"grpid": number, "attrib": 0, "category": 1, "date": seconds, "deviceid": "d1", "modelid": 5}
    [entry] = parse_list(Group, {"g": [{**group, "measures": measures}]}, "g")
    return list(from_cloud.rows(entry, OWNER, zone))


def walked(date: str, zone: str) -> list[Row]:
    day = {"date": date, "timezone": zone, "deviceid": "d2", "is_tracker": True, "modified": 1, "steps": 4200}
    [entry] = parse_list(Day, {"d": [day]}, "d")
    return list(from_cloud.rows(entry, OWNER))


def put(url: str, *rows: Row) -> None:
    with Store.open(url) as store:
        assert store.put(rows) == len(rows)


def exported(url: str, path: Path, *options: str, form: str = "json") -> list[dict[str, Any]]:
    out = path / f"out.{form}"
    assert _main(["data", "export", "--format", form, "--database", url, "--out", str(out), *options]) == 0
    text = out.read_text("utf-8")
    return json.loads(text) if form == "json" else list(csv.DictReader(text.splitlines()))


@pytest.mark.parametrize("here", ["UTC", *FAR_APART])
@pytest.mark.parametrize(
    ("moment", "zone", "here_too", "shown"),
    [
        ("2026-11-24T09:00+14:00", "Pacific/Kiritimati", "Pacific/Kiritimati", "2026-11-24 09:00"),
        ("2026-11-24T23:30-11:00", "Pacific/Pago_Pago", "Pacific/Pago_Pago", "2026-11-24 23:30"),
        ("2026-11-24T05:45+05:30", "Asia/Kolkata", "Asia/Kolkata", "2026-11-24 05:45"),
    ],
)
def test_a_moment_is_shown_on_the_clock_of_the_person(
    monkeypatch: pytest.MonkeyPatch, here: str, moment: str, zone: str, here_too: str, shown: str
) -> None:
    set_zone(monkeypatch, here)
    [row] = weighed(moment, zone)
    assert row.day == "2026-11-24"
    assert row.as_json()["taken_local"] == datetime.fromisoformat(moment).isoformat()
    offset = "" if here == here_too else f" {moment[-6:]}"
    assert charts.when_taken(row) == shown + offset
    [day] = walked("2026-11-24", zone)
    assert charts.when_taken(day) == "2026-11-24"


def test_an_hour_that_comes_twice_is_told_apart_and_in_order(
    monkeypatch: pytest.MonkeyPatch, store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_zone(monkeypatch, "Europe/Paris")
    first, second = "2026-10-25T02:30+02:00", "2026-10-25T02:10+01:00"
    put(store_url, *weighed(second, "Europe/Paris", 2), *weighed(first, "Europe/Paris", 1))
    for form in ("json", "csv"):
        found = exported(store_url, tmp_path, form=form)
        assert [f["taken_local"] for f in found] == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:10:00+01:00"]
        assert {f["day"] for f in found} == {"2026-10-25"}
    assert _main(["data", "show", "--database", store_url]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "weight" in line)
    assert "70.002 kg" in line
    assert "2026-10-25 02:10 +01:00" in line
    assert line.endswith("▁█")


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-29", "Europe/Paris", 23),
        ("2026-10-25", "Europe/Paris", 25),
        ("2026-04-05", "Australia/Lord_Howe", 24.5),
        ("2024-04-26", "Africa/Cairo", 23),
        ("2024-03-10", "Africa/Casablanca", 25),
        ("2011-12-30", "Pacific/Apia", 0),
        ("2026-11-24", "Pacific/Kiritimati", 24),
    ],
)
def test_an_export_holds_the_moments_the_offsets_and_the_day(
    store_url: str, tmp_path: Path, form: str, day: str, zone: str, hours: float
) -> None:
    put(store_url, *walked(day, zone))
    [found] = exported(store_url, tmp_path, form=form)
    assert (found["day"], found["zone"], found["zone_known"]) == (day, zone, {"json": True, "csv": "yes"}[form])
    begin, end = (datetime.fromisoformat(found[name]) for name in ("taken", "ended"))
    assert (end - begin) / timedelta(hours=1) == hours
    local = [datetime.fromisoformat(found[f"{name}_local"]) for name in ("taken", "ended")]
    assert local == [begin, end]
    assert local[0].date().isoformat() == day or not hours


@pytest.mark.parametrize("here", FAR_APART)
def test_a_date_that_somebody_types_is_one_of_the_person(
    monkeypatch: pytest.MonkeyPatch, store_url: str, tmp_path: Path, here: str
) -> None:
    set_zone(monkeypatch, here)
    for zone in FAR_APART:
        put(store_url, *(row for n in (23, 24, 25) for row in walked(f"2026-11-{n}", zone)))
        with Store.open(store_url) as store:
            assert store.count() == 3
        found = exported(store_url, tmp_path, "--since", "2026-11-24", "--until", "2026-11-24")
        assert [(f["day"], f["zone"]) for f in found] == [("2026-11-24", zone)]
        Path(database.parse_url(store_url).database or "").unlink()


# A computer without a database of zones: neither the system nor the package tzdata has one.
WITHOUT_ZONES = """
import importlib.abc, sys
class NoTzdata(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tzdata":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoTzdata())
"""
PUT_AND_SHOW = """
from installer.cli.main import _main
from tests.installer.measurements.test_persons_zone import put, walked, weighed
put(sys.argv[1], *walked("2026-11-24", "Pacific/Kiritimati"), *weighed("2026-11-24T09:00+14:00", "Pacific/Kiritimati"))
for command in ("show", "export"):
    assert _main(["data", command, "--database", sys.argv[1]]) == 0
"""
SHOW = """
import sys
from installer.cli.main import _main
for command in ("show", "export"):
    assert _main(["data", command, "--database", sys.argv[1]]) == 0
"""


def run_without_system_zones(script: str, url: str) -> tuple[list[str], str]:
    """The lines and the messages of a program on a computer whose system has no database of zones."""
    done = subprocess.run(
        [sys.executable, "-c", script, url],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONTZPATH": "", "TZ": "Europe/Paris"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def test_without_a_database_of_zones_it_is_told_and_mended_later(store_url: str) -> None:
    lines, messages = run_without_system_zones(WITHOUT_ZONES + PUT_AND_SHOW, store_url)
    assert messages.count("no database of time zones") == 2  # once for each command
    assert "“Pacific/Kiritimati”" in messages
    assert any("2026-11-23 19:00 UTC" in line for line in lines)
    assert [line.split(",")[-5:] for line in lines[-2:]] == [
        ["", "", "", "Pacific/Kiritimati", "no"],
        ["2026-11-24", "", "", "Pacific/Kiritimati", "no"],
    ]
    assert lines[-1].startswith("2026-11-24T00:00:00+00:00,2026-11-25T00:00:00+00:00,")
    # The package tzdata is there, the system still has none.
    lines, messages = run_without_system_zones(SHOW, store_url)
    assert messages == ""
    assert any("2026-11-24 09:00 +14:00" in line for line in lines)
    assert lines[-2].startswith("2026-11-23T10:00:00+00:00,2026-11-24T10:00:00+00:00,")
    assert [line.split(",")[-5:] for line in lines[-2:]] == [
        ["2026-11-24", "2026-11-24T00:00:00+14:00", "2026-11-25T00:00:00+14:00", "Pacific/Kiritimati", "yes"],
        ["2026-11-24", "2026-11-24T09:00:00+14:00", "", "Pacific/Kiritimati", "yes"],
    ]


def test_a_zone_that_nobody_knows_is_told_once_and_kept(store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    put(store_url, *(row for n in (1, 2, 3) for row in walked(f"2026-11-0{n}", "Mars/Olympus")))
    assert _main(["data", "show", "--database", store_url]) == 0
    said = capsys.readouterr()
    assert said.err.count("Mars/Olympus") == 1
    assert "Update the package tzdata" in said.err
    assert "2026-11-03" in said.out
    with Store.open(store_url) as store:
        assert {(r.zone, r.zone_known, r.taken.hour) for r in store.rows()} == {("Mars/Olympus", False, 0)}
        assert next(store.rows()).taken.tzinfo is UTC


def test_each_unknown_zone_is_told_once_in_a_run() -> None:
    notes = ZoneNotes()
    assert [note.count("Mars/Olympus") for note in notes.about(["Mars/Olympus", "Europe/Paris", "Mars/Olympus"])] == [1]
    assert notes.about(["Mars/Olympus", "Europe/Paris"]) == []
    [odd, none] = sorted(notes.about(["\x1b[31m/../x", ""]), key=len, reverse=True)
    assert "\x1b" not in odd
    assert "gave no time zone" in none
