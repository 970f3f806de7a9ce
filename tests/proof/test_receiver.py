"""The receiver killed again and again: whatever it has acknowledged is in its inbox, or was looked at."""

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
# A receiver whose users are all known. Each look is noted in a file, after it has succeeded.
PROGRAM = """
import asyncio, sys, time
from pathlib import Path
from pydantic import SecretStr
from installer.measurements.fetch import Fetched
from installer.notifications.inbox_worker import Follower
from installer.notifications.inbox import Inbox
from installer.notifications.receiver import Receiver, listen

folder, path = Path(sys.argv[1]), SecretStr(sys.argv[2])
inbox = Inbox(folder / "inbox.sqlite")
looked = (folder / "looked").open("a")

class Fetches:
    async def fetch(self, userid, appli, start=None, end=None):
        await asyncio.sleep(0.01)
        looked.write(userid + "\\n")
        looked.flush()
        return Fetched("default", userid)

async def main():
    follower = Follower(inbox, Fetches(), lambda *_: None, rest=0.0)

    async def keep(notice):
        await asyncio.to_thread(inbox.put, notice, time.time())
        follower.poke()

    listener = listen("127.0.0.1", 0)
    async with Receiver(path, keep).serve(listener):
        print(listener.getsockname()[1], flush=True)
        await follower.run()

asyncio.run(main())
"""


@pytest.mark.timeout(300)
async def test_whatever_is_acknowledged_is_looked_at(tmp_path: Path) -> None:
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
    looked = set((tmp_path / "looked").read_text("utf-8").split())
    inbox = Inbox(tmp_path / "inbox.sqlite")
    left = {entry.userid for entry in inbox.due(float("inf"))}
    inbox.close()
    assert len(acknowledged) > KILLS
    assert acknowledged <= looked | left
    # Nothing is in it that nobody sent, and the rest is what came just before the last kills.
    assert all(userid.isdigit() for userid in left)


async def _send(http: httpx.AsyncClient, url: str, first: int, acknowledged: set[str]) -> None:
    """One notification after the other, each for another user, until nobody answers any more."""
    for userid in range(first, first + 999):
        try:
            answer = await http.post(url, data={"userid": str(userid), "appli": "1"})
        except httpx.TransportError:
            return
        if answer.status_code == 200:
            acknowledged.add(str(userid))
