"""Thermometer: the measurement and the site on the body."""

from __future__ import annotations

from decimal import Decimal

import pytest

from installer.catalogue.model import Profile
from installer.health_profiles.characteristic_fields import CodecError, NoValue
from installer.health_profiles.characteristics import decode
from installer.health_profiles.thermometer import temperature_site
from installer.measurement import Quantity
from tests.installer.health_profiles.hex_messages import MOMENT, WHEN, one, values


def test_temperature() -> None:
    found = decode(Profile.TEMPERATURE, b"\x06" + bytes.fromhex("730100ff") + WHEN + b"\x02")
    assert values(found) == {Quantity.TEMPERATURE: (Decimal("37.1"), "°C")}
    assert (found.taken, found.site) == (MOMENT, "body")
    assert decode(Profile.TEMPERATURE, bytes.fromhex("04730100ff03")).site == "ear"
    assert decode(Profile.TEMPERATURE, bytes.fromhex("04730100ffee")).site == ""
    assert one(Profile.TEMPERATURE, "01da0300ff") == {Quantity.TEMPERATURE: (Decimal("98.6"), "°F")}
    with pytest.raises(NoValue):
        one(Profile.TEMPERATURE, "00ffff7f00")


def test_temperature_site() -> None:
    assert temperature_site(b"\x03") == "ear"
    assert temperature_site(b"\xff") == ""
    with pytest.raises(CodecError):
        temperature_site(b"")
