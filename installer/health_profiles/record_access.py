"""The Record Access Control Point (0x2A52): asks a device for the measurements that it has stored. It deletes nothing.

Sources: GATT Specification Supplement, Record Access Control Point: op code, operator, operand; Blood Pressure Service
1.1 §3.8, where the filter of an operand is the sequence number (0x01, two bytes). The number of records is asked first,
so that an empty memory is told from a silent device. The response codes are those of the supplement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from installer.bluetooth.connection import Connection
from installer.bluetooth.uuids import expand_uuid16
from installer.errors import ErrorCode, InstallerError

RECORD_ACCESS = expand_uuid16(0x2A52)
ACTIVITY = "asking for the stored measurements"
# Seconds without a record and without an answer after which the procedure counts as failed.
IDLE_SECONDS = 30.0

REPORT, ABORT, REPORT_NUMBER, NUMBER_RESPONSE, RESPONSE_CODE = 0x01, 0x03, 0x04, 0x05, 0x06
NO_OPERATOR, ALL_RECORDS, FROM_ON = 0x00, 0x01, 0x03
BY_SEQUENCE_NUMBER = 0x01
SUCCESS, NOT_SUPPORTED, NO_RECORDS, NOT_COMPLETED, BUSY = 0x01, 0x02, 0x06, 0x08, 0x0A
# Invalid operator, operator not supported, invalid operand, operand not supported: the device has no such filter.
NO_SUCH_FILTER = frozenset({0x03, 0x04, 0x05, 0x09})
# A sequence number is 16 bits long and begins anew: near its end, all records are asked for.
NEARLY_LAST_NUMBER = 0xFF00


@dataclass(frozen=True)
class Response:
    """What the device answers to `request`: a `count` of records, or a response `code`."""

    request: int
    count: int | None = None
    code: int = SUCCESS


def encode_request(operation: int, first: int | None) -> bytes:
    """A request about all records, or about those whose sequence number is `first` or higher."""
    if first is None:
        return bytes((operation, ALL_RECORDS))
    return bytes((operation, FROM_ON, BY_SEQUENCE_NUMBER)) + first.to_bytes(2, "little")


def decode_response(data: bytes) -> Response | None:
    """The response in an indication; None if it is something else."""
    if len(data) >= 4 and data[0] == NUMBER_RESPONSE:
        return Response(REPORT_NUMBER, int.from_bytes(data[2:4], "little"))
    if len(data) >= 4 and data[0] == RESPONSE_CODE:
        return Response(data[2], None, data[3])
    return None


class StoredRecords:
    """The procedure over one connection. `last_record`: when the last record arrived, in the loop's time."""

    def __init__(self, connection: Connection, last_record: Callable[[], float]) -> None:
        self._connection = connection
        self._last_record = last_record
        self._responses: asyncio.Queue[Response] = asyncio.Queue()

    async def subscribe(self) -> None:
        """Listen to the answers. Raises as `Connection.subscribe`."""
        await self._connection.subscribe(RECORD_ACCESS, self._on_indication)

    def _on_indication(self, data: bytes) -> None:
        response = decode_response(data)
        if response is not None:
            self._responses.put_nowait(response)

    async def report(self, first: int | None, end: float) -> None:
        """Have the device send its records, those from number `first` on, until `end` (in the loop's time).

        If it has none of these, its memory was emptied and counts anew: then all are asked for. Raises CONNECTION_LOST;
        DEVICE_REFUSED, and DEVICE_MISBEHAVED if it does not finish.
        """
        wanted = None if first is None or first >= NEARLY_LAST_NUMBER else first
        for number in dict.fromkeys((wanted, None)):
            if await self._has_none(number, end):
                continue
            response = await self._request(REPORT, number, end)
            if response is None or response.code == SUCCESS:
                return
            if response.code != NO_RECORDS and (number is None or response.code not in NO_SUCH_FILTER):
                raise self._refused(response.code)

    async def _has_none(self, first: int | None, end: float) -> bool:
        """Whether the device says that it has no such record, or no such filter. It may be unable to count them."""
        response = await self._request(REPORT_NUMBER, first, end)
        if response is None or response.count is not None:
            return response is not None and response.count == 0
        if response.code == NO_RECORDS:
            return True
        if response.code in NO_SUCH_FILTER:
            return first is not None
        if response.code != NOT_SUPPORTED:
            raise self._refused(response.code)
        return False

    async def _request(self, operation: int, first: int | None, end: float) -> Response | None:
        """Write a request and wait for its response. None: `end` came first, and the procedure was aborted."""
        loop = asyncio.get_running_loop()
        await self._connection.write(RECORD_ACCESS, encode_request(operation, first))
        asked = loop.time()
        while True:
            now, idle_end = loop.time(), max(asked, self._last_record()) + IDLE_SECONDS
            if now >= min(end, idle_end):
                await self._abort()
                if now < idle_end:
                    return None
                raise self._unfinished()
            try:
                response = await self._connection.run_while_connected(
                    self._responses.get(), min(end, idle_end) - now, ACTIVITY
                )
            except TimeoutError:
                continue  # records may have come meanwhile
            if response.request == operation:
                return response

    async def _abort(self) -> None:
        try:
            await self._connection.write(RECORD_ACCESS, bytes((ABORT, NO_OPERATOR)))
        except InstallerError as error:
            if error.code is ErrorCode.CONNECTION_LOST:
                raise

    def _refused(self, code: int) -> InstallerError:
        address = self._connection.address
        if code in (NOT_COMPLETED, BUSY):
            what = f"The device {address} stopped before it had sent all of its stored measurements"
        else:
            what = f"The device {address} refused to send its stored measurements"
        return InstallerError(
            ErrorCode.DEVICE_REFUSED,
            f"{what} (record access: 0x{code:02x}).",
            "It still has them. Use it once, then try again.",
            address=address,
            response_code=code,
        )

    def _unfinished(self) -> InstallerError:
        return InstallerError(
            ErrorCode.DEVICE_MISBEHAVED,
            f"The device {self._connection.address} did not finish sending its stored measurements: nothing came for "
            f"{IDLE_SECONDS:g} s.",
            "It still has them. Switch the device off and on, then try again.",
            address=self._connection.address,
        )
