"""Another app talks to the device at the same time: a second client on the lab's radio, or the lab's fault of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from installer.bluetooth.connection import Connection
from installer.bluetooth.open_adapter import open_adapter
from installer.errors import ErrorCode, InstallerError
from installer.lab.device import LabDevice
from installer.provisioning.espressif.driver import EspressifProvisioner
from installer.provisioning.improv.driver import ImprovProvisioner
from installer.provisioning.improv.session import Timings
from installer.provisioning.nordic import codec as nordic
from installer.provisioning.nordic.driver import NordicProvisioner
from installer.provisioning.provisioner import Stage
from installer.provisioning.shelly import codec as shelly
from installer.provisioning.shelly.driver import ShellyProvisioner
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Network, Security
from tests.installer.provisioning.conversations import table
from tests.installer.provisioning.lab_bench import RIGHT, Bench, failure, stages, until

PROOF = SecretStr("abcd1234")
CAFE = Credentials(network=Network(ssid="Cafe", security=Security.OPEN))
TIMINGS = Timings(request=20, answer=20, scan=20, quiet=0.05, refusal=0.02, join=20, settle=0.1)


@asynccontextmanager
async def two(name: str, **device: Any) -> AsyncIterator[tuple[Bench[LabDevice], Connection, Connection]]:
    """A device of this kind that takes two connections: the installer's, and another app's."""
    async with table(name, connections=2, **device) as talks:
        bench = talks.bench
        ours = await bench.connect()
        port = bench.world.hci_server._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        async with await open_adapter(f"hci:tcp-client:127.0.0.1:{port}") as adapter:
            other = Bench(bench.world, adapter, bench.device)
            theirs = await other.connect()
            try:
                yield bench, ours, theirs
            finally:
                await theirs.close()


def told(error: InstallerError) -> None:
    """It is said that another app talks to the device, and what to do about it."""
    assert error.code is ErrorCode.SESSION_TAKEN
    assert "Another app" in error.what
    assert "Close that app" in error.todo


@pytest.mark.parametrize("name", ["espressif 1", "espressif 2"])
async def test_espressif_has_one_session_and_the_new_one_replaces_the_old(name: str) -> None:
    async with two(name) as (bench, ours, theirs):
        mine, other = (EspressifProvisioner(c, proof=PROOF) for c in (ours, theirs))
        await mine.open()
        assert await mine.networks()
        await other.open()
        assert await other.networks()
        told(await failure(stages(mine)))
        # The second try begins a session anew; the other app finds out the same way.
        assert (await stages(mine))[-1].stage is Stage.JOINED
        told(await failure(stages(other)))
        assert bench.device.joined == "Home"


async def test_an_espressif_session_that_is_lost_while_the_device_joins() -> None:
    async with two("espressif 1", timing={"join": 0.4}) as (bench, ours, theirs):
        mine, other = (EspressifProvisioner(c, proof=PROOF) for c in (ours, theirs))
        await mine.open()
        await other.open()

        async def interrupted() -> None:
            async for progress in mine.provision(RIGHT):
                if progress.stage is Stage.JOINING:
                    await other._session.establish()

        error = await failure(interrupted())
        told(error)
        assert error.data["sent"] is True
        assert "not known" in error.what
        await theirs.close()
        assert (await stages(mine))[-1].stage is Stage.JOINED
        assert bench.device.joined == "Home"


async def test_an_improv_device_that_another_app_sets_up_meanwhile() -> None:
    async with two("improv") as (bench, ours, theirs):
        mine, other = (ImprovProvisioner(c, TIMINGS) for c in (ours, theirs))
        await mine.open()
        await other.open()
        assert (await stages(other, CAFE))[-1].stage is Stage.JOINED
        told(await failure(stages(mine)))
        # From now on it is simply set up.
        assert (await failure(stages(mine))).code is ErrorCode.DEVICE_ALREADY_SET_UP
        await theirs.close()
        bench.device.factory_reset()
        again = ImprovProvisioner(await bench.connect(), TIMINGS)
        await again.open()
        assert (await stages(again))[-1].stage is Stage.JOINED
        assert bench.device.joined == "Home"


async def test_two_apps_that_send_an_improv_device_credentials_at_once() -> None:
    async with two("improv", timing={"join": 0.4}) as (bench, ours, theirs):
        mine, other = (ImprovProvisioner(c, TIMINGS) for c in (ours, theirs))
        await mine.open()
        await other.open()

        async def meanwhile() -> None:
            async for progress in mine.provision(RIGHT):
                if progress.stage is Stage.JOINING:
                    # The other one does not know the state yet, as when both begin at the same moment.
                    await theirs.write("00467768-6228-2272-4663-277478268003", bytes.fromhex("01060443616665007a"))

        error = await failure(meanwhile())
        told(error)
        assert error.data["sent"] is True
        await theirs.close()
        assert (await failure(stages(mine))).code is ErrorCode.DEVICE_ALREADY_SET_UP
        assert mine.set_up
        assert bench.device.joined == "Home"


async def test_another_app_that_gives_an_improv_device_a_wrong_passphrase_is_waited_for() -> None:
    async with two("improv", timing={"join": 0.3}) as (bench, ours, theirs):
        mine, other = (ImprovProvisioner(c, TIMINGS) for c in (ours, theirs))
        await mine.open()
        await other.open()
        wrong = Credentials(network=RIGHT.network, passphrase=SecretStr("incorrect horse"))
        failing = asyncio.ensure_future(failure(stages(other, wrong)))
        await until(lambda: mine._session.state.name == "PROVISIONING")
        assert (await stages(mine))[-1].stage is Stage.JOINED
        await failing
        assert bench.device.joined == "Home"


async def test_a_shelly_has_one_buffer_for_requests() -> None:
    async with two("shelly") as (bench, ours, theirs):
        mine = ShellyProvisioner(ours)
        await mine.open()
        write = ours.write

        async def interrupted(uuid: str, data: bytes, *args: Any, **kwargs: Any) -> None:
            await write(uuid, data, *args, **kwargs)
            if uuid == shelly.TX_CONTROL:
                ours.write = write  # type: ignore[method-assign]
                await theirs.write(shelly.TX_CONTROL, shelly.encode_length(5))

        ours.write = interrupted  # type: ignore[method-assign]
        told(await failure(mine.networks()))
        await theirs.close()
        assert (await stages(mine))[-1].stage is Stage.JOINED
        assert bench.device.joined == "Home"


async def test_all_who_listen_to_a_nordic_device_get_all_responses() -> None:
    async with two("nordic") as (bench, ours, theirs):
        mine, other = NordicProvisioner(ours), NordicProvisioner(theirs)
        await mine.open()
        await other.open()
        write = ours.write

        async def interrupted(uuid: str, data: bytes, *args: Any, **kwargs: Any) -> None:
            if uuid == nordic.CONTROL_POINT:
                ours.write = write  # type: ignore[method-assign]
                await theirs.write(nordic.CONTROL_POINT, bytes.fromhex("0803"))
            await write(uuid, data, *args, **kwargs)

        ours.write = interrupted  # type: ignore[method-assign]
        told(await failure(mine.networks()))
        await theirs.close()
        assert (await stages(mine))[-1].stage is Stage.JOINED
        assert bench.device.joined == "Home"
