"""A stand-in for BlueZ on a D-Bus daemon of the test's own: one device, adapters, and the ways in which they go away.

It answers and signals as the real one was measured to (`bluez-behaviour`). What a real daemon does when it dies is
shown in the guest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

SERVICE = "org.bluez"
ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
GATT_SERVICE, CHARACTERISTIC = "org.bluez.GattService1", "org.bluez.GattCharacteristic1"
OBJECT_MANAGER, PROPERTIES = "org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Properties"
ADDRESS = "00:24:E4:00:00:01"
VALUE = "00002a19-0000-1000-8000-00805f9b34fb"
BATTERY = "0000180f-0000-1000-8000-00805f9b34fb"

Interfaces = dict[str, dict[str, Variant]]
Answer = Callable[[Message], Message | None]


class StandIn:
    """`start` puts it on the bus; `killed`, `stopped` and so on are what may happen to it.

    `read`: answers `ReadValue`; None: never. `busy`: so many `StartDiscovery` are refused with InProgress.
    """

    def __init__(self, address: str) -> None:
        self.closed_to_user = False  # the policy of the bus does not let this user ask
        self.address = address
        self.objects: dict[str, Interfaces] = {}
        self.calls: list[str] = []
        self.leaving = False
        self.busy = 0
        self.busy_connecting = 0
        self.read: Answer = lambda call: Message.new_method_return(call, "ay", [b"\x32"])
        self._called = asyncio.Event()
        self._bus: MessageBus | None = None

    async def start(self, *adapters: str, powered: bool = True) -> StandIn:
        """With these adapters (hci0 if none is named); the device is within reach of the first."""
        self.objects, self.leaving = {}, False
        self._bus = await MessageBus(bus_address=self.address).connect()
        self._bus.add_message_handler(self._answer)
        await self._bus.request_name(SERVICE)
        for number, name in enumerate(adapters or ("hci0",)):
            self.add(f"/org/bluez/{name}", _adapter(number, powered))
        return self

    @property
    def device(self) -> str:
        """The path of the device."""
        first = min(path for path in self.objects if ADAPTER in self.objects[path])
        return f"{first}/dev_{ADDRESS.replace(':', '_')}"

    async def asked(self, method: str) -> None:
        """Wait until somebody has called this method."""
        async with asyncio.timeout(10):
            while method not in self.calls:
                self._called.clear()
                await self._called.wait()

    # What may happen.

    async def killed(self) -> None:
        """The name's owner is gone; no other signal."""
        if self._bus is not None:
            self._bus.disconnect()
            await self._bus.wait_for_disconnect()
            self._bus = None

    async def stopped(self) -> None:
        """By the system: the adapter is switched off, and links, devices and adapters go before the service."""
        self.leaving = True
        self.power(False)
        await asyncio.sleep(0.6)  # a slow computer
        for path in sorted(self.objects, reverse=True):
            if DEVICE in self.objects[path]:
                self.change(path, DEVICE, Connected=Variant("b", False))
            self.remove(path)
        await asyncio.sleep(0.05)
        await self.killed()

    async def restarted(self) -> None:
        """Its adapter is off for a moment."""
        await self.stopped()
        await self.start(powered=False)
        await asyncio.sleep(0.1)
        self.power(True)

    def power(self, on: bool, *, blocked: bool = False) -> None:
        """Switch the first adapter; `blocked`: only `PowerState` says so."""
        if not on and self.device in self.objects:
            self.change(self.device, DEVICE, Connected=Variant("b", False), ServicesResolved=Variant("b", False))
        changed = {} if blocked else {"Powered": Variant("b", on), "Discovering": Variant("b", False)}
        state = "on" if on else "off-blocked" if blocked else "off"
        self.change("/org/bluez/hci0", ADAPTER, **changed, PowerState=Variant("s", state))

    def pulled(self, name: str = "hci0") -> None:
        """The adapter and what belongs to it is removed."""
        if name == "hci0":
            self.power(False)  # the kernel switches it off first
        for path in sorted((p for p in self.objects if p.startswith(f"/org/bluez/{name}")), reverse=True):
            self.remove(path)

    def plugged(self, name: str = "hci0") -> None:
        """The adapter is back."""
        self.add(f"/org/bluez/{name}", _adapter(0, True))

    def hangs_up(self) -> None:
        """The device ends the connection."""
        self.change(self.device, DEVICE, ServicesResolved=Variant("b", False), Connected=Variant("b", False))

    # The parts.

    def add(self, path: str, interfaces: Interfaces) -> None:
        """Add an object, with the signal."""
        self.objects[path] = interfaces
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def remove(self, path: str) -> None:
        """Remove an object, with the signal."""
        interfaces = self.objects.pop(path, {})
        self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, list(interfaces)])

    def change(self, path: str, interface: str, **values: Variant) -> None:
        """Change properties, with the signal."""
        self.objects[path][interface].update(values)
        self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, values, []])

    def advertise(self) -> None:
        """The device is heard."""
        if self.device not in self.objects:
            adapter = self.device.rpartition("/")[0]
            self.add(self.device, {DEVICE: _device(adapter)})
        else:
            self.change(self.device, DEVICE, RSSI=Variant("n", -50))

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self._bus is not None:
            self._bus.send(Message.new_signal(path, interface, member, signature, body))

    def _answer(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL or not message.path.startswith("/"):
            return None
        if self.leaving:
            return True  # it answers nothing any more
        self.calls.append(message.member)
        self._called.set()
        found = self.objects.get(message.path)
        match message.member:
            case "GetManagedObjects" if self.closed_to_user:
                return Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "Not authorized")
            case "GetManagedObjects":
                return Message.new_method_return(message, "a{oa{sa{sv}}}", [self.objects])
            case _ if found is None:
                return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownObject", "no such object")
            case "GetAll":
                return Message.new_method_return(message, "a{sv}", [found[message.body[0]]])
            case "StartDiscovery" if self.busy:
                self.busy -= 1
                return Message.new_error(message, "org.bluez.Error.InProgress", "Operation already in progress")
            case "StartDiscovery" if not found[ADAPTER]["Powered"].value:
                return Message.new_error(message, "org.bluez.Error.NotReady", "Resource Not Ready")
            case "StartDiscovery":
                asyncio.get_running_loop().call_soon(self.advertise)
            case "Connect" if self.busy_connecting:
                self.busy_connecting -= 1
                return Message.new_error(message, "org.bluez.Error.InProgress", "In Progress")
            case "Connect":
                self._connect(message.path)
            case "Disconnect":
                self.hangs_up()
            case "ReadValue":
                return self.read(message) or True  # handled; the answer never comes
        return Message.new_method_return(message)

    def _connect(self, path: str) -> None:
        self.add(f"{path}/service0001", {GATT_SERVICE: _service(path)})
        self.add(f"{path}/service0001/char0002", {CHARACTERISTIC: _characteristic(f"{path}/service0001")})
        self.change(path, DEVICE, Connected=Variant("b", True), ServicesResolved=Variant("b", True))


