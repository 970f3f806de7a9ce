"""The program itself at a device that changes: after an update of its firmware, and with an address that rotates."""

from __future__ import annotations

import asyncio

from bleak import BleakScanner
from bleak.backends.device import BLEDevice

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.open_adapter import open_adapter
from tests.guest.inside.peripheral_control import Peripherals
from tests.installer.bluetooth.dialogs import Answers

PLAIN, ENCRYPTED = (f"0000{number:04x}-1111-2222-3333-444455556666" for number in (0xA1, 0xA2))
FIND_SECONDS = 60.0


async def connected(adapter: Adapter, address: str) -> tuple[Connection, BLEDevice]:
    """A connection to a device that is paired, if it was not before."""
    device = await BleakScanner.find_device_by_address(address, timeout=FIND_SECONDS)
    assert device is not None
    return await Connection.open(adapter, device, FIND_SECONDS, dialog=Answers(), pair=True), device


async def test_what_is_read_after_an_update_of_the_firmware_is_the_right_value(peripherals: Peripherals) -> None:
    """The handles of a bonded device have moved: BlueZ has the old ones until it has looked anew."""
    peripheral = peripherals["just-works"]
    peripheral.advertise()
    async with await open_adapter("system") as adapter:
        for shifted in (0, 2, 4):
            if shifted:
                await asyncio.to_thread(peripheral.change_table, shifted=shifted)
            connection, _ = await connected(adapter, peripheral.address)
            async with connection:
                assert await connection.read(PLAIN) == b"plain"
                assert await connection.read(ENCRYPTED) == b"secret"


async def test_a_device_whose_address_rotates_is_known_by_its_identity(peripherals: Peripherals) -> None:
    peripheral = peripherals["private"]
    peripheral.advertise()
    on_air = peripheral.state()["on the air as"].split("/")[0]
    async with await open_adapter("system") as adapter:
        connection, device = await connected(adapter, on_air)
        async with connection:
            assert await connection.read(ENCRYPTED) == b"secret"
            identity = peripheral.state()["identity"]
            assert on_air != identity
            assert await adapter.lasting_address(device) == identity
