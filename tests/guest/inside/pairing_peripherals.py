"""Peripherals that pair, for tests: `python -m tests.guest.inside.pairing_peripherals`.

It opens /dev/vhci, so the kernel gets an adapter that hears them, and listens on PORT for commands: one JSON object a
line, answered by one line. `peripheral_control.py` is the tests' side. Each device advertises Weight Scale (0x181D) and
has a service SERVICE with the characteristics of `Table`. They advertise only when told to.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import traceback
from typing import Any

from bumble import att, core, hci
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.host import Host
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport
from bumble.transport.common import AsyncPipeSink

from installer.lab.virtual_controller import LabController
from installer.lab.virtual_radio import Radio
from tests.guest.inside.kernel_adapter import plug_in

PORT = 7777
READY = "the peripherals are ready"
ADVERTISING_MS = 200
IO = PairingDelegate.IoCapability
CAPABILITIES = {
    "none": IO.NO_OUTPUT_NO_INPUT,
    "display": IO.DISPLAY_OUTPUT_ONLY,
    "yes-no": IO.DISPLAY_OUTPUT_AND_YES_NO_INPUT,
    "keyboard": IO.KEYBOARD_INPUT_ONLY,
    "keyboard-display": IO.DISPLAY_OUTPUT_AND_KEYBOARD_INPUT,
}
# Name → what it is. `io`: its capabilities; `mitm`: it wants more than Just Works; `sc`: LE Secure Connections;
# `private`: it uses resolvable addresses; `asks`: it asks for security as soon as it is connected.
DEVICES: dict[str, dict[str, Any]] = {
    "just-works": {},
    "passkey": {"io": "display", "mitm": True},
    "compare": {"io": "yes-no", "mitm": True},
    "legacy": {"sc": False},
    "legacy-passkey": {"io": "display", "mitm": True, "sc": False},
    "keyboard": {"io": "keyboard", "mitm": True},
    "keyboard-display": {"io": "keyboard-display", "mitm": True},
    "private": {"private": True},
    "asks": {"asks": True},
}


def uuid(number: int) -> UUID:
    return UUID(f"0000{number:04x}-1111-2222-3333-444455556666")


SERVICE = 0xA0
# Characteristics by name: open to all; wants an encrypted link; answers after `slow` seconds; notifies; from `extra`.
PLAIN, ENCRYPTED, SLOW, NOTIFIES, EXTRA = 0xA1, 0xA2, 0xA3, 0xA4, 0xB1


class Delegate(PairingDelegate):
    """What the person at the device does: the peripheral's `behaviour` says it."""

    def __init__(self, owner: Peripheral, connection: Connection) -> None:
        keys = PairingDelegate.KeyDistribution.DISTRIBUTE_ENCRYPTION_KEY
        if owner.private:
            keys |= PairingDelegate.KeyDistribution.DISTRIBUTE_IDENTITY_KEY
        super().__init__(CAPABILITIES[owner.io], keys, keys)
        self._owner = owner
        self._connection = connection

    async def accept(self) -> bool:
        """pair = "refuse" | "hang up" | "silent" (never answers)."""
        wish = self._owner.behaviour.get("pair")
        self._owner.tell("is asked to pair")
        if wish == "hang up":
            await self._connection.disconnect()
        if wish == "silent":
            await asyncio.Event().wait()
        return wish is None

    async def confirm(self, auto: bool = False) -> bool:
        return not self._owner.behaviour.get("says no")

    async def compare_numbers(self, number: int, digits: int) -> bool:
        self._owner.show(number)
        return not self._owner.behaviour.get("says no")

    async def display_number(self, number: int, digits: int) -> None:
        self._owner.show(number)
        if self._owner.behaviour.get("hangs up when it shows"):
            await self._connection.disconnect()

    async def get_number(self) -> int | None:
        """What the test typed with `type`; None if nothing came within half a minute."""
        self._owner.tell("waits for digits")
        for _ in range(300):
            if self._owner.typed is not None:
                return self._owner.typed
            await asyncio.sleep(0.1)
        return None


