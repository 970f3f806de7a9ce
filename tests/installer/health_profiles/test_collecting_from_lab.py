"""What a collector does beside listening: hang-ups, the clock, stored records, consent, against the lab's devices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from pydantic import SecretStr

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.open_adapter import open_adapter
from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.health_profiles import reader, record_access
from installer.health_profiles.arrived_measurements import CollectedMeasurement
from installer.health_profiles.device_clock import ClockChange
from installer.health_profiles.reader import CollectOptions, collect, offered_profiles, take_measurement
from installer.health_profiles.user_consent import Consent
from installer.measurement import Quantity
from tests.installer.bluetooth.bench import connected
from tests.installer.lab.lab_process import LabProcess

DAY = 86_400
# Little else to discover.
BARE = "improv = false\nvendor_service = false\ninformation = false\nbattery = false\n"
DEVICES = {
    "scale that hangs up": ("body", "stored = 3\nreading = { hangs_up = 0.05 }"),
    "empty scale that hangs up": ("body", "reading = { hangs_up = 0.05 }"),
    "short packets": ("body-plus", "stored = 2\nmtu = 23\nreading = { hangs_up = 0.05 }"),
    "slow clock": ("body", f'stored = 2\nclock = {-DAY}\nreading = {{ clock = "settable" }}'),
    "fast clock": ("body", f'stored = 2\nclock = {DAY}\nreading = {{ clock = "settable", date_time = true }}'),
    "refuses": ("body", f'stored = 2\nclock = {-DAY}\nreading = {{ clock = "refuses" }}'),
    "ignores": ("body", f'stored = 2\nclock = {-DAY}\nreading = {{ clock = "ignores" }}'),
    "erases": ("body", f'stored = 2\nclock = {-DAY}\nreading = {{ clock = "erases" }}'),
    "wants the time": (
        "body",
        "tells_time = false\nstored = 2\n"
        'reading = { clock = "settable", date_time = true, wants_time = true, hangs_up = 0.05 }',
    ),
    **{
        records: ("bpm-connect", f'stored = 3\nclock = {-DAY}\nreading = {{ records = "{records}", hangs_up = 0.1 }}')
        for records in ("kept", "uncounted", "all-only", "busy", "silent")
    },
    "no records": ("bpm-connect", 'reading = { records = "kept", hangs_up = 0.1 }'),
    "consent": ("body", "stored = 4\nusers = 2\nreading = { consents = { 1 = 17, 2 = 4711 }, hangs_up = 1.0 }"),
}
ADDRESSES = {name: f"00:24:E4:00:01:{number:02X}" for number, name in enumerate(DEVICES)}


def world() -> str:
    text = "version = 1\n[radio]\nadvertising_interval = 0.02\nsupervision_timeout = 0.05\n"
    text += '[timing]\nmeasure_after = "never"\n'
    for name, (model, more) in DEVICES.items():
        text += f'[[device]]\nmodel = "{model}"\naddress = "{ADDRESSES[name]}"\n{BARE}{more}\n'
    return text


@pytest.fixture(scope="module")
def _own_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    with LabProcess(tmp_path_factory.mktemp("collecting"), world()) as lab:
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
    adapter: Adapter, name: str, into: list[CollectedMeasurement] | None = None, **options: Any
) -> list[CollectedMeasurement]:
    """All that the device tells. It ends by a hang-up or, where the device does not hang up, by silence."""
    quiet = 20.0 if "hangs_up" in DEVICES[name][1] else 0.3
    found = [] if into is None else into
    async with await connected(adapter, ADDRESSES[name]) as connection:
        async for one in collect(connection, offered_profiles(connection), quiet, options=CollectOptions(**options)):
            found.append(one)
    return found


async def refused(adapter: Adapter, name: str, **options: Any) -> InstallerError:
    with pytest.raises(InstallerError) as caught:
        await visit(adapter, name, **options)
    return caught.value


def taken(found: list[CollectedMeasurement]) -> list[int | None]:
    times = [one.measurement.taken for one in found]
    return [None if time is None else int(time.timestamp()) for time in times]


async def true_times(lab: LabProcess, name: str) -> list[int]:
    return [one["taken"] for one in await lab.measurements(ADDRESSES[name])]


# Hang-ups.


async def test_the_end_by_the_device_is_the_normal_end(lab: LabProcess, adapter: Adapter) -> None:
    assert len(await visit(adapter, "scale that hangs up")) == 3
    # It has told all; that it then has nothing to tell is no failure either.
    assert await visit(adapter, "scale that hangs up") == []


async def test_a_device_that_tells_nothing_and_hangs_up_has_nothing(lab: LabProcess, adapter: Adapter) -> None:
    assert await visit(adapter, "empty scale that hangs up") == []
    # For an installation, that is no measurement; it is said who ended the connection.
    async with await connected(adapter, ADDRESSES["empty scale that hangs up"]) as connection:
        with pytest.raises(InstallerError) as caught:
            await take_measurement(connection, Profile.WEIGHT, 20)
    assert caught.value.code is ErrorCode.MEASUREMENT_FAILED
    assert "ended the connection" in caught.value.what


async def test_one_measurement_and_then_a_hang_up_prove_that_data_flow(lab: LabProcess, adapter: Adapter) -> None:
    async with await connected(adapter, ADDRESSES["scale that hangs up"]) as connection:
        assert (await take_measurement(connection, Profile.WEIGHT, 20)).readings[0].quantity is Quantity.WEIGHT


async def test_a_hang_up_before_all_was_asked_for_is_a_failure(lab: LabProcess, adapter: Adapter) -> None:
    await lab.faults(ADDRESSES["short packets"], drop={"on": "message", "number": 5, "by_device": True})
    assert (await refused(adapter, "short packets")).code is ErrorCode.CONNECTION_LOST


async def test_whatever_message_the_device_hangs_up_at_nothing_is_lost_and_no_half_is_taken_for_the_whole(
    lab: LabProcess, adapter: Adapter
) -> None:
    of = ADDRESSES["short packets"]
    outcomes: set[ErrorCode | None] = set()
    for number in range(7, 17):
        await lab.reset()
        await lab.faults(of, drop={"on": "message", "number": number, "by_device": True})
        found: list[CollectedMeasurement] = []
        try:
            await visit(adapter, "short packets", found)
        except InstallerError as error:
            outcomes.add(error.code)
        else:
            outcomes.add(None)
            # What was not a failure is whole: a body composition has six readings.
            assert {len(one.measurement.readings) for one in found} <= {1, 6}
        await visit(adapter, "short packets", found)
        assert len({one.raw for one in found if len(one.measurement.readings) in (1, 6)}) == 4
    assert outcomes == {None, ErrorCode.CONNECTION_LOST}


async def test_a_link_that_is_lost_is_a_failure_where_the_system_tells_the_difference(
    lab: LabProcess, adapter: Adapter
) -> None:
    # The link is lost at the last confirmation: there may have been more to tell.
    await lab.faults(ADDRESSES["scale that hangs up"], drop={"on": "message", "number": 10})
    assert (await refused(adapter, "scale that hangs up")).code is ErrorCode.CONNECTION_LOST


# The clock.


@pytest.mark.parametrize("name", ["slow clock", "fast clock", "refuses", "ignores"])
async def test_the_clock_is_set_and_every_time_is_right(lab: LabProcess, adapter: Adapter, name: str) -> None:
    changes: list[ClockChange] = []
    found = await visit(adapter, name, on_clock_set=changes.append)
    assert len(found) == 2
    assert taken(found) == pytest.approx(await true_times(lab, name), abs=2)
    set_by_us = name.endswith("clock")
    assert len(changes) == set_by_us
    assert abs((await lab.device(ADDRESSES[name]))["clock"]) < 3 or not set_by_us
    # From now on its clock is right.
    await lab.measure(ADDRESSES[name])
    (later,) = await visit(adapter, name)
    assert taken([later]) == pytest.approx((await true_times(lab, name))[2:], abs=2)


@pytest.mark.parametrize("name", ["slow clock", "fast clock"])
async def test_what_was_measured_before_the_clock_was_set_keeps_its_time_at_a_later_visit(
    lab: LabProcess, adapter: Adapter, name: str
) -> None:
    await lab.faults(ADDRESSES[name], silent={"on": "measurement"})
    changes: list[ClockChange] = []
    assert await visit(adapter, name, on_clock_set=changes.append) == []
    await lab.measure(ADDRESSES[name])
    found = await visit(adapter, name, clock_change=changes[0])
    assert taken(found) == pytest.approx(await true_times(lab, name), abs=2)


async def test_a_device_whose_clock_must_not_be_set(lab: LabProcess, adapter: Adapter) -> None:
    assert len(await visit(adapter, "erases", set_time=False)) == 2
    await lab.reset()
    assert await visit(adapter, "erases") == []


async def test_a_device_that_tells_nothing_before_it_has_the_time(lab: LabProcess, adapter: Adapter) -> None:
    assert await visit(adapter, "wants the time", set_time=False) == []
    assert len(await visit(adapter, "wants the time")) == 2


# Stored records.


@pytest.mark.parametrize("name", ["kept", "uncounted", "all-only"])
async def test_stored_records_are_asked_for_and_never_deleted(lab: LabProcess, adapter: Adapter, name: str) -> None:
    found = await visit(adapter, name)
    assert [one.measurement.sequence for one in found] == [1, 2, 3]
    assert taken(found) == pytest.approx(await true_times(lab, name), abs=2)
    measured = await lab.measurements(ADDRESSES[name])
    for one, true in zip(found, measured, strict=True):
        values = {reading.quantity: float(reading.value) for reading in one.measurement.readings}
        assert [values[q] for q in (Quantity.SYSTOLIC, Quantity.DIASTOLIC, Quantity.PULSE)] == [
            true[value] for value in ("systolic", "diastolic", "pulse")
        ]
    await lab.measure(ADDRESSES[name])
    later = [one.measurement.sequence for one in await visit(adapter, name, last_record=3)]
    assert later == ([1, 2, 3, 4] if name == "all-only" else [3, 4])
    # A number that the device does not know: its memory was emptied, and it counts anew.
    assert len(await visit(adapter, name, last_record=900)) == 4
    state = await lab.device(ADDRESSES[name])
    assert (state["records"], state["records_deleted"]) == (4, 0)


async def test_an_empty_memory_is_no_failure(lab: LabProcess, adapter: Adapter) -> None:
    assert await visit(adapter, "no records") == []


async def test_a_device_that_is_busy_or_falls_silent_is_told(
    lab: LabProcess, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = await refused(adapter, "busy")
    assert (error.code, error.data["response_code"]) == (ErrorCode.DEVICE_REFUSED, 0x0A)
    monkeypatch.setattr(record_access, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(reader, "MAX_VISIT_SECONDS", 5.0)
    assert (await refused(adapter, "silent")).code is ErrorCode.DEVICE_MISBEHAVED


async def test_a_hang_up_within_the_procedure_is_a_failure(lab: LabProcess, adapter: Adapter) -> None:
    await lab.faults(ADDRESSES["kept"], drop={"on": "measurement", "by_device": True})
    assert (await refused(adapter, "kept")).code is ErrorCode.CONNECTION_LOST
    assert len(await visit(adapter, "kept")) == 3


# Consent.


def consent(user: int, code: str) -> Consent:
    return Consent(user, SecretStr(code))


async def test_a_user_gives_consent_and_gets_what_is_hers(lab: LabProcess, adapter: Adapter) -> None:
    found = await visit(adapter, "consent", consent=consent(2, "4711"))
    assert [one.measurement.user for one in found] == [2, 2]
    assert [one.measurement.user for one in await visit(adapter, "consent", consent=consent(1, "0017"))] == [1, 1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (consent(2, "4712"), "user 2: the consent code is wrong"),
        (consent(3, "4711"), "user 3: it has no such user"),
        (consent(2, "12345"), "a number from 0 to 9999"),
        (None, "only with a user's consent"),
    ],
)
async def test_a_consent_that_is_not_taken_is_told_without_the_code(
    lab: LabProcess, adapter: Adapter, given: Consent | None, words: str
) -> None:
    error = await refused(adapter, "consent", consent=given, consent_needed=True)
    assert error.code in (ErrorCode.MEASUREMENT_FAILED, ErrorCode.SECRET_UNAVAILABLE)
    assert words in error.what
    assert given is None or given.code.get_secret_value() not in f"{error} {error.data} {given!r}"
    with suppress(InstallerError):
        assert await visit(adapter, "consent") == []
