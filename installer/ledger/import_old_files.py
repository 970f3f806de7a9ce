"""Imports, once, the records of an older version: one JSON file for each installation."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from installer.ledger import timestamps
from installer.ledger.record_updates import (
    RESULT_COLUMNS,
    STEP_SECONDS_COLUMNS,
    search_text,
    storable,
    storable_result,
)
from installer.ledger.sql_tables import details, failures, installations, steps
from installer.storage.damaged_rows import Unreadable, load_json
from installer.text.bounded_read import read_bounded

if TYPE_CHECKING:
    from sqlalchemy import Connection

IMPORTED_SUFFIX = ".taken-over"
MAX_FILE_BYTES = 1024 * 1024
OUTCOMES = ("installed", "failed", "cancelled")


def import_records(connection: Connection, folder: Path) -> list[str]:
    """Insert the records of the folder that the ledger does not have. Returns the files that cannot be read, with why.

    Files that are no records are left out.
    """
    known = set(connection.execute(select(installations.c.id)).scalars())
    unreadable = []
    for path in sorted(folder.glob("*.json")):
        try:
            data = load_json(read_bounded(path, MAX_FILE_BYTES).decode())
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is damaged"
            unreadable.append(f"{path.name} ({why})")
            continue
        if isinstance(data, Unreadable):
            unreadable.append(f"{path.name} (it is damaged)")
            continue
        if not isinstance(data, dict) or not isinstance(data.get("steps"), list):
            continue
        installation = str(data.get("id") or path.stem)
        if installation not in known:
            known.add(installation)
            _insert(connection, installation, data)
    return unreadable


def renamed(folder: Path) -> Path:
    """Where the folder is after the import."""
    return folder.with_name(folder.name + IMPORTED_SUFFIX)


def rename_folder(folder: Path) -> None:
    """Rename the folder after the import. If that fails, the next import skips the known ids."""
    with contextlib.suppress(OSError):
        if not renamed(folder).exists():
            folder.rename(renamed(folder))


def _insert(connection: Connection, installation: str, data: dict[str, Any]) -> None:
    done = [s for s in data["steps"] if isinstance(s, dict) and isinstance(s.get("step"), str)]
    failures_there = data.get("failures")
    failed = [f for f in failures_there if isinstance(f, dict)] if isinstance(failures_there, list) else []
    sent = _object(data.get("sent"))
    started = _time(data.get("started"))
    outcome = data.get("outcome")
    values: dict[str, Any] = {
        "id": installation,
        "version": str(data.get("version", "")),
        "started": started,
        "ended": _time(data["ended"]) if data.get("ended") else None,
        "outcome": outcome if outcome in OUTCOMES else "interrupted",
        "step": None if outcome == "installed" else (_text(failed[-1].get("step")) if failed else None),
        "error": None if outcome == "installed" or not failed else str(failed[-1].get("code", "")),
        "attempts": 1,
        "took": sum(_number(s.get("took")) for s in done),
        "sent_address": _text(sent.get("address")),
        "sent_ssid": _text(sent.get("ssid")),
        "sent_at": started if sent else None,
    }
    reasons = None
    for step in done:
        result = _object(step.get("result"))
        if step["step"] in STEP_SECONDS_COLUMNS:
            values[STEP_SECONDS_COLUMNS[step["step"]]] = _number(step.get("took"))
        if isinstance(result.get("reasons"), list):
            reasons = [reason for reason in result["reasons"] if isinstance(reason, str)]
        for key, column in RESULT_COLUMNS.get(step["step"], {}).items():
            if isinstance(result.get(key), str) and result[key]:
                values[column] = result[key]
        if result.get("protocol") == "guided" and isinstance(result.get("device_id"), str):
            values["handed_over"] = result["device_id"]
    values = storable(values)
    connection.execute(insert(installations).values(**values, search=search_text(values)))
    connection.execute(insert(details).values(installation=installation, reasons=storable(reasons)))
    inserted: set[str] = set()
    for position, step in enumerate(done, 1):
        if step["step"] in inserted:
            continue
        inserted.add(step["step"])
        connection.execute(
            insert(steps).values(
                installation=installation,
                step=step["step"],
                position=position,
                done=_time(step.get("done")),
                took=_number(step.get("took")),
                result=storable_result(step.get("result")),
            )
        )
    for position, failure in enumerate(failed, 1):
        connection.execute(
            insert(failures).values(
                installation=installation,
                position=position,
                step=storable(_text(failure.get("step"))),
                code=storable(str(failure.get("code", ""))),
                what=storable(str(failure.get("what", ""))),
                time=_time(failure.get("time")),
            )
        )


def _time(value: Any) -> str:
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return "1970-01-01T00:00:00.000+00:00"
    return timestamps.timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
