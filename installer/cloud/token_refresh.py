"""The sign-in of one account: its tokens kept fresh, and calls that carry them."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from installer.cloud.api_models import granted
from installer.cloud.response import Family
from installer.cloud.token_store import Application, Stored, Tokens, TokenStore
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.cloud.client import CloudClient

# A refresh that was answered with “same arguments” may be repeated after this long at most, once.
REFRESH_PATIENCE = 30.0


class AccountSession:
    """The tokens of one account, which are stored. `stored_in`: where, in words.

    Every call may raise CLOUD_UNREACHABLE, CLOUD_BUSY, CLOUD_FAILED, TOKEN_REJECTED, and the errors of the store.
    """

    def __init__(
        self,
        name: str,
        client: CloudClient,
        store: TokenStore,
        stored: Stored,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.stored_in = stored.stored_in
        self._tokens = stored.tokens
        self._client = client
        self._store = store
        self._application = Application.of(client.cloud)
        self._clock = clock
        self._refreshing = asyncio.Lock()

    @property
    def userid(self) -> str:
        """The cloud's id of the user, or an empty text."""
        return self._tokens.userid

    @property
    def scopes(self) -> frozenset[str]:
        """What was granted; empty if the cloud did not say."""
        return frozenset(s.strip() for s in self._tokens.scope.replace(" ", ",").split(",") if s.strip())

    async def access_token(self) -> SecretStr:
        """An access token that is good for some minutes."""
        if not self._tokens.fresh(self._clock()):
            await self._refresh(self._tokens)
        return self._tokens.access_token

    async def call(
        self,
        service: str,
        action: str,
        doing: str,
        fields: Mapping[str, str] | None = None,
        *,
        again: bool = True,
        seconds: float = 60.0,
    ) -> dict[str, Any]:
        """The body of a call for this user; a rejected token is refreshed once. As `CloudClient.call`."""
        await self.access_token()
        used = self._tokens
        try:
            return await self._client.call(
                service, action, doing, fields, token=used.access_token, again=again, seconds=seconds
            )
        except InstallerError as error:
            if error.code is not ErrorCode.TOKEN_REJECTED:
                raise
        await self._refresh(used)
        try:
            return await self._client.call(
                service, action, doing, fields, token=self._tokens.access_token, again=again, seconds=seconds
            )
        except InstallerError as error:
            if error.code is not ErrorCode.TOKEN_REJECTED:
                raise
            raise self._rejected(error) from None

    def cloud_time(self, here: float) -> float:
        """This computer's unix time `here` as the cloud counts it."""
        return self._client.cloud_time(here)

    async def _refresh(self, stale: Tokens) -> None:
        """New tokens in place of `stale`; at most one process at a time, and never twice for the same ones (§1.4)."""
        async with self._refreshing:
            if self._tokens is not stale:
                return
            async with self._store.lock(self._application, self.name):
                stored = await self._store.load(self._application, self.name)
                if stored is None:
                    raise unknown(self.name, ())
                if _differ(stored.tokens, stale) and stored.tokens.fresh(self._clock()):
                    # Another process was faster; the tokens that it replaced are dead by now.
                    self._adopt(stored)
                    return
                body = await self._request_refresh(stored.tokens)
                tokens = Tokens.of(granted(body), self._clock(), stored.tokens.userid)
                self._adopt(await self._store.save(self._application, self.name, tokens))

    def _adopt(self, stored: Stored) -> None:
        self._tokens = stored.tokens
        self.stored_in = stored.stored_in

    async def _request_refresh(self, tokens: Tokens) -> dict[str, Any]:
        fields: dict[str, SecretStr | str] = {
            "grant_type": "refresh_token",
            "refresh_token": tokens.refresh_token,
        }
        patience = REFRESH_PATIENCE
        while True:
            try:
                return await self._client.request_token("renewing the sign-in", fields)
            except InstallerError as error:
                wait = float(error.data.get("wait_seconds", patience))
                if error.code is ErrorCode.CLOUD_BUSY and wait < patience:
                    # The same request went out a moment ago and its answer got lost; the tokens still count.
                    patience -= wait
                    await asyncio.sleep(wait)
                    continue
                if error.code is ErrorCode.TOKEN_REJECTED or error.data.get("family") == Family.INVALID.value:
                    raise self._rejected(error) from None
                raise

    def _rejected(self, error: InstallerError) -> InstallerError:
        return InstallerError(
            ErrorCode.TOKEN_REJECTED,
            f"The cloud no longer accepts the tokens of account “{self.name}” (status {error.data.get('status')}).",
            f"Sign in again: {login_command(self.name)}. If that fails too, check client_id and client_secret.",
            account=self.name,
            status=error.data.get("status"),
        )


def login_command(name: str) -> str:
    """The command that signs in to the account with this name."""
    return f"device-installer account login {shlex.quote(name)}"


def unknown(name: str, others: Collection[str]) -> InstallerError:
    """ACCOUNT_UNKNOWN; `others` are the names that there are."""
    known = f"Known accounts: {', '.join(f'“{o}”' for o in others)}." if others else "No account is stored yet."
    return InstallerError(
        ErrorCode.ACCOUNT_UNKNOWN,
        f"There are no stored tokens for account “{name}” at this cloud.",
        f"{known} Sign in: {login_command(name)}.",
        account=name,
        known=sorted(others),
    )


def _differ(one: Tokens, other: Tokens) -> bool:
    return one.access_token.get_secret_value() != other.access_token.get_secret_value()
