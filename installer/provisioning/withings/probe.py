"""The probe of a retail Withings device: asks for its identity and battery. It sends no credentials and no secret.

Source: `facts/withings-ble.md` §3 to §6, `facts/detection.md` §4. Confirmed for Steel HR, ScanWatch and ScanWatch 2.
That the models of the catalogue answer in the same way is inferred, so every answer is optional.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass

from installer.bluetooth.connection import MIN_WRITE_BYTES, Connection
from installer.errors import ErrorCode, InstallerError
from installer.provisioning.driver_errors import Malformed
from installer.provisioning.provisioner import DeviceInfo
from installer.provisioning.withings import codec
from installer.provisioning.withings.advertisement_signature import NEWER_SERVICE
from installer.provisioning.withings.codec import Frame
from installer.text import printable

ANSWER_SECONDS = 5.0
_SERVICE = re.compile(r"00000020-5749-5448-([0-9a-f]{4})-000000000000")
# The pipe's first group: 24 on Steel HR, Body+ and ScanWatch, 23 used on ScanWatch and ScanWatch 2.
_PIPES = ("00000024", "00000023")
# A device may also send messages by itself; after this many the probe stops.
MAX_MESSAGES = 50


@dataclass(frozen=True)
class ProbeReply:
    """The answers of a device. `associated`: it asked for the secret of the account that it belongs to.

    Then all fields except `mac` are empty. `battery`: percent, None if it was not sent.
    """

    associated: bool
    name: str = ""
    mac: str = ""
    firmware: str = ""
    hardware: str = ""
    battery: int | None = None

    @property
    def info(self) -> DeviceInfo:
        """The device information in the form of the other protocols."""
        return DeviceInfo(name=self.name, firmware_version=self.firmware, hardware=self.hardware)


def proves(connection: Connection) -> bool:
    """Whether the GATT table is that of a Withings device, of either scheme."""
    return pipe_of(connection) is not None or connection.has_service(NEWER_SERVICE)


def pipe_of(connection: Connection) -> str | None:
    """The characteristic for messages; None if there is none, or only that of the newer scheme."""
    for service in sorted(connection.services):
        match = _SERVICE.fullmatch(service)
        if match is None:
            continue
        for prefix in _PIPES:
            uuid = f"{prefix}-5749-5448-{match[1]}-000000000000"
            if connection.has_characteristic(uuid, service):
                return uuid
    return None


async def probe(connection: Connection, answer_seconds: float = ANSWER_SECONDS) -> ProbeReply | None:
    """Ask the device for its identity and its battery; each answer within `answer_seconds`.

    None if it has no known pipe, or no answer can be understood. Raises CONNECTION_LOST.
    """
    pipe = pipe_of(connection)
    if pipe is None:
        return None
    session = _ProbeSession(connection, pipe, answer_seconds)
    try:
        await connection.subscribe(pipe, session.on_notification)
        try:
            return await _identify(session)
        finally:
            # The answer counts even if unsubscribing fails.
            with contextlib.suppress(InstallerError):
                await connection.unsubscribe(pipe)
    except Malformed:
        return None
    except InstallerError as error:
        # The probe is optional, so a refusal is no failure.
        if error.code in (ErrorCode.DEVICE_REFUSED, ErrorCode.DEVICE_MISBEHAVED):
            return None
        raise


async def _identify(session: _ProbeSession) -> ProbeReply | None:
    answer = await session.request(codec.probe_request(), codec.PROBE, codec.CHALLENGE_COMMAND)
    if answer is None:
        return None
    challenge = answer.first(codec.CHALLENGE)
    if answer.id == codec.CHALLENGE_COMMAND and challenge is not None:
        return ProbeReply(associated=True, mac=_mac(codec.challenge_mac(challenge)))
    data = answer.first(codec.REPLY)
    if data is None:
        return None
    reply = codec.reply(data)
    return ProbeReply(
        associated=False,
        name=printable(reply.name, 32),
        mac=_mac(reply.mac),
        firmware="" if reply.software is None else str(reply.software),
        hardware="" if reply.hardware is None else str(reply.hardware),
        battery=await _battery(session),
    )


async def _battery(session: _ProbeSession) -> int | None:
    try:
        answer = await session.request(codec.battery_request(), codec.BATTERY_COMMAND)
        data = answer.first(codec.BATTERY) if answer is not None else None
        return codec.battery(data).percent if data is not None else None
    except Malformed:
        return None
    except InstallerError as error:
        # Its identity is known, so a missing battery is no failure.
        if error.link_is_down:
            raise
        return None


def _mac(text: str) -> str:
    return text.upper() if re.fullmatch(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", text) else ""


class _ProbeSession:
    """The requests and answers of one connection."""

    def __init__(self, connection: Connection, pipe: str, seconds: float) -> None:
        self._connection = connection
        self._pipe = pipe
        self._seconds = seconds
        self._assembler = codec.Assembler()
        self._inbox: asyncio.Queue[Frame | Malformed] = asyncio.Queue(MAX_MESSAGES)

    def on_notification(self, data: bytes) -> None:
        """Called with each notification."""
        try:
            arrived: list[Frame | Malformed] = [*self._assembler.feed(data)]
        except Malformed as error:
            arrived = [error]
        for item in arrived:
            if not self._inbox.full():
                self._inbox.put_nowait(item)

    async def request(self, request: Frame, *answers: int) -> Frame | None:
        """The answer: a message with one of these commands; None for an error, or if no answer comes in time.

        Raises Malformed, and what a write raises.
        """
        data = codec.encode(request)
        # One byte less than fits: a client that is confirmed to work sends chunks of MTU - 4.
        size = max(self._connection.max_write(self._pipe) - 1, MIN_WRITE_BYTES - 1)
        for at in range(0, len(data), size):
            await self._connection.write(self._pipe, data[at : at + size])
        try:
            return await self._connection.run_while_connected(
                self._answer(request.id, answers), self._seconds, "asking for its identity"
            )
        except TimeoutError:
            return None

    async def _answer(self, command: int, answers: tuple[int, ...]) -> Frame | None:
        for _ in range(MAX_MESSAGES):
            item = await self._inbox.get()
            if isinstance(item, Malformed):
                raise item
            if not item.is_answer:
                continue
            refused = codec.refusal(item)
            if refused is not None and refused.command == command:
                return None
            if item.id in answers:
                return item
        return None
