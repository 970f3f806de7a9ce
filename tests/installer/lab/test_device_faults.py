"""Each fault of a device happens its number of times, and then the next try succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from bumble import hci

from tests.installer.lab.hci_client import Client, attached
from tests.installer.lab.improv_client import (
    COMMAND,
    ERROR,
    RESULT,
    STATE,
    ask,
    expect,
    frame,
    provision,
    ready,
    send,
    strings,
    wifi,
)
from tests.installer.lab.lab_process import LabProcess

HOME, PASSPHRASE = "Home", "correct horse battery staple"
SUPERVISION = 0x08
BODY_PLUS = "00:24:E4:20:00:3C"


@pytest.fixture
async def client(lab: LabProcess) -> AsyncIterator[Client]:
    async with attached(lab.transport) as one:
        yield one


@pytest.mark.parametrize(
    ("point", "sent"),
    [
        ("identify", frame(2)),
        ("info", frame(3)),
        ("scan", frame(4)),
        ("hostname", frame(5)),
        ("credentials", wifi(HOME, PASSPHRASE)),
        ("half", wifi(HOME, PASSPHRASE)[:20]),
        ("joining", wifi(HOME, PASSPHRASE)),
        ("provisioned", wifi(HOME, PASSPHRASE)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_link_drops_once(lab: LabProcess, client: Client, point: str, sent: bytes) -> None:
    await lab.faults(BODY_PLUS, drop={"on": point, "times": 1})
    link = await ready(await client.connect(BODY_PLUS))
    await send(link, sent)
    assert await link.end() == SUPERVISION
    again = await ready(await client.connect(BODY_PLUS))
    if point in ("joining", "provisioned"):
        # The device has joined meanwhile: only its client does not know.
        await lab.until(lambda d: d["joined"] == HOME, BODY_PLUS)
        assert await again.read(STATE) == b"\x04"
    else:
        assert (await lab.device(BODY_PLUS))["joined"] is None
        assert await provision(again, HOME, PASSPHRASE)


async def test_the_link_drops_as_soon_as_it_is_there(lab: LabProcess, client: Client) -> None:
    await lab.faults(BODY_PLUS, drop={"on": "connect", "times": 1})
    link = await client.device.connect(hci.Address(BODY_PLUS, hci.Address.PUBLIC_DEVICE_ADDRESS))
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    link.on("disconnection", ended.set_result)
    async with asyncio.timeout(10):
        assert await ended == SUPERVISION
    assert await ask(await ready(await client.connect(BODY_PLUS)), 3)


async def test_the_link_drops_at_the_first_subscription(lab: LabProcess, client: Client) -> None:
    await lab.faults(BODY_PLUS, drop={"on": "subscribe", "times": 1})
    link = await client.connect(BODY_PLUS)
    await link.subscribe(ERROR)
    assert await link.end() == SUPERVISION
    assert await ask(await ready(await client.connect(BODY_PLUS)), 3)


async def test_no_answer_and_then_an_answer(lab: LabProcess, client: Client) -> None:
    await lab.faults(BODY_PLUS, silent={"on": "credentials", "times": 1})
    link = await ready(await client.connect(BODY_PLUS))
    await send(link, wifi(HOME, PASSPHRASE))
    # What comes next is the answer to the next question: nothing came for the credentials.
    assert await ask(link, 3)
    assert (await lab.device(BODY_PLUS))["wifi_commands"] == 1
    assert await provision(link, HOME, PASSPHRASE)


async def test_a_device_that_hangs_answers_nothing_for_one_connection(lab: LabProcess, client: Client) -> None:
    await lab.faults(BODY_PLUS, silent={"on": "att", "times": 1})
    connecting = asyncio.create_task(client.connect(BODY_PLUS))
    await lab.until(lambda d: d["connected"] and d["att_requests"] > 0, BODY_PLUS)
    assert not connecting.done()
    connecting.cancel()
    await lab.drop(BODY_PLUS)
    await lab.until(lambda d: d["advertising"], BODY_PLUS)
    assert await ask(await ready(await client.connect(BODY_PLUS)), 3)


async def test_the_network_vanishes_while_joining(lab: LabProcess, client: Client) -> None:
    await lab.faults(BODY_PLUS, network_vanishes={"times": 1})
    link = await ready(await client.connect(BODY_PLUS))
    await send(link, wifi(HOME, PASSPHRASE))
    await expect(link, (STATE, 3), (ERROR, 3), (STATE, 2))
    await send(link, wifi(HOME, PASSPHRASE))
    await expect(link, (ERROR, 0), (STATE, 3), (STATE, 4))


def _bad_checksum(whole: bytes) -> bool:
    return sum(whole[:-1]) & 0xFF != whole[-1]


def _short(whole: bytes) -> bool:
    return len(whole) < whole[1] + 3


def _long(whole: bytes) -> bool:
    return len(whole) > whole[1] + 3


def _other_command(whole: bytes) -> bool:
    return whole[0] != 4


def _not_utf8(whole: bytes) -> bool:
    try:
        strings(whole)
    except UnicodeDecodeError:
        return True
    return False


def _strings_overrun(whole: bytes) -> bool:
    try:
        strings(whole)
    except AssertionError:
        return not _bad_checksum(whole)
    return False


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("checksum", _bad_checksum),
        ("truncated", _short),
        ("oversized", _long),
        ("order", _other_command),
        ("utf8", _not_utf8),
        ("strings", _strings_overrun),
    ],
)
async def test_garbage_once(lab: LabProcess, client: Client, kind: str, wrong: Callable[[bytes], bool]) -> None:
    await lab.faults(BODY_PLUS, garbage={"kind": kind, "on": "scan", "times": 1})
    link = await ready(await client.connect(BODY_PLUS))
    await link.write(COMMAND, frame(4))
    uuid, value = await link.next()
    assert uuid == RESULT
    assert wrong(value)
    assert wrong(await link.read(RESULT))
    assert len(await ask(link, 4)) == 18


async def test_states_in_an_order_that_there_is_not(lab: LabProcess, client: Client) -> None:
    await lab.faults(BODY_PLUS, garbage={"kind": "order", "on": "credentials"})
    link = await ready(await client.connect(BODY_PLUS))
    await send(link, wifi(HOME, PASSPHRASE))
    await expect(link, (STATE, 3), (STATE, 4), (STATE, 3), (STATE, 2))


async def test_zero_times_is_always(lab: LabProcess, client: Client) -> None:
    await lab.faults(BODY_PLUS, garbage={"kind": "checksum", "on": "info", "times": 0})
    link = await ready(await client.connect(BODY_PLUS))
    for _ in range(3):
        await send(link, frame(3))
        assert _bad_checksum((await link.next())[1])
    assert (await lab.device(BODY_PLUS))["faults"] == {"garbage": {"kind": "checksum", "on": "info", "times": 0}}


async def test_a_reset_of_the_world_brings_the_scenarios_faults_back(lab: LabProcess) -> None:
    await lab.faults(BODY_PLUS, drop={"on": "scan"})
    assert (await lab.device(BODY_PLUS))["faults"]
    await lab.reset()
    assert not (await lab.device(BODY_PLUS))["faults"]


async def test_a_device_can_end_the_link_after_success(lab_factory: Callable[[str], LabProcess]) -> None:
    lab = lab_factory(
        f'device = [{{ model = "generic", address = "{BODY_PLUS}", drop_after_provisioned = true }}]\n'
        'network = [{ ssid = "Free", security = "open" }]\n'
    )
    async with attached(lab.transport) as one:
        link = await ready(await one.connect(BODY_PLUS))
        await provision(link, "Free", "")
        assert await link.end() == 0x13
