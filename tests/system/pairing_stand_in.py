"""A stand-in for BlueZ on a D-Bus daemon of a test's own: it answers a pairing as the real one was measured to.

It asks the agent of the connection that calls `Pair()`, on one object, and tells nothing that BlueZ does not tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dbus_fast import ErrorType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from installer.bluetooth.bluez.bus import ADAPTER, AGENT, AGENT_MANAGER, DEVICE, OBJECT_MANAGER, PROPERTIES, SERVICE

PATH = "/org/bluez/hci0/dev_AA_BB_CC_DD_EE_FF"
OTHER_PATH = "/org/bluez/hci0/dev_11_22_33_44_55_66"
FAILED, CANCELED = "org.bluez.Error.AuthenticationFailed", "org.bluez.Error.AuthenticationCanceled"
NAMES = "org.freedesktop.DBus"

# What the device does when it is paired: asks the agent, and returns the name of the error, or "" if it is paired.
Device = Callable[["BlueZ"], Awaitable[str]]


class BlueZ:
    """`device`: what happens during `Pair()`. `paired`, `connected`, `powered`: the properties. `calls`: the members
    called. `audible`: whether a scan finds the device.
    """

    def __init__(self, connection: MessageBus) -> None:
        self.connection = connection
        self.device: Device = just_works
        self.paired = False
        self.connected = False
        self.audible = True
        self.powered = True
        self.busy = 0  # how often `Pair()` says that another program is pairing
        self.calls: list[str] = []
        self.capability = ""
        self.agent: tuple[str, str] | None = None  # its connection and path
        self.cancel_after = asyncio.Event()  # when the device ends the pairing
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, message: Message) -> Message | bool | None:
        """Answer a call."""
        if message.message_type is not MessageType.METHOD_CALL or message.interface in (None, NAMES):
            return None
        self.calls.append(str(message.member))
        match message.interface, message.member:
            case (_, "Get") if message.interface == PROPERTIES:
                if message.path == "/org/bluez/hci0/dev_gone":
                    return Message.new_error(message, ErrorType.UNKNOWN_OBJECT.value, "gone")
                value = self.powered if message.body[0] == ADAPTER else self.paired
                value = self.connected if message.body[1] == "Connected" else value
                return Message.new_method_return(message, "v", [Variant("b", value)])
            case (_, "RegisterAgent") if message.interface == AGENT_MANAGER:
                self.agent, self.capability = (str(message.sender), message.body[0]), message.body[1]
                return Message.new_method_return(message)
            case (_, "Disconnect"):
                self.connected = False
            case (_, "RemoveDevice"):
                # The answer comes before the object is gone.
                self.connection.send(Message.new_method_return(message))
                self.connection.send(_objects("InterfacesRemoved", "oas", [PATH, [DEVICE]]))
                return True
            case (_, "StartDiscovery") if self.audible:
                self.connection.send(_objects("InterfacesAdded", "oa{sa{sv}}", [PATH, {DEVICE: {}}]))
            case (_, "UnregisterAgent"):
                self.agent = None
                return Message.new_method_return(message)
            case (_, "Pair") if message.interface == DEVICE:
                if self.paired or self.busy:
                    self.busy -= not self.paired
                    name = "org.bluez.Error.AlreadyExists" if self.paired else "org.bluez.Error.InProgress"
                    return Message.new_error(message, name, "")
                task = asyncio.ensure_future(self._pair(message))
                self._tasks.add(task)
                return True
        return Message.new_method_return(message)

    async def _pair(self, message: Message) -> None:
        self.connected = True
        error = await self.device(self)
        self.paired = not error
        answer = Message.new_error(message, error, "") if error else Message.new_method_return(message)
        self.connection.send(answer)

    async def ask(self, member: str, signature: str = "o", *body: Any, path: str = PATH) -> Message:
        """The answer of the agent."""
        assert self.agent is not None
        destination, agent = self.agent
        call = Message(
            destination=destination,
            path=agent,
            interface=AGENT,
            member=member,
            signature=signature,
            body=[path, *body] if signature else [],
        )
        answer = await self.connection.call(call)
        assert answer is not None
        return answer


def _objects(member: str, signature: str, body: list[Any]) -> Message:
    return Message.new_signal("/", OBJECT_MANAGER, member, signature, body)


async def just_works(_: BlueZ) -> str:
    """The agent is not asked when we begin (`bluez-behaviour` §2.2)."""
    return ""


async def refuses(_: BlueZ) -> str:
    """The device takes no pairing."""
    return FAILED


async def hangs_up(bluez: BlueZ) -> str:
    """The device ends the link."""
    bluez.connected = False
    return CANCELED


def shows(digits: int) -> Device:
    """A device that shows a passkey."""

    async def device(bluez: BlueZ) -> str:
        answer = await bluez.ask("RequestPasskey")
        return "" if answer.body == [digits] else FAILED

    return device


def compares(number: int, *, device_says: bool = True) -> Device:
    """A device that shows a number and asks for a yes."""

    async def device(bluez: BlueZ) -> str:
        answer = await bluez.ask("RequestConfirmation", "ou", number)
        return "" if device_says and answer.message_type is MessageType.METHOD_RETURN else FAILED

    return device


def has_keys(typed: int) -> Device:
    """A device with a keyboard, on which somebody types these digits."""

    async def device(bluez: BlueZ) -> str:
        answer = await bluez.ask("DisplayPasskey", "ouq", 63140, 0)
        return "" if typed == 63140 and answer.message_type is MessageType.METHOD_RETURN else FAILED

    return device


async def cancels(bluez: BlueZ) -> str:
    """The device ends the pairing while the agent is asked."""
    question = asyncio.ensure_future(bluez.ask("RequestPasskey"))
    await bluez.cancel_after.wait()
    await bluez.ask("Cancel", "")
    await question
    return CANCELED


async def stand_in(bus: str) -> BlueZ:
    """BlueZ on this bus; disconnect `connection` at the end."""
    connection = await MessageBus(bus_address=bus).connect()
    bluez = BlueZ(connection)
    connection.add_message_handler(bluez.answer)
    await connection.request_name(SERVICE)
    return bluez
