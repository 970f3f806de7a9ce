"""Clouds on real sockets: the lab's cloud, and one whose answers a test writes."""

from __future__ import annotations

import asyncio
import inspect
import socket
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from installer.catalogue import catalogue_file
from installer.catalogue.model import Model
from installer.cloud.account import Account
from installer.cloud.account_file import Application, Tokens
from installer.cloud.accounts import Accounts
from installer.cloud.embedded_web_server import serving
from installer.cloud.lab_sign_in import sign_in_by_form
from installer.cloud.token_store import TokenStore
from installer.cloud.whose_account import accept_what_fits
from installer.lab.cloud.app import build_app
from installer.lab.cloud.scenario import CloudScenario
from installer.lab.cloud.store import CloudStore, Sample
from installer.settings import CloudSettings

SCALE, OTHER_SCALE, MAT, WATCH, CUFF, THERMO = (f"00:24:E4:00:00:0{n}" for n in range(1, 7))
EMAIL, PASSWORD = "alex@example.org", SecretStr("lab-password")
ACCESS, REFRESH = "access-token-that-nobody-may-see", "refresh-token-that-nobody-may-see"
CODE = "code-that-nobody-may-see-0001"
MODELS = catalogue_file.load()


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    """The base URL of this application on a free port."""
    # Without a Date header: tests that need one write it themselves.
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1, date_header=False)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        async with serving(config, [listener], AssertionError("the server did not start")):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings(base: str, **changes: Any) -> CloudSettings:
    """The lab's application at this cloud, with short polling intervals."""
    cloud = CloudSettings().at_lab(base, "lab-client", SecretStr("lab-secret"))
    return cloud.model_copy(update={"poll_seconds": (0.01, 0.05), "requests_per_minute": 10_000, **changes})


@dataclass
class Lab:
    """The lab's cloud, and the accounts of this computer at it."""

    store: CloudStore
    cloud: CloudSettings
    folder: Path
    accounts: Accounts

    async def sign_in(self, name: str = "default") -> Account:
        """Sign in by page, form and redirect, as a person does; the same person may get several names."""
        async with self.accounts.sign_in(name, seconds=20) as session:
            await sign_in_by_form(session.short_url, EMAIL, PASSWORD)
            return await session.result(decide=accept_what_fits(second_name=True))

    def another(self, **changes: Any) -> Accounts:
        """A second program on this computer."""
        return Accounts(self.cloud.model_copy(update=changes), TokenStore(self.folder, "file"))

    def calls(self, what: str) -> int:
        """How many requests of this kind the cloud got."""
        count: int = self.store.describe()["calls"].get(what, 0)
        return count

    def arm(self, **fault: Any) -> None:
        """Make the next matching requests fail."""
        from installer.lab.cloud.scenario import CloudControl

        self.store.apply_control(CloudControl.model_validate({"fail": [fault]}))

    def shift(self, seconds: float) -> None:
        """Move the cloud's clock."""
        from installer.lab.cloud.scenario import CloudControl

        self.store.apply_control(CloudControl(clock=seconds))

    def weigh(self, mac: str, grams: int = 72_350, **more: Any) -> None:
        """The device delivers a weight."""
        values = {"measures": [{"type": 1, "value": grams, "unit": -3}], **more}
        assert self.store.store_sample(mac, Sample(date=time.time(), service="getmeas", values=values))


@asynccontextmanager
async def lab(folder: Path, scenario: dict[str, Any] | None = None, **changes: Any) -> AsyncIterator[Lab]:
    """The lab's cloud with a device of each kind; `changes` of the settings."""
    store = CloudStore(CloudScenario.model_validate({"rate_limit": 10_000, **(scenario or {})}))
    store.add_device(SCALE, model_id=5, model="Body+", type="Scale")
    store.add_device(OTHER_SCALE, model_id=5, model="Body+", type="Scale")
    store.add_device(MAT, model_id=63, model="Aura Sensor V2", type="Sleep Monitor")
    store.add_device(WATCH, model_id=90, model="Move", type="Activity Tracker")
    store.add_device(CUFF, model_id=45, model="BPM Connect", type="Blood Pressure Monitor")
    store.add_device(THERMO, model_id=70, model="Thermo", type="Smart Connected Thermometer")
    async with served(build_app(store)) as base:
        cloud = settings(base, **changes)
        accounts = Accounts(cloud, TokenStore(folder, "file"))
        try:
            yield Lab(store, cloud, folder, accounts)
        finally:
            await accounts.close()


