"""A device's GATT table on Bumble: the Improv service, the health services, device information and battery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bumble import att
from bumble.core import UUID
from bumble.gatt import Characteristic, Descriptor, Service
from bumble.gatt_server import Server

from installer.lab.health_characteristics import CURRENT_TIME, CURRENT_TIME_SERVICE, INDICATE, LAYOUTS, READ, features
from installer.lab.improv import frames as improv
from installer.lab.models import Profile

Properties = Characteristic.Properties
PROPERTIES = {
    INDICATE: Properties.INDICATE,
    "notify": Properties.NOTIFY,
    READ: Properties.READ,
}
CONFIGURATION = UUID.from_16_bits(0x2902)


def improv_service(
    read: Callable[[str], bytes], write: Callable[[bytes], None]
) -> tuple[Service, dict[str, Characteristic[bytes]]]:
    """The service with its five characteristics (`facts/improv-ble.md` §1), each with a 0x2902, as ESPHome has."""

    def readable(uuid: str, notify: bool) -> Characteristic[bytes]:
        return Characteristic(
            uuid,
            Properties.READ | (Properties.NOTIFY if notify else Properties(0)),
            att.Attribute.READABLE,
            att.AttributeValue(read=lambda _connection: read(uuid)),
            [] if notify else [_configuration()],
        )

    def received(_connection: object, value: bytes) -> None:
        # Later, so that the client has its write response before any notification, as with a real stack.
        asyncio.get_running_loop().call_soon(write, value)

    command: Characteristic[bytes] = Characteristic(
        improv.COMMAND,
        Properties.WRITE,
        att.Attribute.WRITEABLE,
        att.AttributeValue(read=_unreadable, write=received),
        [_configuration()],
    )
    table = {
        improv.STATE: readable(improv.STATE, True),
        improv.ERROR: readable(improv.ERROR, True),
        improv.COMMAND: command,
        improv.RESULT: readable(improv.RESULT, True),
        improv.CAPABILITIES: readable(improv.CAPABILITIES, False),
    }
    return Service(improv.SERVICE, list(table.values())), table


def health_service(profile: Profile, users: bool) -> tuple[Service, Characteristic[bytes]]:
    """The service of a health profile and its measurement characteristic. `users`: whether it tells users apart."""
    layout = LAYOUTS[profile]
    measurement: Characteristic[bytes] = Characteristic(
        UUID.from_16_bits(layout.measurement),
        PROPERTIES[layout.sends],
        att.Attribute.READABLE,
        att.AttributeValue(read=_unreadable),
    )
    others = [_constant(number, value) for number, value in features(profile, users).items()]
    return Service(UUID.from_16_bits(layout.service), [measurement, *others]), measurement


def time_service(now: Callable[[], bytes]) -> Service:
    """Current Time (0x1805): what the device's clock shows."""
    value: Characteristic[bytes] = Characteristic(
        UUID.from_16_bits(CURRENT_TIME),
        Properties.READ,
        att.Attribute.READABLE,
        att.AttributeValue(read=lambda _connection: now()),
    )
    return Service(UUID.from_16_bits(CURRENT_TIME_SERVICE), [value])


def information_service(model: str, serial: str) -> Service:
    """Device Information (0x180A). That real units have it, and with what texts, is not known."""
    texts = {0x2A29: "Device lab (emulated)", 0x2A24: model, 0x2A25: serial, 0x2A26: "1.0.0-lab"}
    return Service(UUID.from_16_bits(0x180A), [_constant(number, text.encode()) for number, text in texts.items()])


def battery_service(percent: int = 87) -> Service:
    """Battery (0x180F)."""
    return Service(UUID.from_16_bits(0x180F), [_constant(0x2A19, bytes((percent,)))])


def notify(server: Server, characteristic: Characteristic[bytes], value: bytes) -> None:
    """Notify all who subscribed, at once and in order, cut at MTU - 3 as a stack does."""
    for bearer, configured in list(server.subscribers.items()):
        if configured.get(characteristic.handle, b"\x00")[0] & 0x01:
            pdu = att.ATT_Handle_Value_Notification(
                attribute_handle=characteristic.handle, attribute_value=value[: bearer.att_mtu - 3]
            )
            server.send_gatt_pdu(bearer, bytes(pdu))


def _constant(number: int, value: bytes) -> Characteristic[bytes]:
    return Characteristic(UUID.from_16_bits(number), Properties.READ, att.Attribute.READABLE, value)


def _configuration() -> Descriptor:
    return Descriptor(CONFIGURATION, att.Attribute.READABLE | att.Attribute.WRITEABLE, b"\x00\x00")


def _unreadable(_connection: object) -> bytes:
    raise att.ATT_Error(att.ATT_READ_NOT_PERMITTED_ERROR)
