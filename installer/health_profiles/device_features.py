"""What a device tells of itself before it is listened to: its clock, what its findings mean, where it measures.

All of it is optional: what it lacks, refuses or garbles is left out, and its measurements count all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from installer.bluetooth.connection import Connection
from installer.catalogue.catalogue import Profile
from installer.errors import ErrorCode, InstallerError
from installer.health_profiles import characteristics, device_clock
from installer.measurement import Measurement

T = TypeVar("T")

CURRENT_TIME = ("1805", "2a2b")
PRESSURE_FEATURE = ("1810", "2a49")
# Where a device measures always at the same place of the body, this says it once for all.
SITES = {Profile.TEMPERATURE: ("1809", "2a1d"), Profile.HEART_RATE: ("180d", "2a38")}


@dataclass(frozen=True)
class About:
    """`vouched`: the findings of a blood-pressure monitor that it can mean, None if it does not say; `sites`: by
    profile, where on the body it measures."""

    clock: device_clock.Clock = field(default_factory=device_clock.Clock)
    vouched: frozenset[str] | None = None
    sites: Mapping[Profile, str] = field(default_factory=dict)

    def completed(self, profile: Profile, measurement: Measurement, received: datetime) -> Measurement:
        """The measurement with its times, its site, and those findings alone that the device vouches for."""
        changes: dict[str, object] = {}
        if self.vouched is not None and profile is Profile.BLOOD_PRESSURE:
            changes["status"] = tuple(words for words in measurement.status if words in self.vouched)
        if not measurement.site:
            changes["site"] = self.sites.get(profile, "")
        return self.clock.timed(measurement.model_copy(update=changes), received)


async def read_about(connection: Connection, profiles: Collection[Profile]) -> About:
    """What the device tells that matters for these profiles. Raises CONNECTION_LOST."""
    known = await _told(connection, CURRENT_TIME, lambda data: device_clock.read(data, datetime.now().astimezone()))
    vouched = None
    if Profile.BLOOD_PRESSURE in profiles:
        vouched = await _told(connection, PRESSURE_FEATURE, characteristics.vouched)
    sites = {}
    for profile, where in SITES.items():
        if profile in profiles and (site := await _told(connection, where, partial(characteristics.site, profile))):
            sites[profile] = site
    return About(known or device_clock.Clock(), vouched, sites)


async def _told(connection: Connection, where: tuple[str, str], read: Callable[[bytes], T]) -> T | None:
    service, characteristic = where
    if not connection.has_characteristic(characteristic, service):
        return None
    try:
        return read(await connection.read(characteristic))
    except characteristics.CodecError:
        return None
    except InstallerError as error:
        if error.code is ErrorCode.CONNECTION_LOST:
            raise
        return None
