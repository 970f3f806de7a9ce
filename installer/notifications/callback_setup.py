"""Setup of notifications on this computer: the callback URL, the secret path, and subscribing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.notifications import callback_url
from installer.settings import CloudSettings, NotificationsSettings
from installer.storage.secret_references import SecretRef
from installer.timing.deadlines import call_with_deadline

if TYPE_CHECKING:
    from installer.cloud.account import Account
    from installer.notifications.saved_subscriptions import SavedSubscriptions
    from installer.notifications.subscriptions import Ensured

SECRET_SECONDS = 30.0


class NotificationSetup:
    """The callback URL and the subscriptions of this computer.

    `folder`: for its private files. `cloud`: called when the settings of the cloud are needed. `lab`: a callback URL on
    this computer is allowed, because the lab's cloud reaches it.
    """

    def __init__(
        self,
        settings: NotificationsSettings,
        cloud: Callable[[], CloudSettings],
        folder: Path,
        *,
        lab: bool = False,
        path_file: Path | None = None,
    ) -> None:
        self._settings = settings
        self._path_file = path_file
        self._cloud = cloud
        self._folder = folder
        self._lab = lab

    @property
    def path_file(self) -> Path:
        """The file of the secret path."""
        if self._path_file is not None:
            return self._path_file
        configured = self._settings.path_file
        if configured and not self._lab:
            return Path(configured).expanduser()
        return self._folder / self._file_name(callback_url.PATH_FILE)

    @property
    def saved(self) -> SavedSubscriptions:
        """The saved subscriptions."""
        from installer.notifications.saved_subscriptions import SavedSubscriptions

        return SavedSubscriptions.of(self._folder / self._file_name("notifications.json"), self._cloud())

    @property
    def set_up(self) -> bool:
        """Whether the settings have a callback URL."""
        return bool(self._settings.url)

    @property
    def proposal(self) -> str:
        """A proposed callback URL without secrets; empty if there is none."""
        if isinstance(self._settings.url, str) and self._settings.url and not self._lab:
            return self._settings.url if callback_url.PATH_PLACEHOLDER in self._settings.url else ""
        return f"http://127.0.0.1:{callback_url.DEFAULT_PORT}/{callback_url.PATH_PLACEHOLDER}" if self._lab else ""

    def known(self, account: str) -> str:
        """The callback URL of the settings, or the one saved for the account, without its secret.

        Empty if there is none. Raises SECRET_UNAVAILABLE.
        """
        if isinstance(self._settings.url, SecretRef):
            return "the address of the settings"
        saved = self.saved.all(account)
        text = self._settings.url or (saved[-1].url if saved else "")
        return callback_url.masked(text.replace(callback_url.PATH_PLACEHOLDER, "")) if text else ""

    async def url(self, given: str | SecretRef | None, account: str = "") -> SecretStr:
        """The whole callback URL: `given`, or that of the settings, or the one saved for the account.

        In the lab, the last choice is the URL of a receiver on this computer. Raises NOTIFICATIONS_REFUSED,
        SECRET_UNAVAILABLE, and SETTINGS_INVALID if there is none.
        """
        text = given or self._settings.url
        if isinstance(text, SecretRef):
            reference = text
            text = (
                await call_with_deadline(lambda: reference.fetch("address for notifications"), SECRET_SECONDS)
            ).get_secret_value()
        saved = self.saved.all(account) if account and not text else []
        if saved:
            return SecretStr(saved[-1].url)
        if text or self.proposal:
            return callback_url.expand_path(text or self.proposal, self.path_file)
        raise InstallerError(
            ErrorCode.SETTINGS_INVALID,
            "There is no address for notifications.",
            f"Give https://HOST/{callback_url.PATH_PLACEHOLDER}, or set url under [notifications] in config.toml.",
        )

    async def subscribe(self, account: Account, url: SecretStr, applis: Iterable[int]) -> Ensured:
        """Subscribe to the missing categories, and save them.

        Raises what `AccountSubscriptions.ensure` and `SavedSubscriptions.add` raise.
        """
        from installer.notifications.subscriptions import AccountSubscriptions

        plain_url, wanted, saved = url.get_secret_value(), set(applis), self.saved
        saved_before = {appli for one in saved.all(account.name) if one.url == plain_url for appli in one.applis}
        # Saved first, so that `renew` completes the work after a kill.
        await saved.add(account.name, plain_url, wanted)
        try:
            return await AccountSubscriptions(account).ensure(plain_url, sorted(wanted))
        except InstallerError as error:
            if error.code is ErrorCode.NOTIFICATIONS_REFUSED:
                await saved.remove(account.name, plain_url, wanted - saved_before)
            raise

    def _file_name(self, name: str) -> str:
        return f"lab-{name}" if self._lab else name
