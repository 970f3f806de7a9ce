"""Setup of notifications on this computer: the callback URL, the secret path, and subscribing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.notifications import callback_url
from installer.settings import CloudSettings, NotificationsSettings, is_loopback
from installer.storage.reference_origin import Origin
from installer.storage.secret_references import SecretRef
from installer.text import capitalized

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

    async def url(
        self, given: str | SecretRef | None, account: str = "", *, named_by: Origin | None = None
    ) -> SecretStr:
        """The whole callback URL: `given`, or that of the settings, or the one saved for the account.

        `named_by`: who gave an address that is no reference; without it, only the address of the settings is right. In
        the lab, the last choice is the URL of a receiver on this computer. Raises NOTIFICATIONS_REFUSED,
        REFERENCE_REFUSED, SECRET_UNAVAILABLE, and SETTINGS_INVALID if there is none.
        """
        text = await _text_of(given)
        if text:
            await self.check_host(text, given.origin if isinstance(given, SecretRef) else named_by)
        text = text or await _text_of(self._settings.url)
        saved = self.saved.all(account) if account and not text else []
        if saved:
            callback_url.check_url(saved[-1].url)
            return SecretStr(saved[-1].url)
        if text or self.proposal:
            return callback_url.expand_path(text or self.proposal, self.path_file)
        raise InstallerError(
            ErrorCode.SETTINGS_INVALID,
            "There is no address for notifications.",
            f"Give https://HOST/{callback_url.PATH_PLACEHOLDER}, or set url under [notifications] in config.toml.",
        )

    async def check_host(self, address: str, named_by: Origin | None) -> None:
        """Raise REFERENCE_REFUSED if an address of somebody else is not the address of the settings.

        With the leave of this computer's user it may, but the secret path is never put into such an address.
        """
        if (named_by is not None and named_by.trusted) or await self.is_own_address(address):
            return
        gets_path = callback_url.PATH_PLACEHOLDER in address
        if named_by is not None and named_by.leave and not gets_path:
            return
        source = named_by.source if named_by is not None else "a source that is not known"
        host = callback_url.masked(address.replace(callback_url.PATH_PLACEHOLDER, ""))
        what = "the secret path of this computer's receiver to" if gets_path else "notifications of new data to"
        ways = "" if gets_path else "allow it with --allow-references, or "
        raise InstallerError(
            ErrorCode.REFERENCE_REFUSED,
            f"{capitalized(source)} would send {what} {host} (link.notify), which is not the address in this "
            "computer's settings.",
            f"If that address is right, {ways}give it on the command line: --notify. Else write notify = true (the "
            "address of the settings) or false.",
            references=[
                {
                    "source": source,
                    "key": "link.notify",
                    "reference": "the secret path of the receiver" if gets_path else "an address",
                    "target": host,
                    "why": "another address than that of the settings",
                    "never": gets_path,
                }
            ],
        )

    async def is_own_address(self, address: str) -> bool:
        """Whether it is the whole address of the settings, or in the lab one of this computer.

        The host alone is not enough: others may read another path of it, and it may forward a request elsewhere.
        """
        host = callback_url.host_of(address)
        if not host:
            return False
        if self._lab and is_loopback(urlsplit(host).hostname or ""):
            return True
        own = await _text_of(self._settings.url)
        return bool(own) and callback_url.host_of(own) == host and _behind_host(own) == _behind_host(address)

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


def _behind_host(address: str) -> str:
    """Path and query of an address, as they are written. No path is the path /."""
    parts = urlsplit(address)
    return f"{parts.path or '/'}?{parts.query}#{parts.fragment}"


async def _text_of(given: str | SecretRef | None) -> str:
    """The address, read from its place if it is a reference. Raises SECRET_UNAVAILABLE, REFERENCE_REFUSED."""
    if isinstance(given, SecretRef):
        return (await given.fetch_within(SECRET_SECONDS, "address for notifications")).get_secret_value()
    return given or ""
