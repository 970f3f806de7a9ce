"""The GATT table of a connected device: which services and characteristics it has, and what may be done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bleak.uuids import normalize_uuid_str

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.service import BleakGATTServiceCollection


class GattTable:
    """Accepts UUIDs in any form that bleak accepts."""

    _table: BleakGATTServiceCollection

    @property
    def services(self) -> frozenset[str]:
        """The UUIDs of all services."""
        return frozenset(service.uuid for service in self._table)

    @property
    def characteristics(self) -> frozenset[str]:
        """The UUIDs of all characteristics."""
        return frozenset(c.uuid for c in self._table.characteristics.values())

    def has_service(self, uuid: str) -> bool:
        """Whether the device has this service."""
        return normalize_uuid_str(uuid) in self.services

    def has_characteristic(self, uuid: str, service: str | None = None) -> bool:
        """Whether the device has this characteristic; with `service`, in that service."""
        return self.find(uuid, service) is not None

    def can_write(self, uuid: str, service: str | None = None) -> bool:
        """Whether the device has this characteristic, and says that it can be written with a confirmation."""
        found = self.find(uuid, service)
        return found is not None and "write" in found.properties

    def can_read(self, uuid: str, service: str | None = None) -> bool:
        """Whether the device has this characteristic, and says that it can be read."""
        found = self.find(uuid, service)
        return found is not None and "read" in found.properties

    def characteristics_of(self, service: str) -> tuple[str, ...]:
        """The UUIDs of the characteristics of this service, in the order of the table."""
        service_uuid = normalize_uuid_str(service)
        return tuple(c.uuid for c in self._table.characteristics.values() if c.service_uuid == service_uuid)

    def find(self, uuid: str, service: str | None = None) -> BleakGATTCharacteristic | None:
        """The characteristic, None if the device has none; with `service`, that of this service."""
        wanted = normalize_uuid_str(uuid)
        service_uuid = normalize_uuid_str(service) if service is not None else None
        for found in self._table.characteristics.values():
            if found.uuid == wanted and service_uuid in (None, found.service_uuid):
                return found
        return None
