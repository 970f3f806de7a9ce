"""The stored blood pressures of a lab device, which it sends when a client asks for them: records with numbers.

Layouts: Blood Pressure Service 1.1 (Blood Pressure Record 0x2B36, Enhanced Blood Pressure Measurement 0x2B34, Record
Access Control Point 0x2A52), GATT Specification Supplement. No code is shared with the installer.
"""

from __future__ import annotations

import asyncio
import calendar
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bumble import att
from bumble.core import UUID, ProtocolError
from bumble.gatt import Characteristic

from installer.lab import gatt_services
from installer.lab.health_characteristics import sfloat
from installer.lab.made_up_measurements import Measurement
from installer.lab.scenario_parts import Reading

if TYPE_CHECKING:
    from installer.lab.device import LabDevice

RECORD, CONTROL_POINT = 0x2B36, 0x2A52
ENHANCED = 0x2B34
# The seconds from 2000-01-01 to a time, from those since 1970.
SINCE_2000 = 946_684_800
PROCEDURE_IN_PROGRESS = 0xFE
Properties = Characteristic.Properties


class RecordAccess:
    """The records of one device. `deleted`: how many a client has deleted; `on_done`: called after the last answer.

    `is_busy`: whether it works on a request.
    """

    def __init__(self, device: LabDevice, habits: Reading, on_done: Callable[[], None]) -> None:
        self._device = device
        self._habits = habits
        self._on_done = on_done
        self._task: asyncio.Task[None] | None = None
        # Until the answer is sent. A client may ask anew as soon as it has that.
        self.is_busy = False
        self.records: list[tuple[int, Measurement]] = []
        self.deleted = 0
        self.record: Characteristic[bytes] = Characteristic(
            UUID.from_16_bits(RECORD), Properties.NOTIFY, att.Attribute.READABLE, b""
        )
        self.control_point: Characteristic[bytes] = Characteristic(
            UUID.from_16_bits(CONTROL_POINT),
            Properties.WRITE | Properties.INDICATE,
            att.Attribute.WRITEABLE,
            att.AttributeValue(write=self._written),
        )

    def add(self, measurement: Measurement) -> None:
        """Keep a measurement. The memory's size is that of the scenario."""
        self.records.append((measurement.number, measurement))
        del self.records[: -self._device.scenario.memory]

    def clear(self) -> None:
        """Delete all records."""
        self.link_ended()
        self.records.clear()

    def link_ended(self) -> None:
        """The client is gone, and its request with it."""
        self.is_busy = False
        if self._task is not None:
            self._task.cancel()

    def _written(self, _connection: Any, data: bytes) -> None:
        if data[:1] == b"\x03":
            self.link_ended()
            self._task = asyncio.create_task(self._answer(bytes((0x06, 0x00, 0x03, 0x01))))
            return
        if self.is_busy:
            raise att.ATT_Error(PROCEDURE_IN_PROGRESS)
        self.is_busy = True
        self._task = asyncio.create_task(self._work(bytes(data)))

    async def _work(self, request: bytes) -> None:
        if self._habits.records == "silent":
            return
        operation = request[0]
        code, found = self._select(request)
        if self._habits.records == "busy" and operation == 0x01:
            code = 0x0A
        if code == 0x01 and operation == 0x04:
            await self._answer(struct.pack("<BBH", 0x05, 0x00, len(found)))
            return
        if code == 0x01 and not found:
            code = 0x06
        if code == 0x01 and operation == 0x01:
            for number, measurement in found:
                if self._device.drop_at("measurement"):
                    return
                gatt_services.notify(self._device.server, self.record, encode_record(number, measurement))
                await asyncio.sleep(0)
        if code == 0x01 and operation == 0x02:
            self.records = [entry for entry in self.records if entry not in found]
            self.deleted += len(found)
        await self._answer(bytes((0x06, 0x00, operation, code)))

    def _select(self, request: bytes) -> tuple[int, list[tuple[int, Measurement]]]:
        """A response code, and the records that the operator selects."""
        operation, operator, operand = request[0], request[1] if len(request) > 1 else 0, request[2:]
        if operation not in (0x01, 0x02, 0x04) or (operation == 0x04 and self._habits.records == "uncounted"):
            return 0x02, []
        if operator == 0x01 and not operand:
            return 0x01, list(self.records)
        if operator == 0x03 and self._habits.records != "all-only":
            if len(operand) != 3 or operand[0] != 0x01:
                return 0x05, []
            first = int.from_bytes(operand[1:], "little")
            return 0x01, [(number, measurement) for number, measurement in self.records if number >= first]
        return 0x04, []

    async def _answer(self, value: bytes) -> None:
        self.is_busy = False
        connection = self._device.connection
        if connection is None:
            return
        try:
            await self._device.server.indicate_subscriber(connection, self.control_point, value)
        except (TimeoutError, ProtocolError):
            return
        self._device.log(f"record access: {value.hex()}")
        # After a number of records, or a refusal to count them, the client asks for the records.
        if value[2:] == b"\x00\x00" or (value[0] == 0x06 and value[2] != 0x04):
            asyncio.get_running_loop().call_soon(self._on_done)


def encode_record(number: int, measurement: Measurement) -> bytes:
    """A Blood Pressure Record in one segment."""
    return struct.pack("<BHH", 0x03, number & 0xFFFF, ENHANCED) + encode_enhanced(measurement)


def encode_enhanced(measurement: Measurement) -> bytes:
    """An Enhanced Blood Pressure Measurement in mmHg, with pulse and user facing time, and the user if it is known."""
    values = measurement.values
    systolic, diastolic = int(values["systolic"]), int(values["diastolic"])
    pressures = sfloat(systolic) + sfloat(diastolic) + sfloat(diastolic + (systolic - diastolic) // 3)
    user = b"" if measurement.user is None else bytes((measurement.user,))
    shown = calendar.timegm(time.localtime(measurement.taken + measurement.clock)) - SINCE_2000
    flags = 0x04 | (0x08 if user else 0) | 0x20 | 0x40
    return bytes((flags,)) + pressures + sfloat(int(values["pulse"])) + user + struct.pack("<I", shown)
