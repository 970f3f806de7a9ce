"""The standard health characteristics: layouts of the SIG, special values, and nothing but CodecError for nonsense."""

from __future__ import annotations

import contextlib
import struct
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.catalog import Profile
from installer.health import codec
from installer.health.codec import CodecError, NoValue, decode
from installer.lab import health as lab
from installer.measurement import Measurement, Quantity

WHEN = bytes.fromhex("ea070b17120f1e")  # 2026-11-23 18:15:30
MOMENT = datetime(2026, 11, 23, 18, 15, 30).astimezone()


def values(measurement: Measurement) -> dict[Quantity, tuple[Decimal, str]]:
    return {reading.quantity: (reading.value, reading.unit) for reading in measurement.readings}


def one(profile: Profile, hexadecimal: str) -> dict[Quantity, tuple[Decimal, str]]:
    return values(decode(profile, bytes.fromhex(hexadecimal)))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (0x0000, "0"),
        (0x0072, "114"),
        (0xF072, "11.4"),
        (0xFFFF, "-0.1"),
        (0x1001, "10"),
        (0x8001, "1E-8"),
        (0x07FD, "2045"),
        (0x17FF, "20470"),
        (0x07FF, None),
        (0x0800, None),
        (0x07FE, None),
        (0x0802, None),
        (0x0801, None),
    ],
)
def test_sfloat(raw: int, value: str | None) -> None:
    assert codec.sfloat(raw) == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (0xFF000173, "37.1"),
        (0xFE000E7E, "37.10"),
        (0xFFFFFFFF, "-0.1"),
        (0x00000000, "0"),
        (0x007FFFFF, None),
        (0x00800000, None),
        (0x007FFFFE, None),
        (0x00800002, None),
        (0x00800001, None),
    ],
)
def test_float(raw: int, value: str | None) -> None:
    assert codec.float32(raw) == (None if value is None else Decimal(value))


def test_weight() -> None:
    kilograms = one(Profile.WEIGHT, "00" + struct.pack("<H", 14470).hex())
    assert kilograms == {Quantity.WEIGHT: (Decimal("72.35"), "kg")}
    pounds = one(Profile.WEIGHT, "01" + struct.pack("<H", 15950).hex())
    assert pounds == {Quantity.WEIGHT: (Decimal("159.5"), "lb")}
    full = decode(Profile.WEIGHT, b"\x0e" + struct.pack("<H", 14470) + WHEN + b"\x01" + b"\xe6\x00\xb4\x00")
    assert full.taken == MOMENT
    with pytest.raises(NoValue):
        decode(Profile.WEIGHT, b"\x00\xff\xff")


def test_blood_pressure() -> None:
    found = decode(Profile.BLOOD_PRESSURE, bytes.fromhex("1e7a0050005e00") + WHEN + bytes.fromhex("4800010000"))
    assert values(found) == {
        Quantity.SYSTOLIC: (Decimal(122), "mmHg"),
        Quantity.DIASTOLIC: (Decimal(80), "mmHg"),
        Quantity.PULSE: (Decimal(72), "1/min"),
    }
    assert found.taken == MOMENT
    kilopascal = one(Profile.BLOOD_PRESSURE, "01a3f06bf07ef0")
    assert kilopascal[Quantity.SYSTOLIC] == (Decimal("16.3"), "kPa")
    # No pulse was found; the pressures count.
    assert Quantity.PULSE not in one(Profile.BLOOD_PRESSURE, "047a0050005e00ff07")
    with pytest.raises(NoValue):
        one(Profile.BLOOD_PRESSURE, "00ff07ff07ff07")


def test_temperature() -> None:
    found = decode(Profile.TEMPERATURE, b"\x06" + bytes.fromhex("730100ff") + WHEN + b"\x02")
    assert values(found) == {Quantity.TEMPERATURE: (Decimal("37.1"), "°C")}
    assert found.taken == MOMENT
    assert one(Profile.TEMPERATURE, "01da0300ff") == {Quantity.TEMPERATURE: (Decimal("98.6"), "°F")}
    with pytest.raises(NoValue):
        one(Profile.TEMPERATURE, "00ffff7f00")


def test_heart_rate() -> None:
    assert one(Profile.HEART_RATE, "0048") == {Quantity.PULSE: (Decimal(72), "1/min")}
    assert one(Profile.HEART_RATE, "1f4800010000040104") == {Quantity.PULSE: (Decimal(72), "1/min")}
    for no_contact in ("0448", "0000"):
        with pytest.raises(NoValue):
            one(Profile.HEART_RATE, no_contact)
    with pytest.raises(CodecError):
        one(Profile.HEART_RATE, "1048000401")


def test_steps() -> None:
    head = "010001000000000001000000"
    assert one(Profile.STEPS, "0301" + head + "681000") == {Quantity.STEPS: (Decimal(4200), "steps")}
    assert one(Profile.STEPS, "031f" + head + "0a0000050000ffffff881300100e00") == {
        Quantity.STEPS: (Decimal(15), "steps")
    }
    for nothing in ("0308" + head + "881300", "0301" + head + "ffffff"):
        with pytest.raises(NoValue):
            one(Profile.STEPS, nothing)
    with pytest.raises(CodecError, match="several parts"):
        one(Profile.STEPS, "0101" + head + "681000")


@pytest.mark.parametrize(
    ("bytes_", "moment"),
    [
        ("00000b17120f1e", None),
        ("ea070017120f1e", None),
        ("ea070b00120f1e", None),
        ("ea070b17120f1e", MOMENT),
    ],
)
def test_time_stamps(bytes_: str, moment: datetime | None) -> None:
    assert decode(Profile.WEIGHT, bytes.fromhex("021027" + bytes_)).taken == moment


@pytest.mark.parametrize(
    "bytes_", ["ea070d17120f1e", "ea070b1f120f1e", "ea070b17180f1e", "ea070b17123c1e", "ffff0b17120f1e"]
)
def test_impossible_time_stamps(bytes_: str) -> None:
    with pytest.raises(CodecError):
        decode(Profile.WEIGHT, bytes.fromhex("021027" + bytes_))


@pytest.mark.parametrize("profile", list(Profile))
def test_what_is_cut_short_or_too_long_is_refused(profile: Profile) -> None:
    whole = {
        Profile.WEIGHT: "001027",
        Profile.BLOOD_PRESSURE: "007a0050005e00",
        Profile.TEMPERATURE: "00730100ff",
        Profile.HEART_RATE: "0048",
        Profile.STEPS: "0301010001000000000001000000681000",
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


NAMES = {
    Quantity.WEIGHT: "weight",
    Quantity.SYSTOLIC: "systolic",
    Quantity.DIASTOLIC: "diastolic",
    Quantity.PULSE: "pulse",
    Quantity.TEMPERATURE: "temperature",
    Quantity.STEPS: "steps",
}


@given(
    st.sampled_from(list(Profile)),
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
    data = lab.encode(profile.value, lab.Measurement(7, taken, given_values))
    found = decode(profile, data)
    assert found.readings
    for reading in found.readings:
        assert float(reading.value) == pytest.approx(given_values[NAMES[reading.quantity]])
    if profile in (Profile.WEIGHT, Profile.BLOOD_PRESSURE, Profile.TEMPERATURE):
        assert found.taken is not None
