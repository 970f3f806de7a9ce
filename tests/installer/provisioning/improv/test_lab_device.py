"""The Improv driver against the lab's devices: whole hand-overs, and the lab's faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import SecretStr

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.open_adapter import open_adapter
from installer.bluetooth.scan import Scan
from installer.catalogue import catalogue_file
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import registry
from installer.provisioning.improv.driver import ImprovProvisioner
from installer.provisioning.improv.session import Timings
from installer.provisioning.provisioner import Capability, Progress, Stage
from installer.provisioning.registry import provisioner_for
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Network, Security
from tests.installer.bluetooth.bench import connected, sighted
from tests.installer.lab.lab_process import LabProcess, fast_scenario

PASSPHRASE = "correct horse battery staple"
TIMINGS = Timings(answer=1.0, scan=1.0, quiet=0.2, refusal=0.1, authorization=10.0, join=10.0)


def credentials(passphrase: str = PASSPHRASE, ssid: str = "Home") -> Credentials:
    return Credentials(network=Network(ssid=ssid), passphrase=SecretStr(passphrase))


@pytest.fixture
async def adapter(lab: LabProcess) -> AsyncIterator[Adapter]:
    async with await open_adapter(lab.adapter) as made:
        yield made


async def opened(adapter: Adapter, address: str) -> tuple[Connection, ImprovProvisioner]:
    connection = await connected(adapter, address)
    provisioner = ImprovProvisioner(connection, TIMINGS)
    await provisioner.open()
    return connection, provisioner


async def run(provisioner: Any, given: Credentials | None = None) -> list[Progress]:
    async with asyncio.timeout(20):
        return [progress async for progress in provisioner.provision(given or credentials())]


async def code(provisioner: Any, given: Credentials | None = None) -> ErrorCode:
    with pytest.raises(InstallerError) as caught:
        await run(provisioner, given)
    return caught.value.code


async def test_a_scale_joins_a_network(lab: LabProcess, adapter: Adapter) -> None:
    address = lab.address("body-plus")
    connection = await connected(adapter, address)
    provisioner = await provisioner_for(connection, "improv")
    assert provisioner is not None
    assert provisioner.protocol == "improv"
    await provisioner.open()
    every = Capability.IDENTIFY | Capability.DEVICE_INFO | Capability.SCAN_NETWORKS | Capability.HOSTNAME
    assert provisioner.capabilities == every
    info = await provisioner.info()
    assert (info.firmware, info.hardware) == ("Lab firmware", "ESP32")
    await provisioner.identify()
    networks = await provisioner.networks()
    home = max((n for n in networks if n.ssid == "Home"), key=lambda n: n.rssi or -999)
    assert home.security is Security.WPA2
    progress = await run(provisioner)
    assert [p.stage for p in progress] == [Stage.SENDING, Stage.JOINING, Stage.JOINED]
    assert progress[-1].url is not None
    assert provisioner.set_up
    device = await lab.device(address)
    assert (device["joined"], device["identified"], device["wifi_commands"]) == ("Home", 1, 1)
    await connection.close()
    again, second = await opened(adapter, address)
    assert second.set_up
    assert await code(second) is ErrorCode.DEVICE_ALREADY_SET_UP
    await again.close()


async def test_a_wrong_passphrase_then_the_right_one(lab: LabProcess, adapter: Adapter) -> None:
    address = lab.address("body")
    connection, provisioner = await opened(adapter, address)
    assert await code(provisioner, credentials("wrong passphrase")) is ErrorCode.JOIN_FAILED
    assert await code(provisioner, credentials(ssid="Nowhere")) is ErrorCode.JOIN_FAILED
    assert (await run(provisioner))[-1].stage is Stage.JOINED
    assert (await lab.device(address))["wifi_commands"] == 3
    assert connection.is_open


async def test_the_button_of_the_thermometer(lab_factory: Callable[[str], LabProcess]) -> None:
    # Nobody presses it but this test.
    lab = lab_factory(fast_scenario().replace("press_after = 0.05", "press_after = 3600"))
    address = lab.address("thermo")
    stages = []
    async with await open_adapter(lab.adapter) as adapter:
        _, provisioner = await opened(adapter, address)
        async for progress in provisioner.provision(credentials()):
            stages.append(progress.stage)
            if progress.stage is Stage.AUTHORIZATION_NEEDED:
                await lab.press(address)
    assert stages == [
        Stage.AUTHORIZATION_NEEDED,
        Stage.AUTHORIZED,
        Stage.SENDING,
        Stage.JOINING,
        Stage.JOINED,
    ]


async def test_a_button_that_does_nothing(lab: LabProcess, adapter: Adapter) -> None:
    address = lab.address("thermo")
    await lab.faults(address, never_authorized={"times": 1})
    connection = await connected(adapter, address)
    provisioner = ImprovProvisioner(connection, Timings(authorization=0.3))
    await provisioner.open()
    assert await code(provisioner) is ErrorCode.AUTHORIZATION_TIMEOUT
    assert (await lab.device(address))["wifi_commands"] == 0


async def test_host_names(lab: LabProcess, adapter: Adapter) -> None:
    _, provisioner = await opened(adapter, lab.address("body"))
    before = await provisioner.hostname()
    assert await provisioner.set_hostname("bath-room") == "bath-room" != before
    assert await provisioner.hostname() == "bath-room"


async def test_a_watch_can_neither_scan_nor_join(lab: LabProcess, adapter: Adapter) -> None:
    _, provisioner = await opened(adapter, lab.address("move"))
    assert provisioner.capabilities == Capability.IDENTIFY | Capability.DEVICE_INFO
    with pytest.raises(InstallerError) as caught:
        await provisioner.networks()
    assert caught.value.code is ErrorCode.DEVICE_REFUSED


@pytest.mark.parametrize("point", ["half", "credentials", "joining"])
async def test_the_link_drops_on_the_way(lab: LabProcess, adapter: Adapter, point: str) -> None:
    address = lab.address("body-plus")
    await lab.faults(address, drop={"on": point, "times": 1})
    connection, provisioner = await opened(adapter, address)
    if point == "half":
        # Two pieces, as over the smallest link.
        connection.max_write = lambda _: 20  # type: ignore[method-assign]
    assert await code(provisioner) is ErrorCode.CONNECTION_LOST
    await connection.close()
    await lab.until(lambda device: not device["connected"], address)
    await lab.factory_reset(address)
    again, second = await opened(adapter, address)
    assert (await run(second))[-1].stage is Stage.JOINED
    await again.close()


@pytest.mark.parametrize("kind", ["checksum", "truncated", "strings", "oversized"])
async def test_a_garbled_result_is_told(lab: LabProcess, adapter: Adapter, kind: str) -> None:
    address = lab.address("body-plus")
    await lab.faults(address, garbage={"on": "credentials", "kind": kind, "times": 1})
    _, provisioner = await opened(adapter, address)
    assert await code(provisioner) is ErrorCode.DEVICE_MISBEHAVED


async def test_states_in_a_wrong_order_are_told(lab: LabProcess, adapter: Adapter) -> None:
    address = lab.address("body-plus")
    await lab.faults(address, garbage={"on": "credentials", "kind": "order", "times": 1})
    _, provisioner = await opened(adapter, address)
    assert await code(provisioner) is ErrorCode.DEVICE_MISBEHAVED


@pytest.mark.parametrize("kind", ["checksum", "truncated", "strings", "oversized", "order"])
@pytest.mark.parametrize("point", ["scan", "info"])
async def test_garbled_answers_do_not_end_the_connection(
    lab: LabProcess, adapter: Adapter, point: str, kind: str
) -> None:
    address = lab.address("body-plus")
    await lab.faults(address, garbage={"on": point, "kind": kind, "times": 1})
    connection, provisioner = await opened(adapter, address)
    ask = provisioner.networks if point == "scan" else provisioner.info
    with pytest.raises(InstallerError) as caught:
        await ask()
    assert caught.value.code is ErrorCode.DEVICE_MISBEHAVED
    assert connection.is_open
    assert await ask()


async def test_a_name_with_control_characters_is_made_harmless(lab: LabProcess, adapter: Adapter) -> None:
    address = lab.address("body-plus")
    await lab.faults(address, garbage={"on": "info", "kind": "utf8", "times": 1})
    _, provisioner = await opened(adapter, address)
    assert (await provisioner.info()).name.isprintable()


async def test_a_silent_device(lab: LabProcess, adapter: Adapter) -> None:
    address = lab.address("body-plus")
    await lab.faults(address, silent={"on": "credentials", "times": 1})
    connection = await connected(adapter, address)
    provisioner = ImprovProvisioner(connection, Timings(join=0.5))
    await provisioner.open()
    assert await code(provisioner) is ErrorCode.PROVISIONING_TIMEOUT
    assert (await run(provisioner))[-1].stage is Stage.JOINED


async def test_a_device_that_answers_nothing_is_tried_again_and_then_given_up(
    lab: LabProcess, adapter: Adapter
) -> None:
    address = lab.address("body-plus")
    await lab.faults(address, silent={"on": "att", "times": 1})
    async with Scan(adapter, registry.detector(catalogue_file.load()), settle=0) as scan:
        device = await sighted(scan, address)
    async with await Connection.open(adapter, device, timeout=10, attempts=10) as connection:
        assert connection.is_open
    await lab.faults(address, silent={"on": "att", "times": 0})
    with pytest.raises(InstallerError) as caught:
        await Connection.open(adapter, device, timeout=1.0)
    assert caught.value.code is ErrorCode.CONNECTION_FAILED


async def test_the_network_vanishes_while_the_device_joins(lab: LabProcess, adapter: Adapter) -> None:
    address = lab.address("body-plus")
    await lab.faults(address, network_vanishes={"times": 1})
    _, provisioner = await opened(adapter, address)
    assert await code(provisioner) is ErrorCode.JOIN_FAILED
    assert (await run(provisioner))[-1].stage is Stage.JOINED
