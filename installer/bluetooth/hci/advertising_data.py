"""Parser of advertising data (AD structures). Pure functions that accept any bytes.

Source: Bluetooth Core Specification Supplement, part A; Core Specification vol. 3 part C §11.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from installer.bluetooth.uuids import uuid_from_bytes
from installer.text import decode

_UUID_LISTS = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}
_SERVICE_DATA = {0x16: 2, 0x20: 4, 0x21: 16}
_SHORT_NAME, _COMPLETE_NAME, _TX_POWER, _MANUFACTURER = 0x08, 0x09, 0x0A, 0xFF


@dataclass
class AdvertisingFields:
    """The fields of one or more packets of a device. UUIDs in lower-case 128-bit form; `tx_power` in dBm."""

    name: str | None = None
    services: list[str] = field(default_factory=list)
    service_data: dict[str, bytes] = field(default_factory=dict)
    manufacturer_data: dict[int, bytes] = field(default_factory=dict)
    tx_power: int | None = None

    def update(self, newer: AdvertisingFields) -> None:
        """Merge the fields of a newer packet; fields that it lacks stay."""
        self.name = newer.name if newer.name is not None else self.name
        self.tx_power = newer.tx_power if newer.tx_power is not None else self.tx_power
        self.services += [uuid for uuid in newer.services if uuid not in self.services]
        self.service_data.update(newer.service_data)
        self.manufacturer_data.update(newer.manufacturer_data)


def parse_advertising_data(data: bytes) -> AdvertisingFields:
    """The fields of one packet. A truncated structure ends the packet. Never raises."""
    fields, position = AdvertisingFields(), 0
    short_name: str | None = None
    while position + 1 < len(data):
        size = data[position]
        if size == 0 or position + 1 + size > len(data):
            break
        kind, body = data[position + 1], data[position + 2 : position + 1 + size]
        position += 1 + size
        if kind in _UUID_LISTS:
            width = _UUID_LISTS[kind]
            found = (uuid_from_bytes(body[i : i + width]) for i in range(0, len(body) - width + 1, width))
            fields.services += [uuid for uuid in found if uuid not in fields.services]
        elif kind in _SERVICE_DATA and len(body) >= (width := _SERVICE_DATA[kind]):
            fields.service_data[uuid_from_bytes(body[:width])] = body[width:]
        elif kind == _MANUFACTURER and len(body) >= 2:
            fields.manufacturer_data[int.from_bytes(body[:2], "little")] = body[2:]
        elif kind == _COMPLETE_NAME:
            fields.name = decode(body).rstrip("\x00")
        elif kind == _SHORT_NAME:
            short_name = decode(body).rstrip("\x00")
        elif kind == _TX_POWER and len(body) == 1:
            fields.tx_power = int.from_bytes(body, signed=True)
    if fields.name is None:
        fields.name = short_name
    return fields
