"""Stores of a thousand measurements, emptied over links that drop at random: nothing is lost, nothing is made up."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from installer.bluetooth.open_adapter import open_adapter
from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.health_profiles.reader import CollectedMeasurement, collect, offered_profiles
from tests.installer.bluetooth.bench import connected
from tests.installer.lab.lab_process import LabProcess

STORED = 150
QUIET = 0.3
# Model, its scenario, its profiles; each measurement has bytes of its own, by its time or its number.
DEVICES = [
    ("body-plus", "users = 2\nmtu = 23", (Profile.WEIGHT, Profile.BODY_COMPOSITION)),
    ("body-plus", 'unit = "lb"', (Profile.WEIGHT, Profile.BODY_COMPOSITION)),
    ("bpm-connect", 'unit = "kPa"', (Profile.BLOOD_PRESSURE,)),
    ("thermo", 'unit = "°F"', (Profile.TEMPERATURE,)),
    ("move", "", (Profile.STEPS,)),
]


def address(number: int) -> str:
    return f"00:24:E4:00:00:{number:02X}"


def world() -> str:
    text = "version = 1\n[radio]\nadvertising_interval = 0.02\nsupervision_timeout = 0.05\n"
    text += '[timing]\nmeasure_after = "never"\n'
    for number, (model, more, _) in enumerate(DEVICES):
        text += (
            f'[[device]]\nmodel = "{model}"\naddress = "{address(number)}"\nstored = {STORED}\nimprov = false\n{more}\n'
        )
    return text


@pytest.mark.timeout(400)
async def test_a_thousand_measurements_over_links_that_drop(tmp_path: Path) -> None:
    dice = random.Random(20261125)
    drops = 0
    with LabProcess(tmp_path, world()) as lab:
        async with await open_adapter(lab.adapter) as adapter:
            for number, (_, _, profiles) in enumerate(DEVICES):
                found: list[CollectedMeasurement] = []
                lost = 0
                while True:
                    # A confirmation, an indication, a read or a write: each is hit now and then.
                    await lab.faults(address(number), drop={"on": "message", "number": dice.randint(1, 120)})
                    try:
                        async with await connected(adapter, address(number)) as connection:
                            async for one in collect(connection, offered_profiles(connection), QUIET):
                                found.append(one)
                    except InstallerError as error:
                        if error.code not in (ErrorCode.CONNECTION_LOST, ErrorCode.CONNECTION_FAILED):
                            raise
                        lost += 1
                    else:
                        break
                assert (await lab.device(address(number)))["kept"] == 0
                drops += lost
                for profile in profiles:
                    raws = [one.raw for one in found if one.profile is profile]
                    assert len(set(raws)) == STORED, profile
                    # At most one comes again for each lost link, and all come in their order.
                    assert len(raws) <= STORED + lost
                    assert raws == sorted(raws, key={raw: place for place, raw in enumerate(dict.fromkeys(raws))}.get)
    assert drops > 20
