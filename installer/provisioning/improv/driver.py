"""The Improv Wi-Fi provisioner: drives a device through the states of the protocol.

Source: `facts/improv-ble.md` §9 (flow and timeouts). Credentials travel unencrypted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar

from installer.bluetooth.connection import Connection
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import error_texts as common
from installer.provisioning.improv import codec
from installer.provisioning.improv.codec import Ability, CodecError, Command, DeviceError, Frame, State
from installer.provisioning.improv.join_attempt import Attempt, Waits, no_outcome, refusal
from installer.provisioning.improv.session import Answer, Complaint, Session
from installer.provisioning.provisioner import Capability, DeviceInfo, Progress, Stage
from installer.text import decode
from installer.wifi.networks import Credentials, Network

_CAPABILITIES = {
    Ability.IDENTIFY: Capability.IDENTIFY,
    Ability.DEVICE_INFO: Capability.DEVICE_INFO,
    Ability.SCAN_NETWORKS: Capability.SCAN_NETWORKS,
    Ability.HOSTNAME: Capability.HOSTNAME,
}
# How often a device may ask for the button again within one hand-over.
MAX_AUTHORIZATIONS = 3

__all__ = ["ImprovProvisioner", "Waits"]


class ImprovProvisioner:
    """Implements `installer.provisioning.provisioner.Provisioner` over an open connection."""

    protocol: ClassVar[str] = "improv"
    encrypts_credentials: ClassVar[bool] = False

    def __init__(self, connection: Connection, waits: Waits | None = None, *, identify: bool = False) -> None:
        """`identify`: let the device make itself known while it waits for its button."""
        self._waits = waits or Waits()
        self._identify = identify
        self._session = Session(connection, self._waits.request)
        self._abilities = Ability(0)
        self._busy = asyncio.Lock()
        self._alone = False  # whether any set-up from here on is somebody else's

    @property
    def capabilities(self) -> Capability:
        """What the firmware can do; known after `open()`."""
        found = Capability.NONE
        for bit, capability in _CAPABILITIES.items():
            if bit in self._abilities:
                found |= capability
        return found

    @property
    def set_up(self) -> bool:
        """Whether the device has joined a network already, by its own word."""
        return self._session.state is State.PROVISIONED

    async def open(self) -> None:
        """Subscribe, read the state, learn the capabilities. Raises DEVICE_MISBEHAVED, CONNECTION_LOST."""
        await self._session.open()
        # What it is joining by now may be what an earlier connection of this program has sent.
        self._alone = self._session.state in (State.AUTHORIZED, State.AUTHORIZATION_REQUIRED)
        self._abilities = await self._session.capabilities()

    async def close(self) -> None:
        """Stop listening. Never raises for a connection that is gone."""
        await self._session.close()

    async def identify(self) -> None:
        """Make the device blink or beep. Raises DEVICE_REFUSED where it cannot."""
        self._needs(Ability.IDENTIFY, "identify itself")
        async with self._busy:
            await self._session.send(Frame(Command.IDENTIFY))
            try:
                async with asyncio.timeout(self._waits.refusal):
                    while True:
                        event = await self._session.event(self._waits.refusal, "identifying the device")
                        if isinstance(event, Complaint):
                            raise self._refused(event.error, "identify itself")
            except TimeoutError:
                return  # no complaint: there is no other answer to this command

    async def info(self) -> DeviceInfo:
        """What the device tells of itself. Raises DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        self._needs(Ability.DEVICE_INFO, "tell what it is")
        async with self._busy:
            frame = await self._ask(Frame(Command.DEVICE_INFO), self._waits.answer, "tell what it is")
        info = self._session.checked(codec.decode_info, frame.data)
        return DeviceInfo(
            name=info.name,
            firmware=info.firmware,
            firmware_version=info.firmware_version,
            hardware=info.hardware,
        )

    async def networks(self) -> list[Network]:
        """The networks that the device sees. One list by the book; further ones within a short time are added (§7)."""
        self._needs(Ability.SCAN_NETWORKS, "scan for networks")
        async with self._busy:
            frame = await self._ask(Frame(Command.SCAN_NETWORKS), self._waits.scan, "scan for networks")
            found: list[Network] = []
            while frame.data:
                found += self._session.checked(codec.decode_networks, frame.data)
                try:
                    frame = await self._answer(Command.SCAN_NETWORKS, self._waits.quiet, "scan for networks")
                except TimeoutError:
                    break
        return found

    async def hostname(self) -> str:
        """The host name. Raises DEVICE_REFUSED also while the device is not authorised."""
        self._needs(Ability.HOSTNAME, "tell its host name")
        async with self._busy:
            frame = await self._ask(Frame(Command.HOSTNAME), self._waits.answer, "tell its host name")
        return self._hostname(frame)

    async def set_hostname(self, hostname: str) -> str:
        """Set the host name; the one now in force. Raises ANSWERS_INVALID, DEVICE_REFUSED.

        Devices disagree on the form of the command: first the bare one, then the nested one (§10.1).
        """
        self._needs(Ability.HOSTNAME, "take a host name")
        if not codec.is_hostname(hostname):
            raise InstallerError(
                ErrorCode.ANSWERS_INVALID,
                "This is not a possible host name.",
                "Use letters, digits and hyphens; no space, no hyphen at either end.",
            )
        async with self._busy:
            try:
                frame = await self._ask(codec.set_hostname(hostname), self._waits.answer, "take this host name")
            except InstallerError as error:
                if error.data.get("improv_error") not in (DeviceError.MALFORMED, DeviceError.BAD_HOSTNAME):
                    raise
                nested = codec.set_hostname(hostname, nested=True)
                frame = await self._ask(nested, self._waits.answer, "take this host name")
        return self._hostname(frame)

    async def provision(self, credentials: Credentials) -> AsyncGenerator[Progress]:
        """Hand over `credentials`; see `Provisioner.provision` for the stages and the errors."""
        try:
            frame = codec.wifi_settings(credentials.network.ssid, credentials.passphrase.get_secret_value())
            codec.encode_frame(frame)
        except CodecError:
            raise InstallerError(
                ErrorCode.PASSPHRASE_INVALID,
                "The network's name and passphrase together are too long for this device.",
                "Choose a network with a shorter passphrase.",
            ) from None
        async with self._busy:
            for _ in range(MAX_AUTHORIZATIONS):
                await self._ready()
                if self._session.state is State.AUTHORIZATION_REQUIRED:
                    if self._identify and Ability.IDENTIFY in self._abilities:
                        # Allowed in this state (§9); its only answer would be a complaint, which changes nothing.
                        await self._session.send(Frame(Command.IDENTIFY))
                    yield Progress(stage=Stage.AUTHORIZATION_NEEDED, seconds=self._waits.authorization)
                    await self._authorized()
                    yield Progress(stage=Stage.AUTHORIZED)
                yield Progress(stage=Stage.SENDING, seconds=self._waits.join)
                attempt = Attempt(self._session, self._waits, credentials.network.label)
                self._alone = False
                await self._session.send(frame)
                async with aclosing(attempt.follow()) as stages:
                    async for progress in stages:
                        yield progress
                if not attempt.unauthorized:
                    return
                await self._session.refresh()
        raise self._refused(DeviceError.NOT_AUTHORIZED, "take the credentials")

    async def joined(self, ssid: str) -> bool | None:
        """Whether it is on a network; of which one it does not tell. See `Provisioner.joined`."""
        async with self._busy:
            await self._settled()
        return None if self._session.state is State.STOPPED else self.set_up

    async def _settled(self) -> None:
        """Wait while the device is joining: the end of an attempt before this one, or somebody else's."""
        session = self._session
        try:
            async with asyncio.timeout(self._waits.join):
                while session.state is State.PROVISIONING:
                    await session.event(self._waits.join, "waiting for the device to be free")
        except TimeoutError:
            raise no_outcome(session) from None

    async def _ready(self) -> None:
        """Wait until the device is in a state in which credentials can be sent, or the button can be pressed."""
        session = self._session
        await self._settled()
        if session.state is State.PROVISIONED and self._alone:
            # It was new when it was opened, and this program has sent nothing.
            self._alone = False
            raise common.taken_over(session.connection)
        if session.state is State.PROVISIONED:
            raise InstallerError(
                ErrorCode.DEVICE_ALREADY_SET_UP,
                f"The device {session.connection.address} has joined a network already.",
                "Keep its network, or reset it to factory state first.",
                address=session.connection.address,
            )
        if session.state is State.STOPPED:
            raise InstallerError(
                ErrorCode.DEVICE_REFUSED,
                f"The device {session.connection.address} is not in set-up mode: it takes no credentials now.",
                "Switch it off and on, or reset it, and try again.",
                address=session.connection.address,
            )

    async def _authorized(self) -> None:
        """Wait for the button. Raises AUTHORIZATION_TIMEOUT."""
        session, seconds = self._session, self._waits.authorization
        try:
            async with asyncio.timeout(seconds):
                while session.state is not State.AUTHORIZED:
                    await session.event(seconds, "waiting for the button")
                    if session.state not in (State.AUTHORIZATION_REQUIRED, State.AUTHORIZED):
                        await self._ready()
        except TimeoutError:
            raise InstallerError(
                ErrorCode.AUTHORIZATION_TIMEOUT,
                f"Nobody pressed the button on the device {session.connection.address} within {seconds:g} s.",
                "Nothing was sent. Try again, and press the button when you are asked to.",
                address=session.connection.address,
            ) from None

    async def _ask(self, frame: Frame, seconds: float, what: str) -> Frame:
        """Send a command and wait for its result. Raises DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        await self._session.send(frame)
        try:
            return await self._answer(frame.command, seconds, what)
        except TimeoutError:
            raise self._session.misbehaved(f"did not {what} within {seconds:g} s") from None

    async def _answer(self, command: int, seconds: float, what: str) -> Frame:
        """The next result of `command`; results of other commands are late ones. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while True:
                event = await self._session.event(seconds, f"asking the device to {what}")
                if isinstance(event, Complaint):
                    # That is how another app's attempt to join ends; it answers nothing that is asked here.
                    if event.error is DeviceError.UNABLE_TO_CONNECT:
                        continue
                    raise self._refused(event.error, what)
                if isinstance(event, Answer):
                    frame = await self._session.frame(event)
                    if frame.command == command:
                        return frame

    def _hostname(self, frame: Frame) -> str:
        texts = self._session.checked(codec.unpack_strings, frame.data)
        name = decode(texts[0]) if len(texts) == 1 else ""
        if not codec.is_hostname(name):
            raise self._session.misbehaved("gave no possible host name")
        return name

    def _needs(self, ability: Ability, what: str) -> None:
        if ability not in self._abilities:
            raise self._refused(DeviceError.UNKNOWN_COMMAND, what)

    def _refused(self, error: DeviceError, what: str) -> InstallerError:
        return refusal(self._session.connection.address, error, what)
