"""The Data API: what the devices of an account measured, page by page (`withings-cloud.md` §4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from installer.catalogue.catalogue import DataService
from installer.cloud import response
from installer.cloud.api_models import Day, Group, Night, entries

if TYPE_CHECKING:
    from installer.cloud.account import Account

Entry = Group | Night | Day

# A page holds a hundred entries or more; nobody has a million of them.
MAX_PAGES = 10_000
# How long one page may take; turns that others have at the cloud count.
PAGE_SECONDS = 300.0
# “Everything that changed since 1970”: a 0 could pass for a field that was left empty.
EVER = 1


@dataclass(frozen=True)
class _Call:
    path: str
    key: str
    scope: str
    # The parameters of a window: unix seconds, or days.
    days: bool


_CALLS: dict[DataService, _Call] = {
    DataService.MEASURES: _Call("/measure", "measuregrps", "user.metrics", days=False),
    DataService.SLEEP: _Call("/v2/sleep", "series", "user.activity", days=True),
    DataService.ACTIVITY: _Call("/v2/measure", "activities", "user.activity", days=True),
}
# Category 1: what was measured, not what the person aims at.
_REAL = {"category": "1"}


@dataclass(frozen=True)
class Page:
    """Some entries. `misfits`: how many more could not be understood. `timezone`: of the user, or empty.

    `last`: no page follows.
    """

    entries: tuple[Entry, ...]
    misfits: int
    timezone: str
    last: bool


def allowed(account: Account, service: DataService) -> bool:
    """Whether the account granted what this service needs (§1.2); where the cloud did not say, it is tried."""
    return not account.scopes or _CALLS[service].scope in account.scopes


def scope(service: DataService) -> str:
    """The scope that this service needs."""
    return _CALLS[service].scope


async def pages(
    account: Account,
    service: DataService,
    data_fields: Iterable[str] = (),
    *,
    changed_since: int | None = None,
    measured: tuple[datetime, datetime] | None = None,
) -> AsyncIterator[Page]:
    """What changed since `changed_since` (unix seconds of the cloud), or was measured in a stretch of time, or all.

    `data_fields`: what nights and days shall hold. They are chosen by their dates, which depend on where one is, so
    one day more at both ends comes along. Raises as `Account.call`, and CLOUD_FAILED if the pages do not end.
    """
    call = _CALLS[service]
    form = _which(call, changed_since, measured)
    form |= {"data_fields": ",".join(data_fields)} if call.days else _REAL
    offset = 0
    for _ in range(MAX_PAGES):
        body = await account.call(
            call.path, service.value, f"reading the data of account “{account.name}”", form, seconds=PAGE_SECONDS
        )
        found = _entries(service, body)
        raw = body.get(call.key)
        told = body.get("timezone")
        more = bool(body.get("more"))
        yield Page(
            found,
            max(0, len(raw) - len(found)) if isinstance(raw, list) else 0,
            told if isinstance(told, str) else "",
            last=not more,
        )
        if not more:
            return
        following = body.get("offset")
        if isinstance(following, str) and following.isdecimal() and len(following) < 12:
            following = int(following)
        if isinstance(following, bool) or not isinstance(following, int) or following <= offset:
            raise response.garbage("it says that there are more pages, but not where")
        offset = following
        form["offset"] = str(offset)
    raise response.garbage("its pages do not end")


def _which(call: _Call, since: int | None, measured: tuple[datetime, datetime] | None) -> dict[str, str]:
    if measured is None:
        # Only getmeas may be asked for everything; the others need a date.
        return {"lastupdate": str(max(since or 0, EVER))} if call.days or since is not None else {}
    start, end = measured
    if not call.days:
        return {"startdate": str(max(0, int(start.timestamp()))), "enddate": str(int(end.timestamp()))}
    day = timedelta(days=1)
    return {"startdateymd": f"{start - day:%Y-%m-%d}", "enddateymd": f"{end + day:%Y-%m-%d}"}


def _entries(service: DataService, body: Mapping[str, object]) -> tuple[Entry, ...]:
    key = _CALLS[service].key
    match service:
        case DataService.MEASURES:
            return tuple(entries(Group, body, key))
        case DataService.SLEEP:
            return tuple(entries(Night, body, key))
        case DataService.ACTIVITY:
            return tuple(entries(Day, body, key))
