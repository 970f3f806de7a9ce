"""The interface of all provisioners (drivers), and the types of their results and progress.

A provisioner works over an open connection (`installer.bluetooth.connection.Connection`), which it neither opens nor
closes: the whole installation uses one connection. All data of a device is untrusted: lengths, checksums, UTF-8 and the
order of states are checked, and a violation raises DEVICE_MISBEHAVED. Every wait has a deadline.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, SecretStr

from installer.errors import InstallerError
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Network


class Capability(enum.Flag):
    """What a device's firmware can do apart from joining a network."""

    NONE = 0
    IDENTIFY = enum.auto()
    DEVICE_INFO = enum.auto()
    SCAN_NETWORKS = enum.auto()
    HOSTNAME = enum.auto()
    STORE = enum.auto()  # keeps the credentials of a network that is out of reach: `store(credentials)`


class DeviceInfo(BaseModel):
    """The device information. All texts are printable and cut to a limit; a missing one is empty."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str = ""
    firmware: str = ""
    firmware_version: str = ""
    hardware: str = ""
    serial: str = ""


class Stage(enum.StrEnum):
    """The stages of sending credentials to a device."""

    AUTHORIZATION_NEEDED = "authorization_needed"  # somebody must press the button on the device
    AUTHORIZED = "authorized"
    SENDING = "sending"  # from here on it cannot be cancelled
    JOINING = "joining"
    JOINED = "joined"
    STORED = (
        "stored"  # the device has the credentials, and joins when the network is in reach; the join is not confirmed
    )


class Progress(BaseModel):
    """One step forward of `provision()`.

    `seconds`: how long the stage may take; `url`: where the device can be reached.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    stage: Stage
    seconds: float | None = None
    url: str | None = None
    attempts_left: int | None = None


@dataclass(frozen=True)
class ConnectionSecurity:
    """How one connection protects the credentials, and whether the device has proved itself on it.

    `encrypted`: the protocol encrypts them. `wants_proof`: the device asks for a proof of possession (or password).
    `proved`: the handshake is done, and both sides have shown that they know the same proof, which is not empty.
    `scheme`: the number of the security scheme, in protocols that number them (the higher the better).
    `recordable`: they are encrypted in a way that somebody who records the radio traffic may read. `authenticated`:
    each message is authenticated, so that nobody who relays the traffic can change it, and read it so.
    """

    encrypted: bool = False
    wants_proof: bool = False
    proved: bool = False
    scheme: int | None = None
    recordable: bool = False
    authenticated: bool = False

    @property
    def safe_from_listeners(self) -> bool:
        """Whether somebody who only listens cannot read the credentials."""
        return self.encrypted and not self.recordable

    @property
    def safe_from_relays(self) -> bool:
        """Whether also somebody who relays the traffic between both sides cannot read them."""
        return self.safe_from_listeners and self.authenticated and self.proved

    def is_lower_than(self, before: ConnectionSecurity) -> bool:
        """Whether this offers less than `before` did; the handshake is not looked at."""
        fewer = (
            before.encrypted > self.encrypted
            or before.wants_proof > self.wants_proof
            or before.authenticated > self.authenticated
        )
        return fewer or (before.scheme is not None and self.scheme is not None and self.scheme < before.scheme)

    def at_least(self, other: ConnectionSecurity) -> ConnectionSecurity:
        """The higher of both, part by part."""
        numbers = [n for n in (self.scheme, other.scheme) if n is not None]
        return ConnectionSecurity(
            self.encrypted or other.encrypted,
            self.wants_proof or other.wants_proof,
            self.proved or other.proved,
            max(numbers, default=None),
            self.recordable and other.recordable,
            self.authenticated or other.authenticated,
        )


@dataclass(frozen=True)
class DriverOptions:
    """The options of one run for all drivers.

    `authorization`: seconds to wait for the button. `proof`, `username`: the proof of possession (or password) that
    some protocols need; `ask_proof` is called with PROOF_MISSING or PROOF_WRONG when it is needed. `identify`: let the
    device blink or beep while the user must press its button, to find the right one among several. `services`: the
    device's GATT services that no other protocol owns; None: all. `wanted_ssid`: of the network that is chosen already;
    a list of networks that has it may be incomplete.
    """

    authorization: float = 60.0
    proof: SecretStr | None = None
    username: str | None = None
    identify: bool = False
    ask_proof: Callable[[InstallerError], Awaitable[SecretStr]] | None = None
    services: Sequence[str] | None = None
    wanted_ssid: str | None = None

    def for_services(self, services: Sequence[str]) -> DriverOptions:
        """The same options for a device with these services."""
        return replace(self, services=tuple(services))


class Provisioner(Protocol):
    """A driver. Call `open()` first, then the rest in any order. `provision()` may be repeated after JOIN_FAILED."""

    protocol: ClassVar[str]

    @property
    def encrypts_credentials(self) -> bool:
        """Whether the protocol encrypts credentials; for some protocols known only after `open()`."""
        ...

    @property
    def security(self) -> ConnectionSecurity:
        """How this connection protects credentials; known after `open()`, `proved` after the handshake."""
        ...

    @property
    def capabilities(self) -> Capability:
        """What this device can do; known after `open()`."""
        ...

    @property
    def set_up(self) -> bool:
        """Whether the device says that it has joined a network; known after `open()`."""
        ...

    async def open(self) -> None:
        """Subscribe, read capabilities and state. Raises DEVICE_MISBEHAVED, CONNECTION_LOST."""
        ...

    async def identify(self) -> None:
        """Make the device blink or beep. Raises DEVICE_REFUSED if it cannot."""
        ...

    async def info(self) -> DeviceInfo:
        """The device information."""
        ...

    async def networks(self) -> list[Network]:
        """The networks that the device itself sees: one entry for each access point, in no order."""
        ...

    def provision(self, credentials: Credentials) -> AsyncIterator[Progress]:
        """Send `credentials` and follow the device until it has joined; the last item is JOINED.

        A driver with `Capability.STORE` also has `store(credentials)`, for a network that is out of reach: the device
        confirms only that it keeps them, and the last item is STORED.

        SENDING comes before the first byte of them, and after the handshake: then `security` is final.

        Raises JOIN_FAILED (the same connection can try again), AUTHORIZATION_TIMEOUT,
        PROVISIONING_TIMEOUT, DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST. To stop the
        iteration sends nothing more.
        """
        ...

    async def joined(self, ssid: str) -> bool | None:
        """Whether the device is on the network `ssid`, for a run that was interrupted after it had sent credentials.

        Waits while the device is still joining. None if the device does not say. Sends no credentials.
        Raises PROVISIONING_TIMEOUT, PROOF_MISSING, PROOF_WRONG, DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        ...

    async def close(self) -> None:
        """Unsubscribe. Never raises for a connection that is gone."""
        ...


def security_of(provisioner: Provisioner) -> ConnectionSecurity:
    """The security of its connection. A driver of another package that does not say it has proved nothing."""
    found = getattr(provisioner, "security", None)
    if isinstance(found, ConnectionSecurity):
        return found
    return ConnectionSecurity(encrypted=bool(getattr(provisioner, "encrypts_credentials", False)))


async def prove(provisioner: Provisioner) -> None:
    """Make the handshake of a protocol that has one, so that `security` is final. Sends no credentials.

    Such a driver has a method `prove()`. Raises PROOF_MISSING, PROOF_WRONG, DEVICE_REFUSED, DEVICE_MISBEHAVED,
    CONNECTION_LOST.
    """
    handshake = getattr(provisioner, "prove", None)
    if handshake is not None:
        await handshake()
