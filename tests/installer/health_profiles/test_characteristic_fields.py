"""IEEE 11073 SFLOAT and FLOAT, and Date Time: special values and impossible ones."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from installer.catalogue.model import Profile
from installer.health_profiles.characteristic_fields import CodecError, float32, sfloat
from installer.health_profiles.characteristics import decode
from installer.measurement import Quantity
from tests.installer.health_profiles.hex_messages import MOMENT, one


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
    assert sfloat(raw) == (None if value is None else Decimal(value))


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
    assert float32(raw) == (None if value is None else Decimal(value))


@pytest.mark.parametrize("raw", ["0100007f", "ffff7f10", "01000080", "010000f0"])
def test_a_number_of_a_hundred_digits_is_no_temperature(raw: str) -> None:
    with pytest.raises(CodecError, match="no device measures"):
        one(Profile.TEMPERATURE, "00" + raw)
    assert one(Profile.TEMPERATURE, "000000007f")[Quantity.TEMPERATURE][0] == 0


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