class Peripheral:
    """One device. It can be built anew with another table, as after an update of its firmware."""

    def __init__(
        self,
        radio: Radio,
        number: int,
        name: str,
        *,
        io: str = "none",
        mitm: bool = False,
        sc: bool = True,
        private: bool = False,
        asks: bool = False,
    ) -> None:
        self._radio = radio
        self._number = number
        self.name = name
        self.io, self._mitm, self._sc, self.private, self._asks = io, mitm, sc, private, asks
        self.address = f"C0:00:00:00:00:{number:02X}"
        self.behaviour: dict[str, Any] = {}
        self.typed: int | None = None
        self.shown: int | None = None
        self.connection: Connection | None = None
        self.slow = 0.0
        self.happened: list[str] = []
        self._keys = MemoryKeyStore()

    async def build(self, *, shifted: int = 0, extra: bool = False) -> None:
        """Its stack. `shifted`: so many characteristics stand before the others; `extra`: there is one more service."""
        self.controller = LabController(self.name, self._radio, f"00:11:22:33:44:{self._number:02X}")
        config = DeviceConfiguration(
            name=self.name,
            address=hci.Address(self.address),
            le_privacy_enabled=self.private,
            le_rpa_timeout=0,
            irk=bytes([self._number]) * 16,
        )
        self.device = Device(config=config, host=Host(self.controller, AsyncPipeSink(self.controller)))
        self.device.keystore = self._keys
        for service in self._services(shifted, extra):
            self.device.add_service(service)
        self.device.pairing_config_factory = lambda connection: PairingConfig(
            sc=self._sc, mitm=self._mitm, bonding=True, delegate=Delegate(self, connection)
        )
        self.device.on("connection", self._connected)
        await self.device.power_on()

    def _services(self, shifted: int, extra: bool) -> list[Service]:
        can, may = Characteristic.Properties, Characteristic.Permissions
        both = can.READ | can.WRITE
        open_to_all = may.READABLE | may.WRITEABLE
        encrypted = open_to_all | may.READ_REQUIRES_ENCRYPTION | may.WRITE_REQUIRES_ENCRYPTION
        self._notifies = Characteristic(uuid(NOTIFIES), can.READ | can.NOTIFY, may.READABLE, b"notifies")
        self._notifies.on("subscription", lambda *_: self.tell("is subscribed to"))
        slow = CharacteristicValue(read=self._read_slowly, write=self._write_slowly)
        services = [
            Service(
                uuid(SERVICE),
                [
                    Characteristic(uuid(PLAIN), both, open_to_all, b"plain"),
                    Characteristic(uuid(ENCRYPTED), both | can.NOTIFY, encrypted, b"secret"),
                    Characteristic(uuid(SLOW), both, open_to_all, slow),
                    self._notifies,
                ],
            )
        ]
        if shifted:
            more = [Characteristic(uuid(0xF001 + n), can.READ, may.READABLE, b"shifted") for n in range(shifted)]
            services.insert(0, Service(uuid(0xF000), more))
        if extra:
            services.append(Service(uuid(0xB0), [Characteristic(uuid(EXTRA), can.READ, may.READABLE, b"extra")]))
        return services

    async def _read_slowly(self, _connection: Connection) -> bytes:
        self.tell("reads slowly")
        await asyncio.sleep(self.slow)
        return b"slow"

    async def _write_slowly(self, _connection: Connection, _value: bytes) -> None:
        self.tell("writes slowly")
        await asyncio.sleep(self.slow)

    def tell(self, what: str) -> None:
        self.happened.append(what)
        print(f"{self.name} {what}", flush=True)

    def show(self, number: int) -> None:
        self.shown = number
        self.tell("shows a number")

    def _connected(self, connection: Connection) -> None:
        self.connection = connection
        self.tell("is connected")
        connection.on("pairing", lambda *_: self.tell("is paired"))
        connection.on("pairing_failure", lambda *_: self.tell("did not pair"))
        connection.on("connection_encryption_change", lambda *_: self.tell("is encrypted"))
        connection.on("disconnection", self._disconnected)
        if self._asks:
            connection.request_pairing()

    def _disconnected(self, reason: int) -> None:
        self.connection = None
        self.tell(f"is disconnected, reason 0x{reason:02x}")

    # What the tests can do.

    async def advertise(self) -> None:
        """Be heard, again after each connection, until `silence`."""
        fields = [
            (AdvertisingData.FLAGS, b"\x06"),
            (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, struct.pack("<H", 0x181D)),
            (AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode()),
        ]
        await self.device.start_advertising(
            auto_restart=True,
            advertising_data=bytes(AdvertisingData(fields)),
            # Linux keeps an advertisement back until its scan response comes.
            scan_response_data=bytes(AdvertisingData([(AdvertisingData.TX_POWER_LEVEL, b"\x00")])),
            advertising_interval_min=ADVERTISING_MS,
            advertising_interval_max=ADVERTISING_MS,
        )

    async def silence(self) -> None:
        await self.device.stop_advertising()

    async def hang_up(self, reason: int = 0x13) -> None:
        assert self.connection is not None, "it is not connected"
        await self.connection.disconnect(hci.HCI_ErrorCode(reason))

    async def vanish(self) -> None:
        self.controller.lose_links()

    async def forget(self) -> None:
        await self._keys.delete_all()

    async def change_table(self, shifted: int = 0, extra: bool = False) -> None:
        await self.silence()
        self.controller.vanish()
        await self.build(shifted=shifted, extra=extra)
        await self.advertise()

    async def rotate(self) -> str:
        """Another resolvable address."""
        await self.silence()
        await self.device.update_rpa()
        await self.advertise()
        return str(self.device.random_address)

    async def notify(self, value: str) -> None:
        await self.device.notify_subscribers(self._notifies, bytes.fromhex(value))

    async def set(self, **values: Any) -> None:
        """`behaviour`, `typed` or `slow`."""
        for name, value in values.items():
            assert name in ("behaviour", "typed", "slow"), name
            setattr(self, name, value)

    async def state(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "on the air as": str(self.device.random_address),
            "identity": str(self.device.public_address).partition("/")[0],
            "connected": self.connection is not None,
            "encrypted": bool(self.connection and self.connection.encryption),
            "shown": self.shown,
            "bonds": len(await self._keys.get_all()),
            "happened": self.happened,
        }


