"""Calls over the three characteristics of Shelly's RPC service, one after the other.

Source: `facts/other-ble-provisioning.md` §1. The answer's length is asked for again and again, not subscribed to: some
systems cannot tell a notification from the answer to a read of the same characteristic (§6).
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

from installer.bluetooth.connection import Connection
from installer.errors import InstallerError
from installer.provisioning import error_texts as common
from installer.provisioning.shelly import codec, error_texts
from installer.provisioning.shelly.codec import Malformed


@dataclass(frozen=True)
class Timings:
    """Deadlines and pauses in seconds.

    `request`: one read or write; `answer`: a whole call; `foreign`: how long its answer may take after one
    that another app has asked for; `scan`: the same for a scan; `ready`: between two looks
    whether the answer is ready. `join`: from the order to join to its outcome; `settle`: how long a device may call
    itself disconnected before that counts as failed; `fall`: the same for one that was joining; `confirm`: how long a
    device that was on a network before must say so. The state is asked for every `poll_first` seconds, then ever slower
    up to `poll_last`.
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


INVALID_OFFSET = 0x07  # ATT


class _Foreign(Exception):
    """The answers are those to calls that nobody made here."""


class Rpc:
    """The calls of one connection. Calls may be made concurrently; they go one after the other."""

    def __init__(self, connection: Connection, timings: Timings) -> None:
        self.connection = connection
        self._timings = timings
        # Every client may count from one; the answer to another one's call must not pass for ours.
        self._first = self._number = secrets.randbelow(1 << 20)
        self._in_step = False
        self._lock = asyncio.Lock()

    async def call(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        what: str,
        seconds: float | None = None,
        secret: bool = False,
    ) -> Any:
        """The result of `method`. `what` names the work; `secret`: `params` hold a passphrase.

        Raises codec.Refused with the device's error, DEVICE_REFUSED for a password or a wanted pairing,
        SESSION_TAKEN, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        deadline = seconds or self._timings.answer
        async with self._lock:
            in_step, self._in_step = self._in_step, False
            try:
                async with asyncio.timeout(deadline):
                    if not in_step:
                        await self._drain()
                    answer = await self._exchange(method, params)
            except TimeoutError:
                raise common.silent(self.connection, what, deadline) from None
            except Malformed as found:
                raise common.misbehaved(self.connection, what, found) from None
            except _Foreign:
                raise common.taken_over(self.connection) from None
            except InstallerError as error:
                if error.data.get("gatt_error") == INVALID_OFFSET:
                    # More bytes than the device expects: somebody else announced a request in between.
                    raise common.taken_over(self.connection) from None
                raise error_texts.wants_pairing(self.connection, error) from None
            self._in_step = True
        if answer.error is None:
            return answer.result
        # The device's own words might repeat what it was sent.
        refusal = codec.Refused(answer.error.code, "") if secret else answer.error
        if refusal.code == codec.UNAUTHORIZED:
            raise error_texts.refused(self.connection, what, refusal)
        raise refusal

    async def _exchange(self, method: str, params: dict[str, Any] | None) -> codec.Answer:
        self._number += 1
        frame = codec.encode_call(self._number, method, params)
        await self._send(frame)
        try:
            # Once somebody else's answer has come, ours comes soon or has gone to the other app.
            async with asyncio.timeout(None) as patience:
                while True:
                    answer = codec.decode_answer(await self._receive())
                    if answer.id == self._number:
                        return answer
                    # Else: a notification, or the late answer to a call that was given up, or one for another app.
                    if answer.id is not None and not self._first <= answer.id < self._number:
                        patience.reschedule(asyncio.get_running_loop().time() + self._timings.foreign)
        except TimeoutError:
            if patience.expired():
                raise _Foreign from None
            raise

    async def _send(self, frame: bytes) -> None:
        seconds = self._timings.request
        # The length makes the device forget whatever came of a frame before.
        await self.connection.write(codec.TX_CONTROL, codec.encode_length(len(frame)), timeout=seconds)
        size = self.connection.max_write(codec.DATA)
        for start in range(0, len(frame), size):
            await self.connection.write(codec.DATA, frame[start : start + size], timeout=seconds)

    async def _receive(self) -> bytes:
        """The next frame, waited for as long as the caller's deadline lets it."""
        size = await self._waiting()
        while not size:
            await self.connection.race(
                asyncio.sleep(self._timings.ready), self._timings.ready + 1, "waiting for the device's answer"
            )
            size = await self._waiting()
        return await self._read(size)

    async def _waiting(self) -> int:
        return codec.decode_length(await self.connection.read(codec.RX_CONTROL, timeout=self._timings.request))

    async def _read(self, size: int) -> bytes:
        frame = bytearray()
        while len(frame) < size:
            part = await self.connection.read(codec.DATA, timeout=self._timings.request)
            if not part:
                raise Malformed("an answer that ends too soon")
            frame += part
        if len(frame) > size:
            raise Malformed("an answer of more bytes than it announced")
        return bytes(frame)

    async def _drain(self) -> None:
        """Fetch what is left of calls that were broken off: the device keeps no second answer beside it."""
        while True:
            try:
                size = await self._waiting()
            except Malformed:
                # Whatever it is, it ends with a piece that is empty.
                size = codec.MAX_FRAME
            if not size:
                return
            while size > 0 and (part := await self.connection.read(codec.DATA, timeout=self._timings.request)):
                size -= len(part)
