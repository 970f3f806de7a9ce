"""Subscriptions to notifications of new data: the client of `/notify` (`withings-cloud.md` §3).

There is one subscription for each user, category (`appli`) and callback URL. The cloud removes a subscription whose
URL did not answer for a while, so missing subscriptions are renewed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from installer.cloud.api_models import Subscription, parse_list
from installer.cloud.notification_categories import categories_in_words
from installer.errors import ErrorCode, InstallerError
from installer.notifications import callback_url
from installer.notifications.callback_check import what_head_finds

if TYPE_CHECKING:
    from installer.cloud.account import Account

NOTIFY_PATH = "/notify"
DEFAULT_COMMENT = "device-installer"
REFUSED_STATUS = 293
NO_SUBSCRIPTION_STATUSES = (286, 343)


@dataclass(frozen=True)
class Ensured:
    """The categories with a `new` subscription, and those that were subscribed already (`kept`)."""

    new: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()


@dataclass
class AccountSubscriptions:
    """The subscriptions of one account. Every call may raise what `Account.call` raises."""

    account: Account
    comment: str = field(default=DEFAULT_COMMENT)

    async def list(self, appli: int | None = None) -> list[Subscription]:
        """All subscriptions, also those of other programs; or those of one category."""
        fields = {} if appli is None else {"appli": str(appli)}
        body = await self.account.call(NOTIFY_PATH, "list", "reading the notifications of the account", fields)
        return parse_list(Subscription, body, "profiles")

    async def get(self, url: str, appli: int) -> Subscription | None:
        """One subscription, or None."""
        try:
            body = await self._call("get", "reading a subscription", url, {"appli": str(appli)})
        except InstallerError as error:
            if error.data.get("status") in NO_SUBSCRIPTION_STATUSES:
                return None
            raise
        found = parse_list(Subscription, {"profiles": [body]}, "profiles")
        return found[0] if found else None

    async def subscribe(self, url: str, appli: int) -> None:
        """Subscribe `url` to a category. Raises NOTIFICATIONS_REFUSED if the cloud refuses the URL."""
        fields = {"appli": str(appli), "comment": self.comment}
        await self._call("subscribe", f"subscribing to notifications of {categories_in_words([appli])}", url, fields)

    async def move(self, url: str, appli: int, new_url: str) -> None:
        """Change the URL of a subscription. Raises NOTIFICATIONS_REFUSED for the new URL."""
        callback_url.check_url(new_url)
        fields = {"appli": str(appli), "new_callbackurl": new_url}
        await self._call("update", "changing the address of notifications", url, fields, refused_url=new_url)

    async def revoke(self, url: str, appli: int) -> bool:
        """End a subscription; False if there was none."""
        try:
            await self._call("revoke", "ending a subscription", url, {"appli": str(appli)})
        except InstallerError as error:
            if error.data.get("status") in NO_SUBSCRIPTION_STATUSES:
                return False
            raise
        return True

    async def ensure(self, url: str, wanted: Iterable[int]) -> Ensured:
        """Subscribe this URL to the categories of `wanted` that are missing; the others stay as they are (§3.1)."""
        callback_url.check_url(url)
        subscribed = {s.appli for s in await self.list() if s.url == url}
        numbers = tuple(dict.fromkeys(wanted))
        missing = tuple(n for n in numbers if n not in subscribed)
        for number in missing:
            await self.subscribe(url, number)
        return Ensured(missing, tuple(n for n in numbers if n in subscribed))

    async def _call(
        self, action: str, doing: str, url: str, fields: dict[str, str], *, refused_url: str | None = None
    ) -> dict[str, Any]:
        try:
            return await self.account.call(NOTIFY_PATH, action, doing, {"callbackurl": url, **fields})
        except InstallerError as error:
            if error.data.get("status") == REFUSED_STATUS:
                raise await callback_refused(refused_url or url) from None
            raise


async def callback_refused(url: str) -> InstallerError:
    """NOTIFICATIONS_REFUSED: the cloud refuses this callback URL (status 293). Says what this computer finds there."""
    shown = callback_url.masked(url)
    advice = [callback_url.broken_rules(url), await what_head_finds(url)]
    return InstallerError(
        ErrorCode.NOTIFICATIONS_REFUSED,
        f"The cloud does not accept {shown} as an address for notifications (status {REFUSED_STATUS}).",
        " ".join(filter(None, advice)),
        status=REFUSED_STATUS,
        url=shown,
    )
