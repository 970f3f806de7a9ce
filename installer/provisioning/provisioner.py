"""What every provisioner is, and how its progress is told.

A provisioner works over an open connection (`installer.bluetooth.connection.Connection`), which
it neither opens nor closes: one connection carries the whole installation. All of what
a device says is untrusted: lengths, checksums, UTF-8 and the order of states are checked,
and a violation raises DEVICE_MISBEHAVED. Every wait has a deadline.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, SecretStr

from installer.errors import InstallerError
from installer.wifi.networks import Credentials, Network


class Capability(enum.Flag):
    """What a device's firmware can do beside taking credentials."""

    NONE = 0
    IDENTIFY = enum.auto()
    DEVICE_INFO = enum.auto()
    SCAN_NETWORKS = enum.auto()
    HOSTNAME = enum.auto()
    STORE = enum.auto()  # keeps credentials of a network that is not in reach: `store(credentials)`


class DeviceInfo(BaseModel):
    """What a device tells of itself; texts are printable and cut. An absent part is empty."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str = ""
    firmware: str = ""
    firmware_version: str = ""
    hardware: str = ""
    serial: str = ""


class Stage(enum.StrEnum):
    """Where the hand-over of credentials is."""

    AUTHORIZATION_NEEDED = "authorization_needed"  # somebody must press the button on the device
    AUTHORIZED = "authorized"
    SENDING = "sending"  # from here on it cannot be taken back
    JOINING = "joining"
    JOINED = "joined"
    STORED = "stored"  # the device has the credentials, and joins when the network is in reach; not confirmed


class Progress(BaseModel):
    """One step forward of `provision()`.

    `seconds`: how long the stage may take; `url`: where the device can be reached.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    stage: Stage
    seconds: float | None = None
    url: str | None = None
    attempts_left: int | None = None


# Protocols that have no encryption of their own; with Espressif's it depends on the device.
UNENCRYPTED = frozenset({"improv", "shelly", "nordic"})


@dataclass(frozen=True)
class DriverOptions:
    """What a run decides for whatever driver a device needs.

    `authorization`: seconds for the button. `proof`, `username`: the proof of possession (or password) that some
    protocols want; `ask_proof` is called with PROOF_MISSING or PROOF_WRONG when it is needed. `identify`: let
    the device blink or beep while somebody must press its button, so that among several it is the right one.
    """

    authorization: float = 60.0
    proof: SecretStr | None = None
    username: str | None = None
    identify: bool = False
    ask_proof: Callable[[InstallerError], Awaitable[SecretStr]] | None = None


class Provisioner(Protocol):
    """A driver. `open()` comes first; the rest in any order; `provision()` may be tried again after JOIN_FAILED."""

    protocol: ClassVar[str]

    @property
    def encrypts_credentials(self) -> bool:
        """Whether credentials travel encrypted; of some protocols it is known after `open()` only."""
        ...

    @property
    def capabilities(self) -> Capability:
        """What this device can do; known after `open()`."""
        ...

    @property
    def set_up(self) -> bool:
        """Whether the device says that it has working credentials already; known after `open()`."""
        ...

    async def open(self) -> None:
        """Subscribe, read capabilities and state. Raises DEVICE_MISBEHAVED, CONNECTION_LOST."""
        ...

    async def identify(self) -> None:
        """Make the device blink or beep. Raises DEVICE_REFUSED where it cannot."""
        ...

    async def info(self) -> DeviceInfo:
        """What the device tells of itself."""
        ...

    async def networks(self) -> list[Network]:
        """The networks that the device itself can see, in no order, one per access point."""
        ...

    def provision(self, credentials: Credentials) -> AsyncIterator[Progress]:
        """Send `credentials` and follow the device until it has joined; the last item is JOINED.

        One with `Capability.STORE` also has `store(credentials)`, for a network that is out of reach: the device
        confirms that it keeps them, nothing more, and the last item is STORED.

        Raises JOIN_FAILED (the same connection can try again), AUTHORIZATION_TIMEOUT,
        PROVISIONING_TIMEOUT, DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST. Breaking off
        the iteration sends nothing more.
        """
        ...

    async def joined(self, ssid: str) -> bool | None:
        """Whether the device is on network `ssid`, asked after a program that sent credentials was cut off.

        Waits while the device is still joining; None where it takes no credentials and does not tell. Sends none.
        Raises PROVISIONING_TIMEOUT, PROOF_MISSING, PROOF_WRONG, DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        ...

    async def close(self) -> None:
        """Stop listening. Never raises for a connection that is gone."""
        ...
