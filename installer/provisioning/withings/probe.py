"""Asks a retail device of the vendor who it is. Reads only: writes no credentials, and knows no secret.

Source: `facts/withings-ble.md` §3 to §6, `facts/detection.md` §4. Confirmed for Steel HR, ScanWatch and ScanWatch 2;
that the models of the catalogue answer alike is inferred, so every answer is optional.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass

from installer.bluetooth.connection import SMALLEST_WRITE, Connection
from installer.errors import ErrorCode, InstallerError
from installer.provisioning.provisioner import DeviceInfo
from installer.provisioning.withings import codec
from installer.provisioning.withings.codec import Frame, FrameError
from installer.text import printable

ANSWER_SECONDS = 5.0
NEWER_SCHEME = "00000000-0000-5749-5448-494e47530000"
_SERVICE = re.compile(r"00000020-5749-5448-([0-9a-f]{4})-000000000000")
# The pipe's first group: 24 on Steel HR, Body+ and ScanWatch, 23 used on ScanWatch and ScanWatch 2.
_PIPES = ("00000024", "00000023")
# What a device may send by itself meanwhile; more than this is no conversation.
MAX_MESSAGES = 50


@dataclass(frozen=True)
class ProbeReply:
    """What a device said of itself. `associated`: it asked for the secret of an account that it is on already.

    Then the rest is empty but for `mac`. `battery` in percent, None where it was not told.
    """

    associated: bool
    name: str = ""
    mac: str = ""
    firmware: str = ""
    hardware: str = ""
    battery: int | None = None

    @property
    def info(self) -> DeviceInfo:
        """The same as other protocols tell it."""
        return DeviceInfo(name=self.name, firmware_version=self.firmware, hardware=self.hardware)


def proves(connection: Connection) -> bool:
    """Whether the GATT table is one of the vendor's, of either scheme."""
    return pipe_of(connection) is not None or connection.has_service(NEWER_SCHEME)


def pipe_of(connection: Connection) -> str | None:
    """The characteristic that messages go through; None where the table has none or a newer scheme's."""
    for service in sorted(connection.services):
        match = _SERVICE.fullmatch(service)
        if match is None:
            continue
        for part in _PIPES:
            uuid = f"{part}-5749-5448-{match[1]}-000000000000"
            if connection.has_characteristic(uuid, service):
                return uuid
    return None


async def probe(connection: Connection, answer_seconds: float = ANSWER_SECONDS) -> ProbeReply | None:
    """Ask the device who it is, and for its battery; each answer within `answer_seconds`.

    None if it has no pipe that is known, or gives no answer that can be understood. Raises CONNECTION_LOST.
    """
    pipe = pipe_of(connection)
    if pipe is None:
        return None
    talk = _Talk(connection, pipe, answer_seconds)
    try:
        await connection.subscribe(pipe, talk.heard)
        try:
            return await _identify(talk)
        finally:
            # What it has said counts, also where it does not stop to listen.
            with contextlib.suppress(InstallerError):
                await connection.unsubscribe(pipe)
    except FrameError:
        return None
    except InstallerError as error:
        # What a device does not want to tell is no failure: the probe is a courtesy.
        if error.code in (ErrorCode.DEVICE_REFUSED, ErrorCode.DEVICE_MISBEHAVED):
            return None
        raise


async def _identify(talk: _Talk) -> ProbeReply | None:
    answer = await talk.ask(codec.probe_request(), codec.PROBE, codec.CHALLENGE_COMMAND)
    if answer is None:
        return None
    challenge = answer.first(codec.CHALLENGE)
    if answer.id == codec.CHALLENGE_COMMAND and challenge is not None:
        return ProbeReply(associated=True, mac=_mac(codec.challenge_mac(challenge)))
    data = answer.first(codec.REPLY)
    if data is None:
        return None
    told = codec.reply(data)
    return ProbeReply(
        associated=False,
        name=printable(told.name, 32),
        mac=_mac(told.mac),
        firmware="" if told.software is None else str(told.software),
        hardware="" if told.hardware is None else str(told.hardware),
        battery=await _battery(talk),
    )


async def _battery(talk: _Talk) -> int | None:
    try:
        answer = await talk.ask(codec.battery_request(), codec.BATTERY_COMMAND)
        data = answer.first(codec.BATTERY) if answer is not None else None
        return codec.battery(data).percent if data is not None else None
    except FrameError:
        return None
    except InstallerError as error:
        # It has said who it is; for its battery alone nothing is given up but the battery.
        if error.code is ErrorCode.CONNECTION_LOST:
            raise
        return None


def _mac(text: str) -> str:
    return text.upper() if re.fullmatch(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", text) else ""


class _Talk:
    """One request and its answer after the other."""

    def __init__(self, connection: Connection, pipe: str, seconds: float) -> None:
        self._connection = connection
        self._pipe = pipe
        self._seconds = seconds
        self._assembler = codec.Assembler()
        self._inbox: asyncio.Queue[Frame | FrameError] = asyncio.Queue(MAX_MESSAGES)

    def heard(self, data: bytes) -> None:
        """A notification."""
        try:
            arrived: list[Frame | FrameError] = [*self._assembler.feed(data)]
        except FrameError as error:
            arrived = [error]
        for item in arrived:
            if not self._inbox.full():
                self._inbox.put_nowait(item)

    async def ask(self, request: Frame, *answers: int) -> Frame | None:
        """The answer, a message with one of these commands; None if it is an error or does not come in time.

        Raises FrameError, and what a write raises.
        """
        data = codec.encode(request)
        # One byte less than fits: so does the client that was confirmed to work (chunks of MTU - 4).
        size = max(self._connection.max_write(self._pipe) - 1, SMALLEST_WRITE - 1)
        for at in range(0, len(data), size):
            await self._connection.write(self._pipe, data[at : at + size])
        try:
            return await self._connection.race(self._answer(request.id, answers), self._seconds, "asking who it is")
        except TimeoutError:
            return None

    async def _answer(self, command: int, answers: tuple[int, ...]) -> Frame | None:
        for _ in range(MAX_MESSAGES):
            item = await self._inbox.get()
            if isinstance(item, FrameError):
                raise item
            if not item.is_answer:
                continue
            refused = codec.refusal(item)
            if refused is not None and refused.command == command:
                return None
            if item.id in answers:
                return item
        return None
