"""A device with a changing address shows its lasting one when it is paired: the record goes on with that one."""

from __future__ import annotations

import pytest
from bleak.backends.device import BLEDevice

from installer import settings
from installer.answers import LinkAnswer, StepKey
from installer.bluetooth.raw_adapter import RawAdapter
from installer.ledger.records import Records
from tests.flow.support import LabWorld, answers_for, install

LASTING = "C0:00:00:00:00:08"


async def test_the_record_follows_the_device(world: LabWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lasting_address(_: RawAdapter, device: BLEDevice) -> str:
        return LASTING if device.address.upper() == world.address("thermo") else device.address.upper()

    # No device of the lab changes its address.
    monkeypatch.setattr(RawAdapter, "lasting_address", lasting_address)
    # The lab's cloud does not know that address, so the device is linked another time.
    answers = answers_for(world, "thermo", "wifi").with_answer(StepKey.LINK, LinkAnswer(later=True))
    ended, front = await install(answers)
    assert ended.outcome == "to_be_linked", front.text()
    records = Records(settings.data_dir() / "lab-ledger.sqlite", settings.runtime_dir() / "stations")
    try:
        (record,) = records.all()
    finally:
        records.close()
    assert (record["address"], record["outcome"]) == (LASTING, "to_be_linked")
    assert [step["step"] for step in record["steps"]][:4] == ["find", "sync", "network", "provision"]
    assert record["steps"][0]["result"]["address"] == LASTING
