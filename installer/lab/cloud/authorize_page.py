"""The sign-in and consent page `/oauth2_user/authorize2`, and the redirect with a code (`withings-cloud.md` §1.1)."""

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
from installer.lab.cloud.accounts import Account
from installer.lab.cloud.requests_and_responses import NO_STORE, ApiError, apply_fault, read_fields
from installer.lab.cloud.resettable_state import DEMO_USERID
from installer.lab.cloud.store import CloudStore
from installer.lab.cloud.token_endpoint import SCOPES, parse_scopes
from installer.lab.cloud.tokens import Grant, secrets_equal
from installer.lab.cloud.url_rules import is_redirect_allowed

PATH = "/oauth2_user/authorize2"
COOKIE = "lab_cloud"
BROWSER_ID = re.compile(r"[A-Za-z0-9_-]{32}")
REQUEST_LIFETIME_SECONDS = 3600
MAX_PENDING_REQUESTS = 1000


@dataclass(frozen=True)
class _AuthorizationRequest:
    """A valid request that waits for the user's decision."""

    redirect_uri: str
    state: str = field(repr=False)
    scopes: tuple[str, ...]
    demo: bool
    browser: str = field(repr=False)
    expires: float


class _InvalidRequest(Exception):
    """The application's request is invalid; shown on a page, never sent to the redirect URI."""


class AuthorizePage:
    """The page and its form. The form's `csrf` belongs to the browser that got the page, identified by a cookie."""

    def __init__(self, store: CloudStore) -> None:
        self._store = store
        self._requests: dict[str, _AuthorizationRequest] = {}

    def routes(self) -> list[Route]:
        """GET and POST of the page."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Check the parameters and show the form."""
        self._store.state.count_request(PATH, None)
        faulty = await apply_fault(self._store.state.consume_fault(PATH, None), request)
        if faulty is not None:
            return faulty
        browser = request.cookies.get(COOKIE, "")
        if not BROWSER_ID.fullmatch(browser):
            browser = secrets.token_urlsafe(24)
        try:
            pending = self._check(request.query_params, browser)
        except _InvalidRequest as error:
            todo = "This is an error in the program that sent you here. Close this page and start again there."
            return html_pages.problem("This request is invalid", str(error), todo)
        response = self._form(pending)
        response.set_cookie(COOKIE, browser, path="/oauth2_user", httponly=True, samesite="lax")
        return response

    async def submit(self, request: Request) -> Response:
        """Allow or Cancel."""
        self._store.state.count_request(PATH, "submit")
        try:
            form = await read_fields(request)
        except ApiError as error:
            return html_pages.problem("This form cannot be read", error.error, "Start again in the program.")
        faulty = await apply_fault(self._store.state.consume_fault(PATH, "submit"), request)
        if faulty is not None:
            return faulty
        csrf = form.get("csrf", "")
        pending = self._requests.get(csrf)
        browser = request.cookies.get(COOKIE, "")
        if pending is None or pending.expires <= self._store.now() or not secrets_equal(pending.browser, browser):
            todo = "Start again in the program that sent you here."
            return html_pages.problem("This page is too old", "The form is unknown, or it was used before.", todo, 403)
        if form.get("decision") == "cancel":
            del self._requests[csrf]
            return _redirect(pending, {"error": "access_denied"})
        if form.get("decision") != "allow":
            return self._form(pending, csrf, form.get("email", ""), "Press Allow or Cancel.")
        account = self._sign_in(pending, form)
        if account is None:
            return self._form(pending, csrf, form.get("email", ""), "The email or the password is wrong. Try again.")
        del self._requests[csrf]
        account.sign_up(self._store.clock())
        grant = Grant(account.userid, self._store.scenario.client_id, pending.scopes)
        return _redirect(pending, {"code": self._store.tokens.issue_code(grant, pending.redirect_uri)})

    def _sign_in(self, pending: _AuthorizationRequest, form: Mapping[str, str]) -> Account | None:
        if pending.demo:
            return self._store.account(DEMO_USERID)
        return self._store.sign_in(form.get("email", ""), form.get("password", ""))

    def _check(self, query: Mapping[str, str], browser: str) -> _AuthorizationRequest:
        scenario = self._store.scenario
        if query.get("client_id") != scenario.client_id:
            raise _InvalidRequest("The client_id is not that of a registered application.")
        redirect_uri = query.get("redirect_uri", "")
        if not is_redirect_allowed(redirect_uri, scenario.redirect_uris, strict=scenario.strict):
            raise _InvalidRequest("The redirect_uri is missing, or is not one that the application registered.")
        if query.get("response_type") != "code":
            raise _InvalidRequest("The response_type must be “code”.")
        if not query.get("state"):
            raise _InvalidRequest("The state is missing.")
        mode = query.get("mode", "")
        if mode not in ("", "demo"):
            raise _InvalidRequest("The mode can only be “demo”.")
        try:
            scopes = parse_scopes(query.get("scope", ""))
        except ValueError:
            raise _InvalidRequest(f"The scope must be a comma-separated list of: {', '.join(SCOPES)}.") from None
        expires = self._store.now() + REQUEST_LIFETIME_SECONDS
        return _AuthorizationRequest(redirect_uri, query["state"], scopes, mode == "demo", browser, expires)

    def _form(self, pending: _AuthorizationRequest, used: str = "", email: str = "", error: str = "") -> Response:
        self._requests.pop(used, None)
        while len(self._requests) >= MAX_PENDING_REQUESTS:
            del self._requests[next(iter(self._requests))]
        csrf = secrets.token_urlsafe(24)
        self._requests[csrf] = pending
        demo = self._store.account(DEMO_USERID) if pending.demo else None
        return html_pages.consent(
            application=self._store.scenario.application,
            scopes=[SCOPES[scope] for scope in pending.scopes],
            csrf=csrf,
            email=email,
            error=error,
            demo=demo.user.name if demo else "",
        )


def _redirect(pending: _AuthorizationRequest, result: Mapping[str, str]) -> Response:
    """Redirect to the redirect URI; its own query is kept."""
    parts = urlsplit(pending.redirect_uri)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *result.items(), ("state", pending.state)]
    return RedirectResponse(urlunsplit(parts._replace(query=urlencode(query))), 302, NO_STORE)
