"""The Improv Wi-Fi provisioner: drives a device through the states of the protocol.

Source: `facts/improv-ble.md` §9 (flow and timeouts). Credentials travel unencrypted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import ClassVar

from installer.bluetooth.connection import Connection
from installer.errors import ErrorCode, InstallerError
from installer.provisioning.base import Capability, DeviceInfo, Progress, Stage
from installer.provisioning.improv import codec
from installer.provisioning.improv.codec import Ability, CodecError, Command, DeviceError, Frame, State
from installer.provisioning.improv.session import Answer, Complaint, Session, StateChange
from installer.text import decode
from installer.wifi import Credentials, Network

_CAPABILITIES = {
    Ability.IDENTIFY: Capability.IDENTIFY,
    Ability.DEVICE_INFO: Capability.DEVICE_INFO,
    Ability.SCAN_NETWORKS: Capability.SCAN_NETWORKS,
    Ability.HOSTNAME: Capability.HOSTNAME,
}
# How often a device may ask for the button again within one hand-over.
MAX_AUTHORIZATIONS = 3


@dataclass(frozen=True)
class Waits:
    """How long each wait may take, seconds (§9).

    `result`: from the state “provisioned” to the result; `settle`: for the second half of a
    failure, as the error and the state come one after the other; `quiet`: after a list of
    networks, for a further one (§7); `refusal`: for a complaint about a command without a result.
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


class ImprovProvisioner:
    """Implements `installer.provisioning.base.Provisioner` over an open connection."""

    protocol: ClassVar[str] = "improv"
    encrypts_credentials: ClassVar[bool] = False

    def __init__(self, connection: Connection, waits: Waits | None = None) -> None:
        self._waits = waits or Waits()
        self._session = Session(connection, self._waits.request)
        self._abilities = Ability(0)
        self._busy = asyncio.Lock()

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
                    yield Progress(stage=Stage.AUTHORIZATION_NEEDED, seconds=self._waits.authorization)
                    await self._authorized()
                    yield Progress(stage=Stage.AUTHORIZED)
                yield Progress(stage=Stage.SENDING, seconds=self._waits.join)
                attempt = _Attempt(self._session, self._waits)
                await self._session.send(frame)
                async with aclosing(attempt.follow()) as stages:
                    async for progress in stages:
                        yield progress
                if not attempt.unauthorized:
                    return
                await self._session.refresh()
        raise self._refused(DeviceError.NOT_AUTHORIZED, "take the credentials")

    async def _ready(self) -> None:
        """Wait until the device is in a state in which credentials can be sent, or the button can be pressed."""
        session = self._session
        if session.state is State.PROVISIONING:
            # The end of an attempt before this one, or somebody else's.
            try:
                async with asyncio.timeout(self._waits.join):
                    while session.state is State.PROVISIONING:
                        await session.event(self._waits.join, "waiting for the device to be free")
            except TimeoutError:
                raise _no_outcome(session) from None
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


