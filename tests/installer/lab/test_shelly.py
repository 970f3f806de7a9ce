"""The lab's Shelly firmware on its own, driven with bytes written by hand."""

from __future__ import annotations

import ast
import asyncio
import json
from pathlib import Path

import pytest

import installer.lab
from installer.lab.device_faults import FaultCounter
from installer.lab.scenario import Faults
from installer.lab.shelly.firmware import RequestRefused, ShellyFirmware
from installer.lab.shelly.scenario import ShellyScenario


class Board:
    def __init__(self) -> None:
        self.faults = FaultCounter(Faults())
        self.dropped = 0

    async def scan(self):
        return []

    async def join(self, ssid, passphrase):
        return passphrase.get_secret_value() == "right"

    def drop_soon(self) -> None:
        self.dropped += 1

    def log(self, words: str) -> None:
        assert "right" not in words


def firmware() -> ShellyFirmware:
    return ShellyFirmware(Board(), ShellyScenario(), "A8:03:2A:BE:54:DC", "ShellyPlus1")


async def call(device: ShellyFirmware, request: bytes, room: int = 20) -> dict:
    device.write_length(len(request).to_bytes(4, "big"))
    for start in range(0, len(request), 7):
        device.write_data(request[start : start + 7])
    async with asyncio.timeout(5):
        while not (size := int.from_bytes(device.read_length(), "big")):  # noqa: ASYNC110
            await asyncio.sleep(0)
    frame = b""
    while len(frame) < size:
        frame += device.read_data(room)
    assert device.read_length() == bytes(4)
    return json.loads(frame)


async def test_a_call_in_pieces():
    answer = await call(firmware(), b'{"id":9,"method":"Shelly.GetDeviceInfo"}')
    assert (answer["id"], answer["result"]["mac"]) == (9, "A8032ABE54DC")


async def test_reading_the_length_begins_the_answer_anew():
    device = firmware()
    request = b'{"id":1,"method":"Wifi.GetStatus"}'
    device.write_length(len(request).to_bytes(4, "big"))
    device.write_data(request)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert device.read_length() != bytes(4)
    first = device.read_data(10)
    device.read_length()
    assert device.read_data(10) == first


async def test_joining():
    device = firmware()
    for passphrase, status in (("wrong", "disconnected"), ("right", "got ip")):
        sta = {"ssid": "Home", "pass": passphrase, "enable": True}
        request = json.dumps({"id": 1, "method": "Wifi.SetConfig", "params": {"config": {"sta": sta}}}).encode()
        assert (await call(device, request))["result"] == {"restart_required": False}
        await asyncio.wait({device._joining})
        answer = await call(device, b'{"id":2,"method":"Wifi.GetStatus"}')
        assert answer["result"]["status"] == status


@pytest.mark.parametrize(
    "request_",
    [
        b'{"id":1,"method":"Wifi.SetConfig"}',
        b'{"id":1,"method":"Wifi.SetConfig","params":{"config":{"sta":{"ssid":"","pass":null,"enable":true}}}}',
        b'{"id":1,"method":"Wifi.SetConfig","params":{"config":{"sta":{"ssid":"a","pass":1,"enable":true}}}}',
        b'{"id":1,"method":"Switch.Toggle"}',
    ],
)
async def test_calls_that_are_refused(request_: bytes):
    assert "error" in await call(firmware(), request_)


async def test_requests_that_do_not_fit():
    device = firmware()
    with pytest.raises(RequestRefused):
        device.write_length(b"\x00\x01")
    with pytest.raises(RequestRefused):
        device.write_length(b"\x00\x01\x00\x00")
    with pytest.raises(RequestRefused):
        device.write_data(b"x")
    device.write_length(b"\x00\x00\x00\x02")
    device.write_data(b"{")
    with pytest.raises(RequestRefused):
        device.write_data(b"}}")
    device.write_data(b"]")
    await asyncio.sleep(0)
    assert device.read_length() == bytes(4)
    assert device.read_data(20) == b""


@pytest.mark.parametrize("unit", ["espressif", "improv", "nordic", "shelly", "withings"])
def test_no_code_is_shared_with_the_driver(unit: str):
    folder = Path(installer.lab.__file__).parent / unit
    paths = sorted(folder.glob("*.py"))
    assert len(paths) > 1
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.startswith(("installer.provisioning", "google"))], path.name
