"""The first measurement that comes after the installation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from installer.cloud import client
from installer.errors import ErrorCode, InstallerError
from installer.lab.cloud.scenario import CloudControl
from installer.lab.cloud.store import Sample
from installer.measurements import late_first_measurement
from tests.installer.cloud.world import MAT, MODELS, Lab, in_time, lab


@pytest.fixture
async def practice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(client, "FIRST_WAIT", 0.001)
    async with lab(tmp_path / "accounts") as running:
        running.store.link_with_vendor_app(MAT)
        await running.sign_in()
        yield running


def summary(practice: Lab, **changes: Any) -> dict[str, Any]:
    device = practice.store.device(MAT)
    assert device is not None
    return {"account": "default", "model": "sleep", "device_id": device.device_id, **changes}


def waiting(practice: Lab, **changes: Any) -> Any:
    return late_first_measurement.wait_for_first_measurement(
        practice.accounts, MODELS, summary(practice, **changes), time.time()
    )


def sleep(practice: Lab) -> None:
    now = int(time.time())
    values = {"startdate": now - 27_000, "enddate": now, "data": {"total_sleep_time": 24_600}}
    assert practice.store.store_sample(MAT, Sample(date=now, service="getsummary", values=values))


async def test_a_night_is_waited_for_also_while_the_cloud_is_away(practice: Lab) -> None:
    task = asyncio.create_task(waiting(practice))
    while not practice.calls("/v2/sleep getsummary"):  # noqa: ASYNC110 - the cloud counts
        await asyncio.sleep(0.005)
    practice.store.apply_control(CloudControl(down=True))
    sleep(practice)
    await asyncio.sleep(0)
    assert not task.done()
    practice.store.apply_control(CloudControl(down=False))
    assert str(await in_time(task)) == "time asleep 6 h 50 min"


@pytest.mark.parametrize("changes", [{"account": None}, {"device_id": ""}, {"model": "nothing"}])
async def test_where_none_is_to_be_expected_nobody_waits(practice: Lab, changes: dict[str, Any]) -> None:
    assert await in_time(waiting(practice, **changes)) is None


async def test_whoever_is_signed_out_is_told(practice: Lab) -> None:
    await practice.accounts.logout("default")
    with pytest.raises(InstallerError) as caught:
        await in_time(waiting(practice))
    assert caught.value.code is ErrorCode.ACCOUNT_UNKNOWN


async def test_the_wait_has_an_end(practice: Lab) -> None:
    found = late_first_measurement.wait_for_first_measurement(
        practice.accounts, MODELS, summary(practice), time.time(), seconds=0.1
    )
    assert await in_time(found) is None
