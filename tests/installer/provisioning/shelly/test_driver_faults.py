"""The driver when things go wrong: links that drop at every message, answers that make no sense, refusals, silence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from installer.errors import ErrorCode
from installer.lab.shelly.scenario import Garbage
from installer.provisioning.provisioner import Stage
from installer.provisioning.shelly.driver import ShellyProvisioner
from tests.installer.provisioning.lab_bench import RIGHT, failure, stages, until
from tests.installer.provisioning.shelly.bench import FAST, shelly, shelly_driver

CALLS = ["info", "status", "scan", "credentials"]


async def reach(driver: ShellyProvisioner, point: str) -> Any:
    """Do what makes the call `point`."""
    await driver.open()
    return await (driver.networks() if point == "scan" else stages(driver))


async def succeed(driver: ShellyProvisioner) -> None:
    assert (await stages(driver))[-1].stage is Stage.JOINED


@pytest.mark.parametrize("kind", ["half", "before", "after", "answer"])
@pytest.mark.parametrize("point", CALLS)
async def test_the_link_drops(point: str, kind: str):
    # A small MTU, so that requests and answers have halves.
    async with shelly(mtu=30) as lab:
        lab.device.set_protocol_faults({"drop": {"on": point, "kind": kind}})
        driver = await shelly_driver(lab, opened=False)
        error = await failure(reach(driver, point))
        assert error.code is ErrorCode.CONNECTION_LOST
        assert not lab.opened[0].is_open
        await driver.close()
        await succeed(await shelly_driver(lab))
        assert lab.device.joined == "Home"


@pytest.mark.parametrize("kind", get_args(Garbage))
@pytest.mark.parametrize("point", CALLS)
async def test_an_answer_that_makes_no_sense(point: str, kind: str):
    async with shelly() as lab:
        # The firmware of "short" has nothing more to say, which looks like an answer that ends too soon.
        lab.device.set_protocol_faults({"garbage": {"on": point, "kind": kind}})
        driver = await shelly_driver(lab, opened=False)
        if (point, kind) == ("credentials", "type"):
            # Nothing of that result is needed.
            await reach(driver, point)
            return
        error = await failure(reach(driver, point))
        # The answer to a call that nobody made here was made by another app.
        assert error.code is (ErrorCode.SESSION_TAKEN if kind == "order" else ErrorCode.DEVICE_MISBEHAVED)
        # The same connection goes on: what the device still had to say is fetched and forgotten.
        await driver.open()
        await succeed(driver)
        assert lab.device.joined == "Home"


@pytest.mark.parametrize("point", ["info", "scan", "credentials"])
async def test_refusals(point: str):
    async with shelly() as lab:
        lab.device.set_protocol_faults({"refuse": {"on": point}})
        driver = await shelly_driver(lab, opened=False)
        error = await failure(reach(driver, point))
        assert (error.code, error.data["rpc_error"]) == (ErrorCode.DEVICE_REFUSED, -103)
        # The device's words are shown, unless they could repeat the passphrase.
        assert ("not valid" in error.what) is (point != "credentials")
        await driver.open()
        await succeed(driver)


async def test_a_password_that_was_set_in_the_meantime():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        lab.device.set_protocol_faults({"refuse": {"on": "credentials", "kind": 401}})
        error = await failure(stages(driver))
        assert "password" in error.what


@pytest.mark.parametrize("kind", ["never", "late"])
@pytest.mark.parametrize("point", CALLS)
async def test_silence(point: str, kind: str):
    async with shelly() as lab:
        lab.device.set_protocol_faults({"silent": {"on": point, "kind": kind}})
        driver = await shelly_driver(lab, replace(FAST, answer=1.0, scan=1.0), opened=False)
        assert (await failure(reach(driver, point))).code is ErrorCode.DEVICE_MISBEHAVED
        driver._rpc._timings = FAST
        # With "late", the answer to the call that was given up comes before that to the next one.
        await driver.open()
        await succeed(driver)


async def test_a_device_that_hangs_altogether():
    async with shelly() as lab:
        driver = await shelly_driver(lab, replace(FAST, request=0.3))
        lab.device._hung = True
        assert (await failure(stages(driver))).code is ErrorCode.DEVICE_MISBEHAVED
        assert lab.device.shelly.credentials_received == 0


async def test_a_join_without_an_end():
    async with shelly(timing={"join": 60}) as lab:
        driver = await shelly_driver(lab, replace(FAST, join=0.3))
        assert (await failure(stages(driver))).code is ErrorCode.PROVISIONING_TIMEOUT


async def test_a_device_that_does_not_begin():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        lab.device.shelly._start_join = lambda: None
        assert (await failure(stages(driver))).code is ErrorCode.JOIN_FAILED


async def test_the_link_drops_while_joining():
    # The link drops half-way. By then the device's answer to the credentials must have arrived, also on a busy machine.
    async with shelly(timing={"join": 2.0}) as lab:
        lab.generic_faults(drop={"on": "joining"})
        driver = await shelly_driver(lab)
        error = await failure(stages(driver))
        assert (error.code, error.data["sent"]) == (ErrorCode.CONNECTION_LOST, True)
        assert "not known" in error.what
        # It has joined all the same, and says so.
        await until(lambda: lab.device.joined == "Home")
        assert (await shelly_driver(lab)).set_up


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"drop": {"on": "credentials"}}, ErrorCode.CONNECTION_LOST),
        ({"garbage": {"on": "credentials", "kind": "checksum"}}, ErrorCode.DEVICE_MISBEHAVED),
        ({"silent": {"on": "credentials"}}, ErrorCode.DEVICE_MISBEHAVED),
    ],
)
async def test_the_faults_that_every_lab_device_has(fault: dict, code: ErrorCode):
    async with shelly() as lab:
        lab.generic_faults(**fault)
        driver = await shelly_driver(lab, replace(FAST, answer=1.0))
        assert (await failure(stages(driver))).code is code


async def test_the_link_is_gone_before_the_next_call():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        lab.device.drop()
        await until(lambda: not lab.opened[0].is_open)
        assert (await failure(stages(driver, RIGHT))).code is ErrorCode.CONNECTION_LOST
        await driver.close()


async def test_an_incomplete_table():
    async with shelly() as lab:
        driver = await shelly_driver(lab, opened=False)
        connection = lab.opened[0]
        connection.has_characteristic = lambda uuid, _service=None: False
        assert (await failure(driver.open())).code is ErrorCode.DEVICE_MISBEHAVED
        assert lab.device.shelly.calls == []


async def test_a_device_that_was_reset():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        await succeed(driver)
        lab.device.factory_reset()
        await until(lambda: not lab.opened[0].is_open)
        again = await shelly_driver(lab)
        assert not again.set_up
        assert lab.device.describe()["state"] == "disconnected"
        lab.device.set_protocol_faults({"silent": {"on": "scan"}})
        assert lab.device.describe()["faults"]["silent"]["on"] == "scan"
        lab.device.restore()
        assert lab.device.describe()["faults"] == {}
        with pytest.raises(ValueError, match="drop"):
            lab.device.set_protocol_faults({"drop": {"on": "nowhere"}})
