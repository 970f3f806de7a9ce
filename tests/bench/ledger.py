"""The ledger with 100,000 records: list, filter, page, report; and what it costs one installation."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from installer.ledger import clock
from installer.ledger.records import Records
from installer.ledger.tables import details, failures, installations, steps
from installer.ledger.writing import searched

MANY = 100_000
BLOCK = 5_000
MODELS = ("body", "body-plus", "bpm-connect", "sleep", "thermo", "move", "pulse-hr")
WATCHES = ("move", "pulse-hr")
CODES = ("join_failed", "device_not_found", "connection_lost", "authorization_timeout", "link_timeout")
SECONDS = {"find": 12.0, "sync": 3.0, "network": 9.0, "provision": 15.0, "link": 6.0, "verify": 20.0}
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def fill(records: Records, count: int, seed: int = 1) -> None:
    """Fill an empty ledger with `count` installations of a year at 40 sites; the same each time."""
    chance = random.Random(seed)
    engine = records.store.engine()
    for start in range(0, count, BLOCK):
        rows: list[dict[str, Any]] = []
        parts: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for number in range(start, min(start + BLOCK, count)):
            row, done, failed = _one(chance, number, count)
            rows.append(row)
            parts += done
            bad += failed
        with engine.begin() as connection:
            connection.execute(insert(installations), rows)
            connection.execute(
                insert(details), [{"installation": r["id"], "answers": {}, "reasons": ["its name"]} for r in rows]
            )
            connection.execute(insert(steps), parts)
            if bad:
                connection.execute(insert(failures), bad)


def _one(
    chance: random.Random, number: int, count: int
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    installation = f"{chance.getrandbits(48):012x}"
    model = chance.choice(MODELS)
    started = clock.stamp(BEGAN + timedelta(days=330) * (number / count))
    outcome = chance.choices(("installed", "failed", "cancelled", "interrupted"), (88, 9, 2, 1))[0]
    keys = [k for k in SECONDS if not (k == "network" and model in WATCHES)]
    reached = len(keys) if outcome == "installed" else chance.randrange(len(keys))
    done = [
        {
            "installation": installation,
            "step": key,
            "position": position,
            "done": started,
            "took": round(chance.lognormvariate(0, 0.5) * SECONDS[key], 3),
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
    bad = [
        {"installation": installation, "position": 1, "step": row["step"], "code": code, "what": "no", "time": started}
    ] * (code is not None)
    return {**row, "search": searched(row)}, done, bad
