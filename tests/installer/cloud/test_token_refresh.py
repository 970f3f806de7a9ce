"""Token refresh: before expiry, after a rejection, and by two programs at once."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from installer.cloud.account_file import Application, Tokens
from installer.cloud.token_refresh import is_fresh
from installer.cloud.token_store import TokenStore
from installer.errors import ErrorCode, InstallerError
from tests.installer.cloud.world import (
    ACCESS,
    REFRESH,
    Lab,
    account_at,
    bad,
    everything_in,
    grant,
    in_time,
    odd,
    ok,
    raw,
    tokens,
)

DEVICES = ok({"devices": []})

# A second program on this computer: waits for a line, refreshes, prints the result.
PROGRAM = """
import asyncio, sys
from pathlib import Path
from pydantic import SecretStr
from installer.cloud.accounts import Accounts
from installer.cloud.token_store import TokenStore
from installer.settings import CloudSettings

async def main():
    cloud = CloudSettings().at_lab(sys.argv[1], "lab-client", SecretStr("lab-secret"))
    accounts = Accounts(cloud, TokenStore(Path(sys.argv[2]), "file"))
    account = await accounts.open("default")
    print("ready", flush=True)
    sys.stdin.readline()
    print("devices", len(await account.devices()), flush=True)
    await accounts.close()

