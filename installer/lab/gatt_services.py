"""GATT services of lab devices, built with Bumble: health profiles, device information, battery."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bumble import att
from bumble.core import UUID
from bumble.gatt import Characteristic, Descriptor, Service
from bumble.gatt_server import Server

from installer.lab.health_characteristics import (
    INDICATE,
    NOTIFY,
    PROFILE_LAYOUTS,
    readable_values,
)
from installer.lab.models import Profile

Properties = Characteristic.Properties
DELIVERY_PROPERTIES = {INDICATE: Properties.INDICATE, NOTIFY: Properties.NOTIFY}
CLIENT_CONFIGURATION = UUID.from_16_bits(0x2902)


def health_service(
    profile: Profile, users: bool, more: Sequence[Characteristic[bytes]] = ()
) -> tuple[Service, Characteristic[bytes]]:
    """The service of a health profile and its measurement characteristic. `users`: whether it tells users apart.

    `more`: further characteristics of the service.
    """
    layout = PROFILE_LAYOUTS[profile]
    measurement: Characteristic[bytes] = Characteristic(
        UUID.from_16_bits(layout.measurement),
        DELIVERY_PROPERTIES[layout.delivery],
        att.Attribute.READABLE,
        att.AttributeValue(read=unreadable),
    )
    others = [_readable(number, value) for number, value in readable_values(profile, users).items()]
    return Service(UUID.from_16_bits(layout.service), [measurement, *others, *more]), measurement


def information_service(model: str, serial: Callable[[], bytes]) -> Service:
    """Device Information (0x180A). Whether real units have it, and with what texts, is not known."""
    texts = {0x2A29: "Device lab (emulated)", 0x2A24: model, 0x2A26: "1.0.0-lab"}
    readable = [_readable(number, text.encode()) for number, text in texts.items()]
    number: Characteristic[bytes] = Characteristic(
        UUID.from_16_bits(0x2A25),
        Properties.READ,
        att.Attribute.READABLE,
        att.AttributeValue(read=lambda _connection: serial()),
    )
    return Service(UUID.from_16_bits(0x180A), [*readable, number])


def battery_service(percent: int = 87) -> Service:
    """Battery (0x180F)."""
    return Service(UUID.from_16_bits(0x180F), [_readable(0x2A19, bytes((percent,)))])


def notify(server: Server, characteristic: Characteristic[bytes], value: bytes) -> None:
    """Notify all subscribers at once and in order; values are cut at MTU - 3, as a stack does."""
    for bearer, configured in list(server.subscribers.items()):
        if configured.get(characteristic.handle, b"\x00")[0] & 0x01:
            pdu = att.ATT_Handle_Value_Notification(
                attribute_handle=characteristic.handle, attribute_value=value[: bearer.att_mtu - 3]
            )
            server.send_gatt_pdu(bearer, bytes(pdu))


def _readable(number: int, value: bytes) -> Characteristic[bytes]:
    return Characteristic(UUID.from_16_bits(number), Properties.READ, att.Attribute.READABLE, value)


def client_configuration() -> Descriptor:
    """A client characteristic configuration (0x2902)."""
    return Descriptor(CLIENT_CONFIGURATION, att.Attribute.READABLE | att.Attribute.WRITEABLE, b"\x00\x00")


def unreadable(_connection: object) -> bytes:
    """Refuses to be read."""
    raise att.ATT_Error(att.ATT_READ_NOT_PERMITTED_ERROR)
