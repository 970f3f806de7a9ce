"""The device's own clock: how wrong it is, and when its measurements were really taken: pure.

Source: Current Time Service 1.1 (0x1805), Current Time (0x2A2B): Date Time, day of the week, 1/256 seconds, why it was
adjusted. Health devices keep local time without a time zone, and many were never set. This computer's clock is
taken for right.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from installer.health.codec import here
from installer.health.values import Fields
from installer.measurement import Measurement

# A clock this near is right: reading it takes a moment, and times must not vary from one visit to the next.
TOLERANCE = timedelta(seconds=60)
# No measurement is of the future, but a day is left for time zones.
FUTURE = timedelta(days=1)
# The year of Bluetooth Low Energy: what is older was never measured by such a device.
EARLIEST = datetime(2010, 1, 1)


class Clock:
    """`wrong`: by how much the device's clock is behind, None if it does not tell."""

    def __init__(self, wrong: timedelta | None = None) -> None:
        self.wrong = wrong

    def timed(self, measurement: Measurement, received: datetime) -> Measurement:
        """The measurement with the time when it was taken, corrected, and when it was received (with a time zone).

        `taken` is None where the device tells no time, or one that cannot be; what it told stays in `device_time`.
        """
        return measurement.model_copy(
            update={"taken": self._taken(measurement.device_time, received), "received": received}
        )

    def _taken(self, shown: datetime | None, received: datetime) -> datetime | None:
        if shown is None:
            return None
        try:
            corrected = shown + (self.wrong or timedelta())
        except OverflowError:
            return None
        taken = here(corrected) if corrected >= EARLIEST else None
        return taken if taken is not None and taken <= received + FUTURE else None


def behind(data: bytes, now: datetime) -> timedelta | None:
    """By how much a Current Time is behind `now` (local, without a zone), in whole seconds; zero within the tolerance.

    None if the device does not know the time. Raises CodecError.
    """
    fields = Fields(data)
    shown = fields.moment()
    fields.number(1)  # the day of the week
    fraction = fields.number(1)
    if shown is None:
        return None
    wrong = now - shown - timedelta(seconds=fraction / 256)
    return timedelta() if abs(wrong) <= TOLERANCE else timedelta(seconds=round(wrong.total_seconds()))
