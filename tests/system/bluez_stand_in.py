"""A stand-in for BlueZ on a D-Bus daemon of a test's own: a tree of objects, and what a test lets happen to it.

It answers and signals as the real one was measured to (`bluez-behaviour`): a link outlives the client that made it; a
connected device does not advertise; a request to remove a device is answered before its object is gone; the agent is
asked about one object, and told nothing that BlueZ does not tell. How a real daemon dies is shown in the guest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Self

from dbus_fast import ErrorType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from installer.bluetooth.bluez.bus import ADAPTER, AGENT, DEVICE, OBJECT_MANAGER, PROPERTIES, SERVICE
from tests.system.pairing_devices import CANCELED, Device, just_works

HCI0 = "/org/bluez/hci0"
BATTERY, VALUE = "0000180f-0000-1000-8000-00805f9b34fb", "00002a19-0000-1000-8000-00805f9b34fb"
# The interface of an object, by the depth of its path.
INTERFACES = {3: ADAPTER, 4: DEVICE, 5: "org.bluez.GattService1", 6: "org.bluez.GattCharacteristic1"}
TYPES = {bool: "b", str: "s", bytes: "ay", list: "as"}
SIGNATURES = {"RSSI": "n", "Handle": "q", "MTU": "q", "Adapter": "o", "Device": "o", "Service": "o"}

# None: the answer never comes.
Answer = Callable[[Message], Message | None]


def path_of(address: str, adapter: str = HCI0) -> str:
    """The path of the device's object."""
    return f"{adapter}/dev_{address.replace(':', '_')}"


def never(_: Message) -> None:
    """No answer, and nothing is done."""


def fails(name: str | ErrorType, text: str = "") -> Answer:
    """An answer with this error."""
    return lambda call: Message.new_error(call, name, text)


IN_PROGRESS = fails("org.bluez.Error.InProgress", "In Progress")


