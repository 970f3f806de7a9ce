"""Heart rate: the measurement and the location of the sensor."""

from __future__ import annotations

from decimal import Decimal

import pytest

from installer.catalogue.model import Profile
from installer.health_profiles.characteristic_fields import CodecError, NoValue
from installer.health_profiles.characteristics import decode
from installer.health_profiles.heart_rate import sensor_location
from installer.measurement import Quantity
from tests.installer.health_profiles.hex_messages import one, values


def test_sensor_location() -> None:
    assert sensor_location(b"\x01") == "chest"
    assert sensor_location(b"\x00") == ""
    with pytest.raises(CodecError):
        sensor_location(b"")


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
