"""The clock of a lab device, which a client may set: Current Time (0x2A2B) and Date Time (0x2A08).

Layouts: Current Time Service 1.1; GATT Specification Supplement, Date Time. No code is shared with the installer.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

from bumble import att
from bumble.core import UUID
from bumble.gatt import Characteristic, Service

from installer.lab.health_characteristics import CURRENT_TIME, CURRENT_TIME_SERVICE, current_time, date_time
from installer.lab.scenario_parts import Reading

DATE_TIME = 0x2A08
# A jump of more seconds than this makes a device forget what it holds, if it is one that does.
FAR_OFF_SECONDS = 3600.0
VALUE_NOT_ALLOWED = 0x13
Properties = Characteristic.Properties


class SettableClock:
    """`error`: how many seconds the clock is ahead. `is_set`: whether a client has set it, since the scenario began.

    `on_set` is called when a client sets it, with how far it was off.
    """

    def __init__(self, error: float, habits: Reading, on_set: Callable[[float], None]) -> None:
        self._first_error = error
        self._habits = habits
        self._on_set = on_set
        self.reset()

    def reset(self) -> None:
        """As at the start of the scenario."""
        self.error = self._first_error
        self.is_set = False

    def service(self) -> Service:
        """The Current Time service."""
        return Service(
            UUID.from_16_bits(CURRENT_TIME_SERVICE),
            [self._characteristic(CURRENT_TIME, lambda: current_time(time.time() + self.error), 10)],
        )

    def date_time(self) -> Characteristic[bytes]:
        """The Date Time characteristic of a health service."""
        return self._characteristic(DATE_TIME, lambda: date_time(time.time() + self.error), 7)

    def _characteristic(self, number: int, value: Callable[[], bytes], size: int) -> Characteristic[bytes]:
        def write(_connection: Any, data: bytes) -> None:
            if len(data) != size:
                raise att.ATT_Error(att.ATT_INVALID_ATTRIBUTE_LENGTH_ERROR)
            self._written(data)

        if self._habits.clock == "fixed":
            return Characteristic(
                UUID.from_16_bits(number),
                Properties.READ,
                att.Attribute.READABLE,
                att.AttributeValue(read=lambda _connection: value()),
            )
        return Characteristic(
            UUID.from_16_bits(number),
            Properties.READ | Properties.WRITE,
            att.Attribute.READABLE | att.Attribute.WRITEABLE,
            att.AttributeValue(read=lambda _connection: value(), write=write),
        )

    def _written(self, data: bytes) -> None:
        if self._habits.clock == "refuses":
            raise att.ATT_Error(VALUE_NOT_ALLOWED)
        year, month, day, hour, minute, second = struct.unpack("<HBBBBB", data[:7])
        told = time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
        before = self.error
        if self._habits.clock != "ignores":
            self.error = float(round(told - time.time()))
        self.is_set = True
        self._on_set(before - self.error)
