"""OAuth 2.0 sign-in with the browser, in the cloud's variant (`withings-cloud.md` §1.1-§1.5).

The browser returns to a listener on this computer, or the person pastes the address at which the browser ended. The
first of the two counts. A code is valid for 30 s, so it is exchanged at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import SecretStr

from installer.cloud import browser_start
from installer.cloud.account import USER_PATH, Account
from installer.cloud.account_file import Application, Tokens
from installer.cloud.api_models import CloudDevice, parse_granted, parse_list
from installer.cloud.oauth_redirect_listener import Incident, Query, RedirectListener, sign_in_page
from installer.cloud.response import Family
from installer.cloud.sign_in_link import SignInLink
from installer.cloud.token_store import TokenStore
from installer.cloud.whose_account import Decide, SignedInPerson, accept_what_fits, person_of
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from starlette.responses import Response

    from installer.cloud.client import CloudClient

AUTHORIZE_PATH = "/oauth2_user/authorize2"
# How long the devices of the person who signed in may take; without them the user's number is shown alone.
DEVICES_SECONDS = 10.0
# A program that goes on knocking does not fill the terminal.
MAX_NOTICES_OF_A_KIND = 3
_CODE = re.compile(r"[A-Za-z0-9._~+/=-]{16,1024}")
PASTE_HINT = (
    "Paste the whole address at which the browser ended (it begins with {uri} and contains code=), or only the code."
)


_INCIDENTS = {
    Incident.OTHER_USER: (
        "A request of {who} came to this sign-in and was refused; nothing was taken from it. If it was your own "
        "browser, paste the address at which it ended."
    ),
    Incident.SECOND_BROWSER: (
        "A second browser opened the link of this sign-in and was refused. If you did not open the first one, ask for "
        "a new link."
    ),
    Incident.UNKNOWN_BROWSER: (
        "A browser that had not opened the link came back from the cloud, and nothing was taken from it. If it was "
        "yours, paste its address here."
    ),
}


@dataclass(frozen=True)
class SignInNotice:
    """What happened at the sign-in that its person is to know. `code`: for programs."""

    code: str
    text: str


class SignInSession:
    """One sign-in; use `async with`. It ends after `seconds`. Tokens are stored only if it succeeds.

    `on_notice`: gets what the person at the terminal is to know while the sign-in waits.
    """

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
        self.on_notice: Callable[[SignInNotice], None] = lambda _notice: None
        self.last_notice = ""
        self._notices: Counter[Incident] = Counter()
        self._link = SignInLink()
        self._answered = False
        self._exit = AsyncExitStack()
        self._listener: RedirectListener | None = None
        self.person: SignedInPerson | None = None
        self._end = 0.0
        self._outcome: asyncio.Future[Tokens] | None = None
        self._exchange: asyncio.Task[Tokens] | None = None

    @property
    def authorize_url(self) -> str:
        """The cloud's page, for a browser elsewhere; the address at which that browser ends is pasted.

        It contains the `state` of this sign-in, so it belongs on the person's screen, and into no command line.
        """
        cloud = self._client.cloud
        query = {
            "response_type": "code",
            "client_id": cloud.client_id,
            "scope": ",".join(cloud.scopes),
            "redirect_uri": self.redirect_uri,
            "state": self._link.state,
            **({"mode": "demo"} if cloud.demo else {}),
        }
        return f"{cloud.authorize}{AUTHORIZE_PATH}?{urlencode(query, safe=',')}"

    @property
    def short_url(self) -> str:
        """A short address on this computer that leads to the same page, for the first browser that opens it."""
        return self._running_listener.base_url + self._link.path

    def new_link(self) -> None:
        """Make new addresses: for a link that somebody else has opened. The old ones count no more."""
        self._link.renew()
        self.last_notice = ""

    @property
    def redirect_uri(self) -> str:
        """The address to which the browser returns."""
        return self._running_listener.redirect_uri

    async def __aenter__(self) -> SignInSession:
        self._client.check_application()
        loop = asyncio.get_running_loop()
        self._listener = RedirectListener(self._client.cloud.redirect_uri)
        self._outcome = loop.create_future()
        self._end = loop.time() + self.seconds
        serving = self._listener.serve(
            self._link, lambda: self.authorize_url, self._redirected, self._refused, self.seconds
        )
        try:
            await self._exit.enter_async_context(serving)
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
            self._outcome.exception()  # marks the error as retrieved: it was raised by `result`, or nobody waits for it

    def open_browser(self) -> bool:
        """Open the short link in the browser of this computer. Returns soon; False if no browser seems to open."""
        return browser_start.open_browser(self.short_url)

    async def result(self, pasted: Awaitable[str] | None = None, decide: Decide | None = None) -> Account:
        """The account, when the browser has returned or the person has pasted the address. May be called again.

        `decide` gets the person who signed in before anything is stored, and raises if the account is not wanted.
        Without it, only what fits the stored accounts is taken.

        Raises SIGN_IN_FAILED (access refused; with `paste: True`, the pasted text cannot be used: ask again),
        SIGN_IN_TIMEOUT, CODE_EXPIRED, ACCOUNT_CHANGED, the errors of the cloud and the store, and what `pasted` and
        `decide` raise.
        """
        tokens = await self._tokens(pasted)
        self.person = await self._person(tokens)
        await (decide or accept_what_fits())(self.person)
        application = Application.of(self._client.cloud)
        async with self._store.lock(application, self.name):
            stored = await self._store.save(application, self.name, tokens)
        return Account(self.name, self._client, self._store, stored, self._clock)

    async def _tokens(self, pasted: Awaitable[str] | None) -> Tokens:
        outcome = self._future
        paste = asyncio.ensure_future(pasted) if pasted is not None else None
        waiting: set[asyncio.Future[Tokens] | asyncio.Future[str]] = {outcome}
        if paste is not None:
            waiting.add(paste)
        try:
            await asyncio.wait(waiting, timeout=self._seconds_left, return_when=asyncio.FIRST_COMPLETED)
            if outcome.done():
                return outcome.result()
            if paste is not None and paste.done():
                self._use_pasted(await paste)
            elif not self._answered:
                raise self._timeout_error()
            # The exchange of the code has its own deadlines.
            return await asyncio.shield(outcome)
        finally:
            if paste is not None and not paste.cancel() and not paste.cancelled():
                paste.exception()  # marks the error as retrieved: the browser was first

    async def _person(self, tokens: Tokens) -> SignedInPerson:
        """Who signed in. The tokens are not stored, so they are not refreshed either: one try, a few seconds."""
        devices: tuple[str, ...] | None = None
        with contextlib.suppress(InstallerError):
            body = await self._client.call(
                USER_PATH,
                "getdevice",
                "reading the devices of the account",
                token=tokens.access_token,
                idempotent=False,
                seconds=DEVICES_SECONDS,
            )
            found = parse_list(CloudDevice, body, "devices")
            devices = tuple(printable(device.model or device.type or "device", 40) for device in found)
        cloud = self._client.cloud
        stored = await self._store.list(Application.of(cloud))
        return person_of(self.name, cloud.name, tokens.userid, devices, stored)

    def _refused(self, incident: Incident, who: str) -> None:
        self._notices[incident] += 1
        if self._notices[incident] <= MAX_NOTICES_OF_A_KIND:
            self.last_notice = _INCIDENTS[incident].format(who=who)
            self.on_notice(SignInNotice(incident.value, self.last_notice))

    @property
    def _running_listener(self) -> RedirectListener:
        if self._listener is None:
            raise RuntimeError("the sign-in has not started: use `async with`")
        return self._listener

    @property
    def _future(self) -> asyncio.Future[Tokens]:
        if self._outcome is None:
            raise RuntimeError("the sign-in has not started: use `async with`")
        return self._outcome

    @property
    def _seconds_left(self) -> float:
        return max(0.0, self._end - asyncio.get_running_loop().time())

    async def _redirected(self, query: Query) -> Response:
        """Answer a request to the redirect URI. Only a request with our `state` counts, and only the first."""
        if not self._link.is_state(query.get("state", "")):
            return sign_in_page(
                "This is not the answer to this sign-in",
                "It belongs to another sign-in or to none. The program goes on waiting. Use the address that it shows.",
                400,
            )
        if self._seconds_left <= 0 or not self._use_answer(query):
            return sign_in_page("This sign-in is over", "You can close this window.", 410)
        try:
            await asyncio.shield(self._future)
        except InstallerError as error:
            return sign_in_page("Signing in did not work", f"{error} You can close this window.", 400)
        return sign_in_page(
            "You are signed in",
            "You can close this window. Go back to the program: it shows whose account this is.",
        )

    def _use_answer(self, query: Query) -> bool:
        """Use the cloud's answer, whose state is ours; False if an answer was used before."""
        if self._answered or self._future.done():
            return False
        code = query.get("code", "")
        if code:
            self._start_exchange(SecretStr(code))
            return True
        self._answered = True
        reason = printable(query.get("error", ""), 60)
        refused = reason == "access_denied"
        self._future.set_exception(
            InstallerError(
                ErrorCode.SIGN_IN_FAILED,
                "Access was not allowed." if refused else f"The cloud did not sign in ({reason or 'no code'}).",
                "Sign in again and choose Allow." if refused else "Try again.",
                error=reason,
            )
        )
        return True

    def _use_pasted(self, text: str) -> None:
        """Use the pasted text. Raises SIGN_IN_FAILED with `paste: True` if it cannot be used."""
        text = "".join(text.split())  # a terminal breaks a long address into lines
        if "=" in text and ("?" in text or "&" in text or text.startswith(("code=", "state="))):
            query = _query(text)
            if not (query.get("code") or query.get("error")):
                raise self._paste_error("there is no code in this address")
            if not self._link.is_state(query.get("state", "")):
                raise self._paste_error("this address belongs to another sign-in")
            if not self._use_answer(query):
                return
        elif _CODE.fullmatch(text):
            if not self._answered:
                self._start_exchange(SecretStr(text))
        else:
            raise self._paste_error("this is neither an address nor a code")

    def _paste_error(self, why: str) -> InstallerError:
        return InstallerError(
            ErrorCode.SIGN_IN_FAILED,
            f"The pasted text cannot be used: {why}.",
            PASTE_HINT.format(uri=self.redirect_uri),
            paste=True,
        )

    def _timeout_error(self) -> InstallerError:
        return InstallerError(
            ErrorCode.SIGN_IN_TIMEOUT,
            f"Nobody signed in to account “{self.name}” within {self.seconds:g} s.",
            "Start again, and open the address that is shown.",
            account=self.name,
        )

    def _start_exchange(self, code: SecretStr) -> None:
        """Exchange the code in its own task, which goes on if the browser closes the connection."""
        self._answered = True
        self._exchange = asyncio.ensure_future(self._exchange_code(code))
        self._exchange.add_done_callback(self._set_outcome)

    def _set_outcome(self, exchange: asyncio.Task[Tokens]) -> None:
        if self._future.done():
            return
        if exchange.cancelled():
            self._future.cancel()
        elif (error := exchange.exception()) is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(exchange.result())

    async def _exchange_code(self, code: SecretStr) -> Tokens:
        fields: dict[str, SecretStr | str] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
        }
        try:
            body = await self._client.request_token("signing in", fields)
        except InstallerError as error:
            raise _as_sign_in_error(error) from None
        return Tokens.from_grant(parse_granted(body), self._clock())


def _query(text: str) -> dict[str, str]:
    part = text if "?" not in text else urlsplit(text).query
    try:
        return {k: v[0] for k, v in parse_qs(part, max_num_fields=20).items()}
    except ValueError:
        return {}


def _as_sign_in_error(error: InstallerError) -> InstallerError:
    """An error of the token exchange as an error of the sign-in."""
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
