"""The rate limit: shared by all programs of this computer, with the pauses that the cloud asks for."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from installer.cloud import rate_limit
from installer.cloud.rate_limit import RateLimit, RateLimited
from installer.errors import ErrorCode, InstallerError
from installer.storage.file_lock import try_lock
from tests.installer.cloud.world import SCALE, Lab, account_at, bad, lab, odd, ok, settings

# A program that sends as many requests as the rate limit allows, and prints how many.
PROGRAM = """
import asyncio, sys
from pathlib import Path
from pydantic import SecretStr
from installer.cloud.accounts import Accounts
from installer.cloud.token_store import TokenStore
from installer.errors import ErrorCode, InstallerError
from installer.storage.file_lock import try_lock
from installer.settings import CloudSettings

async def main():
    cloud = CloudSettings().at_lab(sys.argv[1], "lab-client", SecretStr("lab-secret"))
    cloud = cloud.model_copy(update={"requests_per_minute": 30})
    accounts = Accounts(cloud, TokenStore(Path(sys.argv[2]), "file"))
    account = await accounts.open("default")
    print("ready", flush=True)
    sys.stdin.readline()
    answered = refused = 0
    for _ in range(40):
        try:
            await account.devices(seconds=0.5)
            answered += 1
        except InstallerError as error:
            assert error.code is ErrorCode.CLOUD_BUSY, error
            assert 0 < error.data["wait_seconds"] <= 60, error.data
            refused += 1
    print(answered, refused, flush=True)
    await accounts.close()

asyncio.run(main())
"""


def start(base: str, folder: Path) -> subprocess.Popen[str]:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, base, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    return program


async def test_two_programs_together_keep_the_limit_of_the_application(tmp_path: Path) -> None:
    async with lab(tmp_path / "accounts", {"rate_limit": 30}, requests_per_minute=30) as practice:
        await practice.sign_in()
        practice.store.link_with_vendor_app(SCALE)
        shown = practice.calls("/v2/user getdevice")  # the sign-in shows whose account it is
        before = 30 - len(await _times(practice))
        programs = [await asyncio.to_thread(start, practice.cloud.api, practice.folder) for _ in range(2)]
        for program in programs:
            assert program.stdin is not None
            program.stdin.write("go\n")
            program.stdin.flush()
        said = [(await asyncio.to_thread(program.communicate, timeout=40))[0] for program in programs]
        answered = [int(text.split()[0]) for text in said]
        # All allowed requests were sent, and the cloud refused none.
        assert sum(answered) == before
        assert practice.calls("/v2/user getdevice") - shown == before


async def _times(practice: Lab) -> list[float]:
    shared = RateLimit.of(practice.cloud)
    async with shared._shared_state():
        return list(shared._times)


async def test_requests_above_the_limit_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "WINDOW_SECONDS", 0.5)
    one, other = (RateLimit(3, tmp_path / "rate.json", "cloud") for _ in range(2))
    begun = time.monotonic()
    await asyncio.gather(*(p.wait_for_slot(30) for p in (one, other) for _ in range(4)))
    # Eight requests, three in each half second: the last two are sent after one second.
    assert time.monotonic() - begun >= 1.0


async def test_a_wait_longer_than_the_deadline_is_refused_at_once(tmp_path: Path) -> None:
    own = RateLimit(1, tmp_path / "rate.json", "cloud")
    await own.wait_for_slot(1)
    with pytest.raises(RateLimited) as caught:
        await RateLimit(1, tmp_path / "rate.json", "cloud").wait_for_slot(30)
    assert 50 < caught.value.wait <= 60
    # Another cloud has its own limit.
    await RateLimit(1, tmp_path / "rate.json", "another cloud").wait_for_slot(1)


async def test_when_the_cloud_is_busy_all_programs_pause(tmp_path: Path) -> None:
    async with (
        odd(getdevice=[bad(601, wait_seconds=90), ok({"devices": []})]) as cloud,
        account_at(cloud, tmp_path) as account,
    ):
        for _ in range(2):
            with pytest.raises(InstallerError) as caught:
                await account.devices(seconds=5)
            assert caught.value.code is ErrorCode.CLOUD_BUSY
            assert 85 < caught.value.data["wait_seconds"] <= 90
        assert cloud.count("getdevice") == 1
        with pytest.raises(RateLimited) as paused:
            await RateLimit.of(settings(cloud.base)).wait_for_slot(5)
        assert 85 < paused.value.wait <= 90


async def test_a_short_wait_of_the_cloud_is_waited_for(tmp_path: Path) -> None:
    async with (
        odd(getdevice=[bad(601, wait_seconds=0.2), ok({"devices": []})]) as cloud,
        account_at(cloud, tmp_path) as account,
    ):
        begun = time.monotonic()
        assert await account.devices(seconds=10) == []
        assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nonsense",
        "[]",
        "null",
        '{"cloud": "cloud", "times": 7, "until": "x"}',
        '{"cloud": "cloud", "times": [null, "a", NaN, Infinity, 99999999999], "until": NaN}',
        '{"cloud": "cloud"}',
    ],
)
async def test_a_damaged_file_stops_nobody_and_is_told_once(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rate.json"
    limit = RateLimit(2, file, "cloud")
    for _ in range(2):
        file.write_text(content, "utf-8")
        await limit.wait_for_slot(1)
    assert capsys.readouterr().err.count(str(file)) == 1
    await limit.pause(0)
    await RateLimit(1000, file, "cloud").wait_for_slot(1)
    assert capsys.readouterr().err == ""


async def test_without_a_file_a_program_counts_alone_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    own = RateLimit(1, tmp_path / "file" / "rate.json", "cloud")
    await own.wait_for_slot(1)
    with pytest.raises(RateLimited):
        await own.wait_for_slot(1)
    assert capsys.readouterr().err.count("counts its requests without those of the others") == 1


async def test_a_lock_that_was_deleted_lets_no_request_through_uncounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pace.json"
    first, second = RateLimit(2, file, "cloud"), RateLimit(2, file, "cloud")
    read, together = RateLimit._read, []

    def read_slowly(limit: RateLimit, path: Path) -> None:
        read(limit, path)
        if limit is first and not together:
            path.with_suffix(".lock").unlink()
            together.append(os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT))
            assert try_lock(together[0])
            asyncio.get_running_loop().call_later(0.1, os.close, together[0])

    monkeypatch.setattr(RateLimit, "_read", read_slowly)
    await first.wait_for_slot(10)
    await second.wait_for_slot(10)
    with pytest.raises(RateLimited):
        await second.wait_for_slot(1)


async def test_a_request_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    file = tmp_path / "pace" / "x.json"
    await RateLimit(9, file).wait_for_slot(1)
    assert len(json.loads(file.read_text())["times"]) == 1
    assert synced == []
