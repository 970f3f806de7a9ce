"""A connection to the system's D-Bus on which BlueZ is asked and listened to.

Every call has a deadline: BlueZ leaves some calls without an answer for ever (`bluez-behaviour`, rule 2). Not for
reading and writing a device's data: bleak does that, on a connection of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from installer.bluetooth import system_errors

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

SERVICE = "org.bluez"
ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
AGENT, AGENT_MANAGER = "org.bluez.Agent1", "org.bluez.AgentManager1"
OBJECT_MANAGER, PROPERTIES = "org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Properties"
CALL_SECONDS = 10.0

# The interfaces of an object with their properties, without D-Bus variants.
Interfaces = Mapping[str, Mapping[str, Any]]


class BluezError(Exception):
    """BlueZ, or the bus in its place, answered with an error. `name`: such as `org.bluez.Error.Failed`; `text`: its."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(f"{name}: {text}" if text else name)
        self.name = name
        self.text = text


class Bus:
    """One open connection. `adapter`: the name that errors show, such as `hci0`; `messages`: the dbus-fast object."""

    def __init__(self, messages: MessageBus, adapter: str) -> None:
        self.messages = messages
        self.adapter = adapter

    async def call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: tuple[Any, ...] = (),
        *,
        seconds: float | None = CALL_SECONDS,
        destination: str = SERVICE,
    ) -> Any:
        """The first value that this method returns, without D-Bus variants; None if it returns nothing.

        `signature`, `body`: its arguments, in D-Bus's notation and as dbus-fast wants them. `seconds`: None for a
        caller with a deadline of its own. Raises BluezError, and ADAPTER_FAILED or BLUETOOTH_MISSING if the bus or
        its answer does not come.
        """
        from dbus_fast import Message, MessageType
        from dbus_fast.unpack import unpack_variants

        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            async with asyncio.timeout(seconds):
                answer = await self.messages.call(message)
        except (OSError, EOFError, TimeoutError) as error:
            raise system_errors.adapter_error(error, self.adapter) from None
        if answer is None or answer.message_type is not MessageType.METHOD_RETURN:
            name = (answer.error_name if answer is not None else "") or ""
            text = answer.body[0] if answer is not None and answer.body else ""
            raise BluezError(name, str(text))
        values = unpack_variants(answer.body)
        return values[0] if values else None

    async def objects(self) -> dict[str, Interfaces]:
        """All objects of BlueZ by path: adapters, devices, and the characteristics of those that are connected."""
        found = await self.call("/", OBJECT_MANAGER, "GetManagedObjects")
        return {
            str(path): {name: values for name, values in interfaces.items() if isinstance(values, dict)}
            for path, interfaces in (found if isinstance(found, dict) else {}).items()
            if isinstance(interfaces, dict)
        }

    async def closed(self) -> None:
        """Wait until the connection ends. Raises what ended it: an OSError or EOFError."""
        await self.messages.wait_for_disconnect()  # type: ignore[no-untyped-call]

    async def listen(self, rule: str, callback: Callable[[Message], None]) -> None:
        """Call `callback` with every signal that fits this match rule (D-Bus Specification, “Match Rules”).

        dbus-fast gives a callback all signals that any rule of this connection lets in: look at the message.
        """
        from dbus_fast import MessageType

        def hear(message: Message) -> None:
            if message.message_type is MessageType.SIGNAL:
                callback(message)

        self.messages.add_message_handler(hear)
        await self.call(
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "AddMatch",
            "s",
            (rule,),
            destination="org.freedesktop.DBus",
        )


@asynccontextmanager
async def system_bus(adapter: str | None = None, address: str | None = None) -> AsyncIterator[Bus]:
    """A connection to the system's bus. `address`: of another D-Bus; `adapter`: for errors.

    Raises BLUETOOTH_DENIED, BLUETOOTH_MISSING, ADAPTER_FAILED.
    """
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus
    from dbus_fast.errors import AuthError, DBusFastError

    name = adapter or "system"
    try:
        messages = MessageBus(bus_address=address, bus_type=BusType.SYSTEM)
        async with asyncio.timeout(CALL_SECONDS):
            await messages.connect()
    except AuthError:
        raise system_errors.bluetooth_denied() from None
    except (OSError, EOFError, TimeoutError, ValueError, TypeError, LookupError, DBusFastError) as error:
        raise system_errors.adapter_error(error, name) from None
    try:
        yield Bus(messages, name)
    finally:
        messages.disconnect()
