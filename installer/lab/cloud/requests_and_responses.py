"""Requests and responses of the API: form fields in, the envelope `{"status", "body"}` out with HTTP 200 (§5).

A service is a path. Its actions are functions from a `Call` to the body of the response. Errors are raised as
`ApiError`; its status belongs to one of the families of `withings-cloud.md` §5.
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

from installer.lab.cloud.accounts import Account
from installer.lab.cloud.scenario import Fault
from installer.lab.cloud.store import CloudStore
from installer.lab.cloud.tokens import secrets_equal, sign

UNAUTHENTICATED, INVALID, TOO_MANY, NOT_IMPLEMENTED, NOT_ALLOWED, BAD_STATE = 401, 503, 601, 2554, 2555, 524
BAD_CALLBACK, NO_SUBSCRIPTION = 293, 286
MAX_BODY = 64 * 1024
MAX_FIELDS = 64
NO_STORE = {"Cache-Control": "no-store"}


class ApiError(Exception):
    """An error response. `error` must not contain what the caller sent, because it may be a secret."""

    def __init__(self, status: int, error: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.body = body or {}


def invalid_params(what: str) -> ApiError:
    """The error “invalid params”."""
    return ApiError(INVALID, f"Invalid Params: {what}")


@dataclass
class Call:
    """One request to a service: its fields and its bearer token, if any."""

    store: CloudStore
    params: Mapping[str, str] = field(repr=False)
    bearer: str | None = field(repr=False)

    def required(self, name: str) -> str:
        """A required field. Raises ApiError."""
        value = self.params.get(name, "")
        if not value:
            raise invalid_params(f"missing {name}")
        return value

    def integer(self, name: str) -> int | None:
        """A non-negative integer, or None if the field is missing. Raises ApiError."""
        text = self.params.get(name, "")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise invalid_params(f"{name} must be a number")
        return int(text)

    def account(self, *scopes: str) -> Account:
        """The account of the bearer token, which needs all these scopes. Raises ApiError (401, or missing scope)."""
        grant = self.store.tokens.use_access_token(self.bearer) if self.bearer else None
        account = self.store.account(grant.userid) if grant else None
        if grant is None or account is None:
            raise ApiError(
                UNAUTHENTICATED, "XRequestID: Not provided invalid_token: The access token provided is invalid"
            )
        if not set(scopes) <= set(grant.scopes):
            raise ApiError(
                self.store.scenario.scope_status, "insufficient_scope: the access token does not have the needed scope"
            )
        return account

    def check_signature(self) -> None:
        """Check `client_id`, `nonce` and `signature` (§1.6); consumes the nonce. Raises ApiError."""
        self._check_client_id()
        action, client_id, nonce = self.required("action"), self.required("client_id"), self.required("nonce")
        secret = self.store.scenario.client_secret.get_secret_value()
        expected = sign(secret, {"action": action, "client_id": client_id, "nonce": nonce})
        if not secrets_equal(self.required("signature"), expected):
            raise invalid_params("invalid signature")
        if not self.store.tokens.use_nonce(nonce):
            raise invalid_params("invalid nonce")

    def authenticate_client(self) -> str:
        """The client id, authenticated by the secret or by a signature. Raises ApiError."""
        if "client_secret" not in self.params and "signature" in self.params:
            self.check_signature()
        else:
            self._check_client_id()
            if not secrets_equal(self.required("client_secret"), self.store.scenario.client_secret.get_secret_value()):
                raise invalid_params("invalid client id/secret")
        return self.store.scenario.client_id

    def require_contract(self) -> None:
        """Raise ApiError unless the partner has a contract (which number the real API gives is UNCONFIRMED)."""
        if self.store.mode != "contract":
            raise ApiError(NOT_ALLOWED, "Unauthorized: this action needs a contract")

    def _check_client_id(self) -> None:
        if not secrets_equal(self.required("client_id"), self.store.scenario.client_id):
            raise invalid_params("invalid client id/secret")


Handler = Callable[[Call], Awaitable[dict[str, Any]]]


class TruncatedResponse(Response):
    """A response whose connection ends before its body is complete."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Announce a body and return without sending it; the server then closes the connection."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


def envelope(body: Any, status: int = 0, error: str = "") -> Response:
    """The response envelope, always with HTTP 200."""
    content: dict[str, Any] = {"status": status, "body": body}
    if error:
        content["error"] = error
    return JSONResponse(content, headers=NO_STORE)


def not_implemented() -> Response:
    """The response to an unknown service or action."""
    return envelope({}, NOT_IMPLEMENTED, "Not implemented")


def service(store: CloudStore, path: str, actions: Mapping[str, Handler], methods: Iterable[str] = ("POST",)) -> Route:
    """The route of a service."""

    async def handle(request: Request) -> Response:
        try:
            params = await read_fields(request)
        except ApiError as error:
            return envelope(error.body, error.status, error.error)
        action = params.get("action")
        known = action if action in actions else None
        store.state.count_request(path, known)
        faulty = await apply_fault(store.state.consume_fault(path, action), request)
        if faulty is not None:
            return faulty
        call = Call(store, params, bearer_token(request))
        try:
            _check_rate_limit(call)
            if known is None:
                return not_implemented()
            return envelope(await actions[known](call))
        except ApiError as error:
            return envelope(error.body, error.status, error.error)

    return Route(path, handle, methods=list(methods))


async def read_fields(request: Request) -> dict[str, str]:
    """The fields of the form, or of the query for GET. Raises ApiError if they are too many or too long."""
    if request.method == "GET":
        return dict(request.query_params)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise invalid_params("the request is too long")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", ""):
        return {}
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise invalid_params("too many fields") from None


def bearer_token(request: Request) -> str | None:
    """The token of the Authorization header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def apply_fault(fault: Fault | None, request: Request) -> Response | None:
    """The response of this fault; None if the normal response must be sent.

    The body of `request` must have been read. A delay ends when the caller disconnects.
    """
    if fault is None:
        return None
    disconnected = fault.delay > 0 and await _disconnects_within(request, fault.delay)
    if fault.closed or disconnected:
        return TruncatedResponse()
    if fault.http is not None:
        return PlainTextResponse("The lab was told to fail here.", fault.http, NO_STORE)
    if fault.raw is not None:
        return Response(fault.raw, media_type="application/json", headers=NO_STORE)
    if fault.status is None:
        return None
    body = {} if fault.wait_seconds is None else {"wait_seconds": fault.wait_seconds}
    return envelope(body, fault.status, "" if fault.status == 0 else "The lab was told to fail here")


async def _disconnects_within(request: Request, delay: float) -> bool:
    try:
        async with asyncio.timeout(delay):
            while (await request.receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        return False
    return True


def json_list(text: str, what: str) -> list[Any]:
    """The JSON list of a field. Raises ApiError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid_params(f"{what} must be a JSON list") from None
    if not isinstance(value, list):
        raise invalid_params(f"{what} must be a JSON list")
    return value


def _check_rate_limit(call: Call) -> None:
    """Count the request for its application, identified by the token or the client id. Raises ApiError (601)."""
    known = call.bearer is not None and call.store.tokens.peek(call.bearer) is not None
    if not known and call.params.get("client_id") != call.store.scenario.client_id:
        return
    wait = call.store.state.check_rate_limit()
    if wait is not None:
        raise ApiError(TOO_MANY, "Too Many Requests", {"wait_seconds": wait})
