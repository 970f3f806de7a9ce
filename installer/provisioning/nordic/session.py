"""The session with a Nordic device: requests with their responses, and the results (access points, states) in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from installer.bluetooth.connection import Connection
from installer.provisioning import driver_errors
from installer.provisioning.driver_errors import Malformed
from installer.provisioning.nordic import codec
from installer.provisioning.nordic.advertisement_signature import SERVICE
from installer.provisioning.nordic.codec import AccessPoint, DeviceStatus, Operation, StateChange
from installer.provisioning.subscriptions import Subscriptions

LABEL = "Nordic's Wi-Fi provisioning"
MAX_QUEUED = 1000  # notifications; more than these are dropped


@dataclass(frozen=True)
class Timings:
    """Deadlines in seconds.

    `request`: one read or write; `answer`: the response to a request; `first`, `quiet`, `scan`: for the first access
    point of a scan, for a further one, and for all of them; `join`: from the credentials to the outcome; `settle`: how
    long a device that was joining may say that it is disconnected before that counts as failed.
    """

    request: float = 10.0
    answer: float = 10.0
    first: float = 10.0
    quiet: float = 2.0
    scan: float = 20.0
    join: float = 60.0
    settle: float = 5.0


class Session:
    """The three characteristics of one connection. Concurrent requests are sent one after the other."""

    def __init__(self, connection: Connection, timings: Timings) -> None:
        self.connection = connection
        self._timings = timings
        self._responses: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED)
        self._results: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED)
        self._subscriptions = Subscriptions(connection, timings.request)
        self._lock = asyncio.Lock()

    async def open(self) -> int:
        """Subscribe, results first so that none is missed. Returns the version of the service.

        Raises DEVICE_MISBEHAVED, PAIRING_NEEDED and PAIRING_FAILED if the device must be paired, CONNECTION_LOST.
        """
        driver_errors.require_characteristics(self.connection, SERVICE, codec.CHARACTERISTICS, LABEL)
        data = await self.connection.read(codec.VERSION, timeout=self._timings.request)
        await self._subscriptions.add(codec.DATA_OUT, _put_into(self._results))
        await self._subscriptions.add(codec.CONTROL_POINT, _put_into(self._responses))
        try:
            return codec.read_version(data)
        except Malformed as found:
            raise driver_errors.installer_error(self.connection, "sending its version", found) from None

    async def close(self) -> None:
        """Unsubscribe. Never raises for a connection that is gone."""
        await self._subscriptions.close()

    async def request(self, operation: Operation, message: bytes, doing: str) -> DeviceStatus:
        """Send `message` and wait for the response to it; earlier results are forgotten.

        `doing`: what the device does. Raises driver_errors.Refused, PAIRING_NEEDED and PAIRING_FAILED if the device
        must be paired, SESSION_TAKEN, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        async with self._lock:
            _empty(self._results)
            _empty(self._responses)
            seconds = self._timings.answer
            try:
                await self.connection.write(codec.CONTROL_POINT, message, timeout=self._timings.request)
                data = await self.connection.run_while_connected(self._responses.get(), seconds, doing)
                return codec.read_response(data, operation)
            except TimeoutError:
                raise driver_errors.no_answer(self.connection, doing, seconds) from None
            except Malformed as found:
                raise driver_errors.installer_error(self.connection, doing, found) from None

    async def next_result(self, seconds: float, doing: str) -> AccessPoint | StateChange:
        """The next result with known content. Raises DEVICE_MISBEHAVED, CONNECTION_LOST; TimeoutError."""
        async with asyncio.timeout(seconds):
            while True:
                # A result that has arrived is read even if `seconds` is 0.
                if self._results.empty():
                    data = await self.connection.run_while_connected(self._results.get(), seconds + 1, doing)
                else:
                    data = self._results.get_nowait()
                try:
                    result = codec.read_result(data)
                except Malformed as found:
                    raise driver_errors.installer_error(self.connection, doing, found) from None
                if result is not None:
                    return result


def _put_into(queue: asyncio.Queue[bytes]) -> Callable[[bytes], None]:
    def put(data: bytes) -> None:
        if not queue.full():
            queue.put_nowait(data)

    return put


def _empty(queue: asyncio.Queue[bytes]) -> None:
    while not queue.empty():
        queue.get_nowait()
