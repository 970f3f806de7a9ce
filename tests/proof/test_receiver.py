"""The receiver is killed many times: every acknowledged notification is in its inbox, or its data was fetched."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path

import httpx
import pytest

from installer.notifications.inbox import Inbox

KILLS = 60
PATH = "a-path-that-nobody-may-see"
# A receiver that knows all users. Each successful fetch is written into a file.
PROGRAM = """
import asyncio, sys, time
from pathlib import Path
from pydantic import SecretStr
from installer.measurements.fetch import Fetched
from installer.notifications.inbox_worker import InboxWorker
from installer.notifications.inbox import Inbox
from installer.notifications.receiver import Receiver, listen

folder, path = Path(sys.argv[1]), SecretStr(sys.argv[2])
inbox = Inbox(folder / "inbox.sqlite")
fetched = (folder / "fetched").open("a")

class Fetcher:
    async def fetch(self, userid, appli, start=None, end=None):
        await asyncio.sleep(0.01)
        fetched.write(userid + "\\n")
        fetched.flush()
        return Fetched("default", userid)

async def main():
    worker = InboxWorker(inbox, Fetcher(), lambda *_: None, cooldown=0.0)

    async def store(notification):
        await asyncio.to_thread(inbox.put, notification, time.time())
        worker.notify()

    listener = listen("127.0.0.1", 0)
    async with Receiver(path, store).serve(listener):
        print(listener.getsockname()[1], flush=True)
        await worker.run()

asyncio.run(main())
"""


@pytest.mark.timeout(300)
async def test_acknowledged_notifications_are_fetched(tmp_path: Path) -> None:
    chance = random.Random(20_261_125)
    acknowledged: set[str] = set()
    number = 0
    for _ in range(KILLS):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, str(tmp_path), PATH, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        port = int(await asyncio.wait_for(process.stdout.readline(), 30))
        url = f"http://127.0.0.1:{port}/{PATH}"
        async with httpx.AsyncClient(trust_env=False, timeout=10, verify=False) as http:
            senders = []
            for _ in range(4):
                number += 1000
                senders.append(asyncio.create_task(_send(http, url, number, acknowledged)))
            await asyncio.sleep(chance.uniform(0.0, 0.25))
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await asyncio.gather(*senders)
    fetched = set((tmp_path / "fetched").read_text("utf-8").split())
    inbox = Inbox(tmp_path / "inbox.sqlite")
    left = {entry.userid for entry in inbox.due(float("inf"))}
    inbox.close()
    assert len(acknowledged) > KILLS
    assert acknowledged <= fetched | left
    # The inbox holds only notifications that were sent, just before the last kills.
    assert all(userid.isdigit() for userid in left)


async def _send(http: httpx.AsyncClient, url: str, first: int, acknowledged: set[str]) -> None:
    """Send notifications, each for another user, until the receiver does not answer."""
    for userid in range(first, first + 999):
        try:
            answer = await http.post(url, data={"userid": str(userid), "appli": "1"})
        except httpx.TransportError:
            return
        if answer.status_code == 200:
            acknowledged.add(str(userid))
