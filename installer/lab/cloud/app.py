"""The lab's cloud as a web application: the real paths, and `POST /lab/cloud` to change its behaviour."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from installer.lab.cloud import data_api, gateway_uploads, html_pages, token_endpoint, user_devices
from installer.lab.cloud.authorize_page import AuthorizePage
from installer.lab.cloud.notifications import Notifier
from installer.lab.cloud.requests_and_responses import NO_STORE, TruncatedResponse, not_implemented, service
from installer.lab.cloud.scenario import CloudControl
from installer.lab.cloud.store import CloudStore

ANY = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class DownSwitch:
    """Middleware: while the cloud is down, only requests to the lab's control API pass."""

    def __init__(self, app: ASGIApp, store: CloudStore) -> None:
        self._app = app
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with HTTP 503, break the response off, or pass the request on."""
        down = self._store.down
        control = scope["type"] != "http" or (
            scope["path"].startswith("/lab/") and scope["path"] != gateway_uploads.PATH
        )
        if control or not down:
            await self._app(scope, receive, send)
            return
        response = (
            TruncatedResponse() if down == "closed" else PlainTextResponse("The lab's cloud is down.", 503, NO_STORE)
        )
        await response(scope, receive, send)


def build_app(store: CloudStore, extra_routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The application. `extra_routes` come first (`/lab/…`). Pending work of `store` ends with the application."""

    async def home(_request: Request) -> Response:
        return html_pages.home(store.mode)

    async def unknown_path(request: Request) -> Response:
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
        *AuthorizePage(store).routes(),
        service(store, "/v2/oauth2", token_endpoint.TOKEN_ACTIONS),
        service(store, "/v2/signature", token_endpoint.SIGNATURE_ACTIONS),
        service(store, "/v2/user", user_devices.ACTIONS),
        service(store, "/measure", data_api.MEASURE_ACTIONS, both),
        service(store, "/v2/measure", data_api.ACTIVITY_ACTIONS, both),
        service(store, "/v2/sleep", data_api.SLEEP_ACTIONS, both),
        service(store, "/notify", notifier.actions()),
        service(store, gateway_uploads.PATH, gateway_uploads.ACTIONS),
        Route("/{path:path}", unknown_path, methods=ANY),
    ]
    return Starlette(routes=routes, middleware=[Middleware(DownSwitch, store=store)], lifespan=lifespan)


def cloud_routes(store: CloudStore) -> list[Route]:
    """`POST /lab/cloud`: change how the cloud behaves while it runs."""

    async def cloud(request: Request) -> Response:
        """Respond with the new state, or HTTP 400 and the errors in the body."""
        try:
            change = CloudControl.model_validate(json.loads(await request.body() or b"{}"))
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False, include_context=False)
            text = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in errors)
            return JSONResponse({"error": text}, 400)
        except (ValueError, RecursionError):
            return JSONResponse({"error": "the body is not JSON"}, 400)
        store.apply_control(change)
        return JSONResponse(store.describe())

    return [Route("/lab/cloud", cloud, methods=["POST"])]
