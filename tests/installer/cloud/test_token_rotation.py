"""Two programs that renew the same tokens again and again: the chain never breaks."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from tests.installer.cloud.world import Lab

ROUNDS = 20
# A little over the three hours that an access token lives.
LATER = 3 * 3600 + 60

# Uses its account at each line that it reads, and says how that went.
PROGRAM = """
import asyncio, sys
from pathlib import Path
from pydantic import SecretStr
from installer.cloud.accounts import Accounts
from installer.cloud.token_store import TokenStore
from installer.errors import InstallerError
from installer.settings import CloudSettings

async def main():
    cloud = CloudSettings().at_lab(sys.argv[1], "lab-client", SecretStr("lab-secret"))
    cloud = cloud.model_copy(update={"requests_per_minute": 10_000})
    accounts = Accounts(cloud, TokenStore(Path(sys.argv[2]), "file"))
    account = await accounts.open("default")
    print("ready", flush=True)
    while sys.stdin.readline():
        try:
            await asyncio.gather(account.devices(), account.devices())
            print("ok", flush=True)
        except InstallerError as error:
            print(error.code.value, error, flush=True)
    await accounts.close()

asyncio.run(main())
"""


async def start(practice: Lab) -> Process:
    return await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", PROGRAM, practice.cloud.api, str(practice.folder)],
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )


async def said(program: Process) -> str:
    assert program.stdout is not None
    return (await asyncio.wait_for(program.stdout.readline(), 30)).decode().strip()


async def test_two_programs_renew_the_same_tokens_many_times(practice: Lab) -> None:
    await practice.sign_in()
    before = practice.calls("/v2/oauth2 requesttoken")
    programs = [await start(practice) for _ in range(2)]
    try:
        assert [await said(p) for p in programs] == ["ready", "ready"]
        for number in range(1, ROUNDS + 1):
            # Both see their access token refused at the same moment, each twice at once.
            practice.shift(number * LATER)
            for program in programs:
                assert program.stdin is not None
                program.stdin.write(b"go\n")
            assert [await said(p) for p in programs] == ["ok", "ok"]
            # One of them renewed them; the other one took what it got.
            assert practice.calls("/v2/oauth2 requesttoken") == before + number
    finally:
        for program in programs:
            if program.returncode is None:
                program.kill()
            await program.wait()
    # What is stored at the end is alive.
    assert await (await practice.accounts.open("default")).devices() == []
    assert practice.calls("/v2/oauth2 requesttoken") == before + ROUNDS