def _adapter(number: int, powered: bool) -> Interfaces:
    return {
        ADAPTER: {
            "Address": Variant("s", f"00:1A:7D:DA:71:1{number}"),
            "Alias": Variant("s", "desk"),
            "Powered": Variant("b", powered),
            "Discovering": Variant("b", False),
            "Roles": Variant("as", ["central", "peripheral"]),
        }
    }


def _device(adapter: str) -> dict[str, Variant]:
    return {
        "Address": Variant("s", ADDRESS),
        "AddressType": Variant("s", "public"),
        "Alias": Variant("s", "Bench"),
        "Name": Variant("s", "Bench"),
        "Adapter": Variant("o", adapter),
        "Connected": Variant("b", False),
        "Paired": Variant("b", False),
        "ServicesResolved": Variant("b", False),
        "UUIDs": Variant("as", [BATTERY]),
        "RSSI": Variant("n", -50),
    }


def _service(device: str) -> dict[str, Variant]:
    return {
        "UUID": Variant("s", BATTERY),
        "Primary": Variant("b", True),
        "Device": Variant("o", device),
        "Handle": Variant("q", 1),
    }


def _characteristic(service: str) -> dict[str, Variant]:
    return {
        "UUID": Variant("s", VALUE),
        "Service": Variant("o", service),
        "Value": Variant("ay", b""),
        "Flags": Variant("as", ["read"]),
        "MTU": Variant("q", 517),
        "Handle": Variant("q", 2),
    }
