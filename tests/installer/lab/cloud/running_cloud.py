"""A lab cloud on a real socket, and a person with a browser who uses it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any

import httpx
import uvicorn

from installer.lab.cloud.app import build_app, cloud_routes
from installer.lab.cloud.scenario import CloudScenario
from installer.lab.cloud.store import CloudStore

SCALE, MAT, WATCH, CUFF = "00:24:E4:00:00:01", "00:24:E4:00:00:02", "00:24:E4:00:00:03", "00:24:E4:00:00:04"
ALL = "user.info,user.metrics,user.activity"
BACK = "http://localhost:8765/callback"
PASSWORD = "lab-password"


class Server(uvicorn.Server):
    """A server that leaves the signals of the test's process alone, and ends at once instead of at its next tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.enough = asyncio.Event()

    async def main_loop(self) -> None:
        await self.enough.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Page(HTMLParser):
    """What a browser would see: the form's fields, the buttons, the labels, the text, addresses of other files."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action = self.method = ""
        self.fields: dict[str, dict[str, str | None]] = {}
        self.buttons: dict[str, dict[str, str | None]] = {}
        self.labels: set[str] = set()
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.meta: dict[str, str] = {}
        self.texts: list[str] = []
        self.alerts: list[str] = []
        self._alert = self._style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        got = dict(attrs)
        self.tags.append(tag)
        self.outside += [value for key, value in attrs if key in ("src", "href", "srcset", "data") and value]
        if tag == "form":
            self.action, self.method = got["action"] or "", got["method"] or ""
        elif tag == "input":
            self.fields[got["name"] or ""] = got
        elif tag == "button":
            self.buttons[got["value"] or ""] = got
        elif tag == "label":
            self.labels.add(got["for"] or "")
        elif tag == "meta" and got.get("name"):
            self.meta[got["name"] or ""] = got["content"] or ""
        self._alert = got.get("role") == "alert" or (self._alert and tag in ("strong", "em"))
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._alert = self._style = False

    def handle_data(self, data: str) -> None:
        if self._style:
            return
        self.texts.append(data)
        if self._alert:
            self.alerts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


class World:
    """The cloud, its store, and one browser."""

    def __init__(self, store: CloudStore, http: httpx.AsyncClient) -> None:
        self.store = store
        self.http = http

    async def authorize(self, **changes: str | None) -> httpx.Response:
        """Open the page; None leaves a parameter out."""
        params: dict[str, str | None] = {
            "response_type": "code",
            "client_id": "lab-client",
            "scope": ALL,
            "redirect_uri": BACK,
            "state": "st&te=1",
        }
        params.update(changes)
        given = {key: value for key, value in params.items() if value is not None}
        return await self.http.get("/oauth2_user/authorize2", params=given)

    async def press(self, page: Page, decision: str = "allow", **typed: str) -> httpx.Response:
        """Fill in the form as it is on the page and press a button."""
        data = {name: field.get("value") or "" for name, field in page.fields.items()}
        if "email" in page.fields:
            data |= {"email": "alex@example.org", "password": PASSWORD}
        data |= typed
        data[page.buttons[decision]["name"] or ""] = decision
        return await self.http.request(page.method, page.action, data=data)

    async def code(self, *, email: str = "alex@example.org", **changes: str | None) -> str:
        """Sign in, allow, and take the code out of the redirect."""
        page = Page((await self.authorize(**changes)).text)
        typed = {"email": email} if "email" in page.fields else {}
        answer = await self.press(page, **typed)
        assert answer.status_code == 302
        return httpx.URL(answer.headers["location"]).params["code"]

    async def call(self, path: str, action: str | None, token: str = "", **fields: Any) -> dict[str, Any]:
        """One API call; the HTTP status must be 200. Returns the envelope."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        data = fields if action is None else {"action": action, **fields}
        answer = await self.http.post(path, data=data, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        envelope: dict[str, Any] = answer.json()
        assert isinstance(envelope["status"], int)
        assert ("error" in envelope) == (envelope["status"] != 0)
        return envelope

    async def redeem(self, code: str, /, **changes: str) -> dict[str, Any]:
        fields = {
            "grant_type": "authorization_code",
            "client_id": "lab-client",
            "client_secret": "lab-secret",
            "code": code,
            "redirect_uri": BACK,
        }
        return await self.call("/v2/oauth2", "requesttoken", **(fields | changes))

    async def refresh(self, token: str, /, **changes: str) -> dict[str, Any]:
        fields = {
            "grant_type": "refresh_token",
            "client_id": "lab-client",
            "client_secret": "lab-secret",
            "refresh_token": token,
        }
        return await self.call("/v2/oauth2", "requesttoken", **(fields | changes))

    async def tokens(self, *, email: str = "alex@example.org", scope: str = ALL, **changes: str) -> dict[str, Any]:
        """The body of a token answer for a fresh sign-in."""
        envelope = await self.redeem(await self.code(email=email, scope=scope, **changes))
        assert envelope["status"] == 0
        body: dict[str, Any] = envelope["body"]
        return body

    async def access(self, *, email: str = "alex@example.org", scope: str = ALL) -> str:
        token: str = (await self.tokens(email=email, scope=scope))["access_token"]
        return token

    async def devices(self, token: str) -> list[dict[str, Any]]:
        envelope = await self.call("/v2/user", "getdevice", token)
        assert envelope["status"] == 0
        devices: list[dict[str, Any]] = envelope["body"]["devices"]
        return devices

    async def link(self, token: str, *macs: str) -> dict[str, Any]:
        return await self.call("/v2/user", "link", token, mac_addresses=json.dumps(macs))

    async def control(self, **change: Any) -> dict[str, Any]:
        """What a test tells the lab; must be accepted. Returns the cloud's state."""
        answer = await self.http.post("/lab/cloud", json=change)
        assert answer.status_code == 200
        state: dict[str, Any] = answer.json()
        return state


def make_devices(store: CloudStore) -> None:
    store.add_device(SCALE, model_id=5, model="Body+", type="Scale")
    store.add_device(MAT, model_id=63, model="Aura Sensor V2", type="Sleep Monitor")
    store.add_device(WATCH, model_id=90, model="Move", type="Activity Tracker")
    store.add_device(CUFF, model_id=45, model="BPM Connect", type="Blood Pressure Monitor")


@asynccontextmanager
async def running(scenario: dict[str, Any] | None = None) -> AsyncIterator[World]:
    """The cloud of this scenario, on a free port."""
    store = CloudStore(CloudScenario.model_validate(scenario or {}))
    make_devices(store)
    app = build_app(store, cloud_routes(store))
    server = Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
    # asyncio switches Nagle's delay (40 ms an answer) off only where the socket names its protocol.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with httpx.AsyncClient(base_url=base, timeout=10, verify=False) as http:
                yield World(store, http)
        finally:
            server.enough.set()
            await task
