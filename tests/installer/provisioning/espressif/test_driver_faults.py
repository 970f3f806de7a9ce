"""The driver when things go wrong: links that drop at every message, answers that make no sense, refusals, reboots."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.provisioning.espressif.driver import EspressifProvisioner
from installer.provisioning.provisioner import Stage
from tests.installer.provisioning.espressif.bench import FAST, EspressifBench, bench
from tests.installer.provisioning.espressif.test_driver import failure
from tests.installer.provisioning.lab_bench import RIGHT, WRONG, stages

MESSAGES = ["version", "hello", "proof", "scan-start", "scan-status", "scan-results", "set", "apply", "status"]
NONSENSE = [
    *itertools.product(MESSAGES, ["empty", "truncated", "oversized", "order", "noise"], [1]),
    *itertools.product(MESSAGES, ["order"], [2]),
    *((point, "noise", 0) for point in MESSAGES if point != "proof"),
]
CLEAR = {"version", "hello", "proof"}
SCANNING = {"hello", "proof", "scan-start", "scan-status", "scan-results"}


async def until(lab: EspressifBench, driver: EspressifProvisioner, point: str) -> Any:
    """Do what sends the message `point`."""
    if point == "version":
        return await driver.open()
    await driver.open()
    return await (driver.networks() if point in SCANNING else stages(driver))


async def succeed(driver: EspressifProvisioner) -> None:
    assert (await stages(driver))[-1].stage is Stage.JOINED


@pytest.mark.parametrize(("security", "kind"), [(1, "before"), (1, "after")])
@pytest.mark.parametrize("point", MESSAGES)
async def test_the_link_drops(point: str, kind: str, security: int):
    async with bench({"security": security}) as lab:
        lab.faults(drop={"on": point, "kind": kind})
        driver = await lab.driver(opened=False)
        error = await failure(until(lab, driver, point))
        # Some devices end the connection on a wrong proof, so that is what a drop means right there.
        assert error.code is (ErrorCode.PROOF_WRONG if point == "proof" else ErrorCode.CONNECTION_LOST)
        assert not lab.opened[0].is_open
        await driver.close()
        again = await lab.driver()
        await succeed(again)
        assert lab.device.joined == "Home"
        assert lab.device.espressif.applied == 1


@pytest.mark.parametrize(("point", "kind", "security"), NONSENSE)
async def test_an_answer_that_makes_no_sense(point: str, kind: str, security: int):
    async with bench({"security": security}) as lab:
        lab.faults(garbage={"on": point, "kind": kind})
        driver = await lab.driver(opened=False)
        error = await failure(until(lab, driver, point))
        # Noise in security 1 is what an answer to another app's session looks like, and that is the likelier cause.
        another_key = security == 1 and kind == "noise" and point not in CLEAR
        assert error.code is (ErrorCode.SESSION_TAKEN if another_key else ErrorCode.DEVICE_MISBEHAVED)
        # The same connection goes on.
        if point == "version":
            await driver.open()
        await succeed(driver)
        assert lab.device.espressif.applied == 1


@pytest.mark.parametrize("security", [1, 2])
@pytest.mark.parametrize("point", MESSAGES[1:])
async def test_refusals(point: str, security: int):
    async with bench({"security": security}) as lab:
        lab.faults(refuse={"on": point, "kind": 5})
        driver = await lab.driver(timings=replace(FAST, disconnect=0.01), opened=False)
        error = await failure(until(lab, driver, point))
        if point == "proof":
            assert error.code is ErrorCode.PROOF_WRONG
            return
        assert error.code is ErrorCode.DEVICE_REFUSED
        assert error.data["status"] == 5
        await succeed(driver)


async def test_a_refused_reset():
    async with bench() as lab:
        driver = await lab.driver()
        await failure(stages(driver, WRONG))
        lab.faults(refuse={"on": "reset"})
        assert (await failure(stages(driver))).code is ErrorCode.DEVICE_REFUSED
        await succeed(driver)


@pytest.mark.parametrize("kind", ["empty", "truncated", "order", "noise"])
async def test_a_reset_answered_with_nonsense(kind: str):
    async with bench({"security": 2}) as lab:
        driver = await lab.driver()
        await failure(stages(driver, WRONG))
        lab.faults(garbage={"on": "reset", "kind": kind})
        assert (await failure(stages(driver))).code is ErrorCode.DEVICE_MISBEHAVED
        # It was reset all the same, and would refuse a second one.
        await succeed(driver)


async def test_the_link_drops_while_joining():
    async with bench() as lab:
        lab.faults(drop={"on": "joining"})
        driver = await lab.driver()
        error = await failure(stages(driver))
        assert error.code is ErrorCode.CONNECTION_LOST
        assert error.data["sent"] is True
        assert "not known" in str(error)
        assert [p.stage for p in await stages(await lab.driver())] == [Stage.SENDING, Stage.JOINED]
        assert lab.device.espressif.applied == 1


async def test_a_reboot_while_joining():
    async with bench({"security": 2}) as lab:
        lab.faults(reboot={})
        driver = await lab.driver()
        assert (await failure(stages(driver))).code is ErrorCode.CONNECTION_LOST
        assert lab.device.joined is None
        await succeed(await lab.driver())
        assert lab.device.joined == "Home"


async def test_a_join_without_an_end():
    async with bench(timing={"join": 60}) as lab:
        driver = await lab.driver(timings=replace(FAST, join=0.3))
        assert (await failure(stages(driver))).code is ErrorCode.PROVISIONING_TIMEOUT


async def test_a_scan_without_an_end():
    async with bench({"blocking": False}, timing={"scan": 60}) as lab:
        driver = await lab.driver(timings=replace(FAST, scan=0.3))
        assert (await failure(driver.networks())).code is ErrorCode.DEVICE_MISBEHAVED


async def test_a_blocking_scan_without_an_end():
    async with bench(timing={"scan": 60}) as lab:
        driver = await lab.driver(timings=replace(FAST, scan=0.3))
        assert (await failure(driver.networks())).code is ErrorCode.DEVICE_MISBEHAVED


async def test_a_device_that_stays_disconnected():
    async with bench() as lab:
        driver = await lab.driver()
        firmware = lab.device.espressif

        async def forget(ssid: bytes, passphrase: bytes) -> None:
            firmware.phase = "ready"

        firmware._join = forget
        error = await failure(stages(driver))
        assert (error.code, error.data["reason"]) == (ErrorCode.JOIN_FAILED, "unknown")


async def test_an_answer_that_was_not_encrypted_by_the_session():
    async with bench({"security": 2}) as lab:
        driver = await lab.driver()
        await driver.networks()
        channel = lab.device.espressif.session.channel
        channel.seal = lambda data: data + bytes(16)
        assert (await failure(driver.networks())).code is ErrorCode.DEVICE_MISBEHAVED
        await succeed(driver)
        assert lab.device.espressif.session.count == 2


async def test_the_link_is_gone_before_the_next_request():
    async with bench() as lab:
        driver = await lab.driver()
        await driver.networks()
        lab.device.drop()
        async with asyncio.timeout(20):
            await lab.opened[0].wait_until_lost()
        assert (await failure(stages(driver, RIGHT))).code is ErrorCode.CONNECTION_LOST
        await driver.close()


async def test_a_descriptor_that_cannot_be_read_is_made_up_for_by_the_number():
    async with bench() as lab:
        driver = await lab.driver(opened=False)
        connection = lab.opened[0]
        tried = []

        async def read_user_description(uuid: str, timeout: float) -> bytes:
            tried.append(uuid)
            raise InstallerError(ErrorCode.DEVICE_REFUSED, "no", "")

        connection.read_user_description = read_user_description
        await driver.open()
        assert len(tried) == 5
        await succeed(driver)
