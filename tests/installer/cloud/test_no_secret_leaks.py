"""No token, code, password or client secret leaks into a log, a `repr`, an exception, or another file."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from pathlib import Path

import pytest

from installer.errors import InstallerError
from tests.installer.cloud.world import (
    ACCESS,
    CODE,
    PASSWORD,
    REFRESH,
    SCALE,
    Lab,
    account_at,
    bad,
    everything_in,
    grant,
    in_time,
    model,
    odd,
    raw,
)


async def test_a_whole_run_logs_no_secret(
    practice: Lab,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for log in ("httpx", "httpcore"):  # the program switches them off
        monkeypatch.setattr(logging.getLogger(log), "disabled", False)
    caplog.set_level(logging.DEBUG)
    started = time.time()
    account = await practice.sign_in()
    practice.arm(path="/v2/user", http=503, times=1)
    await account.devices()
    before = (await account.access_token()).get_secret_value()
    kept = everything_in(practice.folder)
    practice.shift(3 * 3600 + 1)
    linked = await account.link(SCALE)
    practice.weigh(SCALE)
    await account.first_data(model("body-plus"), linked.device_id, started, 20)
    after = (await account.access_token()).get_secret_value()
    assert before != after
    assert before in kept  # this is how a token looks in a file
    for log in ("httpx", "uvicorn.error", "asyncio"):
        assert logging.getLogger(log).isEnabledFor(logging.DEBUG)
    said = caplog.text + "".join(str(r.__dict__) for r in caplog.records) + "".join(capfd.readouterr())
    said += f"{account!r} {vars(account)} {practice.accounts!r} {vars(practice.accounts)} {linked!r}"
    for secret in (before, after, PASSWORD.get_secret_value(), "lab-secret", "state="):
        assert secret not in said
    assert "code=" not in said


@pytest.mark.parametrize("status", [100, 401, 503, 601, 2555, 4711])
async def test_a_cloud_that_quotes_what_was_sent_is_not_quoted(tmp_path: Path, status: int) -> None:
    quoting = f"you sent {ACCESS} {REFRESH} {CODE} lab-secret"
    # Two clouds, because a busy cloud is not asked again.
    async with (
        odd(getdevice=[bad(status, quoting)]) as cloud,
        odd(requesttoken=[bad(status, quoting, wait_seconds=99)]) as another,
        account_at(cloud, tmp_path) as account,
        account_at(another, tmp_path / "old", left=0) as old,
    ):
        errors = await asyncio.gather(account.devices(), old.access_token(), return_exceptions=True)
    for error in errors:
        assert isinstance(error, InstallerError)
        shown = "".join(traceback.format_exception(error)) + str(error.data) + repr(error) + error.todo
        assert not any(secret in shown for secret in (ACCESS, REFRESH, CODE))
    assert "lab-secret" not in str(errors[1]) + str(errors[1].data)  # type: ignore[union-attr]


@pytest.mark.parametrize("answer", [raw(f"<b>{ACCESS}</b>"), grant(expires_in=ACCESS), raw(f'{{"status":"{ACCESS}"}}')])
async def test_an_answer_that_cannot_be_used_is_not_quoted(tmp_path: Path, answer: object) -> None:
    async with odd(requesttoken=[answer]) as cloud, account_at(cloud, tmp_path, left=0) as account:
        with pytest.raises(InstallerError) as caught:
            await in_time(account.access_token())
    shown = "".join(traceback.format_exception(caught.value)) + str(caught.value.data) + repr(caught.value)
    assert ACCESS not in shown
    assert REFRESH not in shown
