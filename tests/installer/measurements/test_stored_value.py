"""Bluetooth measurements as rows of the store: units, users, missing times."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from installer.catalogue.model import Profile
from installer.health_profiles.characteristics import decode
from installer.measurements.stored_value import BLUETOOTH, Row, of_measurement

RECEIVED = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
WHEN = bytes.fromhex("ea070b17120f1e")  # 2026-11-23 18:15:30


def rows(profile: Profile, data: bytes, **more: str) -> list[Row]:
    measurement = decode(profile, data)
    return list(of_measurement(measurement, source=BLUETOOTH, device="D", received=RECEIVED, **more))


def test_two_users_of_a_scale_are_two_people() -> None:
    one, other, unknown = (rows(Profile.WEIGHT, b"\x07\x4e\x3e" + WHEN + bytes((user,)))[0] for user in (1, 2, 0xFF))
    assert [row.user for row in (one, other, unknown)] == ["1", "2", ""]
    assert len({row.key for row in (one, other, unknown)}) == 3
    assert rows(Profile.WEIGHT, b"\x04\x10\x27\x01", user="alex")[0].user == "alex"


def test_pounds_and_kilojoules_are_kept_and_turned() -> None:
    (weight,) = rows(Profile.WEIGHT, b"\x03\x4e\x3e" + WHEN)
    assert (weight.measured, weight.measured_unit) == (Decimal("159.5"), "lb")
    assert (weight.value, weight.unit) == (Decimal("72.347983015"), "kg")
    assert weight.taken == datetime(2026, 11, 23, 18, 15, 30).astimezone(UTC)
    _, basal = rows(Profile.BODY_COMPOSITION, b"\x08\x00\xc8\x00" + (6276).to_bytes(2, "little"))
    assert (basal.kind, basal.value, basal.unit) == ("basal metabolic rate", Decimal(1500), "kcal")
    # A device without a clock: when it came.
    assert basal.taken == RECEIVED


def test_the_weight_of_two_profiles_is_one_row() -> None:
    by_scale = rows(Profile.WEIGHT, b"\x02\x98\x3a" + WHEN)
    by_analysis = rows(Profile.BODY_COMPOSITION, b"\x02\x04\xc8\x00" + WHEN + b"\x98\x3a")
    assert by_scale[0].key == by_analysis[1].key
