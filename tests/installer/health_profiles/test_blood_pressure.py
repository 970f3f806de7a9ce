"""Blood pressure: the measurement, its status bits, and the supported ones."""

from __future__ import annotations

from decimal import Decimal

import pytest

from installer.catalogue.model import Profile
from installer.health_profiles.blood_pressure import supported_status
from installer.health_profiles.characteristic_fields import CodecError, NoValue
from installer.health_profiles.characteristics import decode
from installer.measurement import Quantity
from tests.installer.health_profiles.hex_messages import MOMENT, WHEN, one, values


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


def test_status_bits() -> None:
    def status(number: int) -> tuple[str, ...]:
        return decode(Profile.BLOOD_PRESSURE, bytes.fromhex("107a0050005e00") + number.to_bytes(2, "little")).status

    assert status(0x0000) == ()
    assert status(0x0007) == ("body movement", "cuff too loose", "irregular pulse")
    assert [status(number) for number in (0x08, 0x10, 0x18)] == [("pulse too high",), ("pulse too low",), ()]
    assert status(0x0020) == ("wrong position",)
    assert supported_status(b"\x00\x00") == frozenset()
    assert supported_status(b"\x0c\x00") == {"irregular pulse", "pulse too high", "pulse too low"}
    with pytest.raises(CodecError):
        supported_status(b"\x0c")
