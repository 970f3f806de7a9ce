"""A BlueZ on the D-Bus daemon of a test: the adapter `hci0`, and devices that a program scans for and connects to.

It answers as the real one was measured to (`bluez-behaviour`): a link outlives the client that made it, and so does an
attempt to connect; a connected device does not advertise; what does not change is not repeated, unless a client asked
for duplicates.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from installer.bluetooth.bluez.bus import ADAPTER, DEVICE, OBJECT_MANAGER, PROPERTIES, SERVICE

HCI0 = "/org/bluez/hci0"
SIGNATURES = {"RSSI": "n", "Adapter": "o", "UUIDs": "as"}


def path_of(address: str) -> str:
    """The path of the device's object."""
    return f"{HCI0}/dev_{address.replace(':', '_')}"


class StandIn:
    """`devices`: properties by path; `calls`: method and object of each call that changes something.

    `silent`: devices that are not there now, so that connecting to them goes on. `in_reach`: devices that advertise
    when somebody scans. `repeats`: whether a known device is signalled again when it advertises. `takes_its_time`: a
    link that is to be ended stays up, and the request is not answered, until the test ends it.
    """

    def __init__(self, bus: MessageBus) -> None:
        self.bus = bus
        self.devices: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.filters: dict[str, Any] = {}
        self.silent: set[str] = set()
        self.in_reach: set[str] = set()
        self.connecting: set[str] = set()
        self.discovering = False
        self.repeats = True
        self.takes_its_time = False

    def add(self, address: str, name: str, **state: Any) -> str:
        """A device that BlueZ knows; its path."""
        path = path_of(address)
        known = {"Paired": False, "Bonded": False, "Connected": False, "ServicesResolved": False, "UUIDs": []}
        self.devices[path] = {"Address": address, "Alias": name, "Name": name, "Adapter": HCI0, **known, **state}
        return path

    def is_connected(self, path: str) -> bool:
        """Whether there is a link to this device."""
        return bool(self.devices[path]["Connected"])

    def advertise(self) -> None:
        """Those in reach that are not connected are heard, if somebody scans."""
        for path in self.in_reach if self.discovering else ():
            if not self.is_connected(path):
                self.change(path, RSSI=-50)

    def change(self, path: str, **values: Any) -> None:
        """Change properties of a device, and signal it."""
        self.devices[path].update(values)
        body = [DEVICE, _variants(values), []]
        self.bus.send(Message.new_signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", body))

    def answer(self, message: Message) -> Message | bool | None:
        """What BlueZ answers; True: nothing, now."""
        if message.message_type is not MessageType.METHOD_CALL or not str(message.interface).startswith(
            (SERVICE, OBJECT_MANAGER)
        ):
            return None
        if message.member == "GetManagedObjects":
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [self._objects()])
        self.calls.append((message.member, message.path))
        if message.path in self.devices:
            return self._device(message, message.path)
        if message.member == "SetDiscoveryFilter":
            self.filters = {name: value.value for name, value in message.body[0].items()} or self.filters
        elif message.member in ("StartDiscovery", "StopDiscovery"):
            self.discovering = message.member == "StartDiscovery"
            if self.repeats:
                asyncio.get_running_loop().call_later(0.01, self.advertise)
        return Message.new_method_return(message)

    def _device(self, message: Message, path: str) -> Message | bool:
        if message.member == "Connect":
            if path in self.silent:
                self.connecting.add(path)
                return True
            self.change(path, Connected=True, ServicesResolved=True)
            self.devices[path].pop("RSSI", None)
        elif message.member == "Disconnect" and self.takes_its_time:
            return True
        elif message.member == "Disconnect":
            self.connecting.discard(path)
            self.change(path, Connected=False, ServicesResolved=False)
            asyncio.get_running_loop().call_later(0.01, self.advertise)
        return Message.new_method_return(message)

    def _objects(self) -> dict[str, Any]:
        adapter = {
            "Powered": True,
            "Discovering": self.discovering,
            "Roles": ["central"],
            "Address": "00:00:00:00:00:01",
        }
        objects = {path: {DEVICE: _variants(values)} for path, values in self.devices.items()}
        return {HCI0: {ADAPTER: _variants(adapter)}, **objects}


def _variants(values: dict[str, Any]) -> dict[str, Variant]:
    return {name: Variant(_signature(name, value), value) for name, value in values.items()}


def _signature(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "b"
    return SIGNATURES.get(name, "as" if isinstance(value, list) else "s")


@asynccontextmanager
async def stand_in(address: str) -> AsyncIterator[StandIn]:
    """A BlueZ on the bus with this address."""
    connection = await MessageBus(bus_address=address).connect()
    service = StandIn(connection)
    connection.add_message_handler(service.answer)  # type: ignore[arg-type]
    await connection.request_name(SERVICE)
    try:
        yield service
    finally:
        connection.disconnect()
        await connection.wait_for_disconnect()


def called(service: StandIn, member: str) -> list[str]:
    """The objects on which this method was called, in order."""
    return [path for name, path in service.calls if name == member]


def names(seen: Iterable[Any]) -> list[str]:
    """The names of sightings or devices, sorted."""
    return sorted(one.name for one in seen)
