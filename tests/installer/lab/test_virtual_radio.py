"""The virtual radio, through real HCI over TCP."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from bumble import hci
from bumble.core import ConnectionError as BumbleConnectionError
from bumble.core import TimeoutError as BumbleTimeoutError
from bumble.device import Device
from bumble.transport import open_transport

from tests.installer.lab.hci_client import Client, attached
from tests.installer.lab.improv_client import CAPABILITIES, STATE, ask, ready
from tests.installer.lab.lab_process import LabProcess

IMPROV_UUID = bytes.fromhex("00467768622822724663277478268000")[::-1]
BODY_PLUS_UUID = bytes.fromhex("00000020574954480005000000000000")[::-1]
SUPERVISION, NOT_ESTABLISHED = 0x08, 0x3E


async def test_a_passive_scan_hears_the_payloads_in_turn_and_no_names(lab: LabProcess) -> None:
    address = lab.address("body-plus")
    async with attached(lab.transport) as client:
        seen = await client.scan(lambda s: len(s) == 9 and len(s[address].payloads) == 2, active=False)
    improv, vendor = sorted(seen[address].payloads, key=lambda data: BODY_PLUS_UUID in data)
    assert improv == b"\x02\x01\x06\x11\x07" + IMPROV_UUID + bytes.fromhex("09167746020f00000000")
    assert len(improv) == 31
    assert vendor.startswith(b"\x02\x01\x06\x11\x07" + BODY_PLUS_UUID)
    assert b"\xff\xff\x03" in vendor[21:]
    assert len(vendor) <= 31
    assert not any(one.names for one in seen.values())


async def test_an_active_scan_gets_the_names_by_scan_response(lab: LabProcess) -> None:
    async with attached(lab.transport) as client:
        seen = await client.scan(lambda s: len(s) == 9 and all(one.names for one in s.values()))
    names = {name for one in seen.values() for name in one.names}
    assert names == {
        "Body 1A", "Body+ 3C", "BPM Connect", "Sleep", "Thermo", "Move", "Pulse HR", "Temperature Monitor",
        "PROV_CE03C0",
    }  # fmt: skip


async def test_without_duplicates_each_payload_comes_once_with_its_scan_response(lab: LabProcess) -> None:
    """Linux, as Bumble, keeps an advertisement back until its response comes."""
    address = lab.address("body-plus")
    async with attached(lab.transport) as client:
        seen = await client.scan(lambda s: address in s and len(s[address].payloads) == 2, duplicates=False)
    assert seen[address].reports == 2
    assert all(b"Body+ 3C" in data for data in seen[address].payloads)


async def test_the_signal_is_the_devices_own_with_a_few_decibels_of_noise(lab: LabProcess) -> None:
    near, far = lab.address("body-plus"), lab.address("move")
    async with attached(lab.transport) as client:
        seen = await client.scan(lambda s: near in s and far in s and min(s[near].reports, s[far].reports) > 20)
    for address, rssi in ((near, -52), (far, -74)):
        heard = seen[address].rssi
        assert max(heard) <= rssi + 3
        assert min(heard) >= rssi - 3
        assert len(set(heard)) > 1


async def test_a_connection_attempt_can_be_given_up_and_the_next_one_works(lab: LabProcess) -> None:
    async with attached(lab.transport) as client:
        with pytest.raises((BumbleTimeoutError, TimeoutError)):
            await client.device.connect(
                hci.Address("00:24:E4:99:99:99", hci.Address.PUBLIC_DEVICE_ADDRESS), timeout=0.1
            )
        link = await client.connect(lab.address("body"))
        assert await link.read(STATE) == b"\x02"


async def test_a_lost_link_is_a_supervision_timeout_and_the_device_advertises_again(lab: LabProcess) -> None:
    address = lab.address("body")
    async with attached(lab.transport) as client:
        link = await client.connect(address)
        assert (await lab.device(address))["advertising"] is False
        await lab.drop(address)
        assert await link.end() == SUPERVISION
        again = await client.connect(address)
        await again.disconnect()
        await lab.until(lambda d: d["advertising"] and not d["connected"], address)


async def test_many_hosts_at_once_each_with_a_controller_of_its_own(lab: LabProcess) -> None:
    async with attached(lab.transport) as one, attached(lab.transport) as two, attached(lab.transport) as three:
        assert (await lab.state())["hosts"] == 3
        assert len({str(c.device.public_address) for c in (one, two, three)}) == 3
        links = [
            await client.connect(lab.address(model))
            for client, model in ((one, "body"), (two, "body-plus"), (three, "generic"))
        ]
        for link in links:
            await ready(link)
        answers = await asyncio.gather(*(ask(link, 3) for link in links))
        assert [answer[3] for answer in answers] == ["Body 1A", "Body+ 3C", "Temperature Monitor"]
    await lab.until(lambda state: state["hosts"] == 0)


async def test_two_hosts_with_the_same_random_address_do_not_get_each_others_data(lab: LabProcess) -> None:
    async with await open_transport(lab.transport) as first, await open_transport(lab.transport) as second:
        clients = []
        for transport in (first, second):
            device = Device.with_hci("twin", hci.Address("F0:F1:F2:F3:F4:F5"), transport.source, transport.sink)
            await device.power_on()
            clients.append(Client(device))
        links = [
            await client.connect(lab.address(model)) for client, model in zip(clients, ("body", "move"), strict=True)
        ]
        assert await links[0].read(CAPABILITIES) == b"\x0f"
        assert await links[1].read(CAPABILITIES) == b"\x03"
        await links[0].disconnect()
        assert await links[1].read(CAPABILITIES) == b"\x03"


async def test_of_two_hosts_that_want_one_device_only_one_gets_it(lab: LabProcess) -> None:
    address = lab.address("body")
    to = hci.Address(address, hci.Address.PUBLIC_DEVICE_ADDRESS)
    async with attached(lab.transport) as one, attached(lab.transport) as two:
        reasons: asyncio.Queue[int] = asyncio.Queue()
        for client in (one, two):
            client.device.on(Device.EVENT_CONNECTION, lambda link: link.on("disconnection", reasons.put_nowait))
        attempts = [asyncio.create_task(client.device.connect(to)) for client in (one, two)]
        # Both ask at the same advertisement, or the second waits for the next one, which does not come.
        await asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        if all(attempt.done() for attempt in attempts):
            async with asyncio.timeout(10):
                assert await reasons.get() == NOT_ESTABLISHED
        assert (await lab.device(address))["connected"]
        assert sum(len(client.device.connections) for client in (one, two)) == 1
        for attempt in attempts:
            attempt.cancel()


async def test_a_device_that_refuses_does_not_come_about_and_takes_the_next_try(lab: LabProcess) -> None:
    address = lab.address("body")
    await lab.faults(address, refuse_connections={"times": 1})
    async with attached(lab.transport) as client:
        to = hci.Address(address, hci.Address.PUBLIC_DEVICE_ADDRESS)
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        client.device.once(Device.EVENT_CONNECTION, lambda link: link.on("disconnection", ended.set_result))
        try:
            await client.device.connect(to, timeout=10)
        except BumbleConnectionError:
            ended.set_result(NOT_ESTABLISHED)
        async with asyncio.timeout(10):
            assert await ended == NOT_ESTABLISHED
        link = await client.connect(address)
        assert await link.read(STATE) == b"\x02"


KILLED = """
import asyncio, sys
from tests.installer.lab.hci_client import attached
async def main():
    async with attached(sys.argv[1]) as client:
        await client.connect(sys.argv[2])
        print("connected", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_when_a_host_is_killed_its_device_advertises_again_and_others_connect(lab: LabProcess) -> None:
    address = lab.address("body-plus")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, lab.transport, address, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"connected\n"
    assert (await lab.device(address))["connected"]
    process.send_signal(signal.SIGKILL)
    await process.wait()
    async with attached(lab.transport) as client:
        link = await client.connect(address)
        assert await link.read(STATE) == b"\x02"
    assert "reason 0x08" in lab.log()


async def test_a_reset_of_the_hosts_controller_ends_its_links_at_the_other_end(lab: LabProcess) -> None:
    address = lab.address("body")
    async with attached(lab.transport) as client:
        await client.connect(address)
        await client.device.host.send_sync_command(hci.HCI_Reset_Command())
        await lab.until(lambda d: d["advertising"], address)


async def test_a_host_that_speaks_no_hci_is_shown_the_door(lab: LabProcess) -> None:
    host, port = lab.transport.removeprefix("tcp-client:").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    async with attached(lab.transport) as client:
        await client.scan(len)


async def test_nonsense_in_the_right_frames_does_not_hurt_the_lab(lab: LabProcess) -> None:
    host, port = lab.transport.removeprefix("tcp-client:").split(":")
    dice = random.Random(7)
    for _ in range(20):
        _, writer = await asyncio.open_connection(host, int(port))
        for _ in range(20):
            body = dice.randbytes(dice.randrange(40))
            command = b"\x01" + dice.randbytes(2) + bytes((len(body),)) + body
            data = b"\x02" + dice.randbytes(2) + len(body).to_bytes(2, "little") + body
            writer.write(dice.choice((command, data)))
        await writer.drain()
        writer.close()
    async with attached(lab.transport) as client:
        link = await client.connect(lab.address("body"))
        assert await link.read(STATE) == b"\x02"


async def test_bystanders_are_heard_by_name_and_address_each_of_its_own(
    lab_factory: Callable[[str], LabProcess],
) -> None:
    lab = lab_factory("bystanders = 200\n[radio]\nbystander_interval = 0.5\n")
    async with attached(lab.transport) as client:
        seen = await client.scan(lambda s: len(s) == 200 and all(one.names for one in s.values()))
    assert len({name for one in seen.values() for name in one.names}) == 200
    assert len({rssi for one in seen.values() for rssi in one.rssi}) > 20


async def test_a_link_that_its_host_cancels_as_it_is_made_does_not_block_the_device(lab: LabProcess) -> None:
    """Linux does so (“Opcode 0x200e failed: -16”), and knows nothing of that link afterwards."""
    address = lab.address("body")
    to = hci.Address(address, hci.Address.PUBLIC_DEVICE_ADDRESS)
    async with attached(lab.transport) as client:
        host, ended = client.device.host, asyncio.Event()

        def cancel(link: Any) -> None:
            link.on("disconnection", lambda _reason: ended.set())
            host.send_hci_packet(hci.HCI_LE_Create_Connection_Cancel_Command())

        # Before anything else is said on the link.
        client.device.once(Device.EVENT_CONNECTION, cancel)
        connecting = asyncio.create_task(client.device.connect(to))
        async with asyncio.timeout(10):
            await ended.wait()
        await asyncio.gather(connecting, return_exceptions=True)
        link = await client.connect(address)
        assert await link.read(STATE) == b"\x02"
