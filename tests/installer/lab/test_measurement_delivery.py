"""What lab devices measure: over the standard GATT profiles, decoded here by hand, and in the lab's cloud."""

from __future__ import annotations

import struct
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from installer.errors import InstallerError
from installer.lab.health_characteristics import date_time, float32, sfloat
from installer.lab.scenario import parse
from tests.installer.lab.hci_client import Client, attached
from tests.installer.lab.improv_client import provision, ready
from tests.installer.lab.lab_process import LabProcess, fast_scenario

HOME, PASSPHRASE = "Home", "correct horse battery staple"


@pytest.fixture
async def client(lab: LabProcess) -> AsyncIterator[Client]:
    async with attached(lab.transport) as one:
        yield one


def read_sfloat(raw: bytes) -> float:
    number = int.from_bytes(raw, "little")
    mantissa, exponent = number & 0x0FFF, number >> 12
    return float(
        (mantissa - 0x1000 if mantissa > 0x7FF else mantissa) * 10 ** (exponent - 16 if exponent > 7 else exponent)
    )


def read_time(raw: bytes) -> int:
    year, month, day, hour, minute, second = struct.unpack("<HBBBBB", raw)
    return int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1)))


def weight(raw: bytes) -> dict[str, float]:
    assert raw[0] == 0x02
    return {"weight": round(int.from_bytes(raw[1:3], "little") * 0.005, 3), "taken": read_time(raw[3:10])}


def pressure(raw: bytes) -> dict[str, float]:
    assert raw[0] == 0x06
    return {
        "systolic": read_sfloat(raw[1:3]),
        "diastolic": read_sfloat(raw[3:5]),
        "taken": read_time(raw[7:14]),
        "pulse": read_sfloat(raw[14:16]),
    }


def temperature(raw: bytes) -> dict[str, float]:
    assert raw[0] == 0x06
    mantissa, exponent = int.from_bytes(raw[1:4], "little", signed=True), struct.unpack("b", raw[4:5])[0]
    return {"temperature": round(mantissa * 10.0**exponent, 1), "taken": read_time(raw[5:12])}


def pulse(raw: bytes) -> dict[str, float]:
    assert raw[0] == 0x00
    return {"pulse": raw[1]}


def steps(raw: bytes) -> dict[str, float]:
    header, flags, _session, _sub, _when, number = struct.unpack("<BBHHII", raw[:14])
    assert (header, flags, len(raw)) == (0x03, 0x09, 20)
    return {
        "number": number,
        "steps": int.from_bytes(raw[14:17], "little"),
        "distance": int.from_bytes(raw[17:20], "little"),
    }


@pytest.mark.parametrize(
    ("model", "uuid", "decode"),
    [
        ("body", "2a9d", weight),
        ("body-plus", "2a9d", weight),
        ("bpm-connect", "2a35", pressure),
        ("thermo", "2a1c", temperature),
        ("sleep", "2a37", pulse),
        ("pulse-hr", "2a37", pulse),
        ("pulse-hr", "2b40", steps),
        ("move", "2b40", steps),
    ],
)
async def test_a_subscriber_gets_a_measurement(
    lab: LabProcess, client: Client, model: str, uuid: str, decode: Callable[[bytes], dict[str, float]]
) -> None:
    link = await client.connect(lab.address(model))
    await link.subscribe(uuid)
    _, raw = await link.next()
    told = decode(raw)
    last = (await lab.device(model))["last_measurement"]
    assert told == {key: last[key] for key in told}


async def test_the_values_are_the_same_in_every_run(lab: LabProcess) -> None:
    address = lab.address("bpm-connect")

    async def two() -> list[dict[str, Any]]:
        values = [(await lab.measure(address))["last_measurement"] for _ in range(2)]
        return [{key: value for key, value in one.items() if key != "taken"} for one in values]

    first = await two()
    await lab.reset()
    assert await two() == first
    assert first[0] != first[1]


async def test_what_was_measured_without_a_client_is_kept_and_told_in_order(lab: LabProcess, client: Client) -> None:
    address = lab.address("move")
    for _ in range(3):
        await lab.measure(address)
    link = await client.connect(address)
    await link.subscribe("2b40")
    assert [steps((await link.next())[1])["number"] for _ in range(3)] == [1, 2, 3]
    await lab.until(lambda d: d["kept"] == 0, address)


