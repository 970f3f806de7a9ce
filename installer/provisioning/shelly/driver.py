"""The provisioner for Shelly Gen2+ devices: JSON-RPC over Bluetooth Low Energy, credentials unencrypted.

Source: `facts/other-ble-provisioning.md` §1. That a device with a password takes digest authentication over Bluetooth
is UNCONFIRMED, so it is not tried. Firmware from 2.0 on wants to be paired outside its set-up window; pairing is left
to the system. How Wifi.GetStatus tells of a failed join is not known: a device that falls back, or stays disconnected,
counts as failed, and a scan then tells whether it sees the network at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, ClassVar, TypeVar

from installer.bluetooth.connection import Connection
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import error_texts as common
from installer.provisioning.provisioner import Capability, DeviceInfo, Progress, Stage
from installer.provisioning.shelly import codec, error_texts
from installer.provisioning.shelly.codec import Malformed, Phase, Refused, WifiStatus
from installer.provisioning.shelly.rpc import Rpc, Timings
from installer.wifi.networks import Credentials, Network, check_credentials

T = TypeVar("T")

POLL_GROWTH = 1.5
MAX_FALLS = 2  # from joining back to disconnected: the first may be bad luck

__all__ = ["ShellyProvisioner", "Timings"]


class ShellyProvisioner:
    """Implements `installer.provisioning.provisioner.Provisioner` over an open connection."""

    protocol: ClassVar[str] = "shelly"
    encrypts_credentials: ClassVar[bool] = False
    capabilities: ClassVar[Capability] = Capability.DEVICE_INFO | Capability.SCAN_NETWORKS | Capability.STORE

    def __init__(self, connection: Connection, timings: Timings | None = None) -> None:
        self._connection = connection
        self._timings = timings or Timings()
        self._rpc = Rpc(connection, self._timings)
        self._info = DeviceInfo()
        self._set_up = False

    @property
    def set_up(self) -> bool:
        """Whether the device said, when it was opened or asked last, that it is on a network."""
        return self._set_up

    async def open(self) -> None:
        """Ask what the device is, and for the state of its Wi-Fi.

        Raises DEVICE_REFUSED for one with a password, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        missing = [u for u in codec.CHARACTERISTICS if not self._connection.has_characteristic(u, codec.SERVICE)]
        if missing:
            raise InstallerError(
                ErrorCode.DEVICE_MISBEHAVED,
                f"The device {self._connection.address} lacks {len(missing)} of the three characteristics of its RPC.",
                "Check in the maker's app that Bluetooth RPC is switched on, or reset the device to factory state.",
                address=self._connection.address,
            )
        self._info = await self._ask(codec.GET_DEVICE_INFO, codec.read_info, "telling what it is")
        try:
            self._set_up = (await self._status()).phase is Phase.JOINED
        except InstallerError as error:
            # Its fields are from memory; without it the device can be set up, only not watched.
            if error.code is not ErrorCode.DEVICE_REFUSED or error.data.get("rpc_error") in (None, codec.UNAUTHORIZED):
                raise
            self._set_up = False

    async def identify(self) -> None:
        """Raises DEVICE_REFUSED: no call for it is known."""
        raise error_texts.unsupported(self._connection, "make itself known")

    async def info(self) -> DeviceInfo:
        """What the device told of itself when it was opened."""
        return self._info

    async def networks(self) -> list[Network]:
        """Let the device scan. Raises DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        return await self._ask(codec.SCAN, codec.read_networks, "scanning for networks", self._timings.scan)

    async def provision(self, credentials: Credentials) -> AsyncGenerator[Progress]:
        """Send `credentials` and ask for the state until the device has joined; the last item is JOINED.

        Raises JOIN_FAILED and NETWORK_NOT_FOUND (the same connection can try again), PROVISIONING_TIMEOUT,
        DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST (`data["sent"]`: the device has the credentials).
        """
        check_credentials(credentials)
        network = credentials.network
        # On this very network already, its state says nothing of the new passphrase at first.
        confirm = self._timings.confirm if self._set_up else 0.0
        yield Progress(stage=Stage.SENDING)
        await self._send(credentials)
        yield Progress(stage=Stage.JOINING, seconds=self._timings.join)
        try:
            status = await self._follow(network, confirm)
        except InstallerError as error:
            self._set_up = False
            if error.code is ErrorCode.CONNECTION_LOST:
                raise common.lost_while_joining(self._connection, network.label) from None
            raise
        self._set_up = True
        yield Progress(stage=Stage.JOINED, url=f"http://{status.address}" if status.address else None)

    async def store(self, credentials: Credentials) -> AsyncGenerator[Progress]:
        """Send `credentials` of a network that is not in reach: Wifi.SetConfig keeps them whether it joins or not.

        Raises DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST.
        """
        check_credentials(credentials)
        yield Progress(stage=Stage.SENDING)
        try:
            await self._send(credentials)
        except InstallerError as error:
            # Where they come into force with a restart, the device was told to restart, and answers no more.
            if not error.data.get("restarting"):
                raise
        yield Progress(stage=Stage.STORED)

    async def joined(self, ssid: str) -> bool | None:
        """Whether it is on this network; see `Provisioner.joined`."""
        clock = asyncio.get_running_loop().time
        end, pause = clock() + self._timings.join, self._timings.poll_first
        while (status := await self._status()).phase is Phase.BUSY:
            if clock() >= end:
                raise common.no_outcome(Network(ssid=ssid).label, self._timings.join)
            await self._connection.race(asyncio.sleep(pause), pause + 1, "the device was joining the network")
            pause = min(pause * POLL_GROWTH, self._timings.poll_last)
        return status.phase is Phase.JOINED and status.ssid in ("", ssid)

    async def close(self) -> None:
        """There is nothing to unsubscribe."""

    async def _send(self, credentials: Credentials) -> None:
        what = "taking the credentials"
        params = codec.station(credentials.network.ssid, credentials.passphrase.get_secret_value())
        try:
            result = await self._rpc.call(codec.SET_CONFIG, params, what=what, secret=True)
        except Refused as found:
            raise error_texts.refused(self._connection, what, found) from None
        if codec.needs_restart(result):
            try:
                await self._rpc.call(codec.REBOOT, what="starting anew")
            except Refused as found:
                raise error_texts.refused(self._connection, "starting anew", found) from None
            except InstallerError as error:
                # Some end the connection before they answer.
                if error.code is not ErrorCode.CONNECTION_LOST:
                    raise
            raise error_texts.restarting(self._connection, credentials.network.label)

    async def _follow(self, network: Network, confirm: float) -> WifiStatus:
        """The state in which the device has joined `network`. Raises JOIN_FAILED, NETWORK_NOT_FOUND, and the usual."""
        clock = asyncio.get_running_loop().time
        begin = clock()
        watch = Watch(network.ssid, self._timings, begin + confirm)
        pause = self._timings.poll_first
        while clock() < begin + self._timings.join:
            status = await self._status()
            outcome = watch.see(status, clock())
            if outcome is Phase.JOINED:
                return status
            if outcome is Phase.NOT_FOUND or (outcome is Phase.FAILED and not await self._sees(network)):
                raise error_texts.not_found(network.label)
            if outcome is Phase.FAILED:
                raise error_texts.not_joined(network.label)
            await self._connection.race(asyncio.sleep(pause), pause + 1, "the device was joining the network")
            pause = min(pause * POLL_GROWTH, self._timings.poll_last)
        raise common.no_outcome(network.label, self._timings.join)

    async def _sees(self, network: Network) -> bool:
        """Whether the network is within the device's reach, as far as that can be told."""
        if network.hidden:
            return True
        try:
            return any(n.ssid == network.ssid for n in await self.networks())
        except InstallerError as error:
            if error.code is ErrorCode.CONNECTION_LOST:
                raise
            # A device that is busy with joining may refuse to scan.
            return True

    async def _status(self) -> WifiStatus:
        return await self._ask(codec.GET_STATUS, codec.read_status, "telling the state of its Wi-Fi")

    async def _ask(self, method: str, read: Callable[[Any], T], what: str, seconds: float | None = None) -> T:
        try:
            return read(await self._rpc.call(method, what=what, seconds=seconds))
        except Refused as found:
            raise error_texts.refused(self._connection, what, found) from None
        except Malformed as found:
            raise common.misbehaved(self._connection, what, found) from None


class Watch:
    """Makes an outcome of the states of one attempt to join `ssid`. Times in seconds on one clock.

    `not_before`: when it is believed at the earliest that the device has joined, unless it was seen off the network.
    """

    def __init__(self, ssid: str, timings: Timings, not_before: float) -> None:
        self._ssid = ssid
        self._timings = timings
        self._not_before = not_before
        self._idle_since: float | None = None
        self._joining = False
        self._falls = 0

    def see(self, status: WifiStatus, now: float) -> Phase | None:
        """JOINED, FAILED or NOT_FOUND; None if it is not decided yet."""
        if status.phase is Phase.JOINED:
            # Another name: still the network that it had before.
            return Phase.JOINED if status.ssid in ("", self._ssid) and now >= self._not_before else None
        self._not_before = now
        if status.phase is Phase.BUSY:
            self._joining, self._idle_since = True, None
            return None
        if status.phase is not Phase.IDLE:
            return status.phase
        if self._joining:
            self._falls += 1
            self._joining = False
        if self._idle_since is None:
            self._idle_since = now
        patience = self._timings.fall if self._falls else self._timings.settle
        return Phase.FAILED if self._falls >= MAX_FALLS or now - self._idle_since >= patience else None
