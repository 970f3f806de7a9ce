"""Retail units of the lab: what they answer to the vendor's messages, and the person with the vendor's app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from installer.lab.withings.vendor_service import VendorService
from tests.installer.lab.lab_process import LabProcess

SCALE, SECOND_HAND, MAT, GENERIC = "00:24:E4:20:00:3C", "00:24:E4:10:00:1A", "00:24:E4:40:00:51", "7C:DF:A1:00:00:42"
MAC = "00:24:E4:00:00:01"
PROBE = bytes.fromhex("0101010010012a00060101004dd371092800020021")

SCENARIO = f"""
version = 1
[timing]
first_measurement_after = 0.05
[[network]]
ssid = "Home"
passphrase = "correct horse battery staple"
[[device]]
model = "body-plus"
address = "{SCALE}"
improv = false
[[device]]
model = "body"
address = "{SECOND_HAND}"
improv = false
[[device]]
model = "sleep"
address = "{MAT}"
improv = false
[[device]]
model = "generic"
address = "{GENERIC}"
[cloud]
mode = "public"
users = [
    {{ email = "alex@example.org", password = "lab-password" }},
    {{ email = "sam@example.org", password = "other-password", devices = ["{SECOND_HAND}"] }},
]
"""


class Unit:
    """A firmware without Bluetooth; its answers as hexadecimal text."""

    def __init__(self) -> None:
        self.associated = False
        self.said: list[str] = []
        self.vendor = VendorService(MAC, "Body+", lambda: self.associated, lambda m: self.said.append(m.hex()))

    def ask(self, *pieces: bytes) -> list[str]:
        self.said.clear()
        for piece in pieces:
            self.vendor.received(piece)
        return list(self.said)


def test_a_new_unit_answers_the_probe_at_once_however_it_is_cut() -> None:
    unit = Unit()
    (whole,) = unit.ask(PROBE)
    # facts/withings-ble.md §10: the same objects, with the lab's own texts and numbers.
    assert whole.startswith("010101004f" + "01010046" + "00000000" + "05426f64792b" + "11" + MAC.lower().encode().hex())
    assert whole.endswith("00ffffff" + "012c000100")
    assert unit.ask(*(PROBE[i : i + 1] for i in range(len(PROBE)))) == [whole]
    assert unit.ask(PROBE + PROBE) == [whole, whole]


def test_a_unit_on_an_account_answers_with_a_challenge_each_time_another() -> None:
    unit = Unit()
    unit.associated = True
    first, second = unit.ask(PROBE, PROBE)
    head = "0101280027" + "01220023" + "11" + MAC.lower().encode().hex() + "10"
    assert first.startswith(head)
    assert second.startswith(head)
    assert len(first) == len(head) + 32
    assert first != second
    # Without the answer to it, nothing else is told.
    assert unit.ask(bytes.fromhex("0105040000")) == ["010100000a011000060504fffffffb"]


def test_battery_errors_and_nonsense() -> None:
    unit = Unit()
    assert unit.ask(bytes.fromhex("0105040000")) == ["010504000e0504000a570200000ed800000000"]
    assert unit.ask(bytes.fromhex("0105010000")) == ["010100000a011000060501fffffffd"]
    assert unit.ask(b"\xff" * 8) == ["010100000a011000060000fffffffc"]
    assert len(unit.ask(PROBE)) == 1
    unit.ask(PROBE[:9])
    unit.vendor.disconnected()
    assert len(unit.ask(PROBE)) == 1


@pytest.fixture
def retail(tmp_path: Path) -> Iterator[LabProcess]:
    with LabProcess(tmp_path / "lab", SCENARIO) as lab:
        yield lab


async def test_the_vendors_app_brings_a_unit_onto_the_account_by_wifi_or_by_its_phone(retail: LabProcess) -> None:
    await retail.call("POST", f"/lab/devices/{SCALE}/vendor_app", {"network": "Home"})
    seen = await retail.until(lambda d: d["measurements"] == 1, SCALE)
    assert (seen["linked"], seen["joined"], seen["credentials_received"]) == (True, "Home", 0)
    await retail.factory_reset(SCALE)
    seen = await retail.device(SCALE)
    assert (seen["linked"], seen["online"], seen["measurements"]) == (False, False, 0)
    await retail.call("POST", f"/lab/devices/{SCALE}/vendor_app")
    seen = await retail.until(lambda d: d["measurements"] == 1, SCALE)
    assert (seen["linked"], seen["joined"], seen["online"]) == (True, None, True)
    account = (await retail.state())["cloud"]["accounts"][0]
    assert account["devices"] == [SCALE]
    assert account["measurements"] == 2


async def test_a_mat_over_a_phone_delivers_nothing(retail: LabProcess) -> None:
    await retail.call("POST", f"/lab/devices/{MAT}/vendor_app")
    seen = await retail.device(MAT)
    assert (seen["linked"], seen["online"]) == (True, False)


@pytest.mark.parametrize(
    ("address", "body", "words"),
    [
        (SECOND_HAND, {}, "on another account"),
        (SCALE, {"network": "Nowhere"}, "cannot join"),
        (SCALE, {"network": 7}, "cannot join"),
        (GENERIC, {}, "does not know"),
    ],
)
async def test_what_the_vendors_app_cannot(
    retail: LabProcess, address: str, body: dict[str, object], words: str
) -> None:
    async with httpx.AsyncClient(base_url=retail.http, trust_env=False, headers=retail.control_headers) as client:
        answer = await client.post(f"/lab/devices/{address}/vendor_app", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert (await retail.device(address))["joined"] is None
