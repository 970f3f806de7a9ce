"""The button on a lab device: who may set it up, and for how long."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.installer.lab.hci_client import Client, attached
from tests.installer.lab.improv_client import ERROR, STATE, ask, expect, frame, provision, ready, send, wifi
from tests.installer.lab.lab_process import LabProcess

MANUAL, SOON, NEVER, SHORT = (f"00:24:E4:00:00:0{n}" for n in range(1, 5))
HOME, PASSPHRASE = "Home", "correct horse battery staple"
SCENARIO = f"""
radio = {{ advertising_interval = 0.02 }}
timing = {{ join = 0.02, scan = 0.02 }}
network = [{{ ssid = "{HOME}", passphrase = "{PASSPHRASE}" }}]
device = [
    {{ model = "thermo", address = "{MANUAL}", authorization = "manual" }},
    {{ model = "thermo", address = "{SOON}", authorization = {{ press_after = 0.05 }} }},
    {{ model = "thermo", address = "{NEVER}", authorization = "never" }},
    {{ model = "thermo", address = "{SHORT}", authorization = "manual", timing = {{ authorization_expires = 0.1 }} }},
]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    with LabProcess(tmp_path_factory.mktemp("lab"), SCENARIO) as lab:
        yield lab


@pytest.fixture
async def client(world: LabProcess) -> AsyncIterator[Client]:
    await world.reset()
    async with attached(world.transport) as one:
        yield one


async def test_without_it_only_the_harmless_commands_work(client: Client) -> None:
    link = await ready(await client.connect(MANUAL))
    assert await link.read(STATE) == b"\x01"
    assert len(await ask(link, 3)) == 4
    assert await ask(link, 4)
    await send(link, wifi(HOME, PASSPHRASE))
    await expect(link, (ERROR, 4))
    await send(link, frame(5))
    await expect(link, (ERROR, 0), (ERROR, 4))


async def test_the_button_authorises(world: LabProcess, client: Client) -> None:
    link = await ready(await client.connect(MANUAL))
    await world.press(MANUAL)
    await expect(link, (STATE, 2))
    assert await provision(link, HOME, PASSPHRASE)


async def test_it_survives_the_link(world: LabProcess, client: Client) -> None:
    await world.press(MANUAL)
    link = await client.connect(MANUAL)
    await link.disconnect()
    link = await client.connect(MANUAL)
    assert await link.read(STATE) == b"\x02"


async def test_a_scenario_presses_the_button_by_itself(world: LabProcess, client: Client) -> None:
    assert (await world.device(SOON))["state"] == "authorization_required"
    link = await client.connect(SOON)
    await world.until(lambda d: d["state"] == "authorized", SOON)
    assert await link.read(STATE) == b"\x02"


async def test_it_expires_and_comes_again(world: LabProcess, client: Client) -> None:
    link = await ready(await client.connect(SHORT))
    for _ in range(2):
        await world.press(SHORT)
        await expect(link, (STATE, 2), (STATE, 1))


async def test_a_failed_attempt_leaves_it_authorised(world: LabProcess, client: Client) -> None:
    link = await ready(await client.connect(MANUAL))
    await world.press(MANUAL)
    await expect(link, (STATE, 2))
    await send(link, wifi(HOME, "not the passphrase"))
    await expect(link, (STATE, 3), (ERROR, 3), (STATE, 2))


async def test_never(world: LabProcess, client: Client) -> None:
    link = await ready(await client.connect(NEVER))
    await world.press(NEVER)
    await send(link, wifi(HOME, PASSPHRASE))
    await expect(link, (ERROR, 4))


async def test_the_fault_never_authorized_lasts_for_its_connections(world: LabProcess, client: Client) -> None:
    await world.faults(MANUAL, never_authorized={"times": 1})
    link = await ready(await client.connect(MANUAL))
    await world.press(MANUAL)
    await send(link, wifi(HOME, PASSPHRASE))
    await expect(link, (ERROR, 4))
    await link.disconnect()
    link = await ready(await client.connect(MANUAL))
    await world.press(MANUAL)
    await expect(link, (STATE, 2))
