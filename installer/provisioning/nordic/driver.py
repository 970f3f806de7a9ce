"""The provisioner for Nordic's Wi-Fi provisioning service: scan, send credentials, follow the results.

Source: `facts/other-ble-provisioning.md` §2. Credentials are sent unencrypted. The maker's phone app pairs with the
device first (Just Works), and firmware may require that: the connection pairs when the device asks for it. The
protocol identifies a network by one of its access points, with address and channel. So the device must scan first, and
it cannot join a network that it does not see, for example a hidden one. A scan disconnects the device from its network.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator
from typing import ClassVar

from installer.bluetooth.connection import Connection
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import driver_errors
from installer.provisioning.driver_errors import Refused
from installer.provisioning.join_polling import JOINING, poll_while_joining
from installer.provisioning.nordic import codec
from installer.provisioning.nordic.codec import AccessPoint, DeviceStatus, Operation, Reason, State
from installer.provisioning.nordic.session import Session, Timings
from installer.provisioning.provisioner import Capability, ConnectionSecurity, DeviceInfo, Progress, Stage
from installer.wifi.credentials import Credentials, check_credentials
from installer.wifi.networks import Network, check_network

MAX_ACCESS_POINTS = 255
INVALID_PROTO = 2
JOINING_STATES = (State.AUTHENTICATION, State.ASSOCIATION, State.OBTAINING_IP)
POLL_SECONDS = 0.3


class NordicProvisioner:
    """Implements `installer.provisioning.provisioner.Provisioner` over an open connection."""

    protocol: ClassVar[str] = "nordic"
    encrypts_credentials: ClassVar[bool] = False
    security: ClassVar[ConnectionSecurity] = ConnectionSecurity()
    capabilities: ClassVar[Capability] = Capability.DEVICE_INFO | Capability.SCAN_NETWORKS

    def __init__(self, connection: Connection, timings: Timings | None = None) -> None:
        self._connection = connection
        self._timings = timings or Timings()
        self._session = Session(connection, self._timings)
        self._version = 0
        self._set_up = False
        self._scanned: list[AccessPoint] = []
        self._lock = asyncio.Lock()

    @property
    def set_up(self) -> bool:
        """Whether the device was on a network when it last sent its state."""
        return self._set_up

    async def open(self) -> None:
        """Subscribe, and read version and state.

        Raises PAIRING_NEEDED and PAIRING_FAILED if the device must be paired, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        self._version = await self._session.open()
        try:
            self._set_up = (await self._status()).joined
        except Refused:
            # It does not send its state, but it can be set up.
            self._set_up = False

    async def identify(self) -> None:
        """Raises DEVICE_REFUSED: the protocol has no such operation."""
        raise driver_errors.cannot_identify(self._connection)

    async def info(self) -> DeviceInfo:
        """The advertised name and the version of the service; the protocol has no more."""
        return DeviceInfo(
            name=self._connection.name,
            firmware="Nordic Wi-Fi provisioning",
            firmware_version=str(self._version) if self._version else "",
        )

    async def networks(self) -> list[Network]:
        """Let the device scan. Raises DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        async with self._lock:
            await self._scan()
        return [point.network for point in self._scanned]

    async def provision(self, credentials: Credentials) -> AsyncGenerator[Progress]:
        """Send `credentials` and follow the device; the last item is JOINED.

        Raises JOIN_FAILED, NETWORK_NOT_FOUND and PROVISIONING_TIMEOUT (the same connection can try again),
        DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST (`data["sent"]`: the device has the credentials).
        """
        check_credentials(credentials)
        label = credentials.network.in_quotes
        async with self._lock:
            point = await self._access_point(credentials.network)
            yield Progress(stage=Stage.SENDING)
            passphrase = credentials.passphrase.get_secret_value()
            await self._send(codec.set_config(point, passphrase, credentials.network.security))
            self._set_up = False
            yield Progress(stage=Stage.JOINING, seconds=self._timings.join)
            with driver_errors.explain_loss_while_joining(self._connection, label):
                await self._follow(label, point.ssid)
            address = await self._address(label, point.ssid)
            self._set_up = True
            yield Progress(stage=Stage.JOINED, url=f"http://{address}" if address else None)

    async def joined(self, ssid: str) -> bool | None:
        """Whether it is on this network; see `Provisioner.joined`."""
        async with self._lock:
            try:
                status = await poll_while_joining(
                    self._connection,
                    self._status,
                    lambda status: status.state in JOINING_STATES,
                    itertools.repeat(POLL_SECONDS),
                    self._timings.join,
                )
            except Refused:
                return False  # it does not send its state
        if status.state in JOINING_STATES:
            raise driver_errors.no_outcome(Network(ssid=ssid).in_quotes, self._timings.join)
        return status.joined and status.ssid in (b"", ssid.encode("utf-8", "surrogatepass"))

    async def close(self) -> None:
        """Unsubscribe. Never raises for a connection that is gone."""
        await self._session.close()

    async def _scan(self) -> None:
        """Fill `_scanned`. The device does not report the end of a scan: it has ended when no more results come."""
        doing = "scanning for networks"
        try:
            await self._session.request(Operation.START_SCAN, codec.start_scan(), doing)
        except Refused as refused:
            raise driver_errors.installer_error(self._connection, doing, refused) from None
        clock = asyncio.get_running_loop().time
        last_deadline = clock() + self._timings.scan
        deadline = min(last_deadline, clock() + self._timings.first)
        found: dict[tuple[bytes, bytes], AccessPoint] = {}
        while len(found) < MAX_ACCESS_POINTS and clock() < last_deadline:
            try:
                result = await self._session.next_result(max(deadline - clock(), 0), doing)
            except TimeoutError:
                break
            if isinstance(result, AccessPoint):
                deadline = min(last_deadline, clock() + self._timings.quiet)
                if any(result.ssid):
                    found[result.ssid, result.bssid] = result
        self._scanned = list(found.values())
        # A scan that has ended by itself cannot be stopped.
        with contextlib.suppress(Refused):
            await self._session.request(Operation.STOP_SCAN, codec.request(Operation.STOP_SCAN), doing)

    async def _access_point(self, network: Network) -> AccessPoint:
        """The access point to join; without a choice the strongest. Raises NETWORK_NOT_FOUND, NETWORK_UNSUPPORTED."""
        points = self._access_points_of(network)
        if not points:
            await self._scan()
            points = self._access_points_of(network)
        if not points:
            raise _not_seen(self._connection, network)
        point = max(points, key=lambda p: (p.network.bssid == network.bssid, -999 if p.rssi is None else p.rssi))
        check_network(point.network)
        return point

    def _access_points_of(self, network: Network) -> list[AccessPoint]:
        return [point for point in self._scanned if point.network.ssid == network.ssid]

    async def _send(self, message: bytes) -> None:
        doing = "taking the credentials"
        try:
            try:
                await self._session.request(Operation.SET_CONFIG, message, doing)
            except Refused as refused:
                if refused.status == INVALID_PROTO:
                    raise
                # It may keep the credentials of an earlier attempt.
                await self._forget_credentials()
                await self._session.request(Operation.SET_CONFIG, message, doing)
        except Refused as refused:
            raise driver_errors.installer_error(self._connection, doing, refused) from None

    async def _forget_credentials(self) -> None:
        message = codec.request(Operation.FORGET_CONFIG)
        # The next SET_CONFIG shows whether it helped.
        with contextlib.suppress(Refused):
            await self._session.request(Operation.FORGET_CONFIG, message, "forgetting its credentials")

    async def _follow(self, label: str, ssid: bytes) -> None:
        """Return when the device has joined. Raises JOIN_FAILED, NETWORK_NOT_FOUND, PROVISIONING_TIMEOUT."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._timings.join
        joining = False
        disconnected_since: float | None = None
        while True:
            deadline = end if disconnected_since is None else min(end, disconnected_since + self._timings.settle)
            try:
                if clock() >= end:
                    raise TimeoutError  # even if more results come
                result = await self._session.next_result(max(deadline - clock(), 0), JOINING)
            except TimeoutError:
                if deadline < end:
                    raise _not_joined(label, Reason.UNKNOWN) from None
                if await self._joined_silently(ssid):
                    return
                raise driver_errors.no_outcome(label, self._timings.join) from None
            if isinstance(result, AccessPoint):
                continue  # late, from the scan
            if result.state is State.CONNECTED:
                return
            if result.state is State.FAILED:
                raise _not_joined(label, result.reason)
            if result.state is not State.DISCONNECTED:
                joining, disconnected_since = True, None
            elif joining and disconnected_since is None:
                # Before it was joining, it may only have left its earlier network.
                disconnected_since = clock()

    async def _joined_silently(self, ssid: bytes) -> bool:
        """Whether a device that sent no outcome has joined."""
        try:
            status = await self._status()
        except Refused:
            return False
        except InstallerError as error:
            if error.link_is_down:
                raise
            return False
        return status.joined and status.ssid in (b"", ssid)

    async def _address(self, label: str, ssid: bytes) -> str:
        """Its IP address, or empty. The device has joined; SESSION_TAKEN if it joined the network of another app."""
        try:
            status = await self._status()
        except Refused:
            return ""
        except InstallerError as error:
            if error.code is ErrorCode.SESSION_TAKEN:
                raise driver_errors.session_taken(self._connection, label) from None
            return ""
        if status.ssid not in (b"", ssid):
            raise driver_errors.session_taken(self._connection, label)
        return status.address

    async def _status(self) -> DeviceStatus:
        message = codec.request(Operation.GET_STATUS)
        return await self._session.request(Operation.GET_STATUS, message, "sending the state of its Wi-Fi")


