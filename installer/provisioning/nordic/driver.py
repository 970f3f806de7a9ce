"""The provisioner for Nordic's Wi-Fi provisioning service: scan, send credentials, follow the results.

Source: `facts/other-ble-provisioning.md` §2. Credentials travel in plain bytes. The maker's phone app pairs with the
device first (Just Works), and firmware may insist on that; no pairing is tried here: the system does it by itself when
a device asks for it, or the person does it in the system's settings, and an error says so. The protocol names a network
by one of its access points, with address and channel, so the device scans first, and what it does not see (a hidden
network, for one) it cannot be told to join. A scan takes a device off the network that it is on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import ClassVar

from installer.bluetooth.connection import Connection
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import error_texts as common
from installer.provisioning.nordic import codec, error_texts
from installer.provisioning.nordic.codec import AccessPoint, DeviceStatus, Operation, Reason, Refused, State
from installer.provisioning.nordic.session import Session, Timings
from installer.provisioning.provisioner import Capability, DeviceInfo, Progress, Stage
from installer.wifi.networks import Credentials, Network, check_credentials, check_network

MAX_POINTS = 255
INVALID_PROTO = 2
JOINING = "the device was joining the network"
BUSY = (State.AUTHENTICATION, State.ASSOCIATION, State.OBTAINING_IP)
ASK_AGAIN = 0.3  # seconds

__all__ = ["NordicProvisioner", "Timings"]


class NordicProvisioner:
    """Implements `installer.provisioning.provisioner.Provisioner` over an open connection."""

    protocol: ClassVar[str] = "nordic"
    encrypts_credentials: ClassVar[bool] = False
    capabilities: ClassVar[Capability] = Capability.DEVICE_INFO | Capability.SCAN_NETWORKS

    def __init__(self, connection: Connection, timings: Timings | None = None) -> None:
        self._connection = connection
        self._timings = timings or Timings()
        self._session = Session(connection, self._timings)
        self._version = 0
        self._set_up = False
        self._heard: list[AccessPoint] = []
        self._busy = asyncio.Lock()

    @property
    def set_up(self) -> bool:
        """Whether the device said, when it was opened or followed last, that it is on a network."""
        return self._set_up

    async def open(self) -> None:
        """Subscribe, and ask for version and state. Raises DEVICE_REFUSED where pairing is wanted, DEVICE_MISBEHAVED,
        CONNECTION_LOST."""
        self._version = await self._session.open()
        try:
            self._set_up = (await self._status()).joined
        except Refused:
            # It cannot tell, which is no reason not to set it up.
            self._set_up = False

    async def identify(self) -> None:
        """Raises DEVICE_REFUSED: the protocol has no such operation."""
        raise error_texts.cannot_identify(self._connection)

    async def info(self) -> DeviceInfo:
        """The name that it advertised, and the version of its service: it tells no more."""
        return DeviceInfo(
            name=self._connection.name,
            firmware="Nordic Wi-Fi provisioning",
            firmware_version=str(self._version) if self._version else "",
        )

    async def networks(self) -> list[Network]:
        """Let the device scan. Raises DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        async with self._busy:
            await self._scan()
        return [point.network for point in self._heard]

    async def provision(self, credentials: Credentials) -> AsyncGenerator[Progress]:
        """Send `credentials` and follow the device; the last item is JOINED.

        Raises JOIN_FAILED, NETWORK_NOT_FOUND and PROVISIONING_TIMEOUT (the same connection can try again),
        DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST (`data["sent"]`: the device has the credentials).
        """
        check_credentials(credentials)
        async with self._busy:
            point = await self._access_point(credentials.network)
            yield Progress(stage=Stage.SENDING)
            passphrase = credentials.passphrase.get_secret_value()
            await self._send(codec.set_config(point, passphrase, credentials.network.security))
            self._set_up = False
            yield Progress(stage=Stage.JOINING, seconds=self._timings.join)
            try:
                await self._follow(credentials.network.label, point.ssid)
            except InstallerError as error:
                if error.code is ErrorCode.CONNECTION_LOST:
                    raise common.lost_while_joining(self._connection, credentials.network.label) from None
                raise
            address = await self._address(credentials.network.label, point.ssid)
            self._set_up = True
            yield Progress(stage=Stage.JOINED, url=f"http://{address}" if address else None)

    async def joined(self, ssid: str) -> bool | None:
        """Whether it is on this network; see `Provisioner.joined`."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._timings.join
        wanted = ssid.encode("utf-8", "surrogatepass")
        async with self._busy:
            while True:
                try:
                    status = await self._status()
                except Refused:
                    return False  # it cannot tell
                if status.state not in BUSY:
                    return status.joined and status.ssid in (b"", wanted)
                if clock() >= end:
                    raise common.no_outcome(Network(ssid=ssid).label, self._timings.join)
                await self._connection.race(asyncio.sleep(ASK_AGAIN), ASK_AGAIN + 1, JOINING)

    async def close(self) -> None:
        """Stop listening. Never raises for a connection that is gone."""
        await self._session.close()

    async def _scan(self) -> None:
        """Fill `_heard`. The device does not tell the end of a scan: it has ended when nothing more comes."""
        what = "scanning for networks"
        try:
            await self._session.request(Operation.START_SCAN, codec.start_scan(), what)
        except Refused as found:
            raise error_texts.refused(self._connection, what, found) from None
        clock = asyncio.get_running_loop().time
        end = clock() + self._timings.scan
        until = min(end, clock() + self._timings.first)
        heard: dict[tuple[bytes, bytes], AccessPoint] = {}
        while len(heard) < MAX_POINTS and clock() < end:
            try:
                result = await self._session.result(max(until - clock(), 0), what)
            except TimeoutError:
                break
            if isinstance(result, AccessPoint):
                until = min(end, clock() + self._timings.quiet)
                if any(result.ssid):
                    heard[result.ssid, result.bssid] = result
        self._heard = list(heard.values())
        # A scan that has ended by itself cannot be stopped.
        with contextlib.suppress(Refused):
            await self._session.request(Operation.STOP_SCAN, codec.request(Operation.STOP_SCAN), what)

    async def _access_point(self, network: Network) -> AccessPoint:
        """The one to join: that of `network`, or its strongest. Raises NETWORK_NOT_FOUND, NETWORK_UNSUPPORTED."""
        found = self._points(network)
        if not found:
            await self._scan()
            found = self._points(network)
        if not found:
            raise error_texts.not_seen(self._connection, network.label, hidden=network.hidden)
        point = max(found, key=lambda p: (p.network.bssid == network.bssid, -999 if p.rssi is None else p.rssi))
        check_network(point.network)
        return point

    def _points(self, network: Network) -> list[AccessPoint]:
        return [point for point in self._heard if point.network.ssid == network.ssid]

    async def _send(self, message: bytes) -> None:
        what = "taking the credentials"
        try:
            try:
                await self._session.request(Operation.SET_CONFIG, message, what)
            except Refused as found:
                if found.status == INVALID_PROTO:
                    raise
                # It may hold on to credentials of an earlier attempt.
                await self._forget()
                await self._session.request(Operation.SET_CONFIG, message, what)
        except Refused as found:
            raise error_texts.refused(self._connection, what, found) from None

    async def _forget(self) -> None:
        message = codec.request(Operation.FORGET_CONFIG)
        # Whether it helped shows at the next attempt.
        with contextlib.suppress(Refused):
            await self._session.request(Operation.FORGET_CONFIG, message, "forgetting its credentials")

    async def _follow(self, label: str, ssid: bytes) -> None:
        """Return when the device has joined. Raises JOIN_FAILED, NETWORK_NOT_FOUND, PROVISIONING_TIMEOUT."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._timings.join
        joining = False
        fell: float | None = None
        while True:
            until = end if fell is None else min(end, fell + self._timings.settle)
            try:
                if clock() >= end:
                    raise TimeoutError  # whatever it still sends
                result = await self._session.result(max(until - clock(), 0), JOINING)
            except TimeoutError:
                if until < end:
                    raise error_texts.not_joined(label, Reason.UNKNOWN) from None
                if await self._joined(ssid):
                    return
                raise common.no_outcome(label, self._timings.join) from None
            if isinstance(result, AccessPoint):
                continue  # late, from the scan
            if result.state is State.CONNECTED:
                return
            if result.state is State.FAILED:
                raise error_texts.not_joined(label, result.reason)
            if result.state is not State.DISCONNECTED:
                joining, fell = True, None
            elif joining and fell is None:
                # At first it may only be leaving the network that it was on.
                fell = clock()

    async def _joined(self, ssid: bytes) -> bool:
        """Whether a device that said nothing has joined all the same."""
        try:
            status = await self._status()
        except Refused:
            return False
        except InstallerError as error:
            if error.code is ErrorCode.CONNECTION_LOST:
                raise
            return False
        return status.joined and status.ssid in (b"", ssid)

    async def _address(self, label: str, ssid: bytes) -> str:
        """Its IP address. It has joined, whatever it says now; but it may have joined for somebody else."""
        try:
            status = await self._status()
        except Refused:
            return ""
        except InstallerError as error:
            if error.code is ErrorCode.SESSION_TAKEN:
                raise common.taken_over(self._connection, label) from None
            return ""
        if status.ssid not in (b"", ssid):
            raise common.taken_over(self._connection, label)
        return status.address

    async def _status(self) -> DeviceStatus:
        message = codec.request(Operation.GET_STATUS)
        return await self._session.request(Operation.GET_STATUS, message, "telling the state of its Wi-Fi")
