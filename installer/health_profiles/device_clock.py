"""The device's clock: how wrong it is, and when its measurements were really taken. Pure.

Source: Current Time Service 1.1 (0x1805), Current Time (0x2A2B): Date Time, day of the week, 1/256 seconds, adjust
reason. Health devices keep local time without a time zone, and many clocks were never set. This computer's clock is
assumed to be right, and its time zone to be the person's (in a container: `TZ`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from installer.health_profiles.characteristic_fields import FieldReader
from installer.measurement import Measurement
from installer.timing.zones import local_moment

# A smaller difference counts as right: reading takes a moment, and times must not vary from one visit to the next.
TOLERANCE = timedelta(seconds=60)
# No measurement is from the future; one day is allowed for time zones.
MAX_FUTURE = timedelta(days=1)
# The year of Bluetooth Low Energy: such a device has no older measurement.
EARLIEST_MEASUREMENT = datetime(2010, 1, 1).astimezone()


# A clock that was set is right from then on, to the second.
SET_TOLERANCE = timedelta(seconds=2)


@dataclass(frozen=True)
class ClockChange:
    """A clock that was wrong was set. It showed `shown` (no time zone) at `now` (with time zone) before."""

    shown: datetime
    now: datetime

    def is_older(self, time: datetime, received: datetime) -> bool:
        """Whether `time`, which the device tells of a measurement, is one of the clock before it was set."""
        after = self.now.astimezone().replace(tzinfo=None) - SET_TOLERANCE
        before = received.astimezone().replace(tzinfo=None) + SET_TOLERANCE
        return time <= self.shown + SET_TOLERANCE and not after <= time <= before


class DeviceClock:
    """A clock that showed `shown` (no time zone) at `now` (with time zone). Both are None if the device has no clock.

    `error`: how far it is behind this computer's local time, zero within the tolerance; None without a clock.
    `change`: that it was set, now or at an earlier visit. Measurements from before it have the time of the clock then.
    """

    def __init__(
        self, shown: datetime | None = None, now: datetime | None = None, change: ClockChange | None = None
    ) -> None:
        self._shown, self._now = shown, now
        self.change = change
        self.error: timedelta | None = None
        if shown is not None and now is not None:
            error = now.astimezone().replace(tzinfo=None) - shown
            self.error = timedelta() if abs(error) <= TOLERANCE else error

    def after_setting(self, earlier: ClockChange | None) -> DeviceClock:
        """The clock when it has been set. `earlier`: a change of an earlier visit, if the clock was right by now."""
        if not self.error or self._shown is None or self._now is None:
            return DeviceClock(None, None, earlier)
        return DeviceClock(None, None, ClockChange(self._shown, self._now))

    def with_earlier(self, change: ClockChange | None) -> DeviceClock:
        """The same clock, which was set at an earlier visit."""
        return DeviceClock(self._shown, self._now, change)

    def add_times(self, measurement: Measurement, received: datetime) -> Measurement:
        """The measurement with `received` (with time zone) and the corrected time when it was `taken`.

        `taken` is None if the device gives no time or an impossible one; `device_time` stays as the device sent it.
        """
        taken = self._correct(measurement.device_time, received)
        if taken is not None and not EARLIEST_MEASUREMENT <= taken <= received + MAX_FUTURE:
            taken = None
        return measurement.model_copy(update={"taken": taken, "received": received})

    def _correct(self, shown: datetime | None, received: datetime) -> datetime | None:
        if shown is not None and self.error and self._shown is not None and self._now is not None:
            wrong = ClockChange(self._shown, self._now)
        elif shown is not None and self.change is not None and self.change.is_older(shown, received):
            wrong = self.change
        else:
            # A clock that is right now was right in local time, also before a change to or from summer time.
            return to_local_time(shown, received)
        try:
            # A wrong clock was not changed for summer time: only the time that has passed since counts.
            taken = (wrong.now - (wrong.shown - shown)).astimezone()
        except (OverflowError, ValueError, OSError):
            return None
        return (taken + timedelta(microseconds=500_000)).replace(microsecond=0)


def parse_current_time(data: bytes, now: datetime) -> DeviceClock:
    """The clock of a Current Time value (0x2A2B) that was read at `now` (with time zone). Raises CodecError."""
    fields = FieldReader(data)
    shown = fields.date_time()
    fields.number(1)  # the day of the week
    fraction = fields.number(1)
    if shown is None:
        return DeviceClock()
    return DeviceClock(shown + timedelta(seconds=fraction / 256), now)


def parse_date_time(data: bytes, now: datetime) -> DeviceClock:
    """The clock of a Date Time value (0x2A08) that was read at `now` (with time zone). Raises CodecError."""
    shown = FieldReader(data).date_time()
    return DeviceClock() if shown is None else DeviceClock(shown, now)


def to_local_time(shown: datetime | None, received: datetime | None = None) -> datetime | None:
    """A device's time in this computer's time zone; None if the system cannot convert it.

    When the clocks go back, a time comes twice. The second one is meant if the measurement was `received` soon after
    it, as most are; else the first one.
    """
    if shown is None:
        return None
    try:
        first, second = (local_moment(shown.replace(fold=fold)) for fold in (0, 1))
    except (ValueError, OverflowError, OSError):
        return None
    # Zero for most times, and negative for a time that the clocks leave out.
    repeated_after = second - first
    if received is None or repeated_after <= timedelta():
        return first
    return second if second <= received + TOLERANCE and received < second + repeated_after else first
