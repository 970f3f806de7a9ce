"""What a device says over one connection: its response to each request, and its results in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from installer.bluetooth.connection import Connection
from installer.errors import InstallerError
from installer.provisioning import error_texts as common
from installer.provisioning.nordic import codec, error_texts, uuids
from installer.provisioning.nordic.codec import AccessPoint, DeviceStatus, Foreign, Malformed, Operation, StateChange

MAX_WAITING = 1000  # notifications; a device that floods is not listened to any further


@dataclass(frozen=True)
class Timings:
    """Deadlines in seconds.

    `request`: one read or write; `answer`: the response to a request; `first`, `quiet`, `scan`: for the first access
    point of a scan, for a further one, and for all of them; `join`: from the credentials to the outcome; `settle`: how
    long a device that was joining may call itself disconnected before that counts as failed.
    """

    request: float = 10.0
    answer: float = 10.0
    first: float = 10.0
    quiet: float = 2.0
    scan: float = 20.0
    join: float = 60.0
    settle: float = 5.0


class Session:
    """The three characteristics of one connection. Requests may be made concurrently; they go one after the other."""

    def __init__(self, connection: Connection, timings: Timings) -> None:
        self.connection = connection
        self._timings = timings
        self._responses: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self._results: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self._listening: list[str] = []
        self._lock = asyncio.Lock()

    async def open(self) -> int:
        """Subscribe, results first so that none is missed; the version of the service. Raises DEVICE_MISBEHAVED,
        DEVICE_REFUSED where pairing is wanted, CONNECTION_LOST."""
        missing = [u for u in uuids.CHARACTERISTICS if not self.connection.has_characteristic(u, uuids.SERVICE)]
        if missing:
            raise error_texts.incomplete(self.connection, len(missing))
        try:
            data = await self.connection.read(uuids.VERSION, timeout=self._timings.request)
            for uuid, queue in ((uuids.DATA_OUT, self._results), (uuids.CONTROL_POINT, self._responses)):
                if uuid not in self._listening:
                    await self.connection.subscribe(uuid, _into(queue), timeout=self._timings.request)
                    self._listening.append(uuid)
        except InstallerError as error:
            raise error_texts.wants_pairing(self.connection, error) from None
        try:
            return codec.read_version(data)
        except Malformed as found:
            raise common.misbehaved(self.connection, "telling its version", found) from None

    async def close(self) -> None:
        """Stop listening. Never raises for a connection that is gone."""
        try:
            while self._listening:
                await self.connection.unsubscribe(self._listening.pop(), timeout=self._timings.request)
        except InstallerError:
            self._listening.clear()

    async def request(self, operation: Operation, message: bytes, what: str) -> DeviceStatus:
        """Send `message` and wait for the response to it; results that came before are forgotten.

        Raises codec.Refused, DEVICE_REFUSED where pairing is wanted, SESSION_TAKEN, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        async with self._lock:
            self.forget_results()
            _empty(self._responses)
            try:
                await self.connection.write(uuids.CONTROL_POINT, message, timeout=self._timings.request)
                data = await self.connection.race(self._responses.get(), self._timings.answer, what)
                return codec.read_response(data, operation)
            except TimeoutError:
                raise common.silent(self.connection, what, self._timings.answer) from None
            except Foreign:
                raise common.taken_over(self.connection) from None
            except Malformed as found:
                raise common.misbehaved(self.connection, what, found) from None
            except InstallerError as error:
                raise error_texts.wants_pairing(self.connection, error) from None

    def forget_results(self) -> None:
        """Nothing that has come so far is looked at."""
        _empty(self._results)

    async def result(self, seconds: float, what: str) -> AccessPoint | StateChange:
        """The next result that says something. Raises DEVICE_MISBEHAVED, CONNECTION_LOST; TimeoutError."""
        async with asyncio.timeout(seconds):
            while True:
                # What has come already is taken before the time is looked at.
                waiting = not self._results.empty()
                data = await (self._results.get() if waiting else self._next(seconds, what))
                try:
                    found = codec.read_result(data)
                except Malformed as malformed:
                    raise common.misbehaved(self.connection, what, malformed) from None
                if found is not None:
                    return found

    async def _next(self, seconds: float, what: str) -> bytes:
        return await self.connection.race(self._results.get(), seconds + 1, what)


def _into(queue: asyncio.Queue[bytes]) -> Callable[[bytes], None]:
    def put(data: bytes) -> None:
        if not queue.full():
            queue.put_nowait(data)

    return put


def _empty(queue: asyncio.Queue[bytes]) -> None:
    while not queue.empty():
        queue.get_nowait()
