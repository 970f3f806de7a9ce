"""The device's own clock: how wrong it is, and when its measurements were really taken: pure.

Source: Current Time Service 1.1 (0x1805), Current Time (0x2A2B): Date Time, day of the week, 1/256 seconds, why it was
adjusted. Health devices keep local time without a time zone, and many were never set. This computer's clock is
taken for right.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from installer.health_profiles.characteristic_fields import Fields
from installer.health_profiles.characteristics import here
from installer.measurement import Measurement

# A clock this near is right: reading it takes a moment, and times must not vary from one visit to the next.
TOLERANCE = timedelta(seconds=60)
# No measurement is of the future, but a day is left for time zones.
FUTURE = timedelta(days=1)
# The year of Bluetooth Low Energy: what is older was never measured by such a device.
EARLIEST = datetime(2010, 1, 1).astimezone()


class Clock:
    """A device's clock that showed `shown` (without a time zone) at `now` (with one); None if it does not tell.

    `wrong`: by how much it is behind this computer's local time, zero within the tolerance; None if it does not tell.
    """

    def __init__(self, shown: datetime | None = None, now: datetime | None = None) -> None:
        self._shown, self._now = shown, now
        self.wrong: timedelta | None = None
        if shown is not None and now is not None:
            wrong = now.astimezone().replace(tzinfo=None) - shown
            self.wrong = timedelta() if abs(wrong) <= TOLERANCE else wrong

    def timed(self, measurement: Measurement, received: datetime) -> Measurement:
        """The measurement with the time when it was taken, corrected, and when it was received (with a time zone).

        `taken` is None where the device tells no time, or one that cannot be; what it told stays in `device_time`.
        """
        taken = self._taken(measurement.device_time)
        if taken is not None and not EARLIEST <= taken <= received + FUTURE:
            taken = None
        return measurement.model_copy(update={"taken": taken, "received": received})

    def _taken(self, shown: datetime | None) -> datetime | None:
        if shown is None or not self.wrong or self._shown is None or self._now is None:
            # Of a clock that is right now, a time before the clocks were last changed is one of that local time.
            return here(shown)
        try:
            # One that is wrong has run on since, also while people changed theirs: what counts is how long ago it was.
            taken = (self._now - (self._shown - shown)).astimezone()
        except (OverflowError, ValueError, OSError):
            return None
        return (taken + timedelta(microseconds=500_000)).replace(microsecond=0)


def read(data: bytes, now: datetime) -> Clock:
    """The clock that told this Current Time at `now` (with a time zone). Raises CodecError."""
    fields = Fields(data)
    shown = fields.moment()
    fields.number(1)  # the day of the week
    fraction = fields.number(1)
    if shown is None:
        return Clock()
    return Clock(shown + timedelta(seconds=fraction / 256), now)
