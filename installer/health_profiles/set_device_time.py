"""Sets a device's clock before its measurements are read, as a collector of the health profiles does.

Sources: Current Time Service 1.1 §3.1 (Current Time 0x2A2B; the error 0x80 says that fields were ignored); GATT
Specification Supplement, Date Time 0x2A08, which makers put into the service of the measurement. A device whose time
may be set says so: its characteristic can be written. Both are written if there are both, Current Time first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from installer.bluetooth.connection import Connection
from installer.errors import ErrorCode, InstallerError
from installer.health_profiles.device_clock import ClockChange, DeviceClock
from installer.health_profiles.device_features import CURRENT_TIME, DATE_TIME, read_clock

# Current Time Service: the device took the time, and not every field of it.
FIELDS_IGNORED = 0x80
# The adjust reason of somebody who just sets the clock.
NO_REASON = 0x00


def encode_date_time(when: datetime) -> bytes:
    """Date Time (7 bytes): year, month, day, hours, minutes, seconds, of a local time."""
    return when.year.to_bytes(2, "little") + bytes((when.month, when.day, when.hour, when.minute, when.second))


def encode_current_time(when: datetime) -> bytes:
    """Current Time (10 bytes): Date Time, the day of the week (1 is Monday), 1/256 seconds, the adjust reason."""
    return encode_date_time(when) + bytes((when.isoweekday(), when.microsecond * 256 // 1_000_000, NO_REASON))


async def set_clock(
    connection: Connection, clock: DeviceClock, earlier: ClockChange | None, on_set: Callable[[ClockChange], None]
) -> DeviceClock:
    """Set the device's `clock`, and the clock as it is then. `on_set` is called if it was wrong.

    `earlier`: how it was set at an earlier visit. A device that refuses, or takes the time and does not use it, keeps
    its own: its measurements are read all the same. Raises CONNECTION_LOST.
    """
    if not await set_device_time(connection):
        return clock.with_earlier(earlier)
    now = await read_clock(connection)
    if now is not None and now.error:
        return now
    after = clock.after_setting(earlier)
    if after.change is not None and after.change != earlier:
        on_set(after.change)
    return after


async def set_device_time(connection: Connection) -> bool:
    """Set the clock to this computer's local time; whether the device took it. Raises CONNECTION_LOST."""
    taken = False
    if connection.can_write(CURRENT_TIME.uuid, CURRENT_TIME.service):
        now = datetime.now().astimezone()
        taken = await _write(connection, CURRENT_TIME.uuid, encode_current_time(now))
    if connection.can_write(DATE_TIME):
        now = datetime.now().astimezone()
        taken = await _write(connection, DATE_TIME, encode_date_time(now)) or taken
    return taken


async def _write(connection: Connection, uuid: str, value: bytes) -> bool:
    try:
        await connection.write(uuid, value)
    except InstallerError as error:
        if error.code is ErrorCode.CONNECTION_LOST:
            raise
        return error.data.get("gatt_error") == FIELDS_IGNORED
    return True
