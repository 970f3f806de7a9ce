"""The lab's Nordic firmware on its own, driven with bytes written by hand."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.lab.access_points import JoinOutcome, ScannedAccessPoint
from installer.lab.device_faults import FaultCounter
from installer.lab.nordic.firmware import NordicFirmware
from installer.lab.nordic.scenario import NordicScenario
from installer.lab.scenario import Faults
from installer.wifi.networks import Band, Security

HOME = ScannedAccessPoint("Home", Security.WPA2, -55, Band.GHZ_2_4)


class Board:
    def __init__(self) -> None:
        self.faults = FaultCounter(Faults())
        self.responses: list[str] = []
        self.results: list[bytes] = []

    async def scan(self):
        return [HOME]

    async def try_join(self, ssid, passphrase):
        return JoinOutcome.JOINED if passphrase.get_secret_value() == "abc" else JoinOutcome.WRONG_PASSPHRASE

    def respond(self, message: bytes) -> None:
        self.responses.append(message.hex())

    def notify(self, message: bytes) -> None:
        self.results.append(message)

    def drop_soon(self) -> None:
        raise AssertionError("nothing is to drop")

    def log(self, words: str) -> None:
        assert "abc" not in words


def firmware() -> tuple[NordicFirmware, Board]:
    board = Board()
    return NordicFirmware(board, NordicScenario()), board


async def finished(device: NordicFirmware) -> None:
    await asyncio.wait(device._tasks)


async def test_scanning_and_joining():
    device, board = firmware()
    assert device.version().hex() == "0801"
    assert device.service_data().hex() == "01000000"
    device.write(bytes.fromhex("0801"))
    device.write(bytes.fromhex("0802"))
    await finished(device)
    assert board.responses == ["080110005200", "08021000"]
    [record] = board.results
    wifi = record[4 : 4 + record[3]]
    assert wifi[:6].hex() == "0a04486f6d65"
    assert record[-11:].hex() == "10c9ffffffffffffffff01"
    for passphrase, told in ((b"abd", ["1001", "10051800"]), (b"abc", ["1001", "1002", "1003", "1004"])):
        board.results.clear()
        config = b"\x0a" + bytes((len(wifi),)) + wifi + b"\x12\x03" + passphrase
        device.write(b"\x08\x04\x5a" + bytes((len(config),)) + config)
        await finished(device)
        assert [r.hex() for r in board.results] == told
    assert device.service_data().hex() == "010300c9"
    device.write(bytes.fromhex("0805"))
    assert device.service_data().hex() == "01000000"


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        ("ff", "1002"),  # it cannot be read
        ("0809", "1001"),  # no such operation
        ("", "1001"),
        ("0804", "08041001"),  # no credentials
        ("08045a080a060a04486f6d65", "08041001"),  # no access point
    ],
)
async def test_requests_that_are_refused(request_: str, response: str):
    device, board = firmware()
    device.write(bytes.fromhex(request_))
    assert board.responses == [response]


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=80))
def test_any_request_gets_one_response(data: bytes):
    async def write() -> None:
        device, board = firmware()
        device.write(data)
        assert len(board.responses) == 1
        device.reset()

    asyncio.run(write())
