"""The world is taken down."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bumble import hci
from bumble.device import Device
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from installer.lab.refusal_log import MAX_LINES_OF_A_KIND
from installer.lab.scenario import Scenario
from installer.lab.virtual_controller import LabController
from installer.lab.world import World

ADDRESS = "00:24:E4:CE:03:C0"
SCENARIO = {"radio": {"advertising_interval": 0.02}, "device": [{"model": "generic", "address": ADDRESS}]}


@pytest.mark.parametrize("turns", range(18))
def test_a_device_that_begins_to_advertise_again_when_the_world_stops_ends_in_silence(turns: int) -> None:
    # Its four commands take four turns of the loop each; `asyncio.run` cancels what is under way after the stop.
    complaints: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        world = World(Scenario.model_validate(SCENARIO))
        await world.start()
        controller = LabController("central", world.radio, "02:00:00:00:00:01")
        central = Device(host=Host(controller, AsyncPipeSink(controller)))
        await central.power_on()
        async with asyncio.timeout(20):
            await central.connect(hci.Address(ADDRESS, hci.Address.PUBLIC_DEVICE_ADDRESS))
        world.devices[ADDRESS].drop()
        for _ in range(turns):
            await asyncio.sleep(0)
        await world.stop()

    asyncio.run(run())
    assert not complaints


async def test_who_is_refused_without_end_does_not_fill_the_log() -> None:
    log: list[str] = []
    world = World(Scenario.model_validate(SCENARIO), log.append)
    for _ in range(MAX_LINES_OF_A_KIND + 5):
        world.hci_server.on_refused("user “nobody”")
    world.hci_server.on_refused("user “guest”")
    assert log == ["a host was refused: user “nobody”"] * MAX_LINES_OF_A_KIND + ["a host was refused: user “guest”"]
