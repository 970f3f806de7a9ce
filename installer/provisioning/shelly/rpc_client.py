"""The RPC client: calls over the three characteristics of Shelly's RPC service, one after the other.

Source: `facts/other-ble-provisioning.md` §1. The client polls the length of the answer and does not subscribe to it:
some systems cannot tell a notification from the answer to a read of the same characteristic (§6).
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

from installer.bluetooth.connection import Connection
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import driver_errors
from installer.provisioning.driver_errors import ForeignAnswer, Malformed
from installer.provisioning.join_polling import pause
from installer.provisioning.shelly import codec
from installer.timing.backoff import Backoff


@dataclass(frozen=True)
class Timings:
    """Deadlines and pauses in seconds.

    `request`: one read or write; `answer`: a whole call; `foreign`: how long the answer may take after an
    answer to another app; `scan`: a whole call that scans; `ready`: between two checks whether the answer is ready.
    `join`: from the credentials to the outcome; `settle`: how long a device may say that it is disconnected before that
    counts as failed; `fall`: the same for one that was joining; `confirm`: how long a device that was on a network
    before must say that it is on one. `poll_first`, `poll_last`: the first and the longest pause between two polls of
    the state.
    """

    request: float = 5.0
    answer: float = 10.0
    foreign: float = 5.0
    scan: float = 25.0
    ready: float = 0.1
    join: float = 75.0
    settle: float = 15.0
    fall: float = 3.0
    confirm: float = 4.0
    poll_first: float = 0.3
    poll_last: float = 2.0

    @property
    def poll_backoff(self) -> Backoff:
        """The pauses between two polls of the state."""
        return Backoff(self.poll_first, self.poll_last, factor=1.5)


INVALID_OFFSET = 0x07  # ATT


class RpcClient:
    """The calls of one connection. Concurrent calls are sent one after the other."""

    def __init__(self, connection: Connection, timings: Timings) -> None:
        self.connection = connection
        self._timings = timings
        # Other clients may count from one; an answer to them must not be taken for ours.
        self._first = self._number = secrets.randbelow(1 << 20)
        self._in_sync = False
        self._has_secret = False
        self._lock = asyncio.Lock()

    async def call(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        doing: str,
        seconds: float | None = None,
        secret: bool = False,
    ) -> Any:
        """The result of `method`. `doing`: what the device does; `secret`: `params` hold a passphrase.

        From the first such call on, no error has the device's own words: they may repeat the passphrase.

        Raises driver_errors.Refused, DEVICE_REFUSED if the device has a password, SESSION_TAKEN,
        DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        deadline = seconds or self._timings.answer
        async with self._lock:
            in_sync, self._in_sync = self._in_sync, False
            self._has_secret |= secret
            try:
                async with self.connection.time_limit(deadline):
                    if not in_sync:
                        await self._drain()
                    answer = await self._exchange(method, params)
            except TimeoutError:
                raise driver_errors.no_answer(self.connection, doing, deadline) from None
            except Malformed as found:
                raise driver_errors.installer_error(self.connection, doing, found) from None
            except InstallerError as error:
                if error.data.get("gatt_error") == INVALID_OFFSET:
                    # More bytes than the device expects: another app announced a request in between.
                    raise driver_errors.session_taken(self.connection) from None
                raise
            self._in_sync = True
        if answer.error is None:
            return answer.result
        refused = codec.refusal(answer.error.status, "") if self._has_secret else answer.error
        if refused.status == codec.UNAUTHORIZED:
            raise _password_protected(self.connection)
        raise refused

    async def _exchange(self, method: str, params: dict[str, Any] | None) -> codec.Answer:
        self._number += 1
        frame = codec.encode_call(self._number, method, params)
        await self._send(frame)
        try:
            # After an answer to another app, ours comes soon, or it has gone to that app.
            async with asyncio.timeout(None) as deadline:
                while True:
                    answer = codec.decode_answer(await self._receive())
                    if answer.id == self._number:
                        return answer
                    # Else: a notification, a late answer to a call that timed out, or an answer to another app.
                    if answer.id is not None and not self._first <= answer.id < self._number:
                        deadline.reschedule(asyncio.get_running_loop().time() + self._timings.foreign)
        except TimeoutError:
            if deadline.expired():
                raise ForeignAnswer("only answers to another app came") from None
            raise

    async def _send(self, frame: bytes) -> None:
        seconds = self._timings.request
        # The length makes the device forget an unfinished frame.
        await self.connection.write(codec.TX_CONTROL, codec.encode_length(len(frame)), timeout=seconds)
        size = self.connection.max_write(codec.DATA)
        for start in range(0, len(frame), size):
            await self.connection.write(codec.DATA, frame[start : start + size], timeout=seconds)

    async def _receive(self) -> bytes:
        """The next frame. The caller sets the deadline."""
        size = await self._bytes_ready()
        while not size:
            await pause(self.connection, self._timings.ready, "waiting for the device's answer")
            size = await self._bytes_ready()
        return await self._read(size)

    async def _bytes_ready(self) -> int:
        return codec.decode_length(await self.connection.read(codec.RX_CONTROL, timeout=self._timings.request))

    async def _read(self, size: int) -> bytes:
        frame = bytearray()
        while len(frame) < size:
            chunk = await self.connection.read(codec.DATA, timeout=self._timings.request)
            if not chunk:
                raise Malformed("an answer that ends too soon")
            frame += chunk
        if len(frame) > size:
            raise Malformed("an answer of more bytes than it announced")
        return bytes(frame)

    async def _drain(self) -> None:
        """Read what is left of calls that were cancelled: the device keeps only one answer."""
        while True:
            try:
                size = await self._bytes_ready()
            except Malformed:
                # The answer ends with an empty chunk.
                size = codec.MAX_FRAME
            if not size:
                return
            while size > 0 and (chunk := await self.connection.read(codec.DATA, timeout=self._timings.request)):
                size -= len(chunk)


def _password_protected(connection: Connection) -> InstallerError:
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {connection.address} is protected with a password, which this program cannot send.",
        "Switch the password off in the maker's app, or reset the device to factory state, and try again.",
        address=connection.address,
        rpc_error=codec.UNAUTHORIZED,
    )
