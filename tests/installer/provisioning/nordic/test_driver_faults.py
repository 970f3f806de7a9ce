"""The driver when things go wrong: links that drop at every message, answers that make no sense, refusals, silence."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from installer.errors import ErrorCode
from installer.lab.nordic.firmware import CONNECTED
from installer.provisioning.nordic.driver import NordicProvisioner
from installer.provisioning.provisioner import Stage
from tests.installer.provisioning.lab_bench import WRONG, failure, stages, until
from tests.installer.provisioning.nordic.bench import FAST, nordic, nordic_driver

REQUESTS = ["status", "scan", "stop", "credentials"]
MESSAGES = [*REQUESTS, "record", "state"]
RESPONSES = ["noise", "truncated", "oversized", "empty", "order", "nameless", "unknown"]
NONSENSE = [
    *((point, kind) for point in REQUESTS for kind in RESPONSES),
    *(("version", kind) for kind in ("noise", "empty", "lacking")),
    *(
        (point, kind)
        for point in ("record", "state")
        for kind in ("noise", "truncated", "oversized", "empty", "lacking")
    ),
    ("status", "lacking"),
]


async def reach(driver: NordicProvisioner, point: str) -> Any:
    """Do what makes the message `point`."""
    await driver.open()
    return await (driver.networks() if point in ("scan", "stop", "record") else stages(driver))


async def succeed(driver: NordicProvisioner) -> None:
    assert (await stages(driver))[-1].stage is Stage.JOINED


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("point", MESSAGES)
async def test_the_link_drops(point: str, kind: str):
    async with nordic() as lab:
        lab.device.set_protocol_faults({"drop": {"on": point, "kind": kind}})
        driver = await nordic_driver(lab, opened=False)
        error = await failure(reach(driver, point))
        assert error.code is ErrorCode.CONNECTION_LOST
        assert error.data.get("sent", False) is (point == "state")
        await driver.close()
        await succeed(await nordic_driver(lab))
        assert lab.device.joined == "Home"


@pytest.mark.parametrize(("point", "kind"), NONSENSE)
async def test_a_message_that_makes_no_sense(point: str, kind: str):
    async with nordic() as lab:
        lab.device.set_protocol_faults({"garbage": {"on": point, "kind": kind}})
        driver = await nordic_driver(lab, opened=False)
        error = await failure(reach(driver, point))
        # All who listen get all responses, so that the one to another request is for another app.
        assert error.code is (ErrorCode.SESSION_TAKEN if kind == "order" else ErrorCode.DEVICE_MISBEHAVED)
        # The same connection goes on.
        await driver.open()
        await succeed(driver)
        assert lab.device.joined == "Home"


@pytest.mark.parametrize("point", ["record", "state"])
async def test_results_of_the_future_are_passed_over(point: str):
    async with nordic() as lab:
        lab.device.set_protocol_faults({"garbage": {"on": point, "kind": "unknown"}})
        driver = await nordic_driver(lab)
        assert len(await driver.networks()) == (4 if point == "record" else 5)
        await succeed(driver)


@pytest.mark.parametrize("point", ["scan", "credentials"])
@pytest.mark.parametrize("status", [1, 2, 3])
async def test_refusals(point: str, status: int):
    async with nordic() as lab:
        # Twice: credentials are sent once more when the device has forgotten those that it had.
        lab.device.set_protocol_faults({"refuse": {"on": point, "kind": status, "times": 2}})
        driver = await nordic_driver(lab)
        error = await failure(reach(driver, point))
        assert (error.code, error.data["status"]) == (ErrorCode.DEVICE_REFUSED, status)
        assert lab.device.nordic.requests.count("forget") == (point == "credentials" and status != 2)
        lab.device.set_protocol_faults({})
        await succeed(driver)


@pytest.mark.parametrize("point", ["status", "stop", "forget"])
async def test_refusals_that_change_nothing(point: str):
    async with nordic({"keeps": True}) as lab:
        lab.device.set_protocol_faults({"refuse": {"on": point, "times": 0}})
        driver = await nordic_driver(lab)
        assert not driver.set_up
        await failure(stages(driver, WRONG))
        if point == "forget":
            assert (await failure(stages(driver))).code is ErrorCode.DEVICE_REFUSED
            return
        progress = await stages(driver)
        assert (progress[-1].stage, progress[-1].url) == (
            Stage.JOINED,
            None if point == "status" else "http://192.168.1.50",
        )


async def test_a_request_that_the_device_could_not_read():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        # As the real firmware: a status, and no operation to name.
        lab.device.nordic.write = lambda data: lab.device.respond(b"\x10\x02")
        error = await failure(driver.networks())
        assert (error.code, error.data["status"]) == (ErrorCode.DEVICE_REFUSED, 2)


@pytest.mark.parametrize("point", REQUESTS)
async def test_silence(point: str):
    async with nordic() as lab:
        lab.device.set_protocol_faults({"silent": {"on": point}})
        driver = await nordic_driver(lab, replace(FAST, answer=1.0), opened=False)
        assert (await failure(reach(driver, point))).code is ErrorCode.DEVICE_MISBEHAVED
        driver._session._timings = FAST
        await driver.open()
        await succeed(driver)


async def test_a_device_that_hangs_altogether():
    async with nordic() as lab:
        driver = await nordic_driver(lab, replace(FAST, request=0.3))
        lab.device._hung = True
        assert (await failure(stages(driver))).code is ErrorCode.DEVICE_MISBEHAVED
        assert lab.device.nordic.credentials_received == 0


async def test_states_that_nobody_tells():
    async with nordic() as lab:
        lab.device.set_protocol_faults({"silent": {"on": "state", "times": 0}})
        driver = await nordic_driver(lab, replace(FAST, join=1.5))
        # Asked at the end, the device says that it has joined.
        await succeed(driver)
        assert (await failure(stages(driver, WRONG))).code is ErrorCode.PROVISIONING_TIMEOUT
        assert not driver.set_up


async def test_a_join_without_an_end():
    async with nordic(timing={"join": 60}) as lab:
        driver = await nordic_driver(lab, replace(FAST, join=0.3))
        assert (await failure(stages(driver))).code is ErrorCode.PROVISIONING_TIMEOUT


async def test_a_device_that_hangs_while_it_joins():
    async with nordic(timing={"join": 60}) as lab:
        driver = await nordic_driver(lab, replace(FAST, join=0.3, answer=1.0))
        lab.device.set_protocol_faults({"silent": {"on": "status", "times": 0}})
        assert (await failure(stages(driver))).code is ErrorCode.PROVISIONING_TIMEOUT


async def test_a_scan_without_an_end():
    async with nordic() as lab:
        driver = await nordic_driver(lab, replace(FAST, scan=0.5, quiet=20))
        assert len(await driver.networks()) == 5


async def test_the_link_drops_while_joining():
    async with nordic() as lab:
        lab.generic_faults(drop={"on": "joining"})
        driver = await nordic_driver(lab)
        error = await failure(stages(driver))
        assert (error.code, error.data["sent"]) == (ErrorCode.CONNECTION_LOST, True)
        # It has joined all the same, and says so.
        await until(lambda: lab.device.nordic.state == CONNECTED)
        assert (await nordic_driver(lab)).set_up


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"drop": {"on": "credentials"}}, ErrorCode.CONNECTION_LOST),
        ({"garbage": {"on": "credentials", "kind": "checksum"}}, ErrorCode.DEVICE_MISBEHAVED),
        ({"silent": {"on": "credentials"}}, ErrorCode.DEVICE_MISBEHAVED),
    ],
)
async def test_the_faults_that_every_lab_device_has(fault: dict, code: ErrorCode):
    async with nordic() as lab:
        lab.generic_faults(**fault)
        driver = await nordic_driver(lab, replace(FAST, answer=1.0))
        assert (await failure(stages(driver))).code is code


async def test_a_device_that_floods_with_results():
    async with nordic({"repeats": 300}) as lab:
        driver = await nordic_driver(lab)
        assert len(await driver.networks()) == 5
        await succeed(driver)


async def test_a_device_that_never_stops_talking():
    async with nordic(timing={"join": 60}) as lab:
        driver = await nordic_driver(lab, replace(FAST, scan=0.5, join=0.5))
        firmware = lab.device.nordic

        async def babble() -> None:
            while True:
                firmware._tell("record", bytes.fromhex("1063"))
                await asyncio.sleep(0)

        babbling = asyncio.create_task(babble())
        try:
            assert len(await driver.networks()) == 5
            assert (await failure(stages(driver))).code is ErrorCode.PROVISIONING_TIMEOUT
        finally:
            babbling.cancel()


async def test_the_link_is_gone_before_the_next_request():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        lab.device.drop()
        await until(lambda: not lab.opened[0].is_open)
        assert (await failure(stages(driver))).code is ErrorCode.CONNECTION_LOST
        await driver.close()


async def test_an_incomplete_table():
    async with nordic() as lab:
        driver = await nordic_driver(lab, opened=False)
        lab.opened[0].has_characteristic = lambda uuid, _service=None: False
        assert (await failure(driver.open())).code is ErrorCode.DEVICE_MISBEHAVED
        assert lab.device.nordic.requests == []
