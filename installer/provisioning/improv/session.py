"""The session with an Improv device: its latest state, and its events (states, errors, results) in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from installer.bluetooth.connection import Connection
from installer.errors import InstallerError
from installer.provisioning import driver_errors
from installer.provisioning.driver_errors import Malformed
from installer.provisioning.improv import codec
from installer.provisioning.improv.advertisement_signature import SERVICE, SERVICE_DATA
from installer.provisioning.improv.codec import DeviceError, Frame, State
from installer.provisioning.subscriptions import Subscriptions

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Timings:
    """Deadlines in seconds (§9).

    `result`: from the state “provisioned” to the result; `settle`: for the second half of a failure, as the error and
    the state come one after the other; `quiet`: after a list of networks, for a further one (§7); `refusal`: for an
    error after a command that has no result.
    """

    request: float = 5.0
    answer: float = 10.0
    scan: float = 20.0
    quiet: float = 0.5
    refusal: float = 0.2
    authorization: float = 60.0
    join: float = 75.0
    result: float = 2.0
    settle: float = 1.0


@dataclass(frozen=True)
class StateChange:
    """The device changed its state."""

    state: State


@dataclass(frozen=True)
class ErrorReport:
    """The device reports an error."""

    error: DeviceError


@dataclass(frozen=True)
class Result:
    """The result of a command: its bytes as notified, perhaps cut at the MTU."""

    data: bytes


@dataclass(frozen=True)
class InvalidNotification:
    """A notification that breaks the protocol. `reason`: how."""

    reason: str


Event = StateChange | ErrorReport | Result | InvalidNotification


class Session:
    """The five characteristics of one connection. `state`: the latest one."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        """`timeout`: seconds for one request."""
        self.connection = connection
        self.state = State.STOPPED
        self._state_notifications = 0
        self._timeout = timeout
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._subscriptions = Subscriptions(connection, timeout)

    async def open(self) -> None:
        """Subscribe, errors first so that none is missed, and read the state. Raises DEVICE_MISBEHAVED."""
        driver_errors.require_characteristics(self.connection, SERVICE, codec.CHARACTERISTICS, "Improv Wi-Fi")
        await self._subscriptions.add(codec.ERROR, self._on_error)
        await self._subscriptions.add(codec.RESULT, self._on_result)
        await self._subscriptions.add(codec.STATE, self._on_state)
        await self.read_state()

    async def close(self) -> None:
        """Unsubscribe. Never raises for a connection that is gone."""
        await self._subscriptions.close()

    async def read_state(self) -> State:
        """Read the state. Raises DEVICE_MISBEHAVED, CONNECTION_LOST."""
        notifications = self._state_notifications
        data = await self.connection.read(codec.STATE, timeout=self._timeout)
        state = self.decoded(codec.decode_state, data)
        # A notification that overtook the answer in this program is newer than the answer.
        if notifications == self._state_notifications:
            self.state = state
        return self.state

    async def read_capabilities(self) -> codec.CapabilityBits:
        """The capabilities: from the advertisement if that was received, else from the characteristic."""
        advert = self.connection.advert
        if advert is not None:
            try:
                return codec.decode_service_data(advert.service_data.get(SERVICE_DATA, b""))[1]
            except Malformed:
                pass
        data = await self.connection.read(codec.CAPABILITIES, timeout=self._timeout)
        return self.decoded(codec.decode_capabilities, data)

    async def send(self, frame: Frame) -> None:
        """Write a command, and forget earlier events. A failed write closes the connection.

        A device collects the parts of a frame; the rest of a broken one would spoil the next (§8).
        """
        while not self._events.empty():
            self._events.get_nowait()
        data = self.decoded(codec.encode_frame, frame)
        size = self.connection.max_write(codec.COMMAND)
        sent = False
        try:
            for start in range(0, len(data), size):
                chunk = data[start : start + size]
                await self.connection.write(codec.COMMAND, chunk, response=True, timeout=self._timeout)
            sent = True
        finally:
            if not sent:
                await asyncio.shield(self.connection.close())

    async def next_event(self, seconds: float, doing: str) -> Event:
        """The next event. Raises CONNECTION_LOST, TimeoutError after `seconds`, DEVICE_MISBEHAVED if it is invalid."""
        event = await self.connection.run_while_connected(self._events.get(), seconds, doing)
        if isinstance(event, InvalidNotification):
            raise self.broke_protocol(event.reason)
        return event

    async def whole_frame(self, result: Result) -> Frame:
        """The frame of a result; one that was cut at the MTU is read again. Raises DEVICE_MISBEHAVED."""
        data = result.data
        size = codec.frame_size(data)
        if size is not None and len(data) < size:
            data = await self.connection.read(codec.RESULT, timeout=self._timeout)
        return self.decoded(codec.decode_frame, data)

    def broke_protocol(self, reason: str) -> InstallerError:
        """DEVICE_MISBEHAVED."""
        return driver_errors.misbehaved(self.connection, f"broke the Improv protocol: {reason}")

    def decoded(self, decode: Callable[[S], T], data: S) -> T:
        """`decode(data)`, with DEVICE_MISBEHAVED in place of Malformed."""
        try:
            return decode(data)
        except Malformed as error:
            raise self.broke_protocol(str(error)) from None

    def _on_state(self, data: bytes) -> None:
        try:
            self.state = codec.decode_state(data)
            self._state_notifications += 1
        except Malformed as error:
            self._events.put_nowait(InvalidNotification(str(error)))
        else:
            self._events.put_nowait(StateChange(self.state))

    def _on_error(self, data: bytes) -> None:
        try:
            error = codec.decode_error(data)
        except Malformed as problem:
            self._events.put_nowait(InvalidNotification(str(problem)))
        else:
            # 0x00 only clears the last error.
            if error is not DeviceError.NONE:
                self._events.put_nowait(ErrorReport(error))

    def _on_result(self, data: bytes) -> None:
        self._events.put_nowait(Result(data))
