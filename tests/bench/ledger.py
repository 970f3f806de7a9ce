"""Benchmark of a ledger with 100,000 records: list, filter, page, report, and the writes of one installation."""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from installer.ledger import report as report_page
from installer.ledger import timestamps
from installer.ledger.archive import Archive
from installer.ledger.query_types import Filter
from installer.ledger.record_updates import search_text
from installer.ledger.records import Context, Records
from installer.ledger.sql_tables import details, failures, installations, steps

RECORD_COUNT = 100_000
INSERT_BLOCK = 5_000
MODELS = ("body", "body-plus", "bpm-connect", "sleep", "thermo", "move", "pulse-hr")
WATCHES = ("move", "pulse-hr")
CODES = ("join_failed", "device_not_found", "connection_lost", "authorization_timeout", "link_timeout")
MEAN_STEP_SECONDS = {"find": 12.0, "sync": 3.0, "network": 9.0, "provision": 15.0, "link": 6.0, "verify": 20.0}
FIRST_START = datetime(2026, 1, 1, tzinfo=UTC)


def fill(records: Records, count: int, seed: int = 1) -> None:
    """Fill an empty ledger with `count` installations of a year at 40 sites; the same each time."""
    chance = random.Random(seed)
    engine = records.store.engine()
    for start in range(0, count, INSERT_BLOCK):
        rows: list[dict[str, Any]] = []
        parts: list[dict[str, Any]] = []
        failure_rows: list[dict[str, Any]] = []
        for number in range(start, min(start + INSERT_BLOCK, count)):
            row, done, failed = _one(chance, number, count)
            rows.append(row)
            parts += done
            failure_rows += failed
        with engine.begin() as connection:
            connection.execute(insert(installations), rows)
            connection.execute(
                insert(details), [{"installation": r["id"], "answers": {}, "reasons": ["its name"]} for r in rows]
            )
            connection.execute(insert(steps), parts)
            if failure_rows:
                connection.execute(insert(failures), failure_rows)


def _one(
    chance: random.Random, number: int, count: int
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    installation = f"{chance.getrandbits(48):012x}"
    model = chance.choice(MODELS)
    started = timestamps.timestamp(FIRST_START + timedelta(days=330) * (number / count))
    outcome = chance.choices(("installed", "failed", "cancelled", "interrupted"), (88, 9, 2, 1))[0]
    keys = [k for k in MEAN_STEP_SECONDS if not (k == "network" and model in WATCHES)]
    reached = len(keys) if outcome == "installed" else chance.randrange(len(keys))
    done = [
        {
            "installation": installation,
            "step": key,
            "position": position,
            "done": started,
            "took": round(chance.lognormvariate(0, 0.5) * MEAN_STEP_SECONDS[key], 3),
            "result": {},
        }
        for position, key in enumerate(keys[:reached], 1)
    ]
    code = chance.choice(CODES) if outcome == "failed" else None
    address = f"00:24:E4:{number >> 16 & 255:02X}:{number >> 8 & 255:02X}:{number & 255:02X}"
    row: dict[str, Any] = {
        "id": installation,
        "version": "0.1.0",
        "started": started,
        "ended": started,
        "took": round(sum(d["took"] for d in done), 3),
        "outcome": outcome,
        "step": None if outcome == "installed" else keys[min(reached, len(keys) - 1)],
        "error": code,
        "attempts": 1,
        "address": address,
        "serial": f"SN{number:08d}",
        "name": f"{model} {number & 255:02X}",
        "firmware": "1.4.2",
        "model": model,
        "certainty": "certain",
        "protocol": "improv",
        "method": "bluetooth" if model in WATCHES else "wifi",
        "ssid": None if model in WATCHES else f"Ward {chance.randrange(60)}",
        "account": "clinic",
        "device_id": f"{chance.getrandbits(64):016x}",
        "site": f"Site {chance.randrange(40):02d}",
        "operator": chance.choice(("Ann", "Ben", "Cem", "Dora", "Emil", "Fay")),
        "label": f"L{number:06d}",
        "station": f"station-{chance.randrange(8)}",
    }
    row |= {f"seconds_{key}": None for key in MEAN_STEP_SECONDS} | {f"seconds_{d['step']}": d["took"] for d in done}
    bad = [
        {"installation": installation, "position": 1, "step": row["step"], "code": code, "what": "no", "time": started}
    ] * (code is not None)
    return {**row, "search": search_text(row)}, done, bad


def _timed(work: Callable[[], Any], times: int = 7) -> tuple[float, float, float]:
    """Milliseconds of `times` runs: the median, the slowest, and the median of processor time."""
    found, worked = [], []
    for _ in range(times):
        began, before = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - began) * 1000)
        worked.append((time.process_time() - before) * 1000)
    return statistics.median(found), max(found), statistics.median(worked)


