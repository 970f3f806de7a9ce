"""A device's store emptied through the real stack: profiles, units, users, lost links, wrong clocks, short packets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.open_adapter import open_adapter
from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.health_profiles.reader import CollectedMeasurement, collect, offered_profiles
from installer.measurement import Quantity
from tests.installer.bluetooth.bench import connected
from tests.installer.lab.lab_process import LabProcess

QUIET = 0.2
HOUR = 3600
START = """
version = 1
[radio]
advertising_interval = 0.02
supervision_timeout = 0.05
[timing]
measure_after = "never"
"""
# What the lab calls it, what it is here, and its unit as it comes.
NAMES = {
    "weight": (Quantity.WEIGHT, "kg"),
    "fat_ratio": (Quantity.FAT_RATIO, "%"),
    "muscle_mass": (Quantity.MUSCLE_MASS, "kg"),
    "fat_free_mass": (Quantity.FAT_FREE_MASS, "kg"),
    "water_mass": (Quantity.WATER_MASS, "kg"),
    "impedance": (Quantity.IMPEDANCE, "ohm"),
    "basal": (Quantity.BASAL_METABOLISM, "kJ"),
    "systolic": (Quantity.SYSTOLIC, "mmHg"),
    "diastolic": (Quantity.DIASTOLIC, "mmHg"),
    "pulse": (Quantity.PULSE, "1/min"),
    "temperature": (Quantity.TEMPERATURE, "°C"),
    "steps": (Quantity.STEPS, "steps"),
    "distance": (Quantity.DISTANCE, "m"),
}
KINDS = [
    ("body", "", ["weight"], 1),
    ("body", "lb", ["weight"], 3),
    ("body-plus", "", ["weight", "body-composition"], 1),
    ("body-plus", "kg", ["weight", "body-composition"], 2),
    ("body-plus", "lb", ["weight", "body-composition"], 2),
    ("bpm-connect", "", ["blood-pressure"], 2),
    ("bpm-connect", "kPa", ["blood-pressure"], 1),
    ("thermo", "", ["temperature"], 1),
    ("thermo", "°F", ["temperature"], 2),
    ("sleep", "", ["heart-rate"], 1),
    ("move", "", ["steps"], 1),
    ("pulse-hr", "", ["heart-rate", "steps"], 1),
]


def address(number: int) -> str:
    return f"00:24:E4:00:00:{number:02X}"


def device(number: int, model: str, more: str = "", stored: int = 3) -> str:
    return f'[[device]]\nmodel = "{model}"\naddress = "{address(number)}"\nstored = {stored}\n{more}\n'


def world() -> str:
    text = START
    for number, (model, unit, _, users) in enumerate(KINDS):
        text += device(number, model, f"users = {users}\n" + (f'unit = "{unit}"' if unit else ""))
    text += device(0x40, "body", "clock = -86400")
    text += device(0x41, "body", "clock = 500_000_000\ntells_time = false")
    text += device(0x42, "body-plus", "mtu = 23\nusers = 2")
    text += device(0x43, "body", "memory = 4")
    text += device(0x46, "body", "height = 1.8\nusers = 2", stored=1)
    text += device(0x47, "body", 'height = 1.8\nunit = "lb"', stored=1)
    # Little else to discover, for these are visited many times.
    bare = "improv = false\nvendor_service = false\ninformation = false\nbattery = false\n"
    text += device(0x44, "body-plus", bare + "mtu = 23", stored=2)
    text += device(0x45, "body-plus", bare, stored=2)
    return text


@pytest.fixture(scope="module")
def _own_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    with LabProcess(tmp_path_factory.mktemp("stores"), world()) as lab:
        yield lab


@pytest.fixture
def lab(_own_lab: LabProcess) -> LabProcess:
    _own_lab.call_now("POST", "/lab/reset")
    return _own_lab


@pytest.fixture
async def adapter(lab: LabProcess) -> AsyncIterator[Adapter]:
    async with await open_adapter(lab.adapter) as made:
        yield made


async def visit(
    adapter: Adapter, of: str, into: list[CollectedMeasurement] | None = None
) -> list[CollectedMeasurement]:
    """All that the device has, as a gateway takes it. What was had before a failure is in `into`."""
    found = [] if into is None else into
    async with await connected(adapter, of) as connection:
        async for one in collect(connection, offered_profiles(connection), QUIET):
            found.append(one)
    return found


def told(found: list[CollectedMeasurement]) -> dict[str, list[dict[Quantity, tuple[float, str]]]]:
    by_profile: dict[str, list[dict[Quantity, tuple[float, str]]]] = {}
    for one in found:
        values = {r.quantity: (float(r.value), r.unit) for r in one.measurement.readings}
        by_profile.setdefault(one.profile.value, []).append(values)
    return by_profile


def in_unit(name: str, value: float, unit: str) -> tuple[float, str]:
    """What the lab holds in kg, °C and mmHg, in the unit of the device."""
    if unit == "lb" and name.endswith(("weight", "mass")):
        return value / 0.45359237, "lb"
    if unit == "°F":
        return value * 9 / 5 + 32, "°F"
    if unit == "kPa" and name.endswith("stolic"):
        return value * 0.133322387415, "kPa"
    return value, NAMES[name][1]


@pytest.mark.parametrize("number", range(len(KINDS)), ids=[f"{m}-{u or 'as it comes'}" for m, u, _, _ in KINDS])
async def test_all_that_a_device_has_stored(lab: LabProcess, adapter: Adapter, number: int) -> None:
    _, unit, profiles, users = KINDS[number]
    await lab.measure(address(number), user=users)
    measured = await lab.measurements(address(number))
    assert len(measured) == 4
    found = await visit(adapter, address(number))
    by_profile = told(found)
    assert sorted(by_profile) == sorted(profiles)
    for profile, all_values in by_profile.items():
        assert len(all_values) == len(measured), profile
        for values, true in zip(all_values, measured, strict=True):
            expected = {NAMES[name][0]: in_unit(name, value, unit) for name, value in true.items() if name in NAMES}
            for quantity, (value, its_unit) in values.items():
                if quantity is not Quantity.MEAN_PRESSURE:
                    assert its_unit == expected[quantity][1]
                    assert value == pytest.approx(expected[quantity][0], abs=0.0051)
    dated = [one for one in found if one.profile not in (Profile.HEART_RATE, Profile.STEPS)]
    for one in dated:
        assert one.measurement.taken is not None
        assert int(one.measurement.taken.timestamp()) in [true["taken"] for true in measured]
    with_user = [one for one in dated if one.profile is not Profile.TEMPERATURE]
    turns = [*[n % users + 1 for n in range(3)], users]
    assert [one.measurement.user for one in with_user if one.profile is with_user[0].profile] == (
        turns if users > 1 else [None] * 4
    )[: len(with_user)]
    # All was confirmed, so nothing is told twice.
    assert await visit(adapter, address(number)) == []


# Two measurements by two profiles, each an indication and a confirmation (in short packets a body composition is two of
# each), with what it takes to read the clock and to subscribe: at most 22 messages.
@pytest.mark.parametrize("start", range(1, 24, 4))
@pytest.mark.parametrize("of", [address(0x45), address(0x44)], ids=["one packet", "two packets"])
async def test_whichever_message_a_link_is_lost_at_nothing_is_lost(
    lab: LabProcess, adapter: Adapter, of: str, start: int
) -> None:
    for number in range(start, start + 4):
        await lab.reset()
        measured = await lab.measurements(of)
        await lab.faults(of, drop={"on": "message", "number": number})
        found: list[CollectedMeasurement] = []
        try:
            await visit(adapter, of, found)
        except InstallerError as error:
            why: ErrorCode | None = error.code
            await visit(adapter, of, found)
        else:
            why = None
        assert why in (None, ErrorCode.CONNECTION_LOST)
        for profile in (Profile.WEIGHT, Profile.BODY_COMPOSITION):
            raws = [one.raw for one in found if one.profile is profile]
            # In order; and only the one whose confirmation got lost comes again, byte for byte the same.
            assert len(set(raws)) == len(measured)
            assert len(raws) <= len(measured) + 1
            assert raws == sorted(raws, key=list(dict.fromkeys(raws)).index)
        weights = {float(one.measurement.readings[0].value) for one in found if one.profile is Profile.WEIGHT}
        assert sorted(weights) == pytest.approx(sorted(true["weight"] for true in measured))
        assert {len(one.measurement.readings) for one in found} == {1, 6}


async def test_the_last_of_these_messages_are_reached(lab: LabProcess, adapter: Adapter) -> None:
    for of, number in ((address(0x45), 15), (address(0x44), 19)):
        await lab.faults(of, drop={"on": "message", "number": number})
        with pytest.raises(InstallerError):
            await visit(adapter, of)
        await visit(adapter, of)


async def test_what_was_not_confirmed_comes_again(lab: LabProcess, adapter: Adapter) -> None:
    of = address(0)
    kept = (await lab.device(of))["kept"]
    # Reading the clock and subscribing are four messages; the sixth is the first confirmation.
    await lab.faults(of, drop={"on": "message", "number": 6})
    found: list[CollectedMeasurement] = []
    with pytest.raises(InstallerError):
        await visit(adapter, of, found)
    assert len(found) == 1
    assert (await lab.device(of))["kept"] == kept
    again = await visit(adapter, of)
    assert again[0].raw == found[0].raw
    assert len(again) == kept


async def test_a_clock_that_is_a_day_slow(lab: LabProcess, adapter: Adapter) -> None:
    measured = await lab.measurements(address(0x40))
    found = [one.measurement for one in await visit(adapter, address(0x40))]
    for one, true in zip(found, measured, strict=True):
        assert one.taken is not None
        assert one.device_time is not None
        assert one.taken.timestamp() == pytest.approx(true["taken"], abs=2)
        day_before = datetime.fromtimestamp(true["taken"] - 24 * HOUR)
        assert one.device_time == day_before
        assert one.received is not None
        assert abs(datetime.now(UTC) - one.received).total_seconds() < 60


async def test_a_clock_that_is_years_ahead_and_cannot_be_asked(lab: LabProcess, adapter: Adapter) -> None:
    for one in await visit(adapter, address(0x41)):
        assert one.measurement.taken is None
        assert one.measurement.device_time is not None
        assert one.measurement.received is not None


async def test_short_packets_split_a_body_composition(lab: LabProcess, adapter: Adapter) -> None:
    measured = await lab.measurements(address(0x42))
    found = [one for one in await visit(adapter, address(0x42)) if one.profile is Profile.BODY_COMPOSITION]
    assert [len(one.raw) > 20 for one in found] == [True] * 3
    for one, true in zip(found, measured, strict=True):
        values = {r.quantity: float(r.value) for r in one.measurement.readings}
        assert values == pytest.approx(
            {NAMES[name][0]: true[name] for name in NAMES if name in true and name != "weight"}, abs=0.0051
        )
        assert one.measurement.user == true["user"]


async def test_each_packet_is_kept_before_the_device_may_forget_it(lab: LabProcess, adapter: Adapter) -> None:
    of = address(0x44)
    kept: list[CollectedMeasurement] = []
    # Clock and subscription are four messages; the seventh is the second packet, which never comes.
    await lab.faults(of, drop={"on": "message", "number": 7})
    async with await connected(adapter, of) as connection:
        with pytest.raises(InstallerError):
            await anext(collect(connection, [Profile.BODY_COMPOSITION], QUIET, keep=kept.append))
    (half,) = kept
    assert half.measurement.taken is not None
    async with await connected(adapter, of) as connection:
        found = [one async for one in collect(connection, [Profile.BODY_COMPOSITION], QUIET, keep=kept.append)]
    # The first packet comes again, byte for byte the same; what the second one adds is kept beside it.
    assert [one.raw for one in kept[:2]] == [half.raw, half.raw]
    assert kept[2].raw == found[0].raw
    assert len(kept) == 1 + 2 * len(found) == 5
    assert half.measurement.readings + kept[2].measurement.readings == found[0].measurement.readings


@pytest.mark.parametrize(("of", "height"), [(address(0x46), (1.8, "m")), (address(0x47), (70.9, "in"))])
async def test_a_scale_that_was_told_a_height(
    lab: LabProcess, adapter: Adapter, of: str, height: tuple[float, str]
) -> None:
    (true,) = await lab.measurements(of)
    ((values,),) = told(await visit(adapter, of)).values()
    assert values[Quantity.HEIGHT] == (pytest.approx(height[0]), height[1])
    assert values[Quantity.BODY_MASS_INDEX][0] == pytest.approx(true["weight"] / 1.8**2, abs=0.051)


async def test_a_full_memory_loses_the_oldest(lab: LabProcess, adapter: Adapter) -> None:
    of = address(0x43)
    for _ in range(3):
        state = await lab.measure(of)
    assert (state["kept"], state["lost"], state["measurements"]) == (4, 2, 6)
    measured = await lab.measurements(of)
    found = told(await visit(adapter, of))["weight"]
    assert [one[Quantity.WEIGHT][0] for one in found] == pytest.approx([true["weight"] for true in measured[2:]])


async def test_one_that_is_measured_during_a_visit_comes_with_it(lab: LabProcess, adapter: Adapter) -> None:
    of = address(0)
    found: list[CollectedMeasurement] = []
    async with await connected(adapter, of) as connection, asyncio.timeout(10):
        async for one in collect(connection, [Profile.WEIGHT], 1.0):
            found.append(one)
            if len(found) == 3:
                await lab.measure(of)
            if len(found) == 4:
                break
    assert len({one.raw for one in found}) == 4
