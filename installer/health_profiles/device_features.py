"""What a device says about itself before it measures: its clock, supported status bits, and the site on the body.

All of it is optional. What the device lacks, refuses or sends in a wrong layout is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from installer.bluetooth.connection import Connection
from installer.bluetooth.uuids import expand_uuid16
from installer.catalogue.model import Profile
from installer.errors import InstallerError
from installer.health_profiles.blood_pressure import supported_status
from installer.health_profiles.characteristic_fields import CodecError
from installer.health_profiles.characteristics import Characteristic
from installer.health_profiles.device_clock import DeviceClock, parse_current_time, parse_date_time
from installer.health_profiles.heart_rate import sensor_location
from installer.health_profiles.stored_blood_pressure import has_checksums
from installer.health_profiles.thermometer import temperature_site
from installer.measurement import Measurement

T = TypeVar("T")

CURRENT_TIME = Characteristic(expand_uuid16(0x1805), expand_uuid16(0x2A2B))
# In the service of the measurement, where makers put it.
DATE_TIME = expand_uuid16(0x2A08)
BLOOD_PRESSURE_FEATURE = Characteristic(expand_uuid16(0x1810), expand_uuid16(0x2A49))
TEMPERATURE_TYPE = Characteristic(expand_uuid16(0x1809), expand_uuid16(0x2A1D))
BODY_SENSOR_LOCATION = Characteristic(expand_uuid16(0x180D), expand_uuid16(0x2A38))


@dataclass(frozen=True)
class DeviceFeatures:
    """`supported_status`: the blood-pressure status texts that it supports, None if unknown; `sites`: by profile.

    `checksums`: whether its stored blood pressures end with one.
    """

    clock: DeviceClock = field(default_factory=DeviceClock)
    supported_status: frozenset[str] | None = None
    sites: Mapping[Profile, str] = field(default_factory=dict)
    checksums: bool = False

    def complete(self, profile: Profile, measurement: Measurement, received: datetime) -> Measurement:
        """The measurement with its times and its site, and without status texts that the device does not support."""
        changes: dict[str, object] = {}
        if self.supported_status is not None and profile is Profile.BLOOD_PRESSURE:
            changes["status"] = tuple(text for text in measurement.status if text in self.supported_status)
        if not measurement.site:
            changes["site"] = self.sites.get(profile, "")
        return self.clock.add_times(measurement.model_copy(update=changes), received)


async def read_device_features(connection: Connection, profiles: Collection[Profile]) -> DeviceFeatures:
    """Read what matters for these profiles. Raises CONNECTION_LOST."""
    clock = await read_clock(connection)
    status, sites, checksums = None, {}, False
    if Profile.BLOOD_PRESSURE in profiles:
        features = await _read(connection, BLOOD_PRESSURE_FEATURE, lambda data: (supported_status(data), data))
        if features is not None:
            status, checksums = features[0], has_checksums(features[1])
    if Profile.TEMPERATURE in profiles:
        sites[Profile.TEMPERATURE] = await _read(connection, TEMPERATURE_TYPE, temperature_site) or ""
    if Profile.HEART_RATE in profiles:
        sites[Profile.HEART_RATE] = await _read(connection, BODY_SENSOR_LOCATION, sensor_location) or ""
    return DeviceFeatures(clock or DeviceClock(), status, sites, checksums)


async def read_clock(connection: Connection) -> DeviceClock | None:
    """The device's clock now: Current Time, or else Date Time. None if it has none. Raises CONNECTION_LOST."""
    clock = await _read(connection, CURRENT_TIME, lambda data: parse_current_time(data, datetime.now().astimezone()))
    if clock is None and connection.can_read(DATE_TIME):
        clock = await _read_value(
            connection, DATE_TIME, lambda data: parse_date_time(data, datetime.now().astimezone())
        )
    return clock


async def _read(connection: Connection, source: Characteristic, parse: Callable[[bytes], T]) -> T | None:
    if not connection.has_characteristic(source.uuid, source.service):
        return None
    return await _read_value(connection, source.uuid, parse)


async def _read_value(connection: Connection, uuid: str, parse: Callable[[bytes], T]) -> T | None:
    try:
        return parse(await connection.read(uuid))
    except CodecError:
        return None
    except InstallerError as error:
        if error.link_is_down:
            raise
        return None