async def test_a_measurement_that_was_not_confirmed_is_told_again(lab: LabProcess, client: Client) -> None:
    address = lab.address("move")
    await lab.measure(address)
    await lab.faults(address, drop={"on": "measurement"})
    link = await client.connect(address)
    await link.subscribe("2b40")
    assert await link.end() == 0x08
    link = await client.connect(address)
    await link.subscribe("2b40")
    assert steps((await link.next())[1])["number"] == 1


async def test_a_measurement_taken_while_a_client_listens_is_told_at_once(lab: LabProcess, client: Client) -> None:
    link = await client.connect(lab.address("move"))
    await link.subscribe("2b40")
    await link.next()
    await lab.measure(lab.address("move"))
    assert steps((await link.next())[1])["number"] == 2


@pytest.mark.parametrize("kind", ["truncated", "oversized", "checksum"])
async def test_a_garbage_measurement_and_then_a_good_one(lab: LabProcess, client: Client, kind: str) -> None:
    address = lab.address("body")
    await lab.faults(address, garbage={"kind": kind, "on": "measurement"})
    link = await client.connect(address)
    await link.subscribe("2a9d")
    _, raw = await link.next()
    assert len(raw) != 10 or raw[0] != 0x02
    await lab.measure(address)
    assert weight((await link.next())[1])["weight"] > 0


async def test_information_and_battery_can_be_read(lab: LabProcess, client: Client) -> None:
    link = await client.connect(lab.address("body-plus"))
    assert await link.read("2a19") == bytes((87,))
    assert b"emulated" in await link.read("2a29")
    assert await link.read("2a9e") == struct.pack("<I", 0x01BD)


def test_number_formats() -> None:
    # IEEE 11073-20601: 36.4 is mantissa 364, exponent -1; SFLOAT 0x07FF would be "not a number".
    assert float32(364, -1) == bytes.fromhex("6c0100ff")
    assert sfloat(120) == bytes.fromhex("7800")
    assert sfloat(-5, -1) == bytes.fromhex("fbff")
    assert date_time(int(time.mktime((2026, 11, 23, 9, 8, 7, 0, 0, -1)))) == bytes.fromhex("ea070b17090807")


# The cloud. In public mode a device comes onto the account by itself once it was heard of.

# All units speak Improv here, so that one small client can bring each of them onto Wi-Fi.
IMPROV = "\n".join(line for line in fast_scenario().splitlines() if not line.startswith("espressif = "))
PUBLIC = IMPROV.replace('mode = "contract"', 'mode = "public"\nassociate_after = 0.05')


def delivered(state: dict[str, Any]) -> int:
    return int(state["cloud"]["accounts"][0]["measurements"])


async def test_a_device_with_wifi_delivers_its_first_measurement_by_itself(
    lab_factory: Callable[[str], LabProcess],
) -> None:
    lab = lab_factory(PUBLIC)
    for number, model in enumerate(("body-plus", "bpm-connect", "thermo", "sleep")):
        async with attached(lab.transport) as client:
            link = await client.connect(lab.address(model))
            await lab.press(lab.address(model))
            await lab.until(lambda d: d["state"] == "authorized", model)
            await provision(await ready(link), HOME, PASSPHRASE)
        await lab.until(lambda state, wanted=2 * number + 1: delivered(state) == wanted)
        device = await lab.device(model)
        assert (device["online"], device["linked"], device["measurements"]) == (True, True, 1)
        await lab.measure(device["address"])
        assert delivered(await lab.state()) == 2 * number + 2
        await lab.factory_reset(device["address"])
        device = await lab.device(model)
        assert (device["joined"], device["linked"], device["measurements"]) == (None, False, 0)


async def test_nothing_is_delivered_while_the_network_or_the_cloud_is_down(
    lab_factory: Callable[[str], LabProcess],
) -> None:
    lab = lab_factory(PUBLIC)
    address = lab.address("body-plus")
    async with attached(lab.transport) as client:
        await provision(await ready(await client.connect(address)), HOME, PASSPHRASE)
    await lab.until(delivered)
    await lab.network(HOME, False)
    assert (await lab.measure(address))["kept"] == 1
    assert not (await lab.device(address))["online"]
    await lab.network(HOME, True)
    await lab.until(lambda state: delivered(state) == 2)
    await lab.control_cloud(down=True)
    assert (await lab.measure(address))["kept"] == 1
    await lab.control_cloud(down=False)
    await lab.until(lambda state: delivered(state) == 3)


