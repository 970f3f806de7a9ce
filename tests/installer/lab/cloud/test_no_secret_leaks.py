"""No code, token, password or secret of the lab's cloud gets into a log, a repr or its state."""

from __future__ import annotations

import json
import logging

import httpx
import pytest

from installer.lab.cloud.requests_and_responses import Call
from installer.lab.cloud.scenario import CloudScenario
from installer.lab.cloud.tokens import Grant, TokenRegistry
from tests.installer.lab.cloud.running_cloud import SCALE, World


async def test_nothing_secret_in_logs_reprs_and_state(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):  # the client of this test, not the cloud
        caplog.set_level(logging.CRITICAL, name)
    code = await world.code()
    tokens = (await world.redeem(code))["body"]
    await world.redeem(code)
    await world.redeem(code, client_secret="lab-secret-wrong")
    await world.refresh(tokens["refresh_token"])
    await world.link(tokens["access_token"], SCALE)
    await world.control(down="closed")
    with pytest.raises(httpx.RemoteProtocolError):
        await world.call("/v2/user", "getdevice", tokens["access_token"])
    await world.control(down=False)
    out, err = capfd.readouterr()
    written = out + err + caplog.text + json.dumps(world.store.describe()) + repr(world.store.scenario)
    written += repr(vars(world.store)) + repr(vars(world.store.tokens))
    secrets = [
        code,
        tokens["access_token"],
        tokens["refresh_token"],
        tokens["csrf_token"],
        "lab-password",
        "lab-secret",
    ]
    assert [s for s in secrets if s in written] == []


def test_reprs_of_what_is_handed_around() -> None:
    scenario = CloudScenario()
    pair = TokenRegistry(scenario, lambda: 0.0).issue(Grant("1", "lab-client", ("user.info",)))
    shown = repr(pair)
    assert [s for s in (pair.access, pair.refresh, pair.csrf) if s in shown] == []
    assert "user.info" in shown


def test_a_call_does_not_show_its_fields(world: World) -> None:
    shown = repr(Call(world.store, {"client_secret": "lab-secret"}, "the-token"))
    assert "lab-secret" not in shown
    assert "the-token" not in shown
