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
from installer.provisioning import driver_errors
from installer.provisioning.driver_errors import Malformed
from installer.provisioning.improv import codec
from installer.provisioning.improv.codec import CapabilityBits, Command, DeviceError, Frame, State
from installer.provisioning.improv.join_attempt import JoinAttempt
from installer.provisioning.improv.session import ErrorReport, Result, Session, Timings
from installer.provisioning.join_polling import JOINING
from installer.provisioning.provisioner import Capability, ConnectionSecurity, DeviceInfo, Progress, Stage
from installer.text import decode
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Network

_CAPABILITIES = {
    CapabilityBits.IDENTIFY: Capability.IDENTIFY,
    CapabilityBits.DEVICE_INFO: Capability.DEVICE_INFO,
    CapabilityBits.SCAN_NETWORKS: Capability.SCAN_NETWORKS,
    CapabilityBits.HOSTNAME: Capability.HOSTNAME,
}
# How often a device may ask for the button in one `provision()`.
MAX_AUTHORIZATIONS = 3


class ImprovProvisioner:
    """Implements `installer.provisioning.provisioner.Provisioner` over an open connection."""

    protocol: ClassVar[str] = "improv"
    encrypts_credentials: ClassVar[bool] = False
    security: ClassVar[ConnectionSecurity] = ConnectionSecurity()

    def __init__(
        self,
        connection: Connection,
        timings: Timings | None = None,
        *,
        identify: bool = False,
        wanted_ssid: str | None = None,
    ) -> None:
        """`identify`: the device blinks or beeps while it waits for its button. `wanted_ssid`: see `DriverOptions`."""
        self._wanted_ssid = wanted_ssid
        self._timings = timings or Timings()
        self._identify = identify
        self._session = Session(connection, self._timings.request)
        self._capability_bits = CapabilityBits(0)
        self._lock = asyncio.Lock()
        self._nobody_sent_credentials = False  # if it is set up from now on, another app did it

    @property
    def capabilities(self) -> Capability:
        """What the firmware can do; known after `open()`."""
        found = Capability.NONE
        for bit, capability in _CAPABILITIES.items():
            if bit in self._capability_bits:
                found |= capability
        return found

    @property
    def set_up(self) -> bool:
        """Whether the device says that it has joined a network."""
        return self._session.state is State.PROVISIONED

    async def open(self) -> None:
        """Subscribe, and read state and capabilities. Raises DEVICE_MISBEHAVED, CONNECTION_LOST."""
        await self._session.open()
        # If it is joining already, an earlier connection of this program may have sent the credentials.
        self._nobody_sent_credentials = self._session.state in (State.AUTHORIZED, State.AUTHORIZATION_REQUIRED)
        self._capability_bits = await self._session.read_capabilities()

    async def close(self) -> None:
        """Unsubscribe. Never raises for a connection that is gone."""
        await self._session.close()

    async def identify(self) -> None:
        """Make the device blink or beep. Raises DEVICE_REFUSED if it cannot."""
        self._require(CapabilityBits.IDENTIFY, "identifying itself")
        async with self._lock:
            await self._session.send(Frame(Command.IDENTIFY))
            try:
                async with asyncio.timeout(self._timings.refusal):
                    while True:
                        event = await self._session.next_event(self._timings.refusal, "identifying the device")
                        if isinstance(event, ErrorReport):
                            raise self._refused(event.error, "identifying itself")
            except TimeoutError:
                return  # no error: there is no other answer to this command

    async def info(self) -> DeviceInfo:
        """The device information. Raises DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        self._require(CapabilityBits.DEVICE_INFO, "sending its information")
        async with self._lock:
            frame = await self._request(Frame(Command.DEVICE_INFO), self._timings.answer, "sending its information")
        info = self._session.decoded(codec.decode_info, frame.data)
        return DeviceInfo(
            name=info.name,
            firmware=info.firmware,
            firmware_version=info.firmware_version,
            hardware=info.hardware,
        )

    async def networks(self) -> list[Network]:
        """The networks that the device sees, from one list or from several (§7)."""
        self._require(CapabilityBits.SCAN_NETWORKS, "scanning for networks")
        async with self._lock:
            frame = await self._request(Frame(Command.SCAN_NETWORKS), self._timings.scan, "scanning for networks")
            found: list[Network] = []
            while frame.data:
                found += self._session.decoded(codec.decode_networks, frame.data)
                if any(network.ssid == self._wanted_ssid for network in found):
                    break  # most devices send one list, and whether another one follows shows only when none does
                try:
                    frame = await self._next_result(Command.SCAN_NETWORKS, self._timings.quiet, "scanning for networks")
                except TimeoutError:
                    break
        return found

    async def hostname(self) -> str:
        """The host name. Raises DEVICE_REFUSED, also while the device is not authorised."""
        self._require(CapabilityBits.HOSTNAME, "sending its host name")
        async with self._lock:
            frame = await self._request(Frame(Command.HOSTNAME), self._timings.answer, "sending its host name")
        return self._hostname(frame)

    async def set_hostname(self, hostname: str) -> str:
        """Set the host name; returns the one that the device has now. Raises ANSWERS_INVALID, DEVICE_REFUSED.

        Devices differ in the form of the command: first the plain one is tried, then the nested one (§10.1).
        """
        self._require(CapabilityBits.HOSTNAME, "taking a host name")
        if not codec.is_hostname(hostname):
            raise InstallerError(
                ErrorCode.ANSWERS_INVALID,
                "This is not a valid host name.",
                "Use letters, digits and hyphens; no space, no hyphen at either end.",
            )
        async with self._lock:
            try:
                frame = await self._request(codec.set_hostname(hostname), self._timings.answer, "taking a host name")
            except InstallerError as error:
                if error.data.get("improv_error") not in (DeviceError.MALFORMED, DeviceError.BAD_HOSTNAME):
                    raise
                nested = codec.set_hostname(hostname, nested=True)
                frame = await self._request(nested, self._timings.answer, "taking a host name")
        return self._hostname(frame)

    async def provision(self, credentials: Credentials) -> AsyncGenerator[Progress]:
        """Send `credentials`; see `Provisioner.provision` for the stages and the errors."""
        try:
            frame = codec.wifi_settings(credentials.network.ssid, credentials.passphrase.get_secret_value())
            codec.encode_frame(frame)
        except Malformed:
            raise InstallerError(
                ErrorCode.PASSPHRASE_INVALID,
                "The network's name and passphrase together are too long for this device.",
                "Choose a network with a shorter passphrase.",
            ) from None
        async with self._lock:
            for _ in range(MAX_AUTHORIZATIONS):
                await self._wait_until_ready()
                if self._session.state is State.AUTHORIZATION_REQUIRED:
                    if self._identify and CapabilityBits.IDENTIFY in self._capability_bits:
                        # Allowed in this state (§9); its only answer would be an error, which changes nothing.
                        await self._session.send(Frame(Command.IDENTIFY))
                    yield Progress(stage=Stage.AUTHORIZATION_NEEDED, seconds=self._timings.authorization)
                    await self._wait_for_button()
                    yield Progress(stage=Stage.AUTHORIZED)
                yield Progress(stage=Stage.SENDING, seconds=self._timings.join)
                attempt = JoinAttempt(self._session, self._timings, credentials.network.in_quotes)
                self._nobody_sent_credentials = False
                await self._session.send(frame)
                async with aclosing(attempt.follow()) as stages:
                    async for progress in stages:
                        yield progress
                if not attempt.unauthorized:
                    return
                await self._session.read_state()
        raise self._refused(DeviceError.NOT_AUTHORIZED, "taking the credentials")

    async def joined(self, ssid: str) -> bool | None:
        """Whether it is on a network; the device does not say on which one. See `Provisioner.joined`."""
        async with self._lock:
            await self._wait_while_joining()
        return None if self._session.state is State.STOPPED else self.set_up

    async def _wait_while_joining(self) -> None:
        """Wait while the device is joining, after an earlier attempt or one of another app."""
        session = self._session
        try:
            async with asyncio.timeout(self._timings.join):
                while session.state is State.PROVISIONING:
                    await session.next_event(self._timings.join, JOINING)
        except TimeoutError:
            address = session.connection.address
            raise driver_errors.no_outcome("the network", self._timings.join, address=address) from None

    async def _wait_until_ready(self) -> None:
        """Wait until credentials can be sent, or the button can be pressed."""
        session = self._session
        await self._wait_while_joining()
        if session.state is State.PROVISIONED and self._nobody_sent_credentials:
            # It was new when the connection was opened, and this program has sent nothing.
            self._nobody_sent_credentials = False
            raise driver_errors.session_taken(session.connection)
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
                f"The device {session.connection.address} is not in set-up mode, so it takes no credentials.",
                "Switch it off and on, or reset it, and try again.",
                address=session.connection.address,
            )

    async def _wait_for_button(self) -> None:
        """Wait for the button. Raises AUTHORIZATION_TIMEOUT."""
        session, seconds = self._session, self._timings.authorization
        try:
            async with asyncio.timeout(seconds):
                while session.state is not State.AUTHORIZED:
                    await session.next_event(seconds, "waiting for the button")
                    if session.state not in (State.AUTHORIZATION_REQUIRED, State.AUTHORIZED):
                        await self._wait_until_ready()
        except TimeoutError:
            raise InstallerError(
                ErrorCode.AUTHORIZATION_TIMEOUT,
                f"Nobody pressed the button on the device {session.connection.address} within {seconds:g} s.",
                "Nothing was sent. Try again, and press the button when you are asked to.",
                address=session.connection.address,
            ) from None

    async def _request(self, frame: Frame, seconds: float, doing: str) -> Frame:
        """The result of a command. `doing`: what the device does.

        Raises DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        await self._session.send(frame)
        try:
            return await self._next_result(frame.command, seconds, doing)
        except TimeoutError:
            raise driver_errors.no_answer(self._session.connection, doing, seconds) from None

    async def _next_result(self, command: int, seconds: float, doing: str) -> Frame:
        """The next result of `command`; late results of other commands are skipped. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while True:
                event = await self._session.next_event(seconds, f"the device was {doing}")
                if isinstance(event, ErrorReport):
                    # This ends an attempt of another app to join; it does not answer this request.
                    if event.error is DeviceError.UNABLE_TO_CONNECT:
                        continue
                    raise self._refused(event.error, doing)
                if isinstance(event, Result):
                    frame = await self._session.whole_frame(event)
                    if frame.command == command:
                        return frame

    def _hostname(self, frame: Frame) -> str:
        texts = self._session.decoded(codec.unpack_strings, frame.data)
        name = decode(texts[0]) if len(texts) == 1 else ""
        if not codec.is_hostname(name):
            raise self._session.broke_protocol("the host name is not valid")
        return name

    def _require(self, capability: CapabilityBits, doing: str) -> None:
        if capability not in self._capability_bits:
            raise self._refused(DeviceError.UNKNOWN_COMMAND, doing)

    def _refused(self, error: DeviceError, doing: str) -> InstallerError:
        return driver_errors.installer_error(self._session.connection, doing, codec.refusal(error))