def _not_seen(connection: Connection, network: Network) -> InstallerError:
    """NETWORK_NOT_FOUND before the credentials were sent: the device joins only networks that it has scanned."""
    what = f"The device {connection.address} does not see the network {network.in_quotes}"
    todo = "Check the spelling and the band, and bring the device closer. A hidden network cannot be joined."
    if network.hidden:
        what += ", and this kind of device cannot join a hidden network"
        todo = "Let the router show the network's name during the set-up, or choose another network."
    return InstallerError(
        ErrorCode.NETWORK_NOT_FOUND,
        what + ". The credentials were not sent.",
        todo,
        address=connection.address,
        reason="not_seen",
    )


def _not_joined(label: str, reason: Reason) -> InstallerError:
    """NETWORK_NOT_FOUND, PROVISIONING_TIMEOUT or JOIN_FAILED; all can be tried again."""
    if reason is Reason.NOT_FOUND:
        return driver_errors.network_not_found(label)
    if reason is Reason.AUTHENTICATION:
        return driver_errors.wrong_passphrase(label)
    name = reason.name.lower()
    if reason is Reason.TIMEOUT:
        return InstallerError(
            ErrorCode.PROVISIONING_TIMEOUT,
            f"The device stopped joining {label}: it took too long.",
            "Check the passphrase, bring the device closer to the router, and try again.",
            reason=name,
        )
    if reason is Reason.NO_ADDRESS:
        why = "the router gave it no IP address"
        return driver_errors.join_failed(label, why, "Check whether the router has run out of addresses.", reason=name)
    return driver_errors.join_failed(label, reason=name)
