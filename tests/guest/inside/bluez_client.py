"""A plain client of bluetoothd for the tests of its rules: no bleak, and no code of the program.

Each `Client` is one connection to the bus, as each program has one. Every call has a deadline; a call can end with
`UNANSWERED`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.guest.inside.system_bus import plain

ADAPTER = "/org/bluez/hci0"
AGENT = "/test/agent"
UNANSWERED = "unanswered"
OK = "ok"
SECONDS = 30.0
FIND_SECONDS = 30.0
REJECTED = "org.bluez.Error.Rejected"


def path_of(address: str) -> str:
    return f"{ADAPTER}/dev_{address.upper().replace(':', '_')}"


class Client:
    """`agent`: what it answers when bluetoothd asks: a passkey as a number, True (yes), False (no), None (never)."""

    def __init__(self) -> None:
        self.signals: list[tuple[str, str, Any]] = []
        self.asked: list[tuple[str, Any]] = []
        self._answer: Callable[[], Any] = lambda: True

    async def __aenter__(self) -> Self:
        self._bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        self._bus.add_message_handler(self._handle)
        for rule in (
            "type='signal',sender='org.bluez'",
            "type='signal',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.bluez'",
        ):
            name = "org.freedesktop.DBus"
            await self._bus.call(Message(name, "/org/freedesktop/DBus", name, "AddMatch", signature="s", body=[rule]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bus.disconnect()

    # Calls: "ok", the error's name with its text, or UNANSWERED.

    async def call(
        self, path: str, interface: str, member: str, signature: str = "", *body: Any, seconds: float = SECONDS
    ) -> tuple[str, Any]:
        """(how it ended, the first value of the answer)."""
        full = interface if "." in interface else f"org.bluez.{interface}"
        message = Message("org.bluez", path, full, member, signature=signature, body=list(body))
        try:
            reply = await asyncio.wait_for(self._bus.call(message), seconds)
        except TimeoutError:
            return UNANSWERED, None
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            name = str(reply.error_name).removeprefix("org.bluez.Error.")
            return f"{name}: {reply.body[0] if reply.body else ''}", None
        return OK, plain(reply.body[0]) if reply.body else None

    async def device(self, address: str, member: str, seconds: float = SECONDS) -> str:
        """Connect, Disconnect, Pair or CancelPairing."""
        return (await self.call(path_of(address), "Device1", member, seconds=seconds))[0]

    async def property(self, address: str, name: str) -> Any:
        """A property of the device as it is now; None if it has none or is not known."""
        asked = ("org.bluez.Device1", name)
        return (await self.call(path_of(address), "org.freedesktop.DBus.Properties", "Get", "ss", *asked))[1]

    async def remove(self, address: str) -> str:
        return (await self.call(ADAPTER, "Adapter1", "RemoveDevice", "o", path_of(address)))[0]

    async def read(self, path: str, seconds: float = SECONDS) -> tuple[str, Any]:
        return await self.call(path, "GattCharacteristic1", "ReadValue", "a{sv}", {}, seconds=seconds)

    async def subscribe(self, path: str, seconds: float = SECONDS) -> str:
        return (await self.call(path, "GattCharacteristic1", "StartNotify", seconds=seconds))[0]

    async def objects(self) -> dict[str, Any]:
        return dict((await self.call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))[1] or {})

    async def characteristic(self, address: str, number: int) -> str:
        """The path of the characteristic with this number (see pairing_peripherals.uuid)."""
        wanted = f"0000{number:04x}-1111-2222-3333-444455556666"
        for path, interfaces in (await self.objects()).items():
            found = interfaces.get("org.bluez.GattCharacteristic1", {}).get("UUID")
            if path.startswith(path_of(address)) and found == wanted:
                return str(path)
        raise AssertionError(f"{address} has no characteristic {wanted}")

    # Longer ways.

    async def find(self, *addresses: str) -> None:
        """Scan until bluetoothd has an object of each."""
        await self.call(ADAPTER, "Adapter1", "SetDiscoveryFilter", "a{sv}", {"Transport": Variant("s", "le")})
        assert (await self.call(ADAPTER, "Adapter1", "StartDiscovery"))[0] == OK
        try:

            async def known() -> bool:
                objects = await self.objects()
                return all(path_of(address) in objects for address in addresses)

            await until(known, f"{addresses} in a scan", FIND_SECONDS)
        finally:
            await self.call(ADAPTER, "Adapter1", "StopDiscovery")

    async def connect(self, address: str) -> None:
        """Connect, and wait until all services are known."""
        assert await self.device(address, "Connect") == OK
        await self.until_property(address, "ServicesResolved", True)

    async def until_property(self, address: str, name: str, value: Any, seconds: float = SECONDS) -> None:
        async def holds() -> bool:
            return bool(await self.property(address, name) == value)

        await until(holds, f"{name} {value} of {address}", seconds)

    async def until_signal(self, kind: str, path: str, seconds: float = SECONDS) -> Any:
        """The body of the first such signal that came, or comes."""

        async def heard() -> Any:
            return next((body or True for k, p, body in self.signals if (k, p) == (kind, path)), None)

        return await until(heard, f"{kind} of {path}", seconds)

    # The agent.

    async def register_agent(
        self, answer: Callable[[], Any] = lambda: True, capability: str = "KeyboardDisplay", *, default: bool = False
    ) -> None:
        self._answer = answer
        assert (await self.call("/org/bluez", "AgentManager1", "RegisterAgent", "os", AGENT, capability))[0] == OK
        if default:
            assert (await self.call("/org/bluez", "AgentManager1", "RequestDefaultAgent", "o", AGENT))[0] == OK

    def _handle(self, message: Message) -> bool | None:
        if message.message_type is MessageType.SIGNAL:
            body = plain(message.body)
            match message.member:
                case "PropertiesChanged":
                    self.signals.append(("changed", message.path or "", body[1]))
                case "InterfacesAdded" | "InterfacesRemoved":
                    self.signals.append((message.member, body[0], body[1]))
                case "NameOwnerChanged":
                    self.signals.append((message.member, "", body))
        elif message.message_type is MessageType.METHOD_CALL and message.interface == "org.bluez.Agent1":
            self.asked.append((message.member or "", plain(message.body[1:])))
            self._task = asyncio.ensure_future(self._reply(message))
            return True
        return None

    async def _reply(self, message: Message) -> None:
        answer = await asyncio.to_thread(self._answer)
        if answer is None:
            return
        if answer is False:
            reply = Message.new_error(message, REJECTED, "no")
        elif message.member == "RequestPasskey":
            reply = Message.new_method_return(message, "u", [int(answer)])
        else:
            reply = Message.new_method_return(message)
        await self._bus.send(reply)


async def until(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Await `condition()` again and again until it is true; what it returned."""
    deadline = time.monotonic() + seconds
    while not (seen := await condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        await asyncio.sleep(0.05)
    return seen
