"""With a model and no address: the first device is connected while a second one may still show up, and gets nothing."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from installer.answers import validate
from installer.bluetooth.scan import Scan
from installer.bluetooth.system_errors import adapter_failed
from installer.errors import ErrorCode
from installer.events.installation import DeviceConnected, DeviceFound, Failed
from installer.flow.installation import Installation
from installer.flow.outcome import Outcome
from installer.flow.run_options import Options, RunConfig
from installer.flow.run_resources import RunResources
from installer.flow.steps import device_connection
from installer.lab.device import LabDevice
from installer.lab.scenario import Scenario
from installer.lab.world import World
from installer.storage.reference_origin import COMMAND_LINE
from tests.flow.support import FAST, PASSPHRASE, Front
from tests.installer.provisioning.lab_bench import until

FIRST, RIVAL = "00:24:E4:10:00:01", "00:24:E4:10:00:02"
TWINS: dict[str, Any] = {
    "name": "twins",
    "radio": {"advertising_interval": 0.02, "supervision_timeout": 0.05},
    "timing": {"join": 0.02, "scan": 0.02},
    "network": [{"ssid": "Home", "passphrase": PASSPHRASE}],
    "device": [
        {"model": "body-plus", "address": FIRST},
        {"model": "body-plus", "address": RIVAL, "advertising": False},
    ],
}


@dataclass
class Twins:
    """Two devices of a model; the second one does not advertise yet. `resources`: of the run."""

    resources: RunResources
    first: LabDevice
    rival: LabDevice

    async def install(self, front: Front, find: dict[str, Any] | None = None) -> Outcome:
        """The whole installation, but for the account."""
        network = {"ssid": "Home", "passphrase": {"env": "TEST_PASSPHRASE"}}
        answers = {"find": find or {"model": "body-plus"}, "network": network, "link": {"later": True}}
        given = validate({**answers, "sync": {"method": "wifi"}, "verify": {"skip": True}}, "test", COMMAND_LINE)
        return await Installation(self.resources.environment(), front, given).run()

    def has_nothing(self, device: LabDevice) -> bool:
        """Whether it got no credentials, and nobody is connected to it."""
        told = device.describe()
        return (told["credentials_received"], told["joined"], told["connected"]) == (0, None, False)


@asynccontextmanager
async def _twins(seconds: float, connect: float = 30.0, **first_device: Any) -> AsyncIterator[Twins]:
    described = copy.deepcopy(TWINS)
    described["device"][0].update(first_device)
    world = World(Scenario.model_validate(described))
    adapter = f"hci:tcp-client:127.0.0.1:{await world.start()}"
    options = Options(non_interactive=True, deadlines=replace(FAST, second_device=seconds, connect=connect))
    resources = RunResources(RunConfig(adapter=adapter, options=options))
    first, rival = world.devices[FIRST], world.devices[RIVAL]
    try:
        yield Twins(resources, first, rival)
    finally:
        await resources.close()
        await world.stop()


@pytest.fixture(autouse=True)
def busy_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy computer a scan takes a while to go on; that is no adapter that cannot."""
    monkeypatch.setattr(device_connection, "SCAN_BESIDE_SECONDS", 60.0)


async def _when_read(first: LabDevice, rival: LabDevice) -> None:
    """A second one is switched on when the first is connected and has told what it is."""
    await until(lambda: first.att_requests > 5)
    await rival._advertise()


def _ambiguous(ended: Outcome) -> bool:
    assert ended.error is not None
    candidates = {one["address"] for one in ended.error.data.get("candidates", ())}
    return ended.error.code is ErrorCode.DEVICE_AMBIGUOUS and candidates == {FIRST, RIVAL}


async def test_a_second_device_that_shows_up_after_the_connection(home: Path) -> None:
    front = Front()
    async with _twins(8.0) as twins:
        coming = asyncio.create_task(_when_read(twins.first, twins.rival))
        ended = await twins.install(front)
        await coming
        assert _ambiguous(ended)
        await until(lambda: twins.has_nothing(twins.first))
        assert twins.has_nothing(twins.rival)
        record = twins.resources.records().get(front.of(Failed)[0].installation)
    # As if it had never been connected: to resume this asks again which one is meant.
    assert not front.of(DeviceFound)
    assert record is not None
    assert not record["address"]
    assert "address" not in ended.summary


async def test_the_only_device_is_connected_in_that_time(home: Path) -> None:
    front, read = Front(), list[int]()
    async with _twins(0.6) as twins:
        front.on_event = lambda event: read.append(twins.first.att_requests) if isinstance(event, DeviceFound) else None
        assert (await twins.install(front)).error is None
        assert twins.first.joined == "Home"
        # The device is let go.
        await until(lambda: not twins.first.describe()["connected"])
    assert read[0] > 5
    kinds = [type(event) for event in front.events]
    assert kinds.index(DeviceFound) < kinds.index(DeviceConnected)
    assert (kinds.count(DeviceFound), kinds.count(DeviceConnected)) == (1, 1)


async def test_the_model_may_be_in_the_next_advertisement(home: Path) -> None:
    """Its address is given, its name tells nothing, and the two advertisements that it sends in turn come apart."""
    async with _twins(60.0, name="Scale", advertising_interval=0.9) as twins:
        front = Front()
        ended = await twins.install(front, {"device": FIRST})
        assert ended.error is None
        assert front.of(DeviceFound)[0].model == "body-plus"


@pytest.mark.parametrize("rivals", [False, True])
async def test_an_adapter_that_cannot_scan_beside_a_connection(
    home: Path, monkeypatch: pytest.MonkeyPatch, rivals: bool
) -> None:
    """Then it waits first. A real adapter of this kind is not at hand: the scan says what one would say."""

    async with _twins(8.0 if rivals else 0.6) as twins:

        async def refused(scan: Scan) -> None:
            if rivals:
                await twins.rival._advertise()
            raise adapter_failed("hci0", "Operation already in progress")

        monkeypatch.setattr(Scan, "resume", refused)
        ended = await twins.install(Front())
        if rivals:
            assert _ambiguous(ended)
            await until(lambda: twins.has_nothing(twins.first))
        else:
            assert (ended.error, twins.first.joined) == (None, "Home")


async def test_a_device_that_cannot_be_connected_is_tried_once(home: Path) -> None:
    front = Front()
    async with _twins(0.6, connect=3.0) as twins:
        twins.first.controller.refuse = lambda: True
        ended = await twins.install(front)
    assert ended.error is not None
    assert ended.error.code is ErrorCode.CONNECTION_FAILED
    assert len(front.of(DeviceFound)) == 1


async def test_a_device_that_another_installation_has_is_let_go(home: Path) -> None:
    """It is connected while it is being recorded; then the record says that it is taken."""
    front = Front()
    async with _twins(0.6) as twins:
        records = twins.resources.records()
        await asyncio.to_thread(records.lease, FIRST, "the other desk", 60.0)
        ended = await twins.install(front, {"device": FIRST})
        assert ended.error is not None
        assert ended.error.code is ErrorCode.DEVICE_TAKEN
        await until(lambda: twins.has_nothing(twins.first))
    assert not front.of(DeviceFound)