class _Attempt:
    """One try to join, from the write to its outcome. `unauthorized`: the device wants the button (again)."""

    def __init__(self, session: Session, waits: Waits) -> None:
        self.unauthorized = False
        self._session = session
        self._waits = waits
        self._joining = False

    async def follow(self) -> AsyncGenerator[Progress]:
        """JOINING when the device begins, JOINED with the address at the end. Raises the errors of `provision`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._waits.join
        while True:
            try:
                event = await self._session.event(deadline - loop.time(), "the device was joining the network")
            except TimeoutError:
                raise _no_outcome(self._session) from None
            if isinstance(event, Complaint):
                if event.error is DeviceError.NOT_AUTHORIZED:
                    self.unauthorized = True
                    return
                await self._failed(event.error)
            elif isinstance(event, Answer):
                frame = await self._session.frame(event)
                if frame.command == Command.WIFI_SETTINGS:
                    yield self._joined(frame)
                    return
            elif isinstance(event, StateChange):
                if event.state is State.PROVISIONED:
                    yield await self._confirmed()
                    return
                if event.state is State.PROVISIONING:
                    if not self._joining:
                        self._joining = True
                        yield Progress(stage=Stage.JOINING, seconds=max(deadline - loop.time(), 0.0))
                else:
                    await self._fell_back(event.state)
                    if self.unauthorized:
                        return

    async def _confirmed(self) -> Progress:
        """The state says joined: the result may follow, or the device hangs up; both are success (§9.6)."""
        try:
            async with asyncio.timeout(self._waits.result):
                while True:
                    event = await self._session.event(self._waits.result, "the device was confirming")
                    if isinstance(event, Answer):
                        frame = await self._session.frame(event)
                        if frame.command == Command.WIFI_SETTINGS:
                            return self._joined(frame)
                    if isinstance(event, StateChange) and event.state not in (State.PROVISIONED, State.STOPPED):
                        raise self._session.misbehaved(f"went from provisioned back to {event.state.name.lower()}")
        except TimeoutError:
            return Progress(stage=Stage.JOINED)
        except InstallerError as error:
            if error.code is not ErrorCode.CONNECTION_LOST:
                raise
            return Progress(stage=Stage.JOINED)

    def _joined(self, frame: Frame) -> Progress:
        self._session.state = State.PROVISIONED
        return Progress(stage=Stage.JOINED, url=self._session.checked(codec.decode_redirect, frame.data))

    async def _fell_back(self, state: State) -> None:
        """A fall-back to an earlier state is a failure; the error that explains it may come after it."""
        if state is State.STOPPED:
            raise self._session.misbehaved("stopped the set-up on its own")
        if state is State.AUTHORIZED and not self._joining:
            return  # the authorisation was renewed
        try:
            async with asyncio.timeout(self._waits.settle):
                while True:
                    event = await self._session.event(self._waits.settle, "the device was joining the network")
                    if isinstance(event, Complaint):
                        break
        except TimeoutError:
            event = Complaint(DeviceError.UNABLE_TO_CONNECT if self._joining else DeviceError.NOT_AUTHORIZED)
        if event.error is DeviceError.NOT_AUTHORIZED:
            self.unauthorized = True
            return
        await self._failed(event.error)

    async def _failed(self, error: DeviceError) -> None:
        """Raise what `error` means, once the device is back in a state in which it can be tried again."""
        session = self._session
        try:
            async with asyncio.timeout(self._waits.settle):
                while session.state is State.PROVISIONING:
                    await session.event(self._waits.settle, "the device was joining the network")
        except TimeoutError:
            pass  # the next try looks at the state again
        if error is DeviceError.UNABLE_TO_CONNECT:
            raise InstallerError(
                ErrorCode.JOIN_FAILED,
                f"The device {session.connection.address} could not join the network.",
                "Check the passphrase, and that the network is in the device's reach and on a band that it has.",
                address=session.connection.address,
            )
        raise refusal(session.connection.address, error, "take the credentials")


_REFUSALS = {
    DeviceError.MALFORMED: "it could not read the request",
    DeviceError.UNKNOWN_COMMAND: "it does not know how",
    DeviceError.NOT_AUTHORIZED: "somebody must press its button first",
    DeviceError.BAD_HOSTNAME: "it does not accept this host name",
    DeviceError.UNABLE_TO_CONNECT: "it could not connect to the network",
}


def refusal(address: str, error: DeviceError, what: str) -> InstallerError:
    """DEVICE_REFUSED: the device did not `what`, with the protocol's reason."""
    why = _REFUSALS.get(error, "it reports an error that it does not explain")
    return InstallerError(
        ErrorCode.DEVICE_REFUSED,
        f"The device {address} did not {what}: {why}.",
        "Switch it off and on and try again.",
        address=address,
        improv_error=int(error),
    )


def _no_outcome(session: Session) -> InstallerError:
    return InstallerError(
        ErrorCode.PROVISIONING_TIMEOUT,
        f"The device {session.connection.address} did not say in time whether it joined the network.",
        "Look at the device and the router: it may have joined. Then try again.",
        address=session.connection.address,
    )
