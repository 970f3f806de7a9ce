"""The Data API: `/measure` getmeas, `/v2/measure` getactivity, `/v2/sleep` getsummary (`withings-cloud.md` §4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, TypeVar

from installer.lab.cloud.accounts import SLEEP_MAT, TRACKER, Account, Day, Group, Night
from installer.lab.cloud.requests_and_responses import Call, Handler, invalid_params

DEFAULT_DAY_FIELDS = (
    "steps",
    "distance",
    "elevation",
    "soft",
    "moderate",
    "intense",
    "active",
    "calories",
    "totalcalories",
)
DEFAULT_NIGHT_FIELDS = ("lightsleepduration", "deepsleepduration", "wakeupduration", "wakeupcount", "durationtosleep")
BRAND_WITHINGS, BRAND_EXTERNAL = 1, 18
PHONE_MODEL, PHONE_NAME = 1055, "Google Fit"

Row = TypeVar("Row", Group, Night, Day)


async def get_measures(call: Call) -> dict[str, Any]:
    """Measure groups, the newest first. `meastype(s)`, `category`, dates or `lastupdate`, `offset`."""
    account = call.account("user.metrics")
    types = _types(call)
    category, since = call.integer("category"), call.integer("lastupdate")
    start, end = call.integer("startdate"), call.integer("enddate")
    if category not in (None, 1, 2):
        raise invalid_params("category")
    if since is not None and (start is not None or end is not None):
        raise invalid_params("give startdate and enddate, or lastupdate")
    found = []
    for group in sorted(account.groups, key=lambda g: (g.date, g.grpid), reverse=True):
        if category is not None and group.category != category:
            continue
        if since is not None and group.modified < since:
            continue
        if (start is not None and group.date < start) or (end is not None and group.date > end):
            continue
        measures = [m for m in group.measures if types is None or m["type"] in types]
        if measures:
            found.append((group, measures))
    offset, size = call.integer("offset") or 0, call.store.scenario.page_size
    page, more = found[offset : offset + size], len(found) > offset + size
    return {
        "updatetime": int(call.store.clock()),
        "timezone": account.user.timezone,
        "measuregrps": [_group(call, group, measures) for group, measures in page],
        "more": int(more),
        "offset": offset + size if more else 0,
    }


async def get_activity(call: Call) -> dict[str, Any]:
    """Days of activity, the oldest first."""
    account = call.account("user.activity")
    rows, more, offset = _page(call, account.days)
    names = _requested_fields(call, DEFAULT_DAY_FIELDS)
    return {"activities": [_day(call, account, row, names) for row in rows], "more": more, "offset": offset}


async def get_summary(call: Call) -> dict[str, Any]:
    """Nights, the oldest first."""
    account = call.account("user.activity")
    rows, more, offset = _page(call, account.nights)
    names = _requested_fields(call, DEFAULT_NIGHT_FIELDS)
    return {"series": [_night(account, row, names) for row in rows], "more": more, "offset": offset}


def _types(call: Call) -> set[int] | None:
    text = call.params.get("meastypes") or call.params.get("meastype")
    if not text:
        return None
    if call.params.get("meastypes") and call.params.get("meastype"):
        raise invalid_params("give meastype or meastypes")
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise invalid_params("meastypes")
    return {int(part) for part in parts}


def _requested_fields(call: Call, default: Sequence[str]) -> set[str]:
    text = call.params.get("data_fields", "")
    return {part.strip() for part in text.split(",") if part.strip()} or set(default)


def _page(call: Call, rows: Sequence[Row]) -> tuple[list[Row], bool, int]:
    """One page of the rows between two days, or changed since a time: rows, whether there are more, next offset."""
    since = call.integer("lastupdate")
    start, end = call.params.get("startdateymd"), call.params.get("enddateymd")
    if since is not None and not start and not end:
        found = [row for row in rows if row.modified >= since]
    elif since is None and start and end:
        first, last = _parse_day(start), _parse_day(end)
        found = [row for row in rows if first <= str(row.date) <= last]
    else:
        raise invalid_params("give startdateymd and enddateymd, or lastupdate")
    found.sort(key=lambda row: (str(row.date), row.modified))
    offset, size = call.integer("offset") or 0, call.store.scenario.page_size
    more = len(found) > offset + size
    return found[offset : offset + size], more, offset + size if more else 0


def _parse_day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise invalid_params("a date must be YYYY-MM-DD") from None


def _model(call: Call, name: str) -> str:
    return "" if call.store.scenario.blank_model else name


def _group(call: Call, group: Group, measures: list[dict[str, int]]) -> dict[str, Any]:
    device = group.device
    return {
        "grpid": group.grpid,
        "attrib": group.attrib,
        "date": group.date,
        "created": group.modified,
        "modified": group.modified,
        "category": group.category,
        "deviceid": device.device_id if device else None,
        "hash_deviceid": device.device_id if device else None,
        "measures": measures,
        "modelid": device.model_id if device else None,
        "model": _model(call, device.model) if device else None,
        "comment": None,
    }


def _day(call: Call, account: Account, day: Day, names: set[str]) -> dict[str, Any]:
    device = day.device
    return {
        "date": day.date,
        "timezone": account.user.timezone,
        "deviceid": device.device_id if device else None,
        "hash_deviceid": device.device_id if device else None,
        "brand": BRAND_WITHINGS if device else BRAND_EXTERNAL,
        "modelid": device.model_id if device else PHONE_MODEL,
        "model": _model(call, device.model) if device else PHONE_NAME,
        "is_tracker": device is not None,
        "modified": day.modified,
        **{key: value for key, value in day.values.items() if key in names},
    }


def _night(account: Account, night: Night, names: set[str]) -> dict[str, Any]:
    return {
        "id": night.id,
        "timezone": account.user.timezone,
        "model": SLEEP_MAT if night.device.type == "Sleep Monitor" else TRACKER,
        "model_id": night.device.model_id,
        "hash_deviceid": night.device.device_id,
        "startdate": night.start,
        "enddate": night.end,
        "date": night.date,
        "completed": True,
        "data": {key: value for key, value in night.data.items() if key in names},
        "created": night.modified,
        "modified": night.modified,
    }


MEASURE_ACTIONS: dict[str, Handler] = {"getmeas": get_measures}
ACTIVITY_ACTIONS: dict[str, Handler] = {"getactivity": get_activity}
SLEEP_ACTIONS: dict[str, Handler] = {"getsummary": get_summary}
