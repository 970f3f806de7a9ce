"""Our codec beside bluetooth-sig, another project's: where both agree, and where that package breaks the SIG's layouts.

It is a development dependency alone. The values on the right of each fault are worked out by hand from the GATT
Specification Supplement and IEEE 11073-20601; when a newer version of the package gets one right, its test here fails,
and the fault can be struck off.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from bluetooth_sig.gatt.characteristics.blood_pressure_feature import BloodPressureFeatureCharacteristic
from bluetooth_sig.gatt.characteristics.blood_pressure_measurement import BloodPressureMeasurementCharacteristic
from bluetooth_sig.gatt.characteristics.body_composition_measurement import BodyCompositionMeasurementCharacteristic
from bluetooth_sig.gatt.characteristics.current_time import CurrentTimeCharacteristic
from bluetooth_sig.gatt.characteristics.heart_rate_measurement import HeartRateMeasurementCharacteristic
from bluetooth_sig.gatt.characteristics.step_counter_activity_summary_data import (
    StepCounterActivitySummaryDataCharacteristic,
)
from bluetooth_sig.gatt.characteristics.temperature_measurement import TemperatureMeasurementCharacteristic
from bluetooth_sig.gatt.characteristics.weight_measurement import WeightMeasurementCharacteristic
from bluetooth_sig.gatt.exceptions import CharacteristicParseError
from hypothesis import given
from hypothesis import strategies as st

from installer.catalogue.model import Profile
from installer.health_profiles import characteristics
from installer.health_profiles.blood_pressure import supported_status
from installer.health_profiles.characteristic_fields import CodecError, NoValue
from installer.health_profiles.device_clock import parse_current_time
from installer.measurement import Measurement, Quantity

WEIGHT = WeightMeasurementCharacteristic()
COMPOSITION = BodyCompositionMeasurementCharacteristic()
PRESSURE = BloodPressureMeasurementCharacteristic()
PRESSURE_FEATURE = BloodPressureFeatureCharacteristic()
TEMPERATURE = TemperatureMeasurementCharacteristic()
HEART_RATE = HeartRateMeasurementCharacteristic()
STEPS = StepCounterActivitySummaryDataCharacteristic()
CURRENT_TIME = CurrentTimeCharacteristic()

WHEN = bytes.fromhex("ea070b17120f1e")  # 2026-11-23 18:15:30
SHOWN = datetime(2026, 11, 23, 18, 15, 30)
NO_YEAR = bytes.fromhex("00000b17120f1e")

numbers = st.integers(0, 0xFFFE)
# What the package takes a fat ratio for: at most 100 %.
fat_ratios = st.integers(0, 1000)
# 0xFF, the unknown user, is one of its faults below.
users = st.integers(0, 0xFE)
moments = st.datetimes(datetime(1582, 1, 1), datetime(9999, 12, 31)).map(lambda when: when.replace(microsecond=0))


def theirs(characteristic: Any, data: bytes) -> Any:
    return characteristic.parse_value(bytearray(data))


def ours(profile: Profile, data: bytes) -> Measurement:
    return characteristics.decode(profile, data)


def number(measurement: Measurement, quantity: Quantity) -> float | None:
    return next((float(r.value) for r in measurement.readings if r.quantity is quantity), None)


def date_time(when: datetime) -> bytes:
    return struct.pack("<HBBBBB", when.year, when.month, when.day, when.hour, when.minute, when.second)


# Where both agree.


@given(st.integers(0, 0x0F), numbers, moments, users, st.integers(1, 0xFFFF), st.integers(1, 0xFFFF))
def test_weight(flags: int, weight: int, when: datetime, user: int, index: int, height: int) -> None:
    data = struct.pack("<BH", flags, weight) + date_time(when) * bool(flags & 2) + bytes((user,)) * bool(flags & 4)
    data += struct.pack("<HH", index, height) * bool(flags & 8)
    a, b = ours(Profile.WEIGHT, data), theirs(WEIGHT, data)
    assert number(a, Quantity.WEIGHT) == pytest.approx(b.weight)
    assert a.readings[0].unit == b.weight_unit.value
    assert (a.device_time, a.user) == (b.timestamp, b.user_id)
    assert number(a, Quantity.BODY_MASS_INDEX) == pytest.approx(b.bmi)
    assert number(a, Quantity.HEIGHT) == pytest.approx(b.height)


@given(st.integers(0, 0x0FFF), fat_ratios, moments, users, st.lists(numbers, min_size=9, max_size=9))
def test_body_composition(flags: int, fat: int, when: datetime, user: int, fields: list[int]) -> None:
    data = struct.pack("<HH", flags, fat) + date_time(when) * bool(flags & 2) + bytes((user,)) * bool(flags & 4)
    data += b"".join(struct.pack("<H", fields[bit - 3]) for bit in range(3, 12) if flags & 1 << bit)
    a, b = ours(Profile.BODY_COMPOSITION, data), theirs(COMPOSITION, data)
    assert (a.device_time, a.user) == (b.timestamp, b.user_id)
    for quantity, value in {
        Quantity.FAT_RATIO: b.body_fat_percentage,
        Quantity.BASAL_METABOLISM: b.basal_metabolism,
        Quantity.MUSCLE_RATIO: b.muscle_percentage,
        Quantity.MUSCLE_MASS: b.muscle_mass,
        Quantity.FAT_FREE_MASS: b.fat_free_mass,
        Quantity.SOFT_LEAN_MASS: b.soft_lean_mass,
        Quantity.WATER_MASS: b.body_water_mass,
        Quantity.IMPEDANCE: b.impedance,
        Quantity.WEIGHT: b.weight,
        Quantity.HEIGHT: b.height,
    }.items():
        assert number(a, quantity) == (None if value is None else pytest.approx(value)), quantity


@given(st.booleans(), st.integers(1, 0xFF), st.none() | numbers, st.lists(numbers, max_size=8))
def test_heart_rate(wide: bool, rate: int, energy: int | None, intervals: list[int]) -> None:
    flags = wide | (0x08 if energy is not None else 0) | (0x10 if intervals else 0)
    data = bytes((flags,)) + rate.to_bytes(2 if wide else 1, "little")
    data += b"" if energy is None else struct.pack("<H", energy)
    data += struct.pack(f"<{len(intervals)}H", *intervals)
    a, b = ours(Profile.HEART_RATE, data), theirs(HEART_RATE, data)
    assert number(a, Quantity.PULSE) == b.heart_rate
    assert number(a, Quantity.ENERGY) == b.energy_expended
    assert [float(interval) for interval in a.intervals] == pytest.approx(list(b.rr_intervals))


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFE))
def test_steps_as_far_as_it_reads_them(sequence: int, steps: int) -> None:
    data = struct.pack("<BBHHII", 3, 1, 1, 1, 0, sequence) + steps.to_bytes(3, "little")
    a, b = ours(Profile.STEPS, data), theirs(STEPS, data)
    assert a.sequence == b.sequence_number
    # The counts themselves it leaves unread.
    assert not hasattr(b, "normal_walking_steps")


@given(moments, users, st.integers(0, 0x3F))
def test_what_goes_with_a_blood_pressure(when: datetime, user: int, status: int) -> None:
    data = bytes.fromhex("1a7a0050005e00") + date_time(when) + bytes((user,)) + struct.pack("<H", status)
    a, b = ours(Profile.BLOOD_PRESSURE, data), theirs(PRESSURE, data)
    assert (a.device_time, a.user) == (b.optional_fields.timestamp, b.optional_fields.user_id)
    assert b.optional_fields.measurement_status == status
    assert a.readings[0].unit == b.unit.value


@given(st.integers(0, 0x1F))
def test_what_a_monitor_can_find(features: int) -> None:
    data = struct.pack("<H", features)
    words, b = supported_status(data), theirs(PRESSURE_FEATURE, data)
    assert ("body movement" in words) == b.body_movement_detection_support
    assert ("cuff too loose" in words) == b.cuff_fit_detection_support
    assert ("irregular pulse" in words) == b.irregular_pulse_detection_support
    assert ("pulse too high" in words) == b.pulse_rate_range_detection_support
    assert ("wrong position" in words) == b.measurement_position_detection_support


@given(moments, st.integers(0, 255))
def test_the_clock(when: datetime, fraction: int) -> None:
    data = date_time(when) + bytes((when.isoweekday(), fraction, 0))
    b = theirs(CURRENT_TIME, data)
    assert b.date_time == when
    noon = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    ours = parse_current_time(data, noon).error
    away = noon.astimezone().replace(tzinfo=None) - b.date_time - timedelta(seconds=b.fractions256 / 256)
    assert ours == (away if abs(away) > timedelta(minutes=1) else timedelta())


# Where the package is wrong.


def test_it_misreads_every_sfloat() -> None:
    # Mantissa 122, exponent 0: 122 mmHg. Mantissa 163, exponent -1: 16.3 kPa.
    data = bytes.fromhex("007a0050005e00")
    assert number(ours(Profile.BLOOD_PRESSURE, data), Quantity.SYSTOLIC) == 122
    assert theirs(PRESSURE, data).systolic == pytest.approx(122e-8)
    data = bytes.fromhex("01a3f06bf07ef0")
    assert number(ours(Profile.BLOOD_PRESSURE, data), Quantity.SYSTOLIC) == 16.3
    with pytest.raises(CharacteristicParseError, match="outside valid range"):
        theirs(PRESSURE, data)


def test_it_misreads_every_float() -> None:
    # Mantissa 371, exponent -1: 37.1 °C.
    data = bytes.fromhex("00730100ff")
    assert number(ours(Profile.TEMPERATURE, data), Quantity.TEMPERATURE) == 37.1
    assert theirs(TEMPERATURE, data).temperature == pytest.approx(371e127)


def test_it_takes_a_failed_measurement_for_a_weight() -> None:
    data = bytes.fromhex("00ffff")
    with pytest.raises(NoValue):
        ours(Profile.WEIGHT, data)
    assert theirs(WEIGHT, data).weight == pytest.approx(327.675)


def test_it_refuses_a_time_stamp_of_a_clock_that_was_never_set() -> None:
    data = bytes.fromhex("028638") + NO_YEAR
    assert ours(Profile.WEIGHT, data).device_time is None
    with pytest.raises(CharacteristicParseError, match="year 0"):
        theirs(WEIGHT, data)


def test_it_takes_the_unknown_user_for_number_255() -> None:
    data = bytes.fromhex("048638ff")
    assert ours(Profile.WEIGHT, data).user is None
    assert theirs(WEIGHT, data).user_id == 255


@pytest.mark.parametrize("data", ["0286381234", "0c8638"])
def test_it_lets_announced_fields_be_missing(data: str) -> None:
    with pytest.raises(CodecError):
        ours(Profile.WEIGHT, bytes.fromhex(data))
    assert theirs(WEIGHT, bytes.fromhex(data)).weight == pytest.approx(72.35)


def test_it_refuses_an_analysis_that_failed_and_its_weight_with_it() -> None:
    data = bytes.fromhex("0004ffff983a")
    assert ours(Profile.BODY_COMPOSITION, data).readings[0].value == Decimal(75)
    with pytest.raises(CharacteristicParseError, match="0-100"):
        theirs(COMPOSITION, data)


def test_it_does_not_know_measurements_in_two_packets() -> None:
    first = bytes.fromhex("3e10c800") + WHEN + bytes.fromhex("01401f9001581b")
    assert theirs(COMPOSITION, first).weight is None
    second = bytes.fromhex("c01fc800e02e882c401f8813983ad606")
    joiner = characteristics.MessageJoiner(Profile.BODY_COMPOSITION)
    (whole,) = [one for one in [*joiner.feed(first), *joiner.feed(second)] if one.to_deliver]
    assert number(whole.measurement, Quantity.WEIGHT) == 75


def test_it_leaves_a_pulse_without_contact_to_its_user() -> None:
    for data in ("0448", "0000"):
        with pytest.raises(NoValue):
            ours(Profile.HEART_RATE, bytes.fromhex(data))
    assert theirs(HEART_RATE, bytes.fromhex("0448")).heart_rate == 72
