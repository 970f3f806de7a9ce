"""Where this computer is told of new data: the address in its settings, the secret path, what it has subscribed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.notifications import callback_url
from installer.settings import CloudSettings, NotificationsSettings
from installer.storage.secret_references import SecretRef
from installer.timing.deadlines import in_thread

if TYPE_CHECKING:
    from installer.cloud.account import Account
    from installer.notifications.saved_subscriptions import SavedSubscriptions
    from installer.notifications.subscriptions import Ensured

SECONDS = 30.0
WHAT = "address for notifications"


class NotificationSetup:
    """Subscribes for this computer. `folder` is private to it; `cloud` tells the cloud when it is needed.

    `lab`: the address of a receiver on this very computer does, because the lab's cloud reaches it.
    """

    def __init__(
        self,
        own: NotificationsSettings,
        cloud: Callable[[], CloudSettings],
        folder: Path,
        *,
        lab: bool = False,
        path_file: Path | None = None,
    ) -> None:
        self._own = own
        self._path_file = path_file
        self._cloud = cloud
        self._folder = folder
        self._lab = lab

    @property
    def path_file(self) -> Path:
        """Where the secret path is kept."""
        own = self._own.path_file
        if self._path_file is not None:
            return self._path_file
        return Path(own).expanduser() if own and not self._lab else self._folder / self._named(callback_url.PATH_FILE)

    @property
    def wishes(self) -> SavedSubscriptions:
        """What was subscribed."""
        from installer.notifications.saved_subscriptions import SavedSubscriptions

        return SavedSubscriptions.of(self._folder / self._named("notifications.json"), self._cloud())

    @property
    def set_up(self) -> bool:
        """Whether the settings name an address."""
        return bool(self._own.url)

    @property
    def proposal(self) -> str:
        """An address to begin with, in which nothing is secret; an empty text if none is known."""
        if isinstance(self._own.url, str) and self._own.url and not self._lab:
            return self._own.url if callback_url.PLACE in self._own.url else ""
        return f"http://127.0.0.1:{callback_url.DEFAULT_PORT}/{callback_url.PLACE}" if self._lab else ""

    def known(self, account: str) -> str:
        """The address that the settings name, or that was subscribed for the account before, as it may be shown.

        An empty text if there is none. Raises SECRET_UNAVAILABLE.
        """
        if isinstance(self._own.url, SecretRef):
            return "the address of the settings"
        wished = [w.url for w in self.wishes.all(account)]
        text = self._own.url or (wished[-1] if wished else "")
        return callback_url.masked(text.replace(callback_url.PLACE, "")) if text else ""

    async def url(self, given: str | SecretRef | None, account: str = "") -> SecretStr:
        """The whole address: the given one, else that of the settings, else the one subscribed for the account before.

        In the lab, in the end, that of a receiver on this computer.

        Raises NOTIFICATIONS_REFUSED, SECRET_UNAVAILABLE, SETTINGS_INVALID (there is none).
        """
        place = given or self._own.url
        if isinstance(place, SecretRef):
            named = place
            place = (await in_thread(lambda: named.fetch(WHAT), SECONDS)).get_secret_value()
        known = self.wishes.all(account) if account and not place else []
        if known:
            return SecretStr(known[-1].url)
        if place or self.proposal:
            return callback_url.expanded(place or self.proposal, self.path_file)
        raise InstallerError(
            ErrorCode.SETTINGS_INVALID,
            "No address for notifications is known.",
            f"Give https://HOST/{callback_url.PLACE}, or write it as url under [notifications] into config.toml.",
        )

    async def subscribe(self, account: Account, url: SecretStr, applis: Iterable[int]) -> Ensured:
        """Subscribe what is missing, and remember it. Raises what `Notifications.ensure` and `Wishes.add` raise."""
        from installer.notifications.subscriptions import Notifications

        plain, wanted, wishes = url.get_secret_value(), set(applis), self.wishes
        known = {a for wish in wishes.all(account.name) if wish.url == plain for a in wish.applis}
        # The wish first: what a kill leaves half done is then completed by `renew`.
        await wishes.add(account.name, plain, wanted)
        try:
            return await Notifications(account).ensure(plain, sorted(wanted))
        except InstallerError as error:
            if error.code is ErrorCode.NOTIFICATIONS_REFUSED:
                await wishes.drop(account.name, plain, wanted - known)
            raise

    def _named(self, name: str) -> str:
        return f"lab-{name}" if self._lab else name
