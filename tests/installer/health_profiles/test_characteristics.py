"""The standard health characteristics: layouts of the SIG, special values, and nothing but CodecError for nonsense."""

from __future__ import annotations

import contextlib
import struct
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.catalogue.catalogue import Profile
from installer.health_profiles import characteristics
from installer.health_profiles.characteristics import CodecError, NoValue, Parts, decode
from installer.lab import measured_values as lab
from installer.lab.health_characteristics import encode
from installer.lab.models import KINDS, Kind
from installer.measurement import Measurement, Quantity, Reading
from installer.measurements import units

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
    assert characteristics.sfloat(raw) == (None if value is None else Decimal(value))


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
    assert characteristics.float32(raw) == (None if value is None else Decimal(value))


def test_weight() -> None:
    kilograms = one(Profile.WEIGHT, "00" + struct.pack("<H", 14470).hex())
    assert kilograms == {Quantity.WEIGHT: (Decimal("72.35"), "kg")}
    pounds = one(Profile.WEIGHT, "01" + struct.pack("<H", 15950).hex())
    assert pounds == {Quantity.WEIGHT: (Decimal("159.5"), "lb")}
    full = decode(Profile.WEIGHT, b"\x0e" + struct.pack("<H", 14470) + WHEN + b"\x01" + b"\xe6\x00\xb4\x00")
    assert (full.taken, full.device_time, full.user) == (MOMENT, MOMENT.replace(tzinfo=None), 1)
    assert values(full) == {
        Quantity.WEIGHT: (Decimal("72.35"), "kg"),
        Quantity.BODY_MASS_INDEX: (Decimal("23.0"), "kg/m²"),
        Quantity.HEIGHT: (Decimal("0.18"), "m"),
    }
    inches = one(Profile.WEIGHT, "09" + struct.pack("<HHH", 15950, 223, 709).hex())
    assert inches[Quantity.HEIGHT] == (Decimal("70.9"), "in")
    # A scale that has been told no height.
    assert list(one(Profile.WEIGHT, "08" + struct.pack("<HHH", 14470, 0, 0).hex())) == [Quantity.WEIGHT]
    # 0xFF is the unknown user, 0 is one like another.
    assert [decode(Profile.WEIGHT, b"\x04\x10\x27" + user).user for user in (b"\xff", b"\x00")] == [None, 0]
    with pytest.raises(NoValue):
        decode(Profile.WEIGHT, b"\x00\xff\xff")


def test_blood_pressure() -> None:
    found = decode(Profile.BLOOD_PRESSURE, bytes.fromhex("1e7a0050005e00") + WHEN + bytes.fromhex("4800010000"))
    assert values(found) == {
        Quantity.SYSTOLIC: (Decimal(122), "mmHg"),
        Quantity.DIASTOLIC: (Decimal(80), "mmHg"),
        Quantity.MEAN_PRESSURE: (Decimal(94), "mmHg"),
        Quantity.PULSE: (Decimal(72), "1/min"),
    }
    assert (found.taken, found.user, found.status) == (MOMENT, 1, ())
    kilopascal = one(Profile.BLOOD_PRESSURE, "01a3f06bf07ef0")
    assert kilopascal[Quantity.SYSTOLIC] == (Decimal("16.3"), "kPa")
    # Neither the mean nor the pulse was found; the pressures count.
    assert Quantity.PULSE not in one(Profile.BLOOD_PRESSURE, "047a005000ff07ff07")
    for failed in ("00ff07ff07ff07", "007a00fe07ff07", "00000802080108"):
        with pytest.raises(NoValue):
            one(Profile.BLOOD_PRESSURE, failed)


def test_what_a_monitor_finds_remarkable() -> None:
    def status(number: int) -> tuple[str, ...]:
        return decode(Profile.BLOOD_PRESSURE, bytes.fromhex("107a0050005e00") + number.to_bytes(2, "little")).status

    assert status(0x0000) == ()
    assert status(0x0007) == ("body movement", "cuff too loose", "irregular pulse")
    assert [status(number) for number in (0x08, 0x10, 0x18)] == [("pulse too high",), ("pulse too low",), ()]
    assert status(0x0020) == ("wrong position",)
    assert characteristics.vouched(b"\x00\x00") == frozenset()
    assert characteristics.vouched(b"\x0c\x00") == {"irregular pulse", "pulse too high", "pulse too low"}
    with pytest.raises(CodecError):
        characteristics.vouched(b"\x0c")


def test_temperature() -> None:
    found = decode(Profile.TEMPERATURE, b"\x06" + bytes.fromhex("730100ff") + WHEN + b"\x02")
    assert values(found) == {Quantity.TEMPERATURE: (Decimal("37.1"), "°C")}
    assert (found.taken, found.site) == (MOMENT, "body")
    assert decode(Profile.TEMPERATURE, bytes.fromhex("04730100ff03")).site == "ear"
    assert decode(Profile.TEMPERATURE, bytes.fromhex("04730100ffee")).site == ""
    assert one(Profile.TEMPERATURE, "01da0300ff") == {Quantity.TEMPERATURE: (Decimal("98.6"), "°F")}
    with pytest.raises(NoValue):
        one(Profile.TEMPERATURE, "00ffff7f00")


