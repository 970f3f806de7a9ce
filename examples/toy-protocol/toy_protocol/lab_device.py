"""A lab device that speaks the toy protocol. Written from the README; it shares no code with the driver."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bumble import att
from bumble.gatt import Characteristic, Service
from pydantic import SecretStr

from installer.lab import gatt_services
from installer.lab.access_points import JoinOutcome
from installer.lab.device import LabDevice
from installer.wifi.networks import Security

if TYPE_CHECKING:
    from installer.lab.peripheral import LabEnvironment
    from installer.lab.scenario import DeviceScenario
    from toy_protocol.lab_protocol import ToyScenario

SERVICE = "70790000-0f3c-4b2e-9d5a-1c0ffee0c0de"
REQUEST = "70790001-0f3c-4b2e-9d5a-1c0ffee0c0de"
ANSWER = "70790002-0f3c-4b2e-9d5a-1c0ffee0c0de"
LENGTH_AND_TYPE = b"\x11\x07"  # of an advertised 128-bit UUID
UNKNOWN_NETWORK = (JoinOutcome.NOT_FOUND, JoinOutcome.DOWN)


class ToyDevice(LabDevice):
    """One device of the toy protocol."""

    def __init__(self, scenario: DeviceScenario, environment: LabEnvironment, toy: ToyScenario) -> None:
        super().__init__(scenario, environment)
        self._toy = toy
        self._answer: Characteristic[bytes]
        self._work: asyncio.Task[None] | None = None
        self.credentials_received = 0

    def provisioning_services(self) -> tuple[Service, ...]:
        """The service with its two characteristics."""
        properties = Characteristic.Properties

        def write(_connection: object, value: bytes) -> None:
            # Later, so that the client has its write response before any answer, as with a real stack.
            asyncio.get_running_loop().call_soon(self._received, value)

        request: Characteristic[bytes] = Characteristic(
            REQUEST, properties.WRITE, att.Attribute.WRITEABLE, att.AttributeValue(write=write)
        )
        self._answer = Characteristic(ANSWER, properties.NOTIFY, att.Attribute.READABLE)
        return (Service(SERVICE, [request, self._answer]),)

    def provisioning_payloads(self) -> tuple[bytes, ...]:
        """The service's UUID."""
        return (LENGTH_AND_TYPE + bytes.fromhex(SERVICE.replace("-", ""))[::-1],)

    def _received(self, request: bytes) -> None:
        words = request.decode("utf-8", "replace").split("\t")
        if self._work is not None and not self._work.done():
            self._work.cancel()
        self._work = asyncio.create_task(self._obey(words))

    async def _obey(self, words: list[str]) -> None:
        match words:
            case ["scan"]:
                for point in await self.scan():
                    security = "open" if point.security is Security.OPEN else "wpa2"
                    self._tell("network", point.ssid, security, str(point.rssi))
                self._tell("end")
            case ["join", ssid, passphrase]:
                self.credentials_received += 1
                self._tell("joining")
                outcome = await self.try_join(ssid, SecretStr(passphrase))
                if self._toy.silent:
                    return
                if outcome is JoinOutcome.JOINED:
                    self._tell("joined")
                    self.provisioned()
                else:
                    self._tell("failed", "unknown-network" if outcome in UNKNOWN_NETWORK else "passphrase")
            case _:
                self._tell("failed", "request")

    def reboot(self) -> None:
        """Start again; what was in memory is gone."""
        self._forget()
        super().reboot()

    def start_over(self) -> None:
        """`lab reset`, or a factory reset."""
        super().start_over()
        self._forget()

    def _forget(self) -> None:
        if self._work is not None:
            self._work.cancel()
        self.credentials_received = 0

    def _tell(self, *words: str) -> None:
        gatt_services.notify(self.server, self._answer, "\t".join(words).encode())

    def describe(self) -> dict[str, Any]:
        """What `lab status --json` shows: JSON types, nothing secret."""
        return {
            **super().describe(),
            "state": "joined" if self.joined else "waiting",
            "credentials_received": self.credentials_received,
        }
