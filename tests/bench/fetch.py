"""Measurements a second from the cloud into the store, beside httpx reading the same pages and storing nothing."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from installer.catalogue import catalogue_file
from installer.cloud.account_file import Application
from installer.cloud.accounts import Accounts
from installer.cloud.token_store import TokenStore
from installer.measurements.fetch import Fetcher
from installer.measurements.store import Store
from installer.settings import CloudSettings
from installer.storage import database
from tests.installer.cloud.world import served, tokens

GROUPS, VALUES, PAGE = 5000, 4, 250
ROUNDS = 5
DATE = 1_730_000_000


def _page(number: int) -> bytes:
    groups = [
        {
            "grpid": n, "attrib": 0, "date": DATE + 60 * n, "created": DATE + 60 * n, "modified": DATE + 60 * n,
            "category": 1, "deviceid": "9f2c" * 10, "hash_deviceid": "9f2c" * 10, "modelid": 5, "model": "Body+",
            "measures": [{"value": 70_000 + n, "type": t, "unit": -3} for t in (1, 6, 8, 76)], "comment": None,
        }
        for n in range(number * PAGE, (number + 1) * PAGE)
    ]  # fmt: skip
    more = (number + 1) * PAGE < GROUPS
    body = {"updatetime": DATE, "timezone": "Europe/Paris", "measuregrps": groups}
    return json.dumps({"status": 0, "body": {**body, "more": int(more), "offset": (number + 1) * PAGE}}).encode()


def _serve(told: Connection) -> None:
    pages = [_page(n) for n in range(GROUPS // PAGE)]

    async def answer(request: Request) -> Response:
        form: dict[str, Any] = {k: str(v) for k, v in (await request.form()).items()}
        nothing = b'{"status": 0, "body": {}}'
        content = pages[int(form.get("offset", "0")) // PAGE] if form.get("action") == "getmeas" else nothing
        return Response(content, media_type="application/json")

    async def serving() -> None:
        async with served(Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])) as base:
            told.send(base)
            await asyncio.to_thread(told.recv)

    asyncio.run(serving())


async def _ours(base: str, folder: Path, url: str) -> float:
    cloud = CloudSettings().at_lab(base, "lab-client", SecretStr("x")).model_copy(update={"requests_per_minute": 10**6})
    kept = TokenStore(folder / "accounts", "file")
    await kept.save(Application.of(cloud), "default", tokens(scope="user.metrics"))
    accounts = Accounts(cloud, kept)
    with Store.open(url) as store:
        began = time.perf_counter()
        [ended] = await Fetcher(store, accounts, catalogue_file.load()).fetch_all()
        took = time.perf_counter() - began
        assert (ended.new, ended.error) == (GROUPS * VALUES, None)
        await accounts.close()
    return took


async def _plain(base: str) -> float:
    async with httpx.AsyncClient(base_url=base, trust_env=False, verify=False) as client:
        began = time.perf_counter()
        offset, count = 0, 0
        while True:
            answer = await client.post("/measure", data={"action": "getmeas", "offset": str(offset)})
            body = answer.json()["body"]
            count += sum(len(g["measures"]) for g in body["measuregrps"])
            if not body["more"]:
                break
            offset = body["offset"]
        took = time.perf_counter() - began
    assert count == GROUPS * VALUES
    return took


def report() -> list[str]:
    """The rounds alternate, so that both meet the same machine; the server is a process of its own."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    server.start()
    base = here.recv()
    ours, plain = [], []
    for _ in range(ROUNDS):
        plain.append(asyncio.run(_plain(base)))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            ours.append(asyncio.run(_ours(base, folder, database.sqlite_url(folder / "store.sqlite"))))
    here.send(None)
    server.join(10)
    fetched, read = statistics.median(ours), statistics.median(plain)
    values = GROUPS * VALUES
    return [
        f"{f'{values} values in {GROUPS // PAGE} pages of the cloud':<52}{'s (median)':>12}{'values/s':>12}",
        f"{'httpx: read and decoded, nothing stored':<52}{read:>12.2f}{values / read:>12.0f}",
        f"{'device-installer data fetch, into SQLite':<52}{fetched:>12.2f}{values / fetched:>12.0f}",
        f"{'ratio':<52}{fetched / read:>12.1f}",
    ]
