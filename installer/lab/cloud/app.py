"""The lab's cloud as one web application: the real paths, and the lab's own under `/lab/`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from installer.lab.cloud import data_api, html_pages, token_endpoint, uploads, user_devices
from installer.lab.cloud.authorize_page import Authorize
from installer.lab.cloud.notifications import Notifier
from installer.lab.cloud.requests_and_answers import NO_STORE, Cut, not_implemented, service
from installer.lab.cloud.store import CloudStore

ANY = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Gate:
    """While the cloud is down, no request but those to the lab's control gets through."""

    def __init__(self, app: ASGIApp, store: CloudStore) -> None:
        self._app = app
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer HTTP 503, or break off, or let the request through."""
        down = self._store.down
        control = scope["type"] != "http" or (scope["path"].startswith("/lab/") and scope["path"] != uploads.PATH)
        if control or not down:
            await self._app(scope, receive, send)
            return
        response = Cut() if down == "closed" else PlainTextResponse("The lab's cloud is down.", 503, NO_STORE)
        await response(scope, receive, send)


def build_app(store: CloudStore, extra_routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The application. `extra_routes` come first (`/lab/…`); what waits in `store` ends with the application."""

    async def home(_request: Request) -> Response:
        return html_pages.home(store.mode)

    async def other(request: Request) -> Response:
        if request.url.path.startswith("/lab/"):
            return JSONResponse({"error": "there is no such address in the lab"}, 404)
        return not_implemented()

    notifier = Notifier(store)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        store.close()
        await notifier.close()

    both = ("GET", "POST")
    routes: list[BaseRoute] = [
        *extra_routes,
        Route("/", home, methods=["GET"]),
        *Authorize(store).routes(),
        service(store, "/v2/oauth2", token_endpoint.TOKEN_ACTIONS),
        service(store, "/v2/signature", token_endpoint.SIGNATURE_ACTIONS),
        service(store, "/v2/user", user_devices.ACTIONS),
        service(store, "/measure", data_api.MEASURE_ACTIONS, both),
        service(store, "/v2/measure", data_api.ACTIVITY_ACTIONS, both),
        service(store, "/v2/sleep", data_api.SLEEP_ACTIONS, both),
        service(store, "/notify", notifier.actions()),
        service(store, uploads.PATH, uploads.ACTIONS),
        Route("/{path:path}", other, methods=ANY),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Gate, store=store)], lifespan=lifespan)