@dataclass
class Odd:
    """A cloud whose answers a test writes: a list for each action; its last answer is repeated.

    An answer is an envelope, a `Response`, or a function (perhaps async) of the form to one of them.
    """

    answers: dict[str, list[Any]]
    requests: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    base: str = ""
    _given: dict[str, int] = field(default_factory=dict)

    def count(self, action: str) -> int:
        """How many requests had this action."""
        return sum(form.get("action") == action for _, form, _ in self.requests)

    async def answer(self, request: Request) -> Response:
        """The next answer."""
        form = dict(parse_qsl((await request.body()).decode()))
        self.requests.append((request.url.path, form, dict(request.headers)))
        action = form.get("action", "")
        options = self.answers[action]
        index = self._given.get(action, 0)
        self._given[action] = index + 1
        given = options[min(index, len(options) - 1)]
        if callable(given) and not isinstance(given, Response):
            given = given(form)
        if inspect.isawaitable(given):
            given = await given
        return given if isinstance(given, Response) else JSONResponse(given)


@asynccontextmanager
async def odd(**answers: list[Any]) -> AsyncIterator[Odd]:
    """An odd cloud on a real socket."""
    cloud = Odd(answers)
    async with served(Starlette(routes=[Route("/{path:path}", cloud.answer, methods=["GET", "POST"])])) as base:
        cloud.base = base
        yield cloud


def ok(body: Any = None) -> dict[str, Any]:
    """A successful envelope."""
    return {"status": 0, "body": {} if body is None else body}


def bad(status: int, error: str = "something", **body: Any) -> dict[str, Any]:
    """An envelope with an error status."""
    return {"status": status, "body": body, "error": error}


def raw(text: str | bytes, status: int = 200, **headers: str) -> Response:
    """Any text with any HTTP status."""
    return Response(text, status, {k.replace("_", "-"): v for k, v in headers.items()}, "application/json")


def grant(access: str = ACCESS, refresh: str = REFRESH, **changes: Any) -> dict[str, Any]:
    """An answer of the token endpoint; a change to None leaves the field out."""
    body = {
        "userid": 7,
        "access_token": access,
        "refresh_token": refresh,
        "expires_in": 10800,
        "scope": "user.info,user.metrics",
        "token_type": "Bearer",
        **changes,
    }
    return ok({k: v for k, v in body.items() if v is not None})


def tokens(access: str = ACCESS, refresh: str = REFRESH, left: float = 10_000.0, **changes: Any) -> Tokens:
    """Tokens whose access token is valid for `left` seconds more."""
    now = time.time()
    made = {"issued": now - 10_800 + left, "expires": now + left, "scope": "user.info", "userid": "7", **changes}
    return Tokens(access_token=SecretStr(access), refresh_token=SecretStr(refresh), **made)


@asynccontextmanager
async def account_at(cloud: Odd, folder: Path, left: float = 10_000.0, **changes: Any) -> AsyncIterator[Account]:
    """A stored account at an odd cloud."""
    cloud_settings = settings(cloud.base, **changes)
    store = TokenStore(folder, "file")
    await store.save(Application.of(cloud_settings), "default", tokens(left=left))
    accounts = Accounts(cloud_settings, store)
    try:
        yield await accounts.open("default")
    finally:
        await accounts.close()


def model(name: str) -> Model:
    """A model of the built-in catalogue."""
    return MODELS.get(name)


async def in_time(awaited: Awaitable[Any], seconds: float = 20.0) -> Any:
    """The result, or a failed test instead of one that hangs."""
    async with asyncio.timeout(seconds):
        return await awaited


def everything_in(folder: Path) -> str:
    """The text of every file below."""
    return "".join(p.read_text("utf-8", "replace") for p in sorted(folder.rglob("*")) if p.is_file())
