"""What an Improv device says over one connection: the latest state, and the events in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from installer.bluetooth.connection import Connection
from installer.errors import ErrorCode, InstallerError
from installer.provisioning.improv import codec
from installer.provisioning.improv.codec import CodecError, DeviceError, Frame, State

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class StateChange:
    """The device went into another state."""

    state: State


@dataclass(frozen=True)
class Complaint:
    """The device reports an error."""

    error: DeviceError


@dataclass(frozen=True)
class Answer:
    """The device gives a result: its bytes as notified, perhaps cut at the MTU."""

    data: bytes


@dataclass(frozen=True)
class Violation:
    """The device said something that is against the protocol."""

    what: str


Event = StateChange | Complaint | Answer | Violation


class Session:
    """The five characteristics of one connection. `state`: the latest one; UUIDs and bytes stay in here."""

    def __init__(self, connection: Connection, request_seconds: float) -> None:
        self.connection = connection
        self.state = State.STOPPED
        self._changes = 0
        self._seconds = request_seconds
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._listening: list[str] = []

    async def open(self) -> None:
        """Subscribe, errors first so that none is missed, and read the state. Raises DEVICE_MISBEHAVED."""
        missing = [u for u in codec.CHARACTERISTICS if not self.connection.has_characteristic(u, codec.SERVICE)]
        if missing:
            raise self.misbehaved(f"lacks {len(missing)} of the five characteristics of Improv Wi-Fi")
        for uuid, listener in (
            (codec.ERROR, self._on_error),
            (codec.RESULT, self._on_result),
            (codec.STATE, self._on_state),
        ):
            if uuid not in self._listening:
                await self.connection.subscribe(uuid, listener, timeout=self._seconds)
                self._listening.append(uuid)
        await self.refresh()

    async def close(self) -> None:
        """Stop listening. Never raises for a connection that is gone."""
        try:
            while self._listening:
                await self.connection.unsubscribe(self._listening.pop(), timeout=self._seconds)
        except InstallerError:
            self._listening.clear()

    async def refresh(self) -> State:
        """Read the state. Raises DEVICE_MISBEHAVED, CONNECTION_LOST."""
        changes = self._changes
        data = await self.connection.read(codec.STATE, timeout=self._seconds)
        state = self.checked(codec.decode_state, data)
        # A notification that overtook the answer in this program is newer than the answer.
        if changes == self._changes:
            self.state = state
        return self.state

    async def capabilities(self) -> codec.Ability:
        """What the device can, from its advertisement if that was heard, else from the characteristic."""
        advert = self.connection.advert
        if advert is not None:
            try:
                return codec.decode_service_data(advert.service_data.get(codec.SERVICE_DATA, b""))[1]
            except CodecError:
                pass
        data = await self.connection.read(codec.CAPABILITIES, timeout=self._seconds)
        return self.checked(codec.decode_capabilities, data)

    async def send(self, frame: Frame) -> None:
        """Write a command, forgetting what came before. After a failed write the link is closed.

        A device collects the parts of a frame; the rest of a broken one would spoil the next (§8).
        """
        while not self._events.empty():
            self._events.get_nowait()
        data = self.checked(codec.encode_frame, frame)
        size = self.connection.max_write(codec.COMMAND)
        sent = False
        try:
            for start in range(0, len(data), size):
                part = data[start : start + size]
                await self.connection.write(codec.COMMAND, part, response=True, timeout=self._seconds)
            sent = True
        finally:
            if not sent:
                await asyncio.shield(self.connection.close())

    async def event(self, seconds: float, what: str) -> Event:
        """The next event. Raises CONNECTION_LOST; TimeoutError after `seconds`; DEVICE_MISBEHAVED for a violation."""
        event = await self.connection.race(self._events.get(), seconds, what)
        if isinstance(event, Violation):
            raise self.misbehaved(event.what)
        return event

    async def frame(self, answer: Answer) -> Frame:
        """The result frame of an answer; one that was cut at the MTU is read whole. Raises DEVICE_MISBEHAVED."""
        data = answer.data
        size = codec.frame_size(data)
        if size is not None and len(data) < size:
            data = await self.connection.read(codec.RESULT, timeout=self._seconds)
        return self.checked(codec.decode_frame, data)

    def misbehaved(self, how: str) -> InstallerError:
        """DEVICE_MISBEHAVED: the device did `how`."""
        return InstallerError(
            ErrorCode.DEVICE_MISBEHAVED,
            f"The device {self.connection.address} {how}.",
            "Switch it off and on and try again; if this stays, its firmware breaks the Improv protocol.",
            address=self.connection.address,
        )

    def checked(self, decode: Callable[[S], T], data: S) -> T:
        """`decode(data)`, with DEVICE_MISBEHAVED in place of CodecError."""
        try:
            return decode(data)
        except CodecError as error:
            raise self.misbehaved(f"broke the protocol: {error}") from None

    def _on_state(self, data: bytes) -> None:
        try:
            self.state = codec.decode_state(data)
            self._changes += 1
        except CodecError as error:
            self._events.put_nowait(Violation(f"broke the protocol: {error}"))
        else:
            self._events.put_nowait(StateChange(self.state))

    def _on_error(self, data: bytes) -> None:
        try:
            error = codec.decode_error(data)
        except CodecError as problem:
            self._events.put_nowait(Violation(f"broke the protocol: {problem}"))
        else:
            # 0x00 only clears the last error.
            if error is not DeviceError.NONE:
                self._events.put_nowait(Complaint(error))

    def _on_result(self, data: bytes) -> None:
        self._events.put_nowait(Answer(data))
