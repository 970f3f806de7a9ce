"""Signing in with the browser: OAuth 2.0 as the cloud has it (`withings-cloud.md` §1.1-§1.5).

The browser comes back to a listener on this computer, or the person pastes the address at which it ended; whichever
is first. A code lives 30 s, so it is exchanged the moment that it is here.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import secrets
import sys
import threading
import time
import webbrowser
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import SecretStr

from installer.cloud.account import Account
from installer.cloud.api_models import granted
from installer.cloud.oauth_redirect_listener import Listener, Query
from installer.cloud.response import Family
from installer.cloud.sign_in_page import page
from installer.cloud.token_store import Application, Tokens, TokenStore
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from starlette.responses import Response

    from installer.cloud.client import CloudClient

AUTHORIZE = "/oauth2_user/authorize2"
BROWSER_SECONDS = 0.3
_CODE = re.compile(r"[A-Za-z0-9._~+/=-]{16,1024}")
PASTE = (
    "Paste the whole address at which the browser ended (it begins with {uri} and has code= in it), or only the code."
)


class SignInSession:
    """One sign-in, as `async with`. Ends after `seconds`; nothing is stored unless it succeeds."""

    def __init__(
        self,
        name: str,
        client: CloudClient,
        store: TokenStore,
        seconds: float = 600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.seconds = seconds
        self._client = client
        self._store = store
        self._clock = clock
        self._state = secrets.token_urlsafe(32)
        self._spent = False
        self._exit = AsyncExitStack()
        self._listener: Listener | None = None
        self._end = 0.0
        self._url = ""
        self._outcome: asyncio.Future[Account] | None = None
        self._exchange: asyncio.Task[Account] | None = None

    @property
    def authorize_url(self) -> str:
        """The cloud's page, for a browser."""
        return self._url

    @property
    def short_url(self) -> str:
        """A short address on this computer that leads to the same page."""
        return self._open.short_url

    @property
    def redirect_uri(self) -> str:
        """Where the browser ends."""
        return self._open.redirect_uri

    async def __aenter__(self) -> SignInSession:
        self._client.check_application()
        loop = asyncio.get_running_loop()
        self._listener = Listener(self._client.cloud.redirect_uri)
        self._outcome = loop.create_future()
        self._end = loop.time() + self.seconds
        cloud = self._client.cloud
        query = {
            "response_type": "code",
            "client_id": cloud.client_id,
            "scope": ",".join(cloud.scopes),
            "redirect_uri": self._listener.redirect_uri,
            "state": self._state,
            **({"mode": "demo"} if cloud.demo else {}),
        }
        self._url = f"{cloud.authorize}{AUTHORIZE}?{urlencode(query, safe=',')}"
        try:
            await self._exit.enter_async_context(self._listener.serve(self._url, self._arrived))
        except BaseException:
            self._listener.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._exchange is not None and not self._exchange.done():
            self._exchange.cancel()
            await asyncio.wait([self._exchange], timeout=5.0)
        await self._exit.aclose()
        if self._outcome is not None and self._outcome.done() and not self._outcome.cancelled():
            self._outcome.exception()  # it was told, or nobody wants to know

    def open_browser(self) -> bool:
        """Open the page in this computer's browser; whether that seems to have worked. Never takes long."""
        if not _has_screen():
            return False
        opened: list[bool] = []

        def work() -> None:
            try:
                opened.append(webbrowser.open(self._url))
            except (webbrowser.Error, OSError):
                opened.append(False)

        thread = threading.Thread(target=work, name="device-installer browser", daemon=True)
        thread.start()
        thread.join(BROWSER_SECONDS)
        # A text browser, or a slow one, holds on to the call; it is open then.
        return opened[0] if opened else True

    async def result(self, pasted: Awaitable[str] | None = None) -> Account:
        """The account, when the browser has come back or the person has pasted the address. May be called again.

        Raises SIGN_IN_FAILED (refused; or, with `paste: True`, what was pasted is of no use: ask again),
        SIGN_IN_TIMEOUT, CODE_EXPIRED, and the errors of the cloud and the store. What `pasted` raises goes through.
        """
        outcome = self._future
        paste = asyncio.ensure_future(pasted) if pasted is not None else None
        waiting: set[asyncio.Future[Account] | asyncio.Future[str]] = {outcome}
        if paste is not None:
            waiting.add(paste)
        try:
            await asyncio.wait(waiting, timeout=self._left, return_when=asyncio.FIRST_COMPLETED)
            if outcome.done():
                return outcome.result()
            if paste is not None and paste.done():
                self._take(await paste)
            elif not self._spent:
                raise self._late()
            # The code is here: its exchange has deadlines of its own.
            return await asyncio.shield(outcome)
        finally:
            if paste is not None and not paste.cancel() and not paste.cancelled():
                paste.exception()  # what was pasted came too late to matter

    @property
    def _open(self) -> Listener:
        if self._listener is None:
            raise RuntimeError("the sign-in has not begun: use `async with`")
        return self._listener

    @property
    def _future(self) -> asyncio.Future[Account]:
        if self._outcome is None:
            raise RuntimeError("the sign-in has not begun: use `async with`")
        return self._outcome

    @property
    def _left(self) -> float:
        return max(0.0, self._end - asyncio.get_running_loop().time())

    async def _arrived(self, query: Query) -> Response:
        """Somebody came to the redirect URI; only the right `state` counts, and once."""
        if not self._right(query.get("state", "")):
            return page(
                "This is not the answer to this sign-in",
                "It belongs to another one, or to none. The program goes on waiting: use the address that it shows.",
                400,
            )
        if self._left <= 0 or not self._begin(query):
            return page("This sign-in is over", "You can close this window.", 410)
        try:
            await asyncio.shield(self._future)
        except InstallerError as error:
            return page("Signing in did not work", f"{error} You can close this window.", 400)
        return page("You are signed in", "You can close this window and go back to the program.")

    def _begin(self, query: Query) -> bool:
        """Use the answer with the right state; False if one was used before."""
        if self._spent or self._future.done():
            return False
        code = query.get("code", "")
        if code:
            self._start_exchange(SecretStr(code))
            return True
        self._spent = True
        said = printable(query.get("error", ""), 60)
        refused = said == "access_denied"
        self._future.set_exception(
            InstallerError(
                ErrorCode.SIGN_IN_FAILED,
                "The access was not allowed." if refused else f"The cloud did not sign in ({said or 'no code'}).",
                "Sign in again and choose Allow." if refused else "Try again.",
                error=said,
            )
        )
        return True

    def _take(self, text: str) -> None:
        """Use what was pasted. Raises SIGN_IN_FAILED with `paste: True` if it is of no use."""
        text = "".join(text.split())  # a terminal breaks a long address into lines
        if "=" in text and ("?" in text or "&" in text or text.startswith(("code=", "state="))):
            query = _query(text)
            if not (query.get("code") or query.get("error")):
                raise self._useless("there is no code in this address")
            if not self._right(query.get("state", "")):
                raise self._useless("this address belongs to another sign-in")
            if not self._begin(query):
                return
        elif _CODE.fullmatch(text):
            if not self._spent:
                self._start_exchange(SecretStr(text))
        else:
            raise self._useless("this is neither an address nor a code")

    def _right(self, state: str) -> bool:
        return hmac.compare_digest(state.encode("utf-8", "surrogatepass"), self._state.encode())

    def _useless(self, why: str) -> InstallerError:
        return InstallerError(
            ErrorCode.SIGN_IN_FAILED,
            f"What was pasted cannot be used: {why}.",
            PASTE.format(uri=self.redirect_uri),
            paste=True,
        )

    def _late(self) -> InstallerError:
        return InstallerError(
            ErrorCode.SIGN_IN_TIMEOUT,
            f"Nobody signed in to account “{self.name}” within {self.seconds:g} s.",
            "Start again, and open the address that is shown.",
            account=self.name,
        )

    def _start_exchange(self, code: SecretStr) -> None:
        """Exchange the code in a task of its own: a browser that goes away does not end it."""
        self._spent = True
        self._exchange = asyncio.ensure_future(self._exchange_code(code))
        self._exchange.add_done_callback(self._settle)

    def _settle(self, exchange: asyncio.Task[Account]) -> None:
        if self._future.done():
            return
        if exchange.cancelled():
            self._future.cancel()
        elif (error := exchange.exception()) is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(exchange.result())

    async def _exchange_code(self, code: SecretStr) -> Account:
        fields: dict[str, SecretStr | str] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
        }
        try:
            body = await self._client.request_token("signing in", fields)
        except InstallerError as error:
            raise _explained(error) from None
        tokens = Tokens.of(granted(body), self._clock())
        application = Application.of(self._client.cloud)
        async with self._store.lock(application, self.name):
            stored = await self._store.save(application, self.name, tokens)
        return Account(self.name, self._client, self._store, stored, self._clock)


def _has_screen() -> bool:
    """Whether a browser can have a window; without one, a text browser would take over this terminal."""
    if os.name != "posix" or sys.platform == "darwin":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _query(text: str) -> dict[str, str]:
    part = text if "?" not in text else urlsplit(text).query
    try:
        return {k: v[0] for k, v in parse_qs(part, max_num_fields=20).items()}
    except ValueError:
        return {}


def _explained(error: InstallerError) -> InstallerError:
    """The exchange's failures in the words of a sign-in."""
    kind, status = error.data.get("family"), error.data.get("status")
    if kind == Family.INVALID.value and "code" in error.data.get("said", ""):
        return InstallerError(
            ErrorCode.CODE_EXPIRED,
            "The sign-in code was older than 30 seconds, or was used before.",
            "Sign in again, and do not wait when the browser comes back.",
            status=status,
        )
    if kind in (Family.INVALID.value, Family.AUTHENTICATION.value):
        return InstallerError(
            ErrorCode.SIGN_IN_FAILED,
            f"The cloud did not accept this application (status {status}).",
            "Check client_id, client_secret and redirect_uri in the settings against the vendor's developer site.",
            status=status,
        )
    return error
