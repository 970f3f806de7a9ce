"""What the tests ask of the system bus, each question over a connection of its own, with a deadline."""

from __future__ import annotations

import asyncio
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

BLUEZ = "org.bluez"
CALL_SECONDS = 10.0


def plain(value: Any) -> Any:
    """A reply without the marks of D-Bus types; bytes as hexadecimal digits."""
    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def call(
    destination: str,
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    *body: Any,
    seconds: float = CALL_SECONDS,
) -> Any:
    """One call; the first value of its answer. An error is a RuntimeError with the error's name and text."""
    return asyncio.run(_call(destination, path, interface, member, signature, list(body), seconds))


async def _call(
    destination: str, path: str, interface: str, member: str, signature: str, body: list[Any], seconds: float
) -> Any:
    async with asyncio.timeout(seconds):
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        try:
            reply = await bus.call(Message(destination, path, interface, member, signature=signature, body=body))
        finally:
            bus.disconnect()
    assert reply is not None
    if reply.message_type is MessageType.ERROR:
        raise RuntimeError(f"{reply.error_name}: {plain(reply.body)}")
    return plain(reply.body[0]) if reply.body else None


def name_has_owner(name: str) -> bool:
    """Whether a program has this name on the bus; asking starts none."""
    return bool(
        call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s", name)
    )


def reload_policies() -> None:
    """Let the bus read the files again that say who may talk to whom."""
    call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig")


def bluez_objects() -> dict[str, Any]:
    """All objects of bluetoothd with their interfaces and properties; none if it does not answer."""
    try:
        if not name_has_owner(BLUEZ):
            return {}
        return dict(call(BLUEZ, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))
    except (RuntimeError, TimeoutError):
        return {}


def adapter_property(adapter: str, name: str) -> Any:
    """A property of `hci0`, as bluetoothd tells it; None if there is none."""
    return bluez_objects().get(f"/org/bluez/{adapter}", {}).get("org.bluez.Adapter1", {}).get(name)


def set_adapter_property(adapter: str, name: str, signature: str, value: Any) -> None:
    call(
        BLUEZ,
        f"/org/bluez/{adapter}",
        "org.freedesktop.DBus.Properties",
        "Set",
        "ssv",
        "org.bluez.Adapter1",
        name,
        Variant(signature, value),
    )


def device(address: str, adapter: str = "hci0") -> dict[str, Any]:
    """The properties of a device as bluetoothd tells them; none if it does not know it."""
    path = f"/org/bluez/{adapter}/dev_{address.upper().replace(':', '_')}"
    return dict(bluez_objects().get(path, {}).get("org.bluez.Device1", {}))
