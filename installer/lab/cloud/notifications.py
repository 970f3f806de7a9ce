"""`/notify`: subscriptions, and delivery of notifications to callback URLs (`withings-cloud.md` §3)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from installer.cloud.trusted_certificates import trusting_context
from installer.cloud.unreachable import Unreachable
from installer.lab.cloud.accounts import Account, Device
from installer.lab.cloud.requests_and_responses import (
    BAD_CALLBACK,
    NO_SUBSCRIPTION,
    ApiError,
    Call,
    Handler,
    invalid_params,
)
from installer.lab.cloud.resettable_state import Subscription
from installer.lab.cloud.store import CloudStore, Sample
from installer.lab.cloud.url_rules import is_loopback, is_public_https

# The scope that each appli needs (§3.2); None: no scope.
APPLI_SCOPES: dict[int, str | None] = {
    **dict.fromkeys((1, 2, 4, 54, 55, 58), "user.metrics"),
    **dict.fromkeys((16, 44), "user.activity"),
    **dict.fromkeys((50, 51, 52), "user.sleepevents"),
    46: None,
}
MEASURE_TYPES = {1: {1, 5, 6, 8, 71, 73, 76, 77, 88, 91}, 2: {12, 71, 73}, 4: {9, 10, 11, 54}}
ACTIVITY, SLEEP = 16, 44
# Before each cycle of two attempts; the random part of the real schedule is left out (§3.4).
RETRY_PAUSES_SECONDS = (0.0, 10.0, 60.0, 3600.0, 4 * 3600.0)
ATTEMPTS_PER_CYCLE = 2
HEAD_SECONDS = 5.0
NEVER_EXPIRES = 2_147_483_647


class Notifier:
    """The actions of `/notify`, and the deliveries in progress."""

    def __init__(self, store: CloudStore) -> None:
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: httpx.AsyncClient | None = None
        store.on_sample.append(self.notify)

    def actions(self) -> dict[str, Handler]:
        """The actions of `/notify`."""
        return {
            "subscribe": self.subscribe,
            "list": self.list_all,
            "get": self.get,
            "update": self.update,
            "revoke": self.revoke,
        }

    async def subscribe(self, call: Call) -> dict[str, Any]:
        """Store a callback URL that responds to HEAD with 2xx; else status 293. Repeating it changes the comment."""
        appli, url = _required_appli(call, "appli"), call.required("callbackurl")
        account = call.account(*_scopes(appli))
        await self._check_callback_url(url)
        found = self._find(account, url, appli)
        if found:
            found[0].comment = call.params.get("comment", "")
        else:
            entry = Subscription(account.userid, appli, url, call.params.get("comment", ""))
            self._store.subscriptions.append(entry)
        return {}

    async def list_all(self, call: Call) -> dict[str, Any]:
        """The user's subscriptions, or those of one appli."""
        account, appli = call.account(), call.integer("appli")
        mine = [s for s in self._store.subscriptions if s.userid == account.userid and appli in (None, s.appli)]
        return {"profiles": [{**_entry(s), "expires": NEVER_EXPIRES} for s in mine]}

    async def get(self, call: Call) -> dict[str, Any]:
        """One subscription; `appli` defaults to 1."""
        account = call.account()
        found = self._find_or_fail(account, call.required("callbackurl"), call.integer("appli") or 1)
        return _entry(found[0])

    async def update(self, call: Call) -> dict[str, Any]:
        """Change exactly one of URL, appli, comment."""
        account = call.account()
        found = self._find_or_fail(account, call.required("callbackurl"), _required_appli(call, "appli"))[0]
        changes = [name for name in ("new_callbackurl", "new_appli", "comment") if call.params.get(name)]
        if len(changes) != 1:
            raise invalid_params("give exactly one of new_callbackurl, new_appli, comment")
        if changes == ["comment"]:
            found.comment = call.required("comment")
        elif changes == ["new_appli"]:
            appli = _required_appli(call, "new_appli")
            call.account(*_scopes(appli))
            found.appli = appli
        else:
            await self._check_callback_url(call.required("new_callbackurl"))
            found.url = call.required("new_callbackurl")
        return {}

    async def revoke(self, call: Call) -> dict[str, Any]:
        """Delete a subscription; without `appli`, all of that URL (the real effect is UNCONFIRMED)."""
        account = call.account()
        for entry in self._find_or_fail(account, call.required("callbackurl"), call.integer("appli")):
            self._store.subscriptions.remove(entry)
        return {}

    def notify(self, account: Account, _device: Device, sample: Sample) -> None:
        """Start to notify the user's subscribers of a delivered measurement."""
        for appli, fields in _notification_fields(sample).items():
            for entry in self._store.subscriptions:
                if entry.userid == account.userid and entry.appli == appli:
                    self._store.notification_counts["notifications"] += 1
                    for _ in range(2 if self._store.state.double_notification() else 1):
                        self._start_delivery(entry, fields)

    def _start_delivery(self, entry: Subscription, fields: dict[str, str]) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(entry, fields))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel all deliveries. The notifier can be used again."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def _deliver(self, entry: Subscription, fields: dict[str, str]) -> None:
        data = {"userid": entry.userid, "appli": str(entry.appli), **fields}
        await asyncio.sleep(self._store.callbacks.delay)
        for pause in RETRY_PAUSES_SECONDS:
            await asyncio.sleep(pause / self._store.scenario.callback_speed)
            for _ in range(ATTEMPTS_PER_CYCLE):
                if self._is_removed(entry) or await self._attempt(entry, data):
                    return

    def _is_removed(self, entry: Subscription) -> bool:
        return entry not in self._store.subscriptions

    async def _attempt(self, entry: Subscription, data: dict[str, str]) -> bool:
        """One attempt. After too many consecutive failures the subscription is removed."""
        counts, limits = self._store.notification_counts, self._store.callbacks
        counts["attempts"] += 1
        if not self._store.state.lose_attempt() and await self._responds(
            "POST", entry.url, 400, limits.answer_seconds, data
        ):
            counts["heard"] += 1
            entry.failed = 0
            return True
        entry.failed += 1
        if limits.remove_after and entry.failed >= limits.remove_after and not self._is_removed(entry):
            counts["removed"] += 1
            self._store.subscriptions.remove(entry)
        return False

    async def _check_callback_url(self, url: str) -> None:
        allowed = is_public_https(url) or (not self._store.scenario.strict and is_loopback(url))
        if not allowed or not await self._responds("HEAD", url, 300, HEAD_SECONDS):
            raise ApiError(BAD_CALLBACK, "The callback URL is either absent or incorrect")

    def _find(self, account: Account, url: str, appli: int | None) -> list[Subscription]:
        mine = (s for s in self._store.subscriptions if s.userid == account.userid and s.url == url)
        return [s for s in mine if appli in (None, s.appli)]

    def _find_or_fail(self, account: Account, url: str, appli: int | None) -> list[Subscription]:
        found = self._find(account, url, appli)
        if not found:
            raise ApiError(NO_SUBSCRIPTION, "No such subscription")
        return found

    async def _responds(
        self, method: str, url: str, below: int, seconds: float, data: dict[str, str] | None = None
    ) -> bool:
        """Whether the URL responds within `seconds` with a status from 200 up to, not including, `below`."""
        try:
            if self._http is None:
                # No proxy leads to this computer, and a receiver's certificate must be one that this computer trusts.
                self._http = httpx.AsyncClient(trust_env=False, verify=trusting_context())
            async with asyncio.timeout(seconds):
                response = await self._http.request(method, url, data=data, timeout=seconds)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, Unreachable):
            return False
        return 200 <= response.status_code < below


def _notification_fields(sample: Sample) -> dict[int, dict[str, str]]:
    """The fields of the notification, for each appli that the sample concerns (§3.2)."""
    if sample.service == "getactivity":
        return {ACTIVITY: {"date": str(sample.values["date"])}}
    if sample.service == "getsummary":
        start, end = int(sample.values["startdate"]), int(sample.values["enddate"])
        return {SLEEP: {"startdate": str(start), "enddate": str(end)}}
    types = {int(m["type"]) for m in sample.values["measures"]}
    dates = {"startdate": str(int(sample.date)), "enddate": str(int(sample.date) + 1)}
    return {appli: dates for appli, known in MEASURE_TYPES.items() if known & types}


def _required_appli(call: Call, name: str) -> int:
    call.required(name)
    appli = call.integer(name)
    if appli not in APPLI_SCOPES:
        raise invalid_params(name)
    return appli


def _scopes(appli: int) -> tuple[str, ...]:
    scope = APPLI_SCOPES[appli]
    return (scope,) if scope else ()


def _entry(subscription: Subscription) -> dict[str, Any]:
    return {"appli": subscription.appli, "callbackurl": subscription.url, "comment": subscription.comment}