asyncio.run(main())
"""


def stored(folder: Path, base: str) -> Any:
    return TokenStore(folder, "file").load(Application(base, "lab-client"), "default")


async def test_tokens_that_are_fresh_are_used_as_they_are(tmp_path: Path) -> None:
    async with odd(getdevice=[DEVICES]) as cloud, account_at(cloud, tmp_path) as account:
        assert (await account.access_token()).get_secret_value() == ACCESS
        assert await account.devices() == []
    assert cloud.count("requesttoken") == 0


async def test_tokens_are_renewed_five_minutes_before_their_end(tmp_path: Path) -> None:
    async with (
        odd(requesttoken=[grant("new-access", "new-refresh", userid=None)], getdevice=[DEVICES]) as cloud,
        account_at(cloud, tmp_path, left=299) as account,
    ):
        await account.devices()
        assert account.userid == "7"
        kept = await stored(tmp_path, cloud.base)
    assert cloud.requests[0][1] == {
        "action": "requesttoken",
        "grant_type": "refresh_token",
        "client_id": "lab-client",
        "client_secret": "lab-secret",
        "refresh_token": REFRESH,
    }
    assert cloud.requests[1][2]["authorization"] == "Bearer new-access"
    assert kept.tokens.refresh_token.get_secret_value() == "new-refresh"
    assert kept.tokens.userid == "7"
    assert kept.tokens.expires > time.time() + 10_000


async def test_a_rejected_token_is_renewed_once_and_the_call_repeated(tmp_path: Path) -> None:
    async with (
        odd(requesttoken=[grant("new-access", "new-refresh")], getdevice=[bad(401, "invalid_token"), DEVICES]) as cloud,
        account_at(cloud, tmp_path) as account,
    ):
        assert await account.devices() == []
    assert [r[1]["action"] for r in cloud.requests] == ["getdevice", "requesttoken", "getdevice"]
    assert cloud.requests[2][2]["authorization"] == "Bearer new-access"


@pytest.mark.parametrize("status", [100, 102, 200, 401])
async def test_a_token_that_stays_rejected_means_signing_in_again(tmp_path: Path, status: int) -> None:
    async with (
        odd(requesttoken=[grant("new-access", "new-refresh")], getdevice=[bad(status)]) as cloud,
        account_at(cloud, tmp_path) as account,
    ):
        with pytest.raises(InstallerError) as caught:
            await account.devices()
    assert caught.value.code is ErrorCode.TOKEN_REJECTED
    assert "account login default" in caught.value.todo
    assert cloud.count("requesttoken") == 1


@pytest.mark.parametrize("answer", [bad(401), bad(503, "Invalid Params: invalid refresh_token"), bad(100)])
async def test_a_dead_refresh_token_means_signing_in_again_and_is_kept(tmp_path: Path, answer: Any) -> None:
    async with odd(requesttoken=[answer]) as cloud, account_at(cloud, tmp_path, left=0) as account:
        before = everything_in(tmp_path)
        with pytest.raises(InstallerError) as caught:
            await account.access_token()
        assert everything_in(tmp_path) == before
    assert caught.value.code is ErrorCode.TOKEN_REJECTED
    assert REFRESH not in str(caught.value) + str(caught.value.data)
    assert cloud.count("requesttoken") == 1


@pytest.mark.parametrize(
    "answer",
    [
        bad(601, wait_seconds=188),
        {"status": 601, "body": {"access_token": None, "refresh_token": None}, "error": "Same arguments"},
        ok({}),
        ok([]),
        grant(refresh_token=None),
        grant(access_token=""),
        grant(access_token=None),
        grant(expires_in=None),
        raw("", 500),
        raw("{"),
        bad(4711),
    ],
)
async def test_good_tokens_are_never_overwritten_by_less(tmp_path: Path, answer: Any) -> None:
    async with odd(requesttoken=[answer]) as cloud, account_at(cloud, tmp_path, left=0) as account:
        before = everything_in(tmp_path)
        with pytest.raises(InstallerError):
            await account.access_token()
        assert everything_in(tmp_path) == before
        kept = await stored(tmp_path, cloud.base)
    assert kept.tokens.access_token.get_secret_value() == ACCESS
    assert kept.tokens.refresh_token.get_secret_value() == REFRESH
    assert cloud.count("requesttoken") == 1


async def test_a_601_of_a_few_seconds_is_waited_for(tmp_path: Path) -> None:
    async with (
        odd(requesttoken=[bad(601, wait_seconds=0.02), grant("new-access")]) as cloud,
        account_at(cloud, tmp_path, left=0) as account,
    ):
        assert (await account.access_token()).get_secret_value() == "new-access"
    assert cloud.count("requesttoken") == 2


async def test_a_601_again_and_again_is_given_up(tmp_path: Path) -> None:
    async with (
        odd(requesttoken=[bad(601, wait_seconds=0.01), bad(601, wait_seconds=29.995)]) as cloud,
        account_at(cloud, tmp_path, left=0) as account,
    ):
        with pytest.raises(InstallerError) as caught:
            await in_time(account.access_token())
    assert caught.value.code is ErrorCode.CLOUD_BUSY
    assert caught.value.data["wait_seconds"] == 29.995


async def test_an_expired_token_at_the_labs_cloud(practice: Lab) -> None:
    account = await practice.sign_in()
    first = (await account.access_token()).get_secret_value()
    practice.shift(3 * 3600 + 1)
    assert await account.devices() == []
    assert (await account.access_token()).get_secret_value() != first
    assert practice.calls("/v2/oauth2 requesttoken") == 2


async def test_a_refresh_token_that_is_a_year_old_at_the_labs_cloud(practice: Lab) -> None:
    account = await practice.sign_in()
    practice.shift(366 * 86_400)
    with pytest.raises(InstallerError) as caught:
        await account.devices()
    assert caught.value.code is ErrorCode.TOKEN_REJECTED


async def test_many_calls_at_once_renew_once(practice: Lab) -> None:
    account = await practice.sign_in()
    practice.shift(3 * 3600 + 1)
    await in_time(asyncio.gather(*(account.devices() for _ in range(8))))
    assert practice.calls("/v2/oauth2 requesttoken") == 2


async def test_two_accounts_objects_of_one_account_renew_once(practice: Lab) -> None:
    one = await practice.sign_in()
    second = practice.another()
    two = await second.open("default")
    practice.shift(3 * 3600 + 1)
    await in_time(asyncio.gather(one.devices(), two.devices()))
    assert practice.calls("/v2/oauth2 requesttoken") == 2
    assert await one.access_token() == await two.access_token()
    await second.close()


async def test_two_programs_renew_once_and_both_go_on(practice: Lab) -> None:
    await practice.sign_in()
    programs = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            practice.cloud.api,
            str(practice.folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    try:
        for program in programs:
            assert program.stdout is not None
            assert await in_time(program.stdout.readline(), 40) == b"ready\n"
        practice.shift(3 * 3600 + 1)
        # The refresh takes a while, so that both programs refresh at the same time.
        practice.arm(path="/v2/oauth2", action="requesttoken", delay=0.5, times=1)
        said = await in_time(asyncio.gather(*(p.communicate(b"go\n") for p in programs)), 40)
    finally:
        for program in programs:
            if program.returncode is None:
                program.kill()
                await program.wait()
    assert [out for out, _ in said] == [b"devices 0\n"] * 2
    assert practice.calls("/v2/oauth2 requesttoken") == 2
    assert await (await practice.accounts.open("default")).devices() == []


async def test_an_account_that_was_signed_out_meanwhile(practice: Lab) -> None:
    account = await practice.sign_in()
    await practice.accounts.logout("default")
    practice.shift(3 * 3600 + 1)
    with pytest.raises(InstallerError) as caught:
        await account.devices()
    assert caught.value.code is ErrorCode.ACCOUNT_UNKNOWN
    assert await practice.accounts.stored() == []


ROTATIONS = 20
# A little more than the three hours that an access token is valid.
LONGER_THAN_TOKENS_LIVE = 3 * 3600 + 60

# Uses its account after each line that it reads, and prints the result.
ROTATION_PROGRAM = """
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


