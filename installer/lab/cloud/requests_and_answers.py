"""Requests and answers as the real API has them: form fields in, `{"status", "body"}` out with HTTP 200 (§5).

A service is a path; its actions are functions from a `Call` to the body of the answer. What goes wrong is raised
as `Refusal`, whose number belongs to one of the families of `withings-cloud.md` §5.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from installer.lab.cloud.scenario import Fault
from installer.lab.cloud.signature import same, sign
from installer.lab.cloud.store import CloudStore
from installer.lab.cloud.user_data import Account

UNAUTHENTICATED, INVALID, TOO_MANY, NOT_IMPLEMENTED, NOT_ALLOWED, BAD_STATE = 401, 503, 601, 2554, 2555, 524
BAD_CALLBACK, NO_SUBSCRIPTION = 293, 286
MAX_BODY = 64 * 1024
MAX_FIELDS = 64
NO_STORE = {"Cache-Control": "no-store"}


class Refusal(Exception):
    """The answer is this status. `error` must not hold what the caller sent: it may be a secret."""

    def __init__(self, status: int, error: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.body = body or {}


def invalid(what: str) -> Refusal:
    """The refusal of the family “invalid params”."""
    return Refusal(INVALID, f"Invalid Params: {what}")


@dataclass
class Call:
    """One request to a service: its fields, and its bearer token if it has one."""

    store: CloudStore
    params: Mapping[str, str] = field(repr=False)
    bearer: str | None = field(repr=False)

    def need(self, name: str) -> str:
        """A field that must be there. Raises Refusal."""
        value = self.params.get(name, "")
        if not value:
            raise invalid(f"missing {name}")
        return value

    def integer(self, name: str) -> int | None:
        """A whole number, not negative, or None if the field is not there. Raises Refusal."""
        text = self.params.get(name, "")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise invalid(f"{name} must be a number")
        return int(text)

    def account(self, *scopes: str) -> Account:
        """The account of the bearer token, which must have all these scopes. Raises Refusal (401, or no scope)."""
        grant = self.store.tokens.use(self.bearer) if self.bearer else None
        account = self.store.account(grant.userid) if grant else None
        if grant is None or account is None:
            raise Refusal(
                UNAUTHENTICATED, "XRequestID: Not provided invalid_token: The access token provided is invalid"
            )
        if not set(scopes) <= set(grant.scopes):
            raise Refusal(
                self.store.scenario.scope_status, "insufficient_scope: the access token does not have the needed scope"
            )
        return account

    def signed(self) -> None:
        """Check `client_id`, `nonce` and `signature` (§1.6); the nonce is used up. Raises Refusal."""
        self._known_client()
        action, client_id, nonce = self.need("action"), self.need("client_id"), self.need("nonce")
        secret = self.store.scenario.client_secret.get_secret_value()
        expected = sign(secret, {"action": action, "client_id": client_id, "nonce": nonce})
        if not same(self.need("signature"), expected):
            raise invalid("invalid signature")
        if not self.store.tokens.use_nonce(nonce):
            raise invalid("invalid nonce")

    def client(self) -> str:
        """The client id, proven by the secret or by a signature. Raises Refusal."""
        if "client_secret" not in self.params and "signature" in self.params:
            self.signed()
        else:
            self._known_client()
            if not same(self.need("client_secret"), self.store.scenario.client_secret.get_secret_value()):
                raise invalid("invalid client id/secret")
        return self.store.scenario.client_id

    def contract(self) -> None:
        """Raise Refusal unless the partner has a contract (which number the real API gives is UNCONFIRMED)."""
        if self.store.mode != "contract":
            raise Refusal(NOT_ALLOWED, "Unauthorized: this action needs a contract")

    def _known_client(self) -> None:
        if not same(self.need("client_id"), self.store.scenario.client_id):
            raise invalid("invalid client id/secret")


Handler = Callable[[Call], Awaitable[dict[str, Any]]]


class Cut(Response):
    """An answer whose connection ends before its body does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise a body and return without one; the server then closes the connection."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


def answer(body: Any, status: int = 0, error: str = "") -> Response:
    """The envelope, always with HTTP 200."""
    content: dict[str, Any] = {"status": status, "body": body}
    if error:
        content["error"] = error
    return JSONResponse(content, headers=NO_STORE)


def not_implemented() -> Response:
    """What an unknown service or action gets."""
    return answer({}, NOT_IMPLEMENTED, "Not implemented")


def service(store: CloudStore, path: str, actions: Mapping[str, Handler], methods: Iterable[str] = ("POST",)) -> Route:
    """The route of a service."""

    async def handle(request: Request) -> Response:
        try:
            params = await fields(request)
        except Refusal as refusal:
            return answer(refusal.body, refusal.status, refusal.error)
        action = params.get("action")
        known = action if action in actions else None
        store.state.count(path, known)
        spoiled = await spoil(store.state.fault(path, action), request)
        if spoiled is not None:
            return spoiled
        call = Call(store, params, bearer(request))
        try:
            _limit(call)
            if known is None:
                return not_implemented()
            return answer(await actions[known](call))
        except Refusal as refusal:
            return answer(refusal.body, refusal.status, refusal.error)

    return Route(path, handle, methods=list(methods))


async def fields(request: Request) -> dict[str, str]:
    """The fields of the form and, for GET, of the query. Raises Refusal if they are too many or too long."""
    if request.method == "GET":
        return dict(request.query_params)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise invalid("the request is too long")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", ""):
        return {}
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise invalid("too many fields") from None


def bearer(request: Request) -> str | None:
    """The token of the Authorization header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def spoil(fault: Fault | None, request: Request) -> Response | None:
    """The spoiled answer that a fault asks for; None if the true answer may go out.

    The body of `request` must have been read. A caller who gives up during a delay ends it.
    """
    if fault is None:
        return None
    gave_up = fault.delay > 0 and await _gave_up(request, fault.delay)
    if fault.closed or gave_up:
        return Cut()
    if fault.http is not None:
        return PlainTextResponse("The lab was told to fail here.", fault.http, NO_STORE)
    if fault.raw is not None:
        return Response(fault.raw, media_type="application/json", headers=NO_STORE)
    if fault.status is None:
        return None
    body = {} if fault.wait_seconds is None else {"wait_seconds": fault.wait_seconds}
    return answer(body, fault.status, "" if fault.status == 0 else "The lab was told to fail here")


async def _gave_up(request: Request, delay: float) -> bool:
    try:
        async with asyncio.timeout(delay):
            while (await request.receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        return False
    return True


def json_list(text: str, what: str) -> list[Any]:
    """A field that holds a JSON list. Raises Refusal."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid(f"{what} must be a JSON list") from None
    if not isinstance(value, list):
        raise invalid(f"{what} must be a JSON list")
    return value


def _limit(call: Call) -> None:
    """Count the request for its application, known by the token or the client id. Raises Refusal (601)."""
    known = call.bearer is not None and call.store.tokens.peek(call.bearer) is not None
    if not known and call.params.get("client_id") != call.store.scenario.client_id:
        return
    wait = call.store.state.throttle()
    if wait is not None:
        raise Refusal(TOO_MANY, "Too Many Requests", {"wait_seconds": wait})
