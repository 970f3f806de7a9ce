"""The HTML report: its contents, and that it has no active or external content."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from installer.cli.main import _main
from installer.ledger import report
from installer.ledger import statistics as ledger_statistics
from installer.ledger.archive import Archive
from installer.ledger.query_types import Durations, Filter, Group
from installer.ledger.records import Records
from installer.timing.durations import compact_duration
from tests.bench.ledger import fill
from tests.installer.ledger.record_behaviour import found, installed
from tests.installer.ledger.test_records import make

__all__ = ["make"]
VOID = {"meta", "br"}


class Page(HTMLParser):
    """Its tables as texts, by heading; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._open: list[str] = []
        self._heading = ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self._open.append(tag)
        if tag == "h2":
            self._heading = ""
        elif tag == "tr":
            self.tables.setdefault(self._heading, []).append([])
        elif tag in ("td", "th"):
            self.tables[self._heading][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "h2" in self._open:
            self._heading += data
        elif "td" in self._open or "th" in self._open:
            self.tables[self._heading][-1][-1] += data


def page(records: Records, wanted: Filter | None = None) -> tuple[str, Page]:
    archive, wanted = Archive(records), wanted or Filter()
    text = report.render(
        archive.statistics(wanted), archive.failures(wanted, 25), wanted=wanted, names={"body": "Body"}
    )
    return text, Page(text)


def test_it_says_what_a_lead_wants_to_know(make: Callable[[], Records]) -> None:
    records = make()
    fill(records, 400)
    text, shown = page(records)
    every = records.all()
    failed = [r for r in every if r["outcome"] == "failed"]
    assert set(shown.tables) == {
        "Failed, by reason",
        "Time of each step",
        "Median time of each step, by model",
        "Median time of each step, by site",
        "By model",
        "By site",
        "By operator",
        "By week",
        "The last failures",
    }
    assert sum(int(row[2]) for row in shown.tables["Failed, by reason"][1:]) == len(failed)
    assert [row[0] for row in shown.tables["Time of each step"][1:]] == [
        "find",
        "sync",
        "network",
        "provision",
        "link",
        "verify",
    ]
    (body,) = [row for row in shown.tables["By model"] if row[0] == "Body"]
    own = [r for r in every if r["model"] == "body"]
    good = sum(r["outcome"] == "installed" for r in own)
    bad = sum(r["outcome"] == "failed" for r in own)
    assert body[1:4] == [str(len(own)), str(good), str(bad)]
    assert body[5] == f"{good * 100 / (good + bad):.1f} %"
    assert sum(int(row[1]) for row in shown.tables["By site"][1:]) == 400
    by_model = {row[0]: row[1:] for row in shown.tables["Median time of each step, by model"]}
    assert by_model["model"] == ["find", "sync", "network", "provision", "link", "verify"]
    finds = [s["took"] for r in own for s in r["steps"] if s["step"] == "find"]
    assert by_model["Body"][0] == compact_duration(statistics.median_low(finds))
    assert by_model["move"][2] == "–"
    assert len(shown.tables["The last failures"]) == 1 + min(25, len(failed))
    assert "<title>Installations, 2026-01-01 to 2026-11-2" in text


async def test_nothing_in_it_is_active_or_from_outside(make: Callable[[], Records]) -> None:
    records = make()
    evil = '"><script>alert(1)</script><img src=http://x/y onerror=z>'
    await installed(records, "one", "A", "wifi", site=evil, operator=evil, label=evil)
    bad = records.begin("two", "1.0")
    await bad.set_device("B", name=evil, model=evil, certainty="certain", reasons=[evil])
    bad.failed("link", evil, evil)
    await bad.end("failed")
    page(records, Filter(text=evil, site=(evil,)))
    text, shown = page(records)
    assert not shown.tags & {"script", "img", "link", "iframe", "object", "form", "a", "svg"}
    assert not any(name.startswith("on") or name in ("src", "href") for name in shown.attributes)
    assert "url(" not in text
    assert "@import" not in text
    assert re.findall(r"""<[^>]*https?:""", text) == []


def test_an_empty_ledger_makes_a_page(make: Callable[[], Records]) -> None:
    text, shown = page(make())
    assert "No matching records." in text
    assert shown.tables == {}


async def test_what_nobody_told_takes_no_table(make: Callable[[], Records]) -> None:
    records = make()
    await installed(records, "one", "A", "wifi")
    _, shown = page(records)
    assert {"By site", "By operator", "Failed, by reason", "Median time of each step, by site"}.isdisjoint(shown.tables)
    await installed(records, "two", "B", "wifi", site="North")
    _, shown = page(records)
    assert [row[0] for row in shown.tables["By site"]] == ["site", "North", report.NOT_GIVEN]


async def test_the_period_and_the_filter_stand_in_it(make: Callable[[], Records]) -> None:
    records = make()
    record = await found(records, "one", site="North")
    await record.end("installed")
    zone = datetime.now().astimezone().tzinfo
    wanted = Filter(
        since=datetime(2026, 1, 1, tzinfo=zone), until=datetime(2099, 2, 1, tzinfo=zone), site=("North",), text="scale"
    )
    text, _ = page(records, wanted)
    assert "<title>Installations, 2026-01-01 to 2099-01-31</title>" in text
    assert "Only: site North; with “scale”" in text


@pytest.mark.parametrize(
    ("installed_ones", "failed_ones", "words"),
    [(1, 0, "100.0 %"), (9999, 1, "99.9 %"), (1, 9999, "0.1 %"), (0, 3, "0.0 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(installed_ones: int, failed_ones: int, words: str) -> None:
    group = Group("x", {"installed": installed_ones, "failed": failed_ones}, Durations())
    assert report._row("x", group, 1).success == words


def stamps(first: str, last: str) -> tuple[str, list[str]]:
    unit, periods = ledger_statistics.calendar_periods(f"{first}T12:00:00.000+00:00", f"{last}T12:00:00.000+00:00")
    assert all(a[2] == b[1] for a, b in itertools.pairwise(periods))
    return unit, [name for name, _, _ in periods]


def test_time_is_cut_so_that_it_fits_a_page() -> None:
    assert stamps("2026-02-27", "2026-03-02") == ("day", ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"])
    unit, names = stamps("2026-01-01", "2026-03-01")
    assert (unit, names[0], len(names)) == ("week", "2025-12-29", 9)
    unit, names = stamps("2024-11-15", "2026-01-02")
    assert (unit, names[:3], names[-1]) == ("month", ["2024-11-01", "2024-12-01", "2025-01-01"], "2026-01-01")
    unit, names = stamps("1970-01-01", "2026-01-02")
    assert (unit, len(names)) == ("year", 57)
    assert ledger_statistics.calendar_periods(None, None) == ("day", [])


def test_the_command_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    records = Records(tmp_path / "l.sqlite")
    fill(records, 50)
    records.close()
    file = tmp_path / "report.html"
    words = ["records", "export", "--ledger", str(tmp_path / "l.sqlite"), "--out", str(file), "--model", "body-plus"]
    assert _main(words) == 0
    text = file.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert Page(text).tables["By model"][1][0] == "Body+"
    assert datetime.now(UTC).strftime("%Y") in text