async def start_rotation(practice: Lab) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", ROTATION_PROGRAM, practice.cloud.api, str(practice.folder)],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )


async def next_line(program: asyncio.subprocess.Process) -> str:
    assert program.stdout is not None
    return (await asyncio.wait_for(program.stdout.readline(), 30)).decode().strip()


async def test_two_programs_renew_the_same_tokens_many_times(practice: Lab) -> None:
    await practice.sign_in()
    before = practice.calls("/v2/oauth2 requesttoken")
    programs = [await start_rotation(practice) for _ in range(2)]
    try:
        assert [await next_line(p) for p in programs] == ["ready", "ready"]
        for number in range(1, ROTATIONS + 1):
            # The access token is rejected in both programs at the same time, in two calls each.
            practice.shift(number * LONGER_THAN_TOKENS_LIVE)
            for program in programs:
                assert program.stdin is not None
                program.stdin.write(b"go\n")
            assert [await next_line(p) for p in programs] == ["ok", "ok"]
            # One program refreshed the tokens, and the other one used the result.
            assert practice.calls("/v2/oauth2 requesttoken") == before + number
    finally:
        for program in programs:
            if program.returncode is None:
                program.kill()
            await program.wait()
    # The stored tokens are valid at the end.
    assert await (await practice.accounts.open("default")).devices() == []
    assert practice.calls("/v2/oauth2 requesttoken") == before + ROTATIONS


def test_tokens_are_fresh_until_five_minutes_before_their_end() -> None:
    made = Tokens.model_validate({**tokens().with_secrets(), "issued": 1000.0, "expires": 1000.0 + 10_800})
    assert is_fresh(made, 1000.0)
    assert is_fresh(made, 1000.0 + 10_800 - 301)
    assert not is_fresh(made, 1000.0 + 10_800 - 299)
    # If the clock was set back by hours, the age of a token is unknown.
    assert not is_fresh(made, 1000.0 - 3600)


def test_short_lived_tokens_are_used_for_most_of_their_life() -> None:
    made = Tokens.model_validate({**tokens().with_secrets(), "issued": 1000.0, "expires": 1060.0})
    assert is_fresh(made, 1050.0)
    assert not is_fresh(made, 1055.0)


async def test_a_lock_that_was_deleted_and_taken_by_another_program_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would send the same refresh token, and the cloud would take the second one for a theft."""
    load = TokenStore.load
    async with odd(getdevice=[DEVICES]) as cloud, account_at(cloud, tmp_path, left=299) as account:
        other, application = TokenStore(tmp_path, "file"), Application(cloud.base, "lab-client")
        renewing: list[asyncio.Task[None]] = []

        async def renew(taken: asyncio.Event) -> None:
            async with other.lock(application, "default"):
                taken.set()
                await asyncio.sleep(0.1)
                await other.save(application, "default", tokens("new-access", "new-refresh"))

        async def load_slowly(store: TokenStore, owner: Application, name: str) -> Any:
            found = await load(store, owner, name)
            if not renewing:
                for lock in tmp_path.glob("*.lock"):
                    lock.unlink()
                taken = asyncio.Event()
                renewing.append(asyncio.create_task(renew(taken)))
                await taken.wait()
            return found

        monkeypatch.setattr(TokenStore, "load", load_slowly)
        assert (await account.access_token()).get_secret_value() == "new-access"
        await renewing[0]
    assert cloud.count("requesttoken") == 0
