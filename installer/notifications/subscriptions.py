"""Notifications of new data: what to subscribe for a model, and the client of `/notify` (`withings-cloud.md` §3).

A subscription is one per user, kind of data (`appli`) and address. The cloud removes one whose address did not answer
for a while, so what was wanted is compared with what is there, and what is missing is subscribed anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from installer.catalogue.catalogue import DataService, DeviceType, Model
from installer.cloud.api_models import Subscription, entries
from installer.errors import ErrorCode, InstallerError
from installer.notifications import callback_url

if TYPE_CHECKING:
    from installer.cloud.account import Account

NOTIFY = "/notify"
COMMENT = "device-installer"
BAD_CALLBACK = 293
GONE = (286, 343)  # no such subscription
SLEEP = 44
BED_EVENTS = (50, 51, 52)
BED_SCOPE = "user.sleepevents"
# What each number is about, for people (§3.2).
WORDS = {
    1: "weight",
    2: "temperature",
    4: "blood pressure",
    16: "activity",
    44: "sleep",
    46: "the user's account",
    50: "bed in",
    51: "bed out",
    52: "sleep mat inflated",
    54: "ECG",
    55: "ECG failed",
    58: "glucose",
}


def applis(model: Model, scopes: Collection[str] = ()) -> tuple[int, ...]:
    """The numbers to subscribe for this model (§4.4); `scopes`: what the account was granted.

    A watch notices sleep too. What a mat tells of the bed needs a scope of its own, and is left out without it.
    """
    if model.cloud.appli is None:
        return ()
    wanted = [model.cloud.appli]
    if model.cloud.data is DataService.ACTIVITY:
        wanted.append(SLEEP)
    if model.type is DeviceType.SLEEP_MAT and BED_SCOPE in scopes:
        wanted += BED_EVENTS
    return tuple(dict.fromkeys(wanted))


def in_words(numbers: Iterable[int]) -> str:
    """These numbers as words, with commas."""
    return ", ".join(WORDS.get(n, f"kind {n}") for n in sorted(set(numbers)))


@dataclass(frozen=True)
class Ensured:
    """What became of wanted subscriptions: `new` ones, and those that were there already."""

    new: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()


@dataclass
class Notifications:
    """The subscriptions of one account. Every call may raise what `Account.call` raises."""

    account: Account
    comment: str = field(default=COMMENT)

    async def list(self, appli: int | None = None) -> list[Subscription]:
        """The subscriptions, whoever made them; or those of one kind."""
        fields = {} if appli is None else {"appli": str(appli)}
        body = await self.account.call(NOTIFY, "list", "reading the notifications of the account", fields)
        return entries(Subscription, body, "profiles")

    async def get(self, url: str, appli: int) -> Subscription | None:
        """One subscription, if it is there."""
        try:
            body = await self._call("get", "reading a subscription", url, {"appli": str(appli)})
        except InstallerError as error:
            if error.data.get("status") in GONE:
                return None
            raise
        found = entries(Subscription, {"profiles": [body]}, "profiles")
        return found[0] if found else None

    async def subscribe(self, url: str, appli: int) -> None:
        """Ask to be told at `url`. Raises NOTIFICATIONS_REFUSED if the cloud does not take the address."""
        fields = {"appli": str(appli), "comment": self.comment}
        await self._call("subscribe", f"subscribing notifications of {in_words([appli])}", url, fields)

    async def move(self, url: str, appli: int, new_url: str) -> None:
        """Change the address of a subscription. Raises NOTIFICATIONS_REFUSED for the new address."""
        callback_url.check(new_url)
        fields = {"appli": str(appli), "new_callbackurl": new_url}
        await self._call("update", "changing the address of notifications", url, fields, named=new_url)

    async def revoke(self, url: str, appli: int) -> bool:
        """End a subscription; False if there was none."""
        try:
            await self._call("revoke", "ending a subscription", url, {"appli": str(appli)})
        except InstallerError as error:
            if error.data.get("status") in GONE:
                return False
            raise
        return True

    async def ensure(self, url: str, wanted: Iterable[int]) -> Ensured:
        """Subscribe what is missing of `wanted` at this address; what is there is left alone (§3.1)."""
        callback_url.check(url)
        there = {s.appli for s in await self.list() if s.url == url}
        numbers = tuple(dict.fromkeys(wanted))
        missing = tuple(n for n in numbers if n not in there)
        for number in missing:
            await self.subscribe(url, number)
        return Ensured(missing, tuple(n for n in numbers if n in there))

    async def _call(
        self, action: str, doing: str, url: str, fields: dict[str, str], *, named: str | None = None
    ) -> dict[str, Any]:
        try:
            return await self.account.call(NOTIFY, action, doing, {"callbackurl": url, **fields})
        except InstallerError as error:
            if error.data.get("status") == BAD_CALLBACK:
                raise refused(named or url) from None
            raise


def refused(url: str) -> InstallerError:
    """NOTIFICATIONS_REFUSED: the cloud does not take this address (status 293)."""
    return InstallerError(
        ErrorCode.NOTIFICATIONS_REFUSED,
        f"The cloud does not take {callback_url.masked(url)} as an address for notifications (status {BAD_CALLBACK}).",
        callback_url.advice(url),
        status=BAD_CALLBACK,
        url=callback_url.masked(url),
    )