ACTIONS = (
    "advertise", "silence", "hang_up", "vanish", "forget", "change_table", "rotate", "notify", "set", "state",
)  # fmt: skip


async def build_all(radio: Radio, devices: dict[str, Peripheral]) -> None:
    """Make every device anew: as when this program has just started. Linux hears of the end of each link."""
    for device in devices.values():
        device.controller.lose_links()
        device.controller.vanish()
    devices.update(
        {name: Peripheral(radio, number, name, **what) for number, (name, what) in enumerate(DEVICES.items(), 1)}
    )
    for device in devices.values():
        await device.build()


async def serve(radio: Radio, devices: dict[str, Peripheral]) -> None:
    """Answer commands until this process is ended. `{"action": "reset"}`, without a device, is for all."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            try:
                asked = json.loads(line)
                action = asked.pop("action")
                if action == "reset":
                    answer = {"result": await build_all(radio, devices)}
                else:
                    assert action in ACTIONS, action
                    answer = {"result": await getattr(devices[asked.pop("device")], action)(**asked)}
            except (AssertionError, KeyError, TypeError, ValueError, core.BaseBumbleError, att.ATT_Error) as error:
                traceback.print_exc()
                answer = {"error": repr(error)}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", PORT)
    print(READY, flush=True)
    await server.serve_forever()


async def main(kernel: str = "vhci") -> None:
    radio = Radio()
    devices: dict[str, Peripheral] = {}
    await build_all(radio, devices)
    transport = await open_transport(kernel)
    plug_in(radio, transport)
    await serve(radio, devices)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