async def test_a_watch_is_met_by_whoever_takes_its_data(lab_factory: Callable[[str], LabProcess]) -> None:
    lab = lab_factory(PUBLIC)
    async with attached(lab.transport) as client:
        link = await client.connect(lab.address("move"))
        assert not (await lab.device("move"))["linked"]
        await link.subscribe("2b40")
        await lab.until(lambda d: d["linked"], "move")


async def test_a_device_with_wifi_measures_on_its_schedule_and_sends(lab_factory: Callable[[str], LabProcess]) -> None:
    lab = lab_factory(PUBLIC.replace("measure_every = 0 ", "measure_every = 0.05 "))
    address = lab.address("body-plus")
    async with attached(lab.transport) as client:
        await provision(await ready(await client.connect(address)), HOME, PASSPHRASE)
    # What it had measured before anybody set it up was kept, and comes as well.
    state = await lab.until(lambda state: delivered(state) >= 5)
    measured = await lab.measurements(address)
    assert len(measured) >= 5
    assert [one["number"] for one in measured] == list(range(1, len(measured) + 1))
    assert state["devices"]


async def test_a_watch_measures_while_nobody_is_there(
    lab_factory: Callable[[str], LabProcess],
) -> None:
    lab = lab_factory(IMPROV.replace("measure_every = 0 ", "measure_every = 0.05 "))
    address = lab.address("move")
    await lab.until(lambda d: d["kept"] >= 4, "move")
    async with attached(lab.transport) as client:
        link = await client.connect(address)
        await link.subscribe("2b40")
        numbers = [steps((await link.next())[1])["number"] for _ in range(6)]
    # In order, from the first one on, and those that were measured meanwhile.
    assert numbers == [1, 2, 3, 4, 5, 6]


async def test_nobody_uses_a_device_because_somebody_listens(lab_factory: Callable[[str], LabProcess]) -> None:
    lab = lab_factory(IMPROV.replace("measure_after = 0.02 ", 'measure_after = "never" '))
    address = lab.address("move")
    async with attached(lab.transport) as client:
        link = await client.connect(address)
        await link.subscribe("2b40")
        assert (await lab.device(address))["measurements"] == 0
        await lab.measure(address)
        assert steps((await link.next())[1])["number"] == 1


async def test_who_measures(lab_factory: Callable[[str], LabProcess]) -> None:
    lab = lab_factory(IMPROV.replace('name = "Body 1A"', 'name = "Body 1A"\nusers = 3\nunit = "lb"'))
    address = lab.address("body")
    for user in (None, None, 3, 3):
        await lab.measure(address, user)
    measured = await lab.measurements(address)
    assert [one["user"] for one in measured] == [1, 2, 3, 3]
    first, second, *third = (one["weight"] for one in measured)
    # Everybody has a weight of their own.
    assert abs(third[0] - third[1]) < 2 < min(abs(first - second), abs(second - third[0]), abs(first - third[0]))
    assert measured[3]["text"].endswith(" lb (user 3)")
    for nobody in (0, 4):
        with pytest.raises(AssertionError, match="the users 1 to 3"):
            await lab.measure(address, nobody)
    with pytest.raises(AssertionError, match="measures nothing"):
        await lab.measure(lab.address("generic"))


async def test_a_measurement_told_twice_at_once_is_confirmed_one_by_one(lab: LabProcess, client: Client) -> None:
    """Two profiles at the same time: a device may have one unconfirmed indication, and keeps what was not confirmed."""
    address = lab.address("body-plus")
    for _ in range(3):
        await lab.measure(address)
    link = await client.connect(address)
    await link.subscribe("2a9d")
    await link.subscribe("2a9c")
    told = [(await link.next())[1] for _ in range(6)]
    assert sorted(len(raw) for raw in told) == [10] * 3 + [21] * 3
    await lab.until(lambda d: d["kept"] == 0, address)


@pytest.mark.parametrize(
    ("model", "more", "words"),
    [
        ("thermo", 'unit = "kg"', "unit of this model: °C, °F"),
        ("move", 'unit = "kg"', "unit of this model: none"),
        ("body", "stored = 300", "stored is more than memory"),
        ("body", "users = 0", "users"),
    ],
)
def test_scenarios_that_cannot_be(model: str, more: str, words: str) -> None:
    text = f'version = 1\n[[device]]\nmodel = "{model}"\naddress = "00:24:E4:00:00:01"\n{more}\n'
    with pytest.raises(InstallerError) as caught:
        parse(text, "mine.toml")
    assert words in caught.value.what
