"""The provisioner for Shelly Gen2+ devices: JSON-RPC over Bluetooth Low Energy, credentials unencrypted.

Source: `facts/other-ble-provisioning.md` §1. That a device with a password accepts digest authentication over
Bluetooth is UNCONFIRMED, so it is not tried. Firmware from 2.0 on must be paired outside its set-up window; the
connection does that when the device asks for it. How Wifi.GetStatus shows a failed join is not known: a device that
stops joining, or stays disconnected, counts as failed. A scan then shows whether it sees the network at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, ClassVar, TypeVar

from installer.bluetooth.connection import Connection
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import driver_errors
from installer.provisioning.driver_errors import Malformed, Refused
from installer.provisioning.join_polling import pause, poll_while_joining
from installer.provisioning.provisioner import Capability, ConnectionSecurity, DeviceInfo, Progress, Stage
from installer.provisioning.shelly import codec
from installer.provisioning.shelly.advertisement_signature import SERVICE
from installer.provisioning.shelly.codec import Phase, WifiStatus
from installer.provisioning.shelly.rpc_client import RpcClient, Timings
from installer.wifi.credentials import Credentials, check_credentials
from installer.wifi.networks import Network

T = TypeVar("T")

MAX_FALLBACKS = 2  # from joining back to disconnected: a single one may be chance
TAKING_CREDENTIALS = "taking the credentials"
RESTARTING = "restarting"


class ShellyProvisioner:
    """Implements `installer.provisioning.provisioner.Provisioner` over an open connection."""

    protocol: ClassVar[str] = "shelly"
    encrypts_credentials: ClassVar[bool] = False
    security: ClassVar[ConnectionSecurity] = ConnectionSecurity()
    capabilities: ClassVar[Capability] = Capability.DEVICE_INFO | Capability.SCAN_NETWORKS | Capability.STORE

    def __init__(self, connection: Connection, timings: Timings | None = None) -> None:
        self._connection = connection
        self._timings = timings or Timings()
        self._rpc = RpcClient(connection, self._timings)
        self._info = DeviceInfo()
        self._set_up = False

    @property
    def set_up(self) -> bool:
        """Whether the device was on a network when it last sent its state."""
        return self._set_up

    async def open(self) -> None:
        """Read the device information and the state of its Wi-Fi.

        Raises DEVICE_REFUSED if the device has a password, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        todo = "Check in the maker's app that Bluetooth RPC is switched on, or reset the device to factory state."
        driver_errors.require_characteristics(self._connection, SERVICE, codec.CHARACTERISTICS, "Shelly's RPC", todo)
        self._info = await self._call(codec.GET_DEVICE_INFO, codec.read_info, "sending its information")
        try:
            self._set_up = (await self._status()).phase is Phase.JOINED
        except InstallerError as error:
            # The device can be set up without it; only its joining cannot be followed.
            if error.code is not ErrorCode.DEVICE_REFUSED or error.data.get("rpc_error") in (None, codec.UNAUTHORIZED):
                raise
            self._set_up = False

    async def identify(self) -> None:
        """Raises DEVICE_REFUSED: no call for it is known."""
        raise driver_errors.cannot_identify(self._connection)

    async def info(self) -> DeviceInfo:
        """The device information that was read by `open()`."""
        return self._info

    async def networks(self) -> list[Network]:
        """Let the device scan. Raises DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        return await self._call(codec.SCAN, codec.read_networks, "scanning for networks", self._timings.scan)

    async def provision(self, credentials: Credentials) -> AsyncGenerator[Progress]:
        """Send `credentials` and poll the state until the device has joined; the last item is JOINED.

        Raises JOIN_FAILED and NETWORK_NOT_FOUND (the same connection can try again), PROVISIONING_TIMEOUT,
        DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST (`data["sent"]`: the device has the credentials).
        """
        check_credentials(credentials)
        network = credentials.network
        # If it is on this network already, its first states say nothing about the new passphrase.
        confirm = self._timings.confirm if self._set_up else 0.0
        yield Progress(stage=Stage.SENDING)
        await self._send(credentials)
        yield Progress(stage=Stage.JOINING, seconds=self._timings.join)
        self._set_up = False
        with driver_errors.explain_loss_while_joining(self._connection, network.in_quotes):
            status = await self._follow(network, confirm)
        self._set_up = True
        yield Progress(stage=Stage.JOINED, url=f"http://{status.address}" if status.address else None)

    async def store(self, credentials: Credentials) -> AsyncGenerator[Progress]:
        """Send `credentials` of a network that is out of reach; the device keeps them even if it cannot join.

        Raises DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        check_credentials(credentials)
        yield Progress(stage=Stage.SENDING)
        try:
            await self._send(credentials)
        except InstallerError as error:
            # This device has the credentials and restarts to use them.
            if not error.data.get("restarting"):
                raise
        yield Progress(stage=Stage.STORED)

    async def joined(self, ssid: str) -> bool | None:
        """Whether it is on this network; see `Provisioner.joined`."""
        status = await poll_while_joining(
            self._connection,
            self._status,
            lambda status: status.phase is Phase.BUSY,
            self._timings.poll_backoff.waits(),
            self._timings.join,
        )
        if status.phase is Phase.BUSY:
            raise driver_errors.no_outcome(Network(ssid=ssid).in_quotes, self._timings.join)
        return status.phase is Phase.JOINED and status.ssid in ("", ssid)

    async def close(self) -> None:
        """There is nothing to unsubscribe."""

    async def _send(self, credentials: Credentials) -> None:
        params = codec.station(credentials.network.ssid, credentials.passphrase.get_secret_value())
        try:
            result = await self._rpc.call(codec.SET_CONFIG, params, doing=TAKING_CREDENTIALS, secret=True)
        except Refused as refused:
            raise driver_errors.installer_error(self._connection, TAKING_CREDENTIALS, refused) from None
        if codec.needs_restart(result):
            try:
                await self._rpc.call(codec.REBOOT, doing=RESTARTING)
            except Refused as refused:
                raise driver_errors.installer_error(self._connection, RESTARTING, refused) from None
            except InstallerError as error:
                # Some devices end the connection before they answer.
                if error.code is not ErrorCode.CONNECTION_LOST:
                    raise
            raise _restarting(self._connection, credentials.network.in_quotes)

    async def _follow(self, network: Network, confirm: float) -> WifiStatus:
        """The status after the device has joined `network`.

        Raises JOIN_FAILED, NETWORK_NOT_FOUND, PROVISIONING_TIMEOUT, DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        clock = asyncio.get_running_loop().time
        begin = clock()
        outcome = JoinOutcome(network.ssid, self._timings, begin + confirm)
        pauses = self._timings.poll_backoff.waits()
        while clock() < begin + self._timings.join:
            status = await self._status()
            phase = outcome.update(status, clock())
            if phase is Phase.JOINED:
                return status
            if phase is Phase.NOT_FOUND or (phase is Phase.FAILED and not await self._sees(network)):
                raise driver_errors.network_not_found(network.in_quotes)
            if phase is Phase.FAILED:
                raise driver_errors.join_failed(network.in_quotes, reason="unknown")
            await pause(self._connection, next(pauses))
        raise driver_errors.no_outcome(network.in_quotes, self._timings.join)

    async def _sees(self, network: Network) -> bool:
        """Whether the device sees the network; true if that cannot be known."""
        if network.hidden:
            return True
        try:
            return any(n.ssid == network.ssid for n in await self.networks())
        except InstallerError as error:
            if error.link_is_down:
                raise
            # A device that is joining may refuse to scan.
            return True

    async def _status(self) -> WifiStatus:
        return await self._call(codec.GET_STATUS, codec.read_status, "sending the state of its Wi-Fi")

    async def _call(self, method: str, decode: Callable[[Any], T], doing: str, seconds: float | None = None) -> T:
        try:
            return decode(await self._rpc.call(method, doing=doing, seconds=seconds))
        except (Refused, Malformed) as found:
            raise driver_errors.installer_error(self._connection, doing, found) from None


class JoinOutcome:
    """Decides from the states of one attempt to join `ssid` how it ended. Times in seconds on one clock.

    `not_before`: before this time the state “joined” does not count, unless the device was seen off the network.
    """

    def __init__(self, ssid: str, timings: Timings, not_before: float) -> None:
        self._ssid = ssid
        self._timings = timings
        self._not_before = not_before
        self._idle_since: float | None = None
        self._joining = False
        self._fallbacks = 0

    def update(self, status: WifiStatus, now: float) -> Phase | None:
        """Add a status. JOINED, FAILED or NOT_FOUND; None if the outcome is still open."""
        if status.phase is Phase.JOINED:
            # With another name it is still on its earlier network.
            return Phase.JOINED if status.ssid in ("", self._ssid) and now >= self._not_before else None
        self._not_before = now
        if status.phase is Phase.BUSY:
            self._joining, self._idle_since = True, None
            return None
        if status.phase is not Phase.IDLE:
            return status.phase
        if self._joining:
            self._fallbacks += 1
            self._joining = False
        if self._idle_since is None:
            self._idle_since = now
        limit = self._timings.fall if self._fallbacks else self._timings.settle
        return Phase.FAILED if self._fallbacks >= MAX_FALLBACKS or now - self._idle_since >= limit else None


def _restarting(connection: Connection, label: str) -> InstallerError:
    """CONNECTION_LOST: the device has the credentials, and restarts to use them."""
    return InstallerError(
        ErrorCode.CONNECTION_LOST,
        f"The device {connection.address} has the credentials of {label} and restarts to use them; "
        "whether it joins is not known yet.",
        "Wait until it has started, and try again: it then says whether it has joined.",
        address=connection.address,
        sent=True,
        restarting=True,
    )
