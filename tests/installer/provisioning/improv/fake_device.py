"""An Improv device that does exactly what a test says, on a radio of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bumble.gatt import Service

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.lab import gatt_services
from installer.provisioning.improv.driver import ImprovProvisioner
from installer.provisioning.improv.session import Timings
from tests.installer.bluetooth.bench import Bench, Peripheral, Properties, characteristic, connected

BASE = "00467768-6228-2272-4663-27747826800"
SERVICE, STATE, ERROR, COMMAND, RESULT, CAPABILITIES = (f"{BASE}{n}" for n in range(6))
STOPPED, AUTHORIZATION, AUTHORIZED, PROVISIONING, PROVISIONED = range(5)

# Short, so that a test of a wait that ends takes no time; long enough for a slow machine.
FAST = Timings(answer=0.5, scan=0.5, quiet=0.1, refusal=0.1, authorization=5.0, join=5.0, result=0.3, settle=0.3)


def frame(command: int, *texts: bytes) -> bytes:
    data = b"".join(bytes((len(text),)) + text for text in texts)
    body = bytes((command, len(data))) + data
    return body + bytes((sum(body) & 255,))


class ImprovDevice:
    """`frames`: the whole commands that came; `writes`: the pieces they came in; `react`: called with each frame."""

    def __init__(self, state: int = AUTHORIZED, capabilities: bytes = b"\x0f") -> None:
        self.state, self.error, self.result, self.capabilities = state, 0, b"", capabilities
        self.writes: list[bytes] = []
        self.frames: list[bytes] = []
        self.react: Callable[[bytes], Any] = lambda _: None
        self.peripheral: Peripheral | None = None
        self._buffer = b""
        read_notify = Properties.READ | Properties.NOTIFY
        self.table = {
            STATE: characteristic(STATE, read_notify, read=lambda _: bytes((self.state,))),
            ERROR: characteristic(ERROR, read_notify, read=lambda _: bytes((self.error,))),
            COMMAND: characteristic(COMMAND, Properties.WRITE, write=self._written),
            RESULT: characteristic(RESULT, read_notify, read=lambda _: self.result),
            CAPABILITIES: characteristic(CAPABILITIES, Properties.READ, read=lambda _: self.capabilities),
        }

    async def start(self, bench: Bench, **kwargs: Any) -> None:
        """On the air. `without`: a characteristic that this device lacks."""
        without = kwargs.pop("without", None)
        service = Service(SERVICE, [c for uuid, c in self.table.items() if uuid != without])
        self.peripheral = await bench.peripheral([service], advertised=[SERVICE], **kwargs)

    def say_state(self, state: int) -> None:
        self.state = state
        self._notify(STATE, bytes((state,)))

    def say_error(self, error: int) -> None:
        self.error = error
        self._notify(ERROR, bytes((error,)))

    def say_result(self, data: bytes) -> None:
        self.result = data
        self._notify(RESULT, data)

    def say(self, uuid: str, data: bytes) -> None:
        """Any bytes on any characteristic."""
        self._notify(uuid, data)

    def drop(self) -> None:
        assert self.peripheral is not None
        self.peripheral.drop()

    def _notify(self, uuid: str, data: bytes) -> None:
        assert self.peripheral is not None
        gatt_services.notify(self.peripheral.stack.gatt_server, self.table[uuid], data)

    def _written(self, _: Any, data: bytes) -> None:
        self.writes.append(bytes(data))
        self._buffer += data
        if len(self._buffer) >= 2 and len(self._buffer) >= self._buffer[1] + 3:
            whole, self._buffer = self._buffer, b""
            self.frames.append(whole)
            self.react(whole)


async def driver_for(
    adapter: Adapter, timings: Timings = FAST, wanted_ssid: str | None = None
) -> tuple[Connection, ImprovProvisioner]:
    """A connection to the device and its opened provisioner."""
    connection = await connected(adapter)
    provisioner = ImprovProvisioner(connection, timings, wanted_ssid=wanted_ssid)
    await provisioner.open()
    return connection, provisioner
