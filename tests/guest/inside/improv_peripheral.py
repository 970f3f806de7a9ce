"""An Improv device that really joins: `python -m tests.guest.inside.improv_peripheral`.

Written from the Improv specification alone; it shares no code with the lab. Bumble gives it a Bluetooth stack behind
/dev/vhci, and wpa_supplicant joins the network on `wlan1`. It wants no press of a button.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from bumble import hci
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.host import Host
from bumble.transport import open_transport
from bumble.transport.common import AsyncPipeSink

from installer.lab.virtual_controller import LabController
from installer.lab.virtual_radio import Radio
from tests.guest.inside.kernel_adapter import plug_in

READY = "the Improv device is ready"
ADDRESS = "C0:00:00:00:1A:01"
NAME = "Real Lamp"
CHANNELS = ("2412", "2437", "2462")  # in MHz
INTERFACE = "wlan1"
JOIN_SECONDS = 25.0
PAUSE_SECONDS = 0.5
BASE = "00467768-6228-2272-4663-27747826800"
AUTHORIZED, PROVISIONING, PROVISIONED = 2, 3, 4
NO_ERROR, MALFORMED, UNKNOWN_COMMAND, UNABLE_TO_CONNECT = 0, 1, 2, 3
SEND_WIFI, IDENTIFY, INFORMATION, SCAN = 1, 2, 3, 4
CAPABILITIES = 0b111


def frame(command: int, *strings: str) -> bytes:
    """A result: command, length, each string with its length, and the sum of all bytes before."""
    data = b"".join(bytes([len(encoded)]) + encoded for encoded in (s.encode() for s in strings))
    whole = bytes([command, len(data)]) + data
    return whole + bytes([sum(whole) & 0xFF])


class Lamp:
    """The device: its state, what it was told so far, and its network."""

    def __init__(self) -> None:
        self.state = AUTHORIZED
        self.error = NO_ERROR
        self.result = b""
        self._networks: list[str] = []
        self._received = bytearray()
        self._supplicant: asyncio.subprocess.Process | None = None
        self._folder = Path(tempfile.mkdtemp())
        self._tasks: set[asyncio.Task[None]] = set()

    def service(self) -> Service:
        can, may = Characteristic.Properties, Characteristic.Permissions
        told = can.READ | can.NOTIFY

        def readable(number: int, value: Any, what: Characteristic.Properties = told) -> Characteristic[bytes]:
            return Characteristic(UUID(BASE + str(number)), what, may.READABLE, CharacteristicValue(read=value))

        self._state = readable(1, lambda _c: bytes([self.state]))
        self._error = readable(2, lambda _c: bytes([self.error]))
        command = Characteristic(UUID(BASE + "3"), can.WRITE, may.WRITEABLE, CharacteristicValue(write=self._written))
        self._result = readable(4, lambda _c: self.result)
        able = readable(5, lambda _c: bytes([CAPABILITIES]), can.READ)
        return Service(UUID(BASE + "0"), [self._state, self._error, command, self._result, able])

    def advertisement(self) -> bytes:
        data = bytes([0x77, 0x46, self.state, CAPABILITIES, 0, 0, 0, 0])
        return bytes(
            AdvertisingData(
                [
                    (AdvertisingData.FLAGS, b"\x06"),
                    (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, bytes(UUID(BASE + "0"))),
                    (AdvertisingData.SERVICE_DATA_16_BIT_UUID, data),
                ]
            )
        )

    def _written(self, _connection: Connection, value: bytes) -> None:
        self._received += value
        if len(self._received) < 3 or len(self._received) < self._received[1] + 3:
            return
        whole = bytes(self._received)
        self._received.clear()
        task = asyncio.ensure_future(self._obey(whole))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _obey(self, whole: bytes) -> None:
        await self._tell_error(NO_ERROR)
        command, length, data = whole[0], whole[1], whole[2:-1]
        if len(data) != length or whole[-1] != sum(whole[:-1]) & 0xFF:
            await self._tell_error(MALFORMED)
        elif command == SEND_WIFI:
            ssid, passphrase = data[1 : 1 + data[0]], data[2 + data[0] :]
            await self._provision(ssid.decode(), passphrase.decode())
        elif command == IDENTIFY:
            print("identify", flush=True)
        elif command == INFORMATION:
            await self._tell_result(frame(INFORMATION, "lamp", "1.0", "virtual", NAME))
        elif command == SCAN:
            await self._tell_result(frame(SCAN, *self._networks))
        else:
            await self._tell_error(UNKNOWN_COMMAND)

    async def _provision(self, ssid: str, passphrase: str) -> None:
        await self._tell_state(PROVISIONING)
        if await self._join(ssid, passphrase):
            print("joined", flush=True)
            await self._tell_state(PROVISIONED)
            await self._tell_result(frame(SEND_WIFI, ""))
        else:
            print("not joined", flush=True)
            await self._tell_error(UNABLE_TO_CONNECT)
            await self._tell_state(AUTHORIZED)

    async def look_around(self) -> None:
        """Note name, signal and security of each network that the radio hears, as many devices do when they start.

        Here a scan may take longer than a program waits for an answer: the processor is emulated, and shared.
        """
        await run("ip", "link", "set", INTERFACE, "up")
        heard = ""
        while "SSID: " not in heard:
            # Of 2.4 GHz, as such devices have; all the channels of the simulated radio take half a minute here.
            heard = await run("iw", "dev", INTERFACE, "scan", "freq", *CHANNELS)
            await asyncio.sleep(PAUSE_SECONDS)
        for line in heard.splitlines():
            key, _, value = line.strip().partition(": ")
            if key == "signal":
                self._networks += ["", str(int(float(value.split()[0]))), "NO"]
            elif key == "SSID" and self._networks:
                self._networks[-3] = value
            elif line.strip().startswith("RSN:") and self._networks:
                self._networks[-1] = "WPA2"

    async def _join(self, ssid: str, passphrase: str) -> bool:
        """Whether wpa_supplicant came into the network; it stays there then."""
        configuration = self._folder / "wpa.conf"
        configuration.write_text(
            f'network={{\n ssid="{ssid}"\n psk="{passphrase}"\n scan_freq={" ".join(CHANNELS)}\n}}\n', "utf-8"
        )
        self._supplicant = await asyncio.create_subprocess_exec(
            *("wpa_supplicant", "-i", INTERFACE, "-c", str(configuration)), stdout=asyncio.subprocess.PIPE
        )
        assert self._supplicant.stdout is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(JOIN_SECONDS):
                async for line in self._supplicant.stdout:
                    if b"CTRL-EVENT-CONNECTED" in line:
                        return True
                    if b"WRONG_KEY" in line:
                        break
        self._supplicant.terminate()
        await self._supplicant.wait()
        return False

    async def _tell_state(self, state: int) -> None:
        self.state = state
        await self.device.notify_subscribers(self._state, bytes([state]))

    async def _tell_error(self, error: int) -> None:
        self.error = error
        await self.device.notify_subscribers(self._error, bytes([error]))

    async def _tell_result(self, result: bytes) -> None:
        self.result = result
        await self.device.notify_subscribers(self._result, result)

    device: Device


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode("utf-8", "replace")


async def main(kernel: str = "vhci") -> None:
    radio, lamp = Radio(), Lamp()
    controller = LabController(NAME, radio, "00:11:22:33:1A:01")
    config = DeviceConfiguration(name=NAME, address=hci.Address(ADDRESS))
    lamp.device = Device(config=config, host=Host(controller, AsyncPipeSink(controller)))
    lamp.device.add_service(lamp.service())
    await lamp.device.power_on()
    name = bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, NAME.encode())]))
    await lamp.device.start_advertising(
        auto_restart=True,
        advertising_data=lamp.advertisement(),
        scan_response_data=name,
        advertising_interval_min=200,
        advertising_interval_max=200,
    )
    await lamp.look_around()
    transport = await open_transport(kernel)
    plug_in(radio, transport)
    print(READY, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
