"""How soon a notification is on the disk and answered, beside a server that keeps nothing; and in a flood."""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
from pydantic import SecretStr

from installer.notifications.inbox import Inbox
from installer.notifications.notification import Notification
from installer.notifications.receiver import Receiver, listen

PATH = "a-path-for-measuring-only"
COUNT, ROUNDS, AT_ONCE = 300, 3, 20


def _serve(told: Connection, folder: str | None) -> None:
    """A receiver; without a folder it keeps nothing."""

    async def serving() -> None:
        inbox = Inbox(Path(folder) / "inbox.sqlite") if folder is not None else None

        async def store(notification: Notification) -> None:
            if inbox is not None:
                await asyncio.to_thread(inbox.put, notification, time.time())

        listener = listen("127.0.0.1", 0)
        async with Receiver(SecretStr(PATH), store).serve(listener):
            told.send(f"http://127.0.0.1:{listener.getsockname()[1]}/{PATH}")
            await asyncio.Event().wait()

    asyncio.run(serving())


async def _waits(url: str, users: range) -> list[float]:
    """Milliseconds until each answer, one after the other; every notification is news of another user."""
    waits = []
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        for user in users:
            began = time.perf_counter()
            answer = await http.post(url, data={"userid": str(user), "appli": "1"})
            waits.append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 200
    return waits


async def _flood(url: str, user: int) -> float:
    """Answers a second when many tell the same at once."""
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=30) as http:

        async def some() -> None:
            for _ in range(COUNT // AT_ONCE):
                await http.post(url, data={"userid": str(user), "appli": "1"})

        began = time.perf_counter()
        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        return COUNT / (time.perf_counter() - began)


async def _measure(plain: str, kept: str) -> list[str]:
    waits: dict[str, list[float]] = {plain: [], kept: []}
    floods: dict[str, list[float]] = {plain: [], kept: []}
    first = 1
    for _ in range(ROUNDS):
        for url in (plain, kept):
            waits[url] += await _waits(url, range(first, first + COUNT))
            floods[url].append(await _flood(url, first))
            first += COUNT
    lines = [f"Receiver of notifications, {COUNT * ROUNDS} notifications each:"]
    lines.append(f"{'':<28}{'median ms':>10}{'99 % ms':>10}{'flood a s':>11}")
    for name, url in (("answers, keeps nothing", plain), ("on the disk, then answers", kept)):
        late = statistics.quantiles(waits[url], n=100)[98]
        lines.append(
            f"  {name:<26}{statistics.median(waits[url]):>10.1f}{late:>10.1f}{statistics.median(floods[url]):>11.0f}"
        )
    ratio = statistics.median(waits[kept]) / statistics.median(waits[plain])
    lines.append(f"  the disk makes an answer {ratio:.1f} times as long; the cloud waits 2000 ms")
    return lines


def report() -> list[str]:
    """The table."""
    context = multiprocessing.get_context("spawn")
    processes, urls = [], []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for where in (None, folder):
                told, tell = context.Pipe(duplex=False)
                process = context.Process(target=_serve, args=(tell, where), daemon=True)
                process.start()
                processes.append(process)
                urls.append(told.recv())
            return asyncio.run(_measure(*urls))
        finally:
            for process in processes:
                process.terminate()
                process.join()
