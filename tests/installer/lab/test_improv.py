"""The Improv firmware of the lab's devices, over the air, by the specification (`facts/improv-ble.md`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from bumble import att
from bumble.gatt import GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR as CONFIGURATION

from tests.installer.lab.hci_client import Client, Link, attached
from tests.installer.lab.improv_client import (
    CAPABILITIES,
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
    string,
    strings,
    wifi,
)
from tests.installer.lab.lab_process import LabProcess

HOME, PASSPHRASE = "Home", "correct horse battery staple"


@pytest.fixture
async def client(lab: LabProcess) -> AsyncIterator[Client]:
    async with attached(lab.transport) as one:
        yield one


@pytest.fixture
async def link(lab: LabProcess, client: Client) -> Link:
    """Connected to the Body+, subscribed."""
    return await ready(await client.connect(lab.address("body-plus")))


async def test_the_service_has_the_five_characteristics_each_with_a_configuration_descriptor(link: Link) -> None:
    properties = {
        STATE: "READ|NOTIFY", ERROR: "READ|NOTIFY", COMMAND: "WRITE", RESULT: "READ|NOTIFY", CAPABILITIES: "READ"
    }  # fmt: skip
    for uuid, wanted in properties.items():
        characteristic = link.characteristic(uuid)
        assert str(characteristic.properties) == wanted
        assert characteristic.get_descriptor(CONFIGURATION) is not None
    assert await link.read(CAPABILITIES) == b"\x0f"
    assert await link.read(STATE) == b"\x02"
    assert await link.read(ERROR) == b"\x00"


async def test_reading_the_command_characteristic_is_refused(link: Link) -> None:
    with pytest.raises(att.ATT_Error) as refused:
        await link.read(COMMAND)
    assert refused.value.error_code == att.ATT_READ_NOT_PERMITTED_ERROR


async def test_device_info_has_four_strings(link: Link) -> None:
    info = await ask(link, 3)
    assert len(info) == 4
    assert info[3] == "Body+ 3C"


async def test_identify_is_counted_and_not_answered(lab: LabProcess, link: Link) -> None:
    await send(link, bytes.fromhex("020002"))
    await lab.until(lambda d: d["identified"] == 1, "body-plus")
    assert link.events.empty()


async def test_a_scan_is_one_frame_with_every_access_point_in_reach_strongest_first(link: Link) -> None:
    found = await ask(link, 4)
    networks = list(zip(found[::3], found[1::3], found[2::3], strict=True))
    assert networks == [
        ("Home", "-48", "WPA2"),
        ("Office", "-61", "WPA3"),
        ("Zoë's 🏠 Wi-Fi", "-66", "WPA2/WPA3"),
        ("Café Open", "-70", "NO"),
        ("Home", "-72", "WPA2"),
        ("Corp", "-75", "WPA2 EAP"),
    ]


@pytest.mark.parametrize("size", [20, 258], ids=["slices", "whole"])
@pytest.mark.parametrize(
    ("ssid", "passphrase"),
    [
        ("Home", "correct horse battery staple"),
        ("Office", "meet me at the coffee machine"),
        ("Zoë's 🏠 Wi-Fi", "it's a secret"),
        ("Café Open", ""),
        ("Attic", "under the roof"),
    ],
)
async def test_it_joins(lab: LabProcess, link: Link, ssid: str, passphrase: str, size: int) -> None:
    await send(link, wifi(ssid, passphrase), size)
    await expect(link, (STATE, 3), (STATE, 4))
    uuid, value = await link.next()
    assert (uuid, value[0], strings(value)) == (RESULT, 1, ["http://192.168.1.50"])
    assert await link.read(RESULT) == value
    device = await lab.device("body-plus")
    assert (device["joined"], device["online"], device["state"]) == (ssid, True, "provisioned")
    assert passphrase == "" or passphrase not in lab.log()


@pytest.mark.parametrize(
    ("ssid", "passphrase"),
    [
        ("Home", "correct horse battery stable"),
        ("Home", ""),
        ("Nowhere", "some passphrase"),
        ("Corp", "some passphrase"),
        ("Fast 5G", "only for the fast ones"),
    ],
    ids=["wrong passphrase", "no passphrase", "unknown", "enterprise", "5 GHz only"],
)
async def test_it_cannot_join(lab: LabProcess, link: Link, ssid: str, passphrase: str) -> None:
    await send(link, wifi(ssid, passphrase))
    await expect(link, (STATE, 3), (ERROR, 3), (STATE, 2))
    assert (await lab.device("body-plus"))["joined"] is None
    # The next complete frame clears the error, and works.
    await send(link, wifi(HOME, PASSPHRASE))
    await expect(link, (ERROR, 0), (STATE, 3), (STATE, 4))


async def test_a_network_that_is_down_cannot_be_joined_and_is_not_seen(lab: LabProcess, link: Link) -> None:
    await lab.network("Home", False)
    assert "Home" not in await ask(link, 4)
    await send(link, wifi(HOME, PASSPHRASE))
    await expect(link, (STATE, 3), (ERROR, 3), (STATE, 2))
    await lab.network("Home", True)
    assert "Home" in (await ask_after_error(link, 4))


async def ask_after_error(link: Link, command: int) -> list[str]:
    await send(link, frame(command))
    await expect(link, (ERROR, 0))
    _, value = await link.next()
    return strings(value)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (bytes.fromhex("020003"), 1),
        (frame(1, b"\x09Home"), 1),
        (frame(1, string("Home")), 1),
        (frame(1, string("a") * 3), 1),
        (bytes.fromhex("090009"), 2),
        (bytes.fromhex("060006"), 2),
        (frame(5, string("-not a hostname-")), 5),
    ],
    ids=["checksum", "string too long", "one string", "three strings", "command 9", "device name", "hostname"],
)
async def test_mistakes_are_answered_with_an_error_and_the_next_frame_clears_it(
    link: Link, sent: bytes, error: int
) -> None:
    await send(link, sent)
    await expect(link, (ERROR, error))
    assert await link.read(ERROR) == bytes((error,))
    await send(link, frame(3))
    await expect(link, (ERROR, 0))
    uuid, _ = await link.next()
    assert uuid == RESULT


async def test_more_bytes_than_the_frame_has_are_dropped_without_a_word(link: Link) -> None:
    await link.write(COMMAND, frame(3) + b"\x00")
    assert await ask(link, 3)
    assert link.events.empty()


async def test_half_a_frame_and_the_error_are_forgotten_with_the_link(
    lab: LabProcess, client: Client, link: Link
) -> None:
    await send(link, bytes.fromhex("090009"))
    await expect(link, (ERROR, 2))
    await link.write(COMMAND, wifi(HOME, PASSPHRASE)[:20])
    await link.disconnect()
    again = await ready(await client.connect(lab.address("body-plus")))
    assert await again.read(ERROR) == b"\x00"
    assert await ask(again, 3)


async def test_the_hostname_is_set_bare_and_nested(link: Link) -> None:
    assert await ask(link, 5) == ["body-plus-003c"]
    assert await ask(link, 5, b"living-room") == ["living-room"]
    assert await ask(link, 5, string("bedroom")) == ["bedroom"]
    assert await ask(link, 5) == ["bedroom"]


async def test_a_result_longer_than_the_mtu_is_cut_in_the_notification_and_whole_when_read(
    lab: LabProcess, client: Client
) -> None:
    link = await ready(await client.connect(lab.address("body-plus"), mtu=None))
    await send(link, frame(4))
    uuid, cut = await link.next()
    assert (uuid, len(cut)) == (RESULT, 20)
    whole = await link.read(RESULT)
    assert whole.startswith(cut)
    assert len(strings(whole)) == 18


async def test_the_list_of_networks_is_cut_to_what_one_frame_holds(lab_factory: Callable[[str], LabProcess]) -> None:
    networks = "".join(
        f'[[network]]\nssid = "Neighbour number {n:02}"\nsecurity = "open"\naccess_points = [{{rssi = {-40 - n}}}]\n'
        for n in range(30)
    )
    device = '[[device]]\nmodel = "generic"\naddress = "7C:DF:A1:00:00:01"\n'
    lab = lab_factory(device + networks)
    async with attached(lab.transport) as client:
        link = await ready(await client.connect("7C:DF:A1:00:00:01"))
        await send(link, frame(4))
        _, cut = await link.next()
        whole = await link.read(RESULT)
    found = strings(whole)
    assert len(found) % 3 == 0
    assert 255 - len("xNeighbour number 00x-40xNO") < whole[1] <= 255
    assert found[0] == "Neighbour number 00"
    assert whole.startswith(cut)


@pytest.mark.parametrize("model", ["move", "pulse-hr"])
async def test_a_watch_has_no_wifi_and_counts_who_tries(lab: LabProcess, client: Client, model: str) -> None:
    link = await ready(await client.connect(lab.address(model)))
    assert await link.read(CAPABILITIES) == b"\x03"
    assert len(await ask(link, 3)) == 4
    await send(link, wifi(HOME, PASSPHRASE))
    await expect(link, (ERROR, 2))
    await send(link, frame(4))
    await expect(link, (ERROR, 0), (ERROR, 2))
    device = await lab.device(model)
    assert (device["wifi_commands"], device["credentials_received"], device["joined"]) == (1, 0, None)


async def test_a_provisioned_device_says_so_in_its_advertisement_until_it_is_reset(
    lab: LabProcess, client: Client, link: Link
) -> None:
    address = lab.address("body-plus")
    await provision(link, HOME, PASSPHRASE)
    await link.disconnect()
    marked = bytes.fromhex("09167746040f00000000")
    seen = await client.scan(lambda s: address in s and any(marked in p for p in s[address].payloads), active=False)
    assert seen
    await lab.factory_reset(address)
    fresh = bytes.fromhex("09167746020f00000000")
    await client.scan(lambda s: address in s and any(fresh in p for p in s[address].payloads), active=False)
    assert (await lab.device(address))["joined"] is None