@pytest.mark.parametrize("raw", ["0100007f", "ffff7f10", "01000080", "010000f0"])
def test_a_number_of_a_hundred_digits_is_no_temperature(raw: str) -> None:
    with pytest.raises(CodecError, match="no device measures"):
        one(Profile.TEMPERATURE, "00" + raw)
    assert one(Profile.TEMPERATURE, "000000007f")[Quantity.TEMPERATURE][0] == 0


def test_where_on_the_body() -> None:
    assert characteristics.site(Profile.TEMPERATURE, b"\x03") == "ear"
    assert characteristics.site(Profile.HEART_RATE, b"\x01") == "chest"
    assert characteristics.site(Profile.HEART_RATE, b"\x00") == characteristics.site(Profile.TEMPERATURE, b"\xff") == ""
    with pytest.raises(CodecError):
        characteristics.site(Profile.TEMPERATURE, b"")


def test_heart_rate() -> None:
    assert one(Profile.HEART_RATE, "0048") == {Quantity.PULSE: (Decimal(72), "1/min")}
    assert one(Profile.HEART_RATE, "012c01") == {Quantity.PULSE: (Decimal(300), "1/min")}
    full = decode(Profile.HEART_RATE, bytes.fromhex("1f4800200100040002"))
    assert values(full) == {Quantity.PULSE: (Decimal(72), "1/min"), Quantity.ENERGY: (Decimal(288), "kJ")}
    assert full.intervals == (Decimal(1), Decimal("0.5"))
    for no_contact in ("0448", "0000"):
        with pytest.raises(NoValue):
            one(Profile.HEART_RATE, no_contact)
    with pytest.raises(CodecError):
        one(Profile.HEART_RATE, "1048000401")


def test_steps() -> None:
    head = "010001000000000001000000"
    assert one(Profile.STEPS, "0301" + head + "681000") == {Quantity.STEPS: (Decimal(4200), "steps")}
    full = decode(Profile.STEPS, bytes.fromhex("031f" + head + "0a0000050000ffffff881300100e00"))
    assert values(full) == {
        Quantity.STEPS: (Decimal(15), "steps"),
        Quantity.DISTANCE: (Decimal(5000), "m"),
        Quantity.WORN: (Decimal(3600), "s"),
    }
    assert full.sequence == 1
    for nothing in ("0308" + head + "881300", "0301" + head + "ffffff"):
        with pytest.raises(NoValue):
            one(Profile.STEPS, nothing)
    with pytest.raises(CodecError, match="alone"):
        one(Profile.STEPS, "0101" + head + "681000")


def test_a_summary_of_steps_in_several_parts() -> None:
    whole = bytes.fromhex("0301010001000000000001000000681000")
    first, second, last = b"\x01" + whole[1:8], b"\x04" + whole[8:12], b"\x0a" + whole[12:]
    parts = Parts(Profile.STEPS)
    assert [list(parts.feed(part)) for part in (first, second)] == [[], []]
    assert list(parts.feed(last)) == [(decode(Profile.STEPS, whole), first + second + last, True, True)]
    # A part is missing: the others are of no use, and the next summary is read again.
    assert list(parts.feed(first)) == []
    for stray in (last, second):
        with pytest.raises(CodecError, match="missing"):
            list(parts.feed(stray))
    assert len(list(parts.feed(whole))) == 1
    assert list(parts.feed(first)) == list(parts.rest()) == []


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


def test_a_time_that_the_system_cannot_place_costs_no_measurement() -> None:
    found = decode(Profile.WEIGHT, bytes.fromhex("021027" + "0f270c1f173b3b"))
    assert found.device_time == datetime(9999, 12, 31, 23, 59, 59)
    assert found.readings


@pytest.mark.parametrize(
    "bytes_",
    ["2d060b17120f1e", "ea070d17120f1e", "ea070b1f120f1e", "ea070b17180f1e", "ea070b17123c1e", "ffff0b17120f1e"],
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
    (data,) = encode(profile.value, lab.Measurement(7, taken, given_values))
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
    st.sampled_from([kind for kind in KINDS.values() if kind.measures]),
    st.data(),
    st.integers(0, 10_000),
    st.integers(1_000_000_000, 2_000_000_000),
    st.none() | st.integers(1, 16),
    st.integers(20, 244),
)
def test_whatever_the_lab_measures_is_read_whole(
    kind: Kind, data: st.DataObject, number: int, taken: int, user: int | None, room: int
) -> None:
    unit = data.draw(st.none() | st.sampled_from(lab.units(kind)) if lab.units(kind) else st.none())
    measured = lab.measure(kind, "seed", number, taken, unit, user)
    for profile in kind.measures:
        messages = encode(profile, measured, room=room)
        assert all(len(message) <= room for message in messages)
        parts = Parts(Profile(profile))
        (one,) = [one for message in messages for one in parts.feed(message) if one.whole]
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


@pytest.mark.parametrize(
    ("seconds", "words"),
    [("45.5", "45.5 s"), ("60", "1 min"), ("3599", "59 min"), ("22560", "6 h 16 min"), ("3900", "1 h 05 min")],
)
def test_a_duration_reads_as_people_say_it(seconds: str, words: str) -> None:
    assert str(Reading(quantity="time asleep", value=Decimal(seconds), unit="s")) == f"time asleep {words}"