def read_operations(records: Records) -> list[tuple[str, Callable[[], Any]]]:
    """What a person reads in a large ledger."""
    archive = Archive(records)
    deep: tuple[str, str] | None = (timestamps.timestamp(FIRST_START + timedelta(days=30)), "~")
    month = Filter(since=FIRST_START + timedelta(days=150), until=FIRST_START + timedelta(days=180))
    half = Filter(since=FIRST_START + timedelta(days=165))

    def report_of(wanted: Filter) -> Callable[[], Any]:
        return lambda: report_page.render(archive.statistics(wanted), archive.failures(wanted, 25), wanted=wanted)

    return [
        ("list: the newest 50, and how many there are", lambda: archive.page(Filter(), 50)),
        ("list: 50 from the middle of the year", lambda: archive.page(Filter(), 50, deep)),
        ("filter: failed", lambda: archive.page(Filter(outcome=("failed",)), 50)),
        (
            "filter: model, site and operator",
            lambda: archive.page(Filter(model=("body",), site=("Site 07",), operator=("Ann",)), 50),
        ),
        ("filter: a month", lambda: archive.page(month, 50)),
        ("filter: words that are there", lambda: archive.page(Filter(text="ward 33 ann"), 50)),
        ("filter: a word that is nowhere", lambda: archive.page(Filter(text="nowhere"), 50)),
        ("one record by the beginning of its id", lambda: archive.one(records.find(Filter(), 1).records[0]["id"][:10])),
        ("what can be resumed", lambda: records.unfinished(20)),
        ("report: all of it, as HTML", report_of(Filter())),
        ("report: one site of 40, as HTML", report_of(Filter(site=("Site 07",)))),
        ("report: one month of 11, as HTML", report_of(month)),
        ("report: half of the year, as HTML", report_of(half)),
    ]


async def _write(records: Records, number: int) -> None:
    """All writes of an installation, with its waits for the disk."""
    record = records.begin(f"w{number:011d}", "0.1.0", Context(site="Site 07", operator="Ann", station="bench"), {})
    address = f"F0:00:00:00:{number >> 8 & 255:02X}:{number & 255:02X}"
    await record.set_device(address, name="Body", model="body", certainty="certain", reasons=["its name"])
    for step in MEAN_STEP_SECONDS:
        if step == "provision":
            await record.sending(address, "Ward 7")
        await record.step_done(step, 1.0, {"address": address}, reached=step, answers={})
    await record.end("installed")


async def _writing(records: Records, count: int = 12) -> tuple[float, float]:
    await _write(records, 0)  # opens the database
    found = []
    for number in range(1, count + 1):
        began = time.perf_counter()
        await _write(records, number)
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found), max(found)


def report() -> list[str]:
    """Results for a ledger with 100,000 records, and for writes into it and into an empty one."""
    titles = f"{'ms (median)':>12}{'ms (slowest)':>14}{'ms (CPU)':>10}{'budget':>8}"
    lines = [f"{f'ledger of {RECORD_COUNT:,} records, SQLite':<48}{titles}"]
    with tempfile.TemporaryDirectory() as folder:
        large, empty = Records(Path(folder) / "large.sqlite"), Records(Path(folder) / "empty.sqlite")
        fill(large, RECORD_COUNT)
        for name, work in read_operations(large):
            median, slowest, worked = _timed(work)
            lines.append(f"{name:<48}{median:>12.1f}{slowest:>14.1f}{worked:>10.1f}{200:>8}")
        for name, records in (("an empty one", empty), ("this one", large)):
            median, slowest = asyncio.run(_writing(records))
            lines.append(f"{f'all writes of one installation, into {name}':<48}{median:>12.1f}{slowest:>14.1f}")
        large.close()
        empty.close()
    return lines
