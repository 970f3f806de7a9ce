"""Advertising data (AD structures) to fields: pure functions, safe on any bytes.

Source: Bluetooth Core Specification Supplement, part A; Core Specification vol. 3 part C §11.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from installer.text import decode

_BASE = "-0000-1000-8000-00805f9b34fb"
_UUID_LISTS = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}
_SERVICE_DATA = {0x16: 2, 0x20: 4, 0x21: 16}
_SHORT_NAME, _FULL_NAME, _TX_POWER, _MANUFACTURER = 0x08, 0x09, 0x0A, 0xFF


@dataclass
class Fields:
    """What one or more packets of a device said. UUIDs in lower-case 128-bit form; `tx_power` in dBm."""

    name: str | None = None
    services: list[str] = field(default_factory=list)
    service_data: dict[str, bytes] = field(default_factory=dict)
    manufacturer_data: dict[int, bytes] = field(default_factory=dict)
    tx_power: int | None = None

    def add(self, other: Fields) -> None:
        """Take over what `other`, a newer packet, says; what it leaves out stays."""
        self.name = other.name if other.name is not None else self.name
        self.tx_power = other.tx_power if other.tx_power is not None else self.tx_power
        self.services += [uuid for uuid in other.services if uuid not in self.services]
        self.service_data.update(other.service_data)
        self.manufacturer_data.update(other.manufacturer_data)


def uuid_text(little_endian: bytes) -> str:
    """The 128-bit text of a UUID of 2, 4 or 16 bytes as it goes over the air."""
    if len(little_endian) == 16:
        return str(UUID(bytes=little_endian[::-1]))
    return f"{int.from_bytes(little_endian, 'little'):08x}{_BASE}"


def parse(data: bytes) -> Fields:
    """The fields of one packet. A structure that is cut short ends the packet; nothing raises."""
    fields, position = Fields(), 0
    short_name: str | None = None
    while position + 1 < len(data):
        size = data[position]
        if size == 0 or position + 1 + size > len(data):
            break
        kind, body = data[position + 1], data[position + 2 : position + 1 + size]
        position += 1 + size
        if kind in _UUID_LISTS:
            width = _UUID_LISTS[kind]
            found = (uuid_text(body[i : i + width]) for i in range(0, len(body) - width + 1, width))
            fields.services += [uuid for uuid in found if uuid not in fields.services]
        elif kind in _SERVICE_DATA and len(body) >= (width := _SERVICE_DATA[kind]):
            fields.service_data[uuid_text(body[:width])] = body[width:]
        elif kind == _MANUFACTURER and len(body) >= 2:
            fields.manufacturer_data[int.from_bytes(body[:2], "little")] = body[2:]
        elif kind == _FULL_NAME:
            fields.name = decode(body).rstrip("\x00")
        elif kind == _SHORT_NAME:
            short_name = decode(body).rstrip("\x00")
        elif kind == _TX_POWER and len(body) == 1:
            fields.tx_power = int.from_bytes(body, signed=True)
    if fields.name is None:
        fields.name = short_name
    return fields
