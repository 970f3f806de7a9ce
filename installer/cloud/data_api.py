"""The Data API: fetches the measurements of an account, page by page (`withings-cloud.md` §4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from installer.catalogue.model import DataService
from installer.cloud import response
from installer.cloud.api_models import Day, Group, Night, parse_list
from installer.cloud.measure_types import REAL_CATEGORY

if TYPE_CHECKING:
    from installer.cloud.account import Account

Entry = Group | Night | Day

# A page holds a hundred entries or more, and nobody has a million of them.
MAX_PAGES = 10_000
# The limit for one page, with the waits for the rate limit.
PAGE_SECONDS = 300.0
# “Everything that changed since 1970”. A 0 could be taken for an empty field.
EARLIEST_CHANGE = 1


@dataclass(frozen=True)
class Endpoint:
    """A data service: its path, the key of its entries, the scope it needs, and its words.

    `days`: its time range is given in days, not in unix seconds.
    """

    path: str
    key: str
    scope: str
    words: str
    days: bool


ENDPOINTS: dict[DataService, Endpoint] = {
    DataService.MEASURES: Endpoint("/measure", "measuregrps", "user.metrics", "measurements", days=False),
    DataService.SLEEP: Endpoint("/v2/sleep", "series", "user.activity", "sleep", days=True),
    DataService.ACTIVITY: Endpoint("/v2/measure", "activities", "user.activity", "activity", days=True),
}


@dataclass(frozen=True)
class Page:
    """A page of entries. `misfits`: the number of entries that could not be parsed. `timezone`: of the user, or empty.

    `last`: no page follows.
    """

    entries: tuple[Entry, ...]
    misfits: int
    timezone: str
    last: bool


def allowed(account: Account, service: DataService) -> bool:
    """Whether the account granted the scope of this service (§1.2); True if the granted scopes are unknown."""
    return not account.scopes or ENDPOINTS[service].scope in account.scopes


async def pages(
    account: Account,
    service: DataService,
    data_fields: Iterable[str] = (),
    *,
    changed_since: int | None = None,
    measured: tuple[datetime, datetime] | None = None,
) -> AsyncIterator[Page]:
    """What changed since `changed_since` (unix seconds of the cloud), or was `measured` in a time range, or all data.

    `data_fields`: the fields of nights and days. A time range of nights and days is one day longer at both ends,
    because their dates depend on the time zone. Raises what `Account.call` raises, and CLOUD_FAILED if the pages do
    not end.
    """
    endpoint = ENDPOINTS[service]
    form = _time_range(endpoint, changed_since, measured)
    form |= {"data_fields": ",".join(data_fields)} if endpoint.days else {"category": str(REAL_CATEGORY)}
    offset = 0
    for _ in range(MAX_PAGES):
        body = await account.call(
            endpoint.path, service.value, f"reading the data of account “{account.name}”", form, seconds=PAGE_SECONDS
        )
        found = parse_entries(service, body)
        raw = body.get(endpoint.key)
        timezone = body.get("timezone")
        more = bool(body.get("more"))
        yield Page(
            found,
            max(0, len(raw) - len(found)) if isinstance(raw, list) else 0,
            timezone if isinstance(timezone, str) else "",
            last=not more,
        )
        if not more:
            return
        next_offset = body.get("offset")
        if isinstance(next_offset, str) and next_offset.isdecimal() and len(next_offset) < 12:
            next_offset = int(next_offset)
        if isinstance(next_offset, bool) or not isinstance(next_offset, int) or next_offset <= offset:
            raise response.invalid_answer("it announces more pages, without a valid offset")
        offset = next_offset
        form["offset"] = str(offset)
    raise response.invalid_answer("its pages do not end")


def _time_range(endpoint: Endpoint, since: int | None, measured: tuple[datetime, datetime] | None) -> dict[str, str]:
    if measured is None:
        # Only getmeas works without a date.
        return {"lastupdate": str(max(since or 0, EARLIEST_CHANGE))} if endpoint.days or since is not None else {}
    start, end = measured
    if not endpoint.days:
        return {"startdate": str(max(0, int(start.timestamp()))), "enddate": str(int(end.timestamp()))}
    day = timedelta(days=1)
    return {"startdateymd": f"{start - day:%Y-%m-%d}", "enddateymd": f"{end + day:%Y-%m-%d}"}


def parse_entries(service: DataService, body: Mapping[str, object]) -> tuple[Entry, ...]:
    """The entries of one answer of this service."""
    key = ENDPOINTS[service].key
    match service:
        case DataService.MEASURES:
            return tuple(parse_list(Group, body, key))
        case DataService.SLEEP:
            return tuple(parse_list(Night, body, key))
        case DataService.ACTIVITY:
            return tuple(parse_list(Day, body, key))
