"""Token refresh: the tokens of one account, renewed before they expire, and API calls with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from installer.cloud.account_file import Application, Tokens, login_command
from installer.cloud.api_models import parse_granted
from installer.cloud.response import Family
from installer.cloud.token_store import StoredTokens, TokenStore
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.cloud.client import CloudClient

# The total wait if the cloud answers a refresh with “same arguments” (601).
MAX_REFRESH_WAIT_SECONDS = 30.0
# An access token is refreshed so many seconds before its end.
REFRESH_MARGIN_SECONDS = 300.0


def is_fresh(tokens: Tokens, now: float) -> bool:
    """Whether the access token is valid for five minutes more (less for a short-lived token)."""
    margin = min(REFRESH_MARGIN_SECONDS, (tokens.expires - tokens.issued) / 10)
    return tokens.issued - REFRESH_MARGIN_SECONDS <= now < tokens.expires - margin


class AccountSession:
    """The stored tokens of one account. `stored_in`: where, in words.

    Every call may raise CLOUD_UNREACHABLE, CLOUD_BUSY, CLOUD_FAILED, TOKEN_REJECTED, and the errors of the store.
    """

    def __init__(
        self,
        name: str,
        client: CloudClient,
        store: TokenStore,
        stored: StoredTokens,
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
        """The granted scopes; empty if the cloud did not say."""
        return frozenset(s.strip() for s in self._tokens.scope.replace(" ", ",").split(",") if s.strip())

    async def access_token(self) -> SecretStr:
        """An access token that is valid for some minutes."""
        if not is_fresh(self._tokens, self._clock()):
            await self._refresh(self._tokens)
        return self._tokens.access_token

    async def call(
        self,
        service: str,
        action: str,
        doing: str,
        fields: Mapping[str, str] | None = None,
        *,
        idempotent: bool = True,
        seconds: float = 60.0,
    ) -> dict[str, Any]:
        """The body of a call for this user, as `CloudClient.call`. A rejected token is refreshed once."""
        await self.access_token()
        used = self._tokens
        try:
            return await self._client.call(
                service, action, doing, fields, token=used.access_token, idempotent=idempotent, seconds=seconds
            )
        except InstallerError as error:
            if error.code is not ErrorCode.TOKEN_REJECTED:
                raise
        await self._refresh(used)
        try:
            return await self._client.call(
                service, action, doing, fields, token=self._tokens.access_token, idempotent=idempotent, seconds=seconds
            )
        except InstallerError as error:
            if error.code is not ErrorCode.TOKEN_REJECTED:
                raise
            raise self._token_rejected(error) from None

    def cloud_time(self, local_time: float) -> float:
        """The cloud's unix time at this computer's unix time `local_time`."""
        return self._client.cloud_time(local_time)

    async def _refresh(self, stale: Tokens) -> None:
        """Replace the tokens `stale`: one process at a time, and never twice for the same tokens (§1.4)."""
        async with self._refreshing:
            if self._tokens is not stale:
                return
            while not await self._refresh_alone(stale):
                pass  # the file of the lock was deleted, and another process has the lock: wait until it is done

    async def _refresh_alone(self, stale: Tokens) -> bool:
        """Replace the tokens under the lock of the account; False if this process lost the lock before it did so."""
        async with self._store.lock(self._application, self.name) as lock:
            stored = await self._store.load(self._application, self.name)
            if stored is None:
                raise account_unknown(self.name, ())
            if _differ(stored.tokens, stale) and is_fresh(stored.tokens, self._clock()):
                # Another process has refreshed them; the tokens that it replaced are no longer valid.
                self._adopt(stored)
                return True
            if not lock.is_kept():
                return False
            body = await self._request_refresh(stored.tokens)
            tokens = Tokens.from_grant(parse_granted(body), self._clock(), stored.tokens.userid)
            self._adopt(await self._store.save(self._application, self.name, tokens))
            return True

    def _adopt(self, stored: StoredTokens) -> None:
        self._tokens = stored.tokens
        self.stored_in = stored.stored_in

    async def _request_refresh(self, tokens: Tokens) -> dict[str, Any]:
        fields: dict[str, SecretStr | str] = {
            "grant_type": "refresh_token",
            "refresh_token": tokens.refresh_token,
        }
        wait_left = MAX_REFRESH_WAIT_SECONDS
        while True:
            try:
                return await self._client.request_token("renewing the sign-in", fields)
            except InstallerError as error:
                wait = float(error.data.get("wait_seconds", wait_left))
                if error.code is ErrorCode.CLOUD_BUSY and wait < wait_left:
                    # The same request was sent a moment ago and its answer was lost. The tokens are still valid.
                    wait_left -= wait
                    await asyncio.sleep(wait)
                    continue
                if error.code is ErrorCode.TOKEN_REJECTED or error.data.get("family") == Family.INVALID.value:
                    raise self._token_rejected(error) from None
                raise

    def _token_rejected(self, error: InstallerError) -> InstallerError:
        return InstallerError(
            ErrorCode.TOKEN_REJECTED,
            f"The cloud no longer accepts the tokens of account “{self.name}” (status {error.data.get('status')}).",
            f"Sign in again: {login_command(self.name)}. If that fails too, check client_id and client_secret.",
            account=self.name,
            status=error.data.get("status"),
        )


def account_unknown(name: str, others: Collection[str]) -> InstallerError:
    """ACCOUNT_UNKNOWN. `others`: the names of the stored accounts."""
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
