"""The stored accounts of one application at one cloud: list, open, sign in, sign out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.cloud.account_file import Application
from installer.cloud.token_store import ListedAccount, TokenStore
from installer.errors import ErrorCode, InstallerError
from installer.settings import CloudSettings

if TYPE_CHECKING:
    from installer.cloud.account import Account
    from installer.cloud.client import CloudClient
    from installer.cloud.oauth_sign_in import SignInSession

MAX_NAME = 64


class Accounts:
    """The accounts. It sends nothing and loads no HTTP library before an account is opened. Close it after use."""

    def __init__(self, cloud: CloudSettings, store: TokenStore) -> None:
        self.cloud = cloud
        self._store = store
        self._application = Application.of(cloud)
        self._client: CloudClient | None = None

    async def stored(self, *, look_into_keyring: bool = False) -> list[ListedAccount]:
        """The accounts with stored tokens, by name, also those whose tokens are damaged.

        `look_into_keyring`: see `TokenStore.list`. Raises SECRET_UNAVAILABLE if the folder cannot be read.
        """
        return await self._store.list(self._application, look_into_keyring=look_into_keyring)

    async def open(self, name: str) -> Account:
        """The stored account with this name. Raises ACCOUNT_UNKNOWN (with the known names), SECRET_UNAVAILABLE."""
        from installer.cloud.account import Account
        from installer.cloud.token_refresh import account_unknown

        stored = await self._store.load(self._application, name)
        if stored is None:
            raise account_unknown(name, [a.name for a in await self.stored()])
        return Account(name, self._open_client(), self._store, stored)

    def sign_in(self, name: str, seconds: float = 600.0) -> SignInSession:
        """A sign-in; its tokens replace those stored under `name`. Use `async with`."""
        from installer.cloud.oauth_sign_in import SignInSession

        if not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise InstallerError(
                ErrorCode.USAGE,
                "This cannot be the name of an account.",
                f"Use 1 to {MAX_NAME} letters, digits or signs, without line breaks.",
            )
        return SignInSession(name, self._open_client(), self._store, seconds)

    async def logout(self, name: str) -> str:
        """Delete the tokens of this account from this computer.

        Returns the entry of the keyring that may still hold tokens, as nobody could look; else empty.
        Raises ACCOUNT_UNKNOWN, FILE_UNWRITABLE; SECRET_UNAVAILABLE if the keyring is known to keep them.
        """
        from installer.cloud.token_refresh import account_unknown

        async with self._store.lock(self._application, name):
            deletion = await self._store.delete(self._application, name)
        if not deletion.found:
            raise account_unknown(name, [a.name for a in await self.stored()])
        return deletion.may_remain

    def check_connection_settings(self) -> None:
        """Check this computer's proxy and certificates for the cloud; nothing is sent. Raises CLOUD_UNREACHABLE."""
        from installer.cloud.connection_settings import check_connection_settings

        check_connection_settings(self.cloud.api)

    async def close(self) -> None:
        """Close the connection to the cloud."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _open_client(self) -> CloudClient:
        from installer.cloud.client import CloudClient

        if self._client is None:
            self._client = CloudClient(self.cloud)
        return self._client
