"""Messages of health profiles as hexadecimal text, and their readings."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from installer.catalogue.model import Profile
from installer.health_profiles.characteristics import decode
from installer.measurement import Measurement, Quantity

WHEN = bytes.fromhex("ea070b17120f1e")  # 2026-11-23 18:15:30


MOMENT = datetime(2026, 11, 23, 18, 15, 30).astimezone()


def values(measurement: Measurement) -> dict[Quantity, tuple[Decimal, str]]:
    return {reading.quantity: (reading.value, reading.unit) for reading in measurement.readings}


def one(profile: Profile, hexadecimal: str) -> dict[Quantity, tuple[Decimal, str]]:
    return values(decode(profile, bytes.fromhex(hexadecimal)))
