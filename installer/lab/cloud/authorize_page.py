"""`/oauth2_user/authorize2`: the person signs in, allows or cancels, and is sent back (`withings-cloud.md` §1.1)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from installer.lab.cloud import html_pages
from installer.lab.cloud.requests_and_answers import NO_STORE, Refusal, fields, spoil
from installer.lab.cloud.signature import same
from installer.lab.cloud.state import DEMO_USERID
from installer.lab.cloud.store import CloudStore
from installer.lab.cloud.token_endpoint import SCOPES, scopes_of
from installer.lab.cloud.tokens import Grant
from installer.lab.cloud.url_rules import redirect_allowed
from installer.lab.cloud.user_data import Account

PATH = "/oauth2_user/authorize2"
COOKIE = "lab_cloud"
BROWSER = re.compile(r"[A-Za-z0-9_-]{32}")
PAGE_SECONDS = 3600
MAX_PAGES = 1000


@dataclass(frozen=True)
class _Asked:
    """A request whose parameters are in order, waiting for the person."""

    redirect_uri: str
    state: str = field(repr=False)
    scopes: tuple[str, ...]
    demo: bool
    browser: str = field(repr=False)
    expires: float


class _Wrong(Exception):
    """What is wrong with the request of the application; shown on a page, never sent to the redirect URI."""


class Authorize:
    """The page and its form. The form's `csrf` belongs to the browser that got the page, known by a cookie."""

    def __init__(self, store: CloudStore) -> None:
        self._store = store
        self._pages: dict[str, _Asked] = {}

    def routes(self) -> list[Route]:
        """Both methods of the page."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Check the parameters and show the form."""
        self._store.state.count(PATH, None)
        spoiled = await spoil(self._store.state.fault(PATH, None), request)
        if spoiled is not None:
            return spoiled
        browser = request.cookies.get(COOKIE, "")
        if not BROWSER.fullmatch(browser):
            browser = secrets.token_urlsafe(24)
        try:
            asked = self._check(request.query_params, browser)
        except _Wrong as wrong:
            todo = "This is a mistake in the program that sent you here. Close this page and start again there."
            return html_pages.problem("This request cannot be answered", str(wrong), todo)
        response = self._form(asked)
        response.set_cookie(COOKIE, browser, path="/oauth2_user", httponly=True, samesite="lax")
        return response

    async def submit(self, request: Request) -> Response:
        """Allow or Cancel."""
        self._store.state.count(PATH, "submit")
        try:
            form = await fields(request)
        except Refusal as refusal:
            return html_pages.problem("This form cannot be read", refusal.error, "Start again in the program.")
        spoiled = await spoil(self._store.state.fault(PATH, "submit"), request)
        if spoiled is not None:
            return spoiled
        csrf = form.get("csrf", "")
        asked = self._pages.get(csrf)
        browser = request.cookies.get(COOKIE, "")
        if asked is None or asked.expires <= self._store.now() or not same(asked.browser, browser):
            todo = "Start again in the program that sent you here."
            return html_pages.problem("This page is too old", "The form is not known, or was used before.", todo, 403)
        if form.get("decision") == "cancel":
            del self._pages[csrf]
            return _send_back(asked, {"error": "access_denied"})
        if form.get("decision") != "allow":
            return self._form(asked, csrf, form.get("email", ""), "Press Allow or Cancel.")
        account = self._who(asked, form)
        if account is None:
            return self._form(asked, csrf, form.get("email", ""), "The email or the password is wrong. Try again.")
        del self._pages[csrf]
        account.sign_up(self._store.clock())
        grant = Grant(account.userid, self._store.scenario.client_id, asked.scopes)
        return _send_back(asked, {"code": self._store.tokens.code(grant, asked.redirect_uri)})

    def _who(self, asked: _Asked, form: Mapping[str, str]) -> Account | None:
        if asked.demo:
            return self._store.account(DEMO_USERID)
        return self._store.sign_in(form.get("email", ""), form.get("password", ""))

    def _check(self, query: Mapping[str, str], browser: str) -> _Asked:
        scenario = self._store.scenario
        if query.get("client_id") != scenario.client_id:
            raise _Wrong("The client_id is not that of a registered application.")
        redirect_uri = query.get("redirect_uri", "")
        if not redirect_allowed(redirect_uri, scenario.redirect_uris, strict=scenario.strict):
            raise _Wrong("The redirect_uri is missing, or is not one that the application registered.")
        if query.get("response_type") != "code":
            raise _Wrong("The response_type must be “code”.")
        if not query.get("state"):
            raise _Wrong("The state is missing.")
        mode = query.get("mode", "")
        if mode not in ("", "demo"):
            raise _Wrong("The mode can only be “demo”.")
        try:
            scopes = scopes_of(query.get("scope", ""))
        except ValueError:
            raise _Wrong(f"The scope must be a comma-separated list of: {', '.join(SCOPES)}.") from None
        expires = self._store.now() + PAGE_SECONDS
        return _Asked(redirect_uri, query["state"], scopes, mode == "demo", browser, expires)

    def _form(self, asked: _Asked, used: str = "", email: str = "", wrong: str = "") -> Response:
        self._pages.pop(used, None)
        while len(self._pages) >= MAX_PAGES:
            del self._pages[next(iter(self._pages))]
        csrf = secrets.token_urlsafe(24)
        self._pages[csrf] = asked
        demo = self._store.account(DEMO_USERID) if asked.demo else None
        return html_pages.consent(
            application=self._store.scenario.application,
            scopes=[SCOPES[scope] for scope in asked.scopes],
            csrf=csrf,
            email=email,
            wrong=wrong,
            demo=demo.user.name if demo else "",
        )


def _send_back(asked: _Asked, found: Mapping[str, str]) -> Response:
    """To the redirect URI, whose own query stays."""
    parts = urlsplit(asked.redirect_uri)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *found.items(), ("state", asked.state)]
    return RedirectResponse(urlunsplit(parts._replace(query=urlencode(query))), 302, NO_STORE)