class StandIn:
    """`start` puts it on the bus; `async with` does, and takes it away again.

    `objects`: properties by path. `calls`: each method called, and the object it is about. `in_reach`: the names of
    the devices that advertise when somebody scans, by address. `repeats`: whether a known device is signalled when
    it advertises. `table_follows`: the signals of a table come so many seconds after `ServicesResolved`. `instead`:
    answers that take the place of the usual ones, by method: `repeat(IN_PROGRESS, 2)` for two calls,
    `repeat(never)` for all. `connecting`: devices to which an attempt to connect `goes_on`. `device`: what the
    device does when it is paired; `pairing`: its path; `cancel_after`: set when one that `cancels` does it.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.instead: dict[str, Iterator[Answer]] = {}
        self.in_reach: dict[str, str] = {}
        self.repeats = True
        self.table_follows = 0.0
        self.filters: dict[str, Any] = {}  # of discovery: the last that were not empty
        self.connecting: set[str] = set()
        self.agent: tuple[str, str] | None = None  # its connection and path
        self.capability = ""
        self.device: Device = just_works
        self.pairing = ""
        self.cancel_after = asyncio.Event()
        self._leaving = False
        self._called = asyncio.Event()
        self._pairings: set[asyncio.Task[str]] = set()
        self._bus: MessageBus | None = None

    async def start(self, *adapters: str, powered: bool = True) -> Self:
        """With these adapters; hci0 if none is named."""
        self.objects, self.agent, self._leaving = {}, None, False
        self._bus = await MessageBus(bus_address=self.address).connect()
        self._bus.add_message_handler(self._answer)
        await self._bus.request_name(SERVICE)
        for name in adapters or ("hci0",):
            self.plugged(name, powered=powered)
        return self

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.killed()

    @property
    def methods(self) -> list[str]:
        """The methods called, in order."""
        return [member for member, _ in self.calls]

    def called(self, method: str) -> list[str]:
        """The objects of the calls of this method, in order."""
        return [path for member, path in self.calls if member == method]

    async def asked(self, method: str) -> None:
        """Wait until somebody has called this method."""
        async with asyncio.timeout(10):
            while method not in self.methods:
                self._called.clear()
                await self._called.wait()

    def is_connected(self, path: str) -> bool:
        """Whether there is a link to this device."""
        return bool(self.objects[path]["Connected"])

    @property
    def discovering(self) -> bool:
        """Whether somebody scans."""
        return bool(self.objects[HCI0]["Discovering"])

    # What may happen.

    async def killed(self) -> None:
        """The name's owner is gone; no other signal."""
        for pairing in self._pairings:
            pairing.cancel()
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.disconnect()
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    async def stopped(self) -> None:
        """By the system: the adapter is switched off, and links, devices and adapters go before the service."""
        self._leaving = True
        self.power(False)
        await asyncio.sleep(0.6)  # a slow computer
        self.remove("/org/bluez")
        await asyncio.sleep(0.05)
        await self.killed()

    async def restarted(self) -> None:
        """Its adapter is off for a moment."""
        await self.stopped()
        await self.start(powered=False)
        await asyncio.sleep(0.1)
        self.power(True)

    def power(self, on: bool, *, blocked: bool = False) -> None:
        """Switch hci0; `blocked`: only `PowerState` says so."""
        for path in [] if on else self._tree(HCI0):
            if self.objects[path].get("Connected"):
                self.hangs_up(path)
        changed = {} if blocked else {"Powered": on, "Discovering": False}
        self.change(HCI0, **changed, PowerState="on" if on else "off-blocked" if blocked else "off")

    def pulled(self) -> None:
        """The adapter hci0, and what belongs to it, is removed. The kernel switches it off first."""
        self.power(False)
        self.remove(HCI0)

    def plugged(self, name: str = "hci0", *, powered: bool = True) -> None:
        """The adapter is there, or there again."""
        address = f"00:1A:7D:DA:71:1{len(self.objects)}"
        state = {"Powered": powered, "Discovering": False, "Roles": ["central", "peripheral"]}
        self._add(f"/org/bluez/{name}", Address=address, Alias="desk", **state)

    def hangs_up(self, path: str) -> None:
        """The device ends the link, or the attempt to make one."""
        self.connecting.discard(path)
        self.change(path, ServicesResolved=False, Connected=False)

    def goes_on(self, call: Message) -> None:
        """Instead of an answer to `Connect`: the device is silent."""
        self.connecting.add(str(call.path))

    # The parts.

    def add(self, address: str, name: str, adapter: str = HCI0, **state: Any) -> str:
        """A device that BlueZ knows; its path."""
        known = {"Paired": False, "Bonded": False, "Connected": False, "ServicesResolved": False, "UUIDs": []}
        path, names = path_of(address, adapter), {"Alias": name, "Name": name}
        self._add(path, Address=address, AddressType="public", Adapter=adapter, **{**names, **known, **state})
        return path

    def remove(self, top: str) -> None:
        """Remove an object and those below it, with the signals."""
        for path in self._tree(top):
            del self.objects[path]
            self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, list(_interfaces(path, {}))])

    def change(self, path: str, **values: Any) -> None:
        """Change properties, with the signal."""
        self.objects[path].update(values)
        for interface, changed in _interfaces(path, values).items():
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, []])

    def advertise(self) -> None:
        """Those in reach that are not connected are heard, if somebody scans."""
        for adapter in [path for path, values in self.objects.items() if values.get("Discovering")]:
            for address, name in self.in_reach.items():
                path = path_of(address, adapter)
                if path not in self.objects:
                    self.add(address, name, adapter, RSSI=-50)
                elif self.repeats and not self.is_connected(path):
                    self.change(path, RSSI=-50)

    async def ask(self, member: str, signature: str = "o", *body: Any, path: str = "") -> Message:
        """What the agent answers. `path`: another device than the one that is being paired."""
        assert self.agent is not None
        assert self._bus is not None
        arguments = [path or self.pairing, *body] if signature else []
        answer = await self._bus.call(Message(*self.agent, AGENT, member, signature=signature, body=arguments))
        assert answer is not None
        return answer

    def _add(self, path: str, **values: Any) -> None:
        self.objects[path] = values
        self._tell_added(path)

    def _tell_added(self, *paths: str) -> None:
        for path in paths:
            added = [path, _interfaces(path, self.objects[path])]
            self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", added)

    def _tree(self, top: str) -> list[str]:
        """What is below comes first."""
        return sorted((path for path in self.objects if f"{path}/".startswith(f"{top}/")), reverse=True)

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        self._send(Message.new_signal(path, interface, member, signature, body))

    def _send(self, message: Message) -> None:
        if self._bus is not None:
            self._bus.send(message)

    # Its answers.

    def _answer(self, call: Message) -> Message | bool | None:
        """True: nothing, now."""
        if call.message_type is not MessageType.METHOD_CALL:
            return None
        if self._leaving:
            return True  # it answers nothing any more
        if not str(call.interface).startswith((SERVICE, OBJECT_MANAGER, PROPERTIES)):
            return None
        member, path = str(call.member), str(call.path)
        self.calls.append((member, call.body[0] if member == "RemoveDevice" else path))
        self._called.set()
        answer = next(self.instead.get(member, iter(())), partial(self._usual_answer, member, path))
        return answer(call) or True

    def _usual_answer(self, member: str, path: str, call: Message) -> Message | None:
        values, error, loop = self.objects.get(path, {}), partial(Message.new_error, call), asyncio.get_running_loop()
        match member, call.body:
            case "GetManagedObjects", _:
                objects = {path: _interfaces(path, values) for path, values in self.objects.items()}
                return Message.new_method_return(call, "a{oa{sa{sv}}}", [objects])
            case "RegisterAgent", [agent, capability]:
                self.agent, self.capability = (str(call.sender), agent), capability
            case "UnregisterAgent", _:
                self.agent = None
            case _ if not values:
                return error(ErrorType.UNKNOWN_OBJECT, "no such object")
            case "Get", [interface, name] if name in values:
                return Message.new_method_return(call, "v", [_interfaces(path, values)[interface][name]])
            case "GetAll", [interface]:
                return Message.new_method_return(call, "a{sv}", [_interfaces(path, values)[interface]])
            case "SetDiscoveryFilter", [filters]:
                self.filters = {name: value.value for name, value in filters.items()} or self.filters
            case "StartDiscovery", _ if not values["Powered"]:
                return error("org.bluez.Error.NotReady", "Resource Not Ready")
            case (("StartDiscovery" | "StopDiscovery"), _):
                self.change(path, Discovering=member == "StartDiscovery")
                loop.call_soon(self.advertise)
            case "RemoveDevice", [device] if device not in self._tree(path):
                return error("org.bluez.Error.DoesNotExist", "Does Not Exist")
            case "RemoveDevice", [device]:
                loop.call_later(0.02, self.remove, device)
            case "Connect", _:
                self._connect(path)
            case "Disconnect", _:
                self.hangs_up(path)
                loop.call_soon(self.advertise)
            case "Pair", _ if values["Paired"]:
                return error("org.bluez.Error.AlreadyExists", "Already Exists")
            case "Pair", _:
                self._pair(path, call)
                return None
            case "CancelPairing", _:
                for pairing in self._pairings:
                    pairing.cancel()
            case "ReadValue", _:
                return Message.new_method_return(call, "ay", [b"\x32"])
            case _:
                return error(ErrorType.UNKNOWN_METHOD, f"no {member}")
        return Message.new_method_return(call)

    def _connect(self, path: str) -> None:
        service = f"{path}/service0001"
        table = {
            service: {"UUID": BATTERY, "Primary": True, "Device": path, "Handle": 1},
            f"{service}/char0002": {
                **{"UUID": VALUE, "Service": service, "Value": b"", "Flags": ["read"]},
                **{"MTU": 517, "Handle": 2},
            },
        }
        self.objects.update(table)
        tell = partial(self._tell_added, *table)
        if self.table_follows:
            asyncio.get_running_loop().call_later(self.table_follows, tell)
        else:
            tell()
        self.change(path, Connected=True, ServicesResolved=True)
        self.objects[path].pop("RSSI", None)

    def _pair(self, path: str, call: Message) -> None:
        self.pairing = path
        self.change(path, Connected=True)
        task = asyncio.ensure_future(self.device(self))
        self._pairings.add(task)
        task.add_done_callback(partial(self._paired, path, call))

    def _paired(self, path: str, call: Message, task: asyncio.Task[str]) -> None:
        self._pairings.discard(task)
        error = CANCELED if task.cancelled() else task.result()
        if not error:
            self.change(path, Bonded=True, Paired=True)
        self._send(Message.new_error(call, error, "") if error else Message.new_method_return(call))


def _interfaces(path: str, values: dict[str, Any]) -> dict[str, dict[str, Variant]]:
    """These properties of an object, as they are sent."""
    sent = {name: Variant(SIGNATURES.get(name) or TYPES[type(value)], value) for name, value in values.items()}
    return {INTERFACES[path.count("/")]: sent}
