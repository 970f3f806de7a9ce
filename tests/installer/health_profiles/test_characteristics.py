"""The standard health characteristics: layouts of the SIG, special values, and nothing but CodecError for nonsense."""

from __future__ import annotations

import contextlib
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.catalogue.model import Profile
from installer.health_profiles.characteristic_fields import CodecError
from installer.health_profiles.characteristics import MessageJoiner, decode
from installer.lab.display_units import selectable_units
from installer.lab.health_characteristics import encode
from installer.lab.made_up_measurements import Measurement as LabMeasurement
from installer.lab.made_up_measurements import make_up_measurement
from installer.lab.models import LAB_MODELS, LabModel
from installer.measurement import Quantity
from installer.measurements import units


@pytest.mark.parametrize("profile", list(Profile))
def test_what_is_cut_short_or_too_long_is_refused(profile: Profile) -> None:
    whole = {
        Profile.WEIGHT: "001027",
        Profile.BLOOD_PRESSURE: "007a0050005e00",
        Profile.TEMPERATURE: "00730100ff",
        Profile.HEART_RATE: "0048",
        Profile.STEPS: "0301010001000000000001000000681000",
        Profile.BODY_COMPOSITION: "0000c800",
    }[profile]
    data = bytes.fromhex(whole)
    decode(profile, data)
    for size in range(len(data)):
        with pytest.raises(CodecError):
            decode(profile, data[:size])
    with pytest.raises(CodecError, match="no flag"):
        decode(profile, data + b"\x00")


def test_what_follows_a_flag_without_a_meaning_is_left_alone() -> None:
    assert decode(Profile.WEIGHT, b"\x80\x10\x27more").readings


@given(st.sampled_from(list(Profile)), st.binary(max_size=40))
def test_nonsense_raises_nothing_else(profile: Profile, data: bytes) -> None:
    with contextlib.suppress(CodecError):
        measurement = decode(profile, data)
        assert measurement.readings
        assert all(reading.value.is_finite() for reading in measurement.readings)
        assert str(measurement)


# What the lab makes of body compositions is below.
ENCODED = [profile for profile in Profile if profile is not Profile.BODY_COMPOSITION]
NAMES = {
    Quantity.WEIGHT: "weight",
    Quantity.SYSTOLIC: "systolic",
    Quantity.DIASTOLIC: "diastolic",
    Quantity.PULSE: "pulse",
    Quantity.TEMPERATURE: "temperature",
    Quantity.STEPS: "steps",
    Quantity.DISTANCE: "distance",
}


@given(
    st.sampled_from(ENCODED),
    st.integers(0, 4_000_000_000 // 2),
    st.fixed_dictionaries(
        {
            "weight": st.integers(0, 6000).map(lambda n: round(n * 0.05, 2)),
            "systolic": st.integers(0, 300),
            "diastolic": st.integers(0, 200),
            "pulse": st.integers(1, 250),
            "temperature": st.integers(300, 450).map(lambda n: n / 10),
            "steps": st.integers(0, 0xFFFFFE),
            "distance": st.integers(0, 0xFFFFFE),
        }
    ),
)
def test_what_the_lab_encodes_comes_back(profile: Profile, taken: int, given_values: dict[str, float]) -> None:
    (data,) = encode(profile.value, LabMeasurement(7, taken, given_values))
    found = decode(profile, data)
    assert found.readings
    for reading in found.readings:
        if reading.quantity is Quantity.MEAN_PRESSURE:
            continue  # computed by the monitor
        assert float(reading.value) == pytest.approx(given_values[NAMES[reading.quantity]])
    if profile in (Profile.WEIGHT, Profile.BLOOD_PRESSURE, Profile.TEMPERATURE):
        assert found.taken is not None


IN_THE_LAB = {
    "weight": Quantity.WEIGHT,
    "fat_ratio": Quantity.FAT_RATIO,
    "fat_free_mass": Quantity.FAT_FREE_MASS,
    "muscle_mass": Quantity.MUSCLE_MASS,
    "water_mass": Quantity.WATER_MASS,
    "impedance": Quantity.IMPEDANCE,
    "basal": Quantity.BASAL_METABOLISM,
    "systolic": Quantity.SYSTOLIC,
    "diastolic": Quantity.DIASTOLIC,
    "temperature": Quantity.TEMPERATURE,
    "steps": Quantity.STEPS,
    "distance": Quantity.DISTANCE,
}


@given(
    st.sampled_from([kind for kind in LAB_MODELS.values() if kind.measures]),
    st.data(),
    st.integers(0, 10_000),
    st.integers(1_000_000_000, 2_000_000_000),
    st.none() | st.integers(1, 16),
    st.integers(20, 244),
)
def test_whatever_the_lab_measures_is_read_whole(
    kind: LabModel, data: st.DataObject, number: int, taken: int, user: int | None, max_bytes: int
) -> None:
    unit = data.draw(st.none() | st.sampled_from(selectable_units(kind)) if selectable_units(kind) else st.none())
    measured = make_up_measurement(kind, "seed", number, taken, unit, user)
    for profile in kind.measures:
        messages = encode(profile, measured, max_bytes=max_bytes)
        assert all(len(message) <= max_bytes for message in messages)
        joiner = MessageJoiner(Profile(profile))
        (one,) = [one for message in messages for one in joiner.feed(message) if one.to_deliver]
        found = one.measurement
        assert one.raw == b"".join(messages)
        for reading in found.readings:
            name = next((n for n, q in IN_THE_LAB.items() if q is reading.quantity), None)
            if name is not None:
                value = float(units.canonical(reading.value, reading.unit)[0])
                true = measured.values[name] / (4.184 if reading.unit == "kJ" else 1)
                # A hundredth of a pound, a tenth of a kilopascal or of a degree Fahrenheit is what the bytes hold.
                assert value == pytest.approx(true, abs=0.01), name
        if profile not in ("temperature", "heart-rate", "steps"):
            assert found.user == user
        if profile not in ("heart-rate", "steps"):
            assert found.device_time == datetime.fromtimestamp(taken)
